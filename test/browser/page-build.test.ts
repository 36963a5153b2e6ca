/** The built page, as any static host serves it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Request } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT, startBrowser, type TestBrowser } from './browser';
import { startHost } from './host';
import { AppPage } from './page';

let browser: TestBrowser;
let host: Awaited<ReturnType<typeof startHost>>;
let folder: string;
let address: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'qsd-web-built-'));
  await build({
    root: ROOT,
    configFile: join(ROOT, 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir: folder, emptyOutDir: true },
  });
  host = await startHost(folder);
  address = host.address;
  browser = await startBrowser();
});

afterAll(async () => {
  await browser.close();
  host.close();
  rmSync(folder, { recursive: true });
});

describe('the built page', () => {
  test('works from a folder of a host that sends no headers', async () => {
    const page = await browser.context.newPage();
    const failed: string[] = [];
    page.on('requestfailed', (request) => failed.push(request.url()));
    page.on('response', (response) => {
      if (response.status() >= 400) failed.push(response.url());
    });
    await page.goto(address);
    const app = await new AppPage(page).ready();
    expect(await app.run('qemu-img create -f qcow2 a.qcow2 1M')).toContain("Formatting 'a.qcow2'");
    expect(await app.run("qemu-io -c 'write 0 64k' a.qcow2")).toContain('wrote 65536/65536 bytes');
    expect(failed).toEqual([]);
    await page.close();
  });

  test('a <qsd-console> stands alone in another page', async () => {
    const page = await browser.context.newPage();
    await page.goto(address);
    const app = await new AppPage(page).ready();
    // The element of the page goes, another one comes with a worker of its own.
    await page.evaluate(() => {
      document.body.replaceChildren(document.createElement('qsd-console'));
    });
    await app.ready();
    expect(await app.run('query-version')).toContain('"major": 9');
    await page.close();
  });

  test('is small: what a first visit loads, before any image is open', async () => {
    const names = new Set<string>();
    const page = await browser.context.newPage();
    // Those of the worker too.
    const seen = (request: Request): void => void names.add(new URL(request.url()).pathname);
    browser.context.on('request', seen);
    await page.goto(address);
    await new AppPage(page).ready();
    // What is loaded ahead of the first Tab belongs to it.
    await page.waitForTimeout(1500);
    browser.context.off('request', seen);
    await page.close();
    const files = [...names].map((name) => name.replace('/some/folder/', '') || 'index.html');
    const size = (list: string[]): number =>
      list.reduce((sum, name) => sum + gzipSync(readFileSync(join(folder, name))).length, 0);
    expect(size(files.filter((name) => name.endsWith('.wasm')))).toBeLessThan(100 * 1024);
    expect(size(files)).toBeLessThan(600 * 1024);
    // Nothing is missing: the worker, the data plane, the console.
    expect(files.length).toBeGreaterThan(5);
  });
});
