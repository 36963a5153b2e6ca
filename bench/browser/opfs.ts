/** What is measured in the worker, asked for from Node.js. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BrowserContext } from 'playwright-core';
import { createServer } from 'vite';
import { DATA_BYTES, HUGE_BYTES, type Images } from '../images';
import { type Line, rate } from '../report';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The engine on the origin private file system, against bare handles. */
export async function opfsLines(context: BrowserContext, images: Images): Promise<Line[]> {
  const server = await createServer({
    configFile: false,
    root,
    logLevel: 'error',
    cacheDir: 'node_modules/.vite-bench',
    optimizeDeps: { noDiscovery: true },
    server: { host: '127.0.0.1', port: 0, strictPort: false, hmr: false, watch: null },
  });
  await server.listen();
  try {
    const [url] = server.resolvedUrls?.local ?? [];
    if (!url) throw new Error('the server has no address');
    const page = await context.newPage();
    page.on('pageerror', (error) => console.error(error));
    page.on('console', (message) => {
      if (message.type() === 'error') console.error(message.text());
    });
    await page.goto(new URL('bench/browser/index.html', url).href);
    await page.waitForFunction(() => 'driver' in window);
    for (const [name, path] of Object.entries({
      'data.raw': images.raw,
      'data.qcow2': images.qcow2,
      'huge.qcow2': images.huge,
    })) {
      await page.setInputFiles('input', path);
      await page.evaluate((to) => window.driver.importChosen(to), name);
    }

    const random = await page.evaluate((bytes) => window.driver.bench.randomReads(bytes), DATA_BYTES);
    const sequential = await page.evaluate((bytes) => window.driver.bench.sequentialReads(bytes), DATA_BYTES);
    const writes = await page.evaluate(() => window.driver.bench.allocatingWrites());
    const huge = await page.evaluate((bytes) => window.driver.bench.openHuge(bytes), HUGE_BYTES);
    await page.close();
    return [
      {
        what: 'OPFS: 4 KiB random reads through qcow2, against the bare handle',
        ours: rate(random.operations, random.ours, '/s'),
        reference: rate(random.operations, random.reference, '/s'),
        value: random.ratio,
        unit: '',
        target: { least: 0.8 },
      },
      {
        what: 'OPFS: 1 MiB sequential reads through qcow2, against the bare handle',
        ours: rate(sequential.bytes, sequential.ours, 'MB/s'),
        reference: rate(sequential.bytes, sequential.reference, 'MB/s'),
        value: sequential.ratio,
        unit: '',
        target: { least: 0.9 },
      },
      {
        what: 'OPFS: 64 KiB allocating writes through qcow2, against the bare handle',
        ours: rate(writes.bytes, writes.ours, 'MB/s'),
        reference: rate(writes.bytes, writes.reference, 'MB/s'),
        value: writes.ratio,
        unit: '',
        target: { least: 0.8 },
      },
      {
        what: 'OPFS: opening an image of 1 TiB, with a read at its far end',
        ours: '',
        reference: '',
        value: huge.milliseconds,
        unit: 'ms',
        target: { below: 50 },
      },
      {
        what: 'linear memory with that image open',
        ours: '',
        reference: '',
        value: huge.memoryBytes / 2 ** 20,
        unit: 'MiB',
        target: { below: 16 },
      },
    ];
  } finally {
    await server.close();
  }
}
