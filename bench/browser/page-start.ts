/** How long the built page takes from the start of the navigation to its prompt. */
import type { BrowserContext } from 'playwright-core';
import { preview } from 'vite';
import { ROOT } from '../../test/browser/browser';
import { median } from '../measure';
import type { Line } from '../report';

const ROUNDS = 7;

/** The console marks itself with this attribute when its prompt can be seen. */
const READY = '[data-ready]';

export async function pageStartLine(context: BrowserContext): Promise<Line> {
  const server = await preview({
    configFile: false,
    root: ROOT,
    logLevel: 'error',
    build: { outDir: 'dist/web' },
    preview: { host: '127.0.0.1', port: 0, strictPort: false },
  });
  try {
    const [url] = server.resolvedUrls?.local ?? [];
    if (!url) throw new Error('the server has no address');
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const page = await context.newPage();
      // Every round as if it were the first visit.
      const session = await context.newCDPSession(page);
      await session.send('Network.setCacheDisabled', { cacheDisabled: true });
      await page.goto(url, { waitUntil: 'commit' });
      const ready = await page.waitForFunction(
        (selector) => (document.querySelector(selector) ? performance.now() : false),
        READY,
        { polling: 'raf', timeout: 30_000 },
      );
      times.push(Number(await ready.jsonValue()));
      await page.close();
    }
    return {
      what: 'page: from navigation to the prompt, empty cache',
      ours: '',
      reference: '',
      value: median(times),
      unit: 'ms',
      target: { below: 1000 },
    };
  } finally {
    await server.close();
  }
}
