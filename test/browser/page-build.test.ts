/** The built page, as any static host serves it. */
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Request } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT, startBrowser, type TestBrowser } from './browser';
import { AppPage } from './page';

let browser: TestBrowser;
let server: Server;
let folder: string;
let address: string;

/** A host that knows little: files under a folder of its own, no special headers, no type for WASM. */
function serve(root: string): Server {
  const types: Record<string, string> = {
    '.html': 'text/html',
    '.js': 'text/javascript',
    '.css': 'text/css',
  };
  return createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0]?.replace(/^\/some\/folder\//, '') ?? '';
    const file = join(root, path === '' ? 'index.html' : path);
    if (!request.url?.startsWith('/some/folder/') || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const type = types[/\.\w+$/.exec(file)?.[0] ?? ''] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type });
    createReadStream(file).pipe(response);
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'qsd-web-built-'));
  await build({
    root: ROOT,
    configFile: join(ROOT, 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir: folder, emptyOutDir: true },
  });
  server = serve(folder);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/some/folder/`;
  browser = await startBrowser();
});

afterAll(async () => {
  await browser.close();
  server.close();
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
