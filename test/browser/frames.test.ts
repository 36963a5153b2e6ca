/** The built page in a frame of another page, its own site's or another one's, on a plain static host. */
import { execFileSync } from 'node:child_process';
import { createReadStream, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';
import type { BrowserContext, Frame, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findChromium, FLAGS, ROOT } from './browser';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
};

const folder = mkdtempSync(join(tmpdir(), 'qsd-web-static-'));
let server: Server;
let port: number;
let context: BrowserContext;

beforeAll(async () => {
  await build({
    root: ROOT,
    configFile: join(ROOT, 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir: join(folder, 'site'), emptyOutDir: true },
  });
  // As simple as a host can be: it knows neither the type of WASM nor any header but that of the type.
  server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://host').pathname));
    if (path === '/frame.html') {
      response.setHeader('content-type', 'text/html');
      response.end(
        `<!doctype html><iframe src="http://127.0.0.1:${port}/some/folder/" width="900" height="600">`,
      );
      return;
    }
    if (path === '/sandboxed.html') {
      response.setHeader('content-type', 'text/html');
      response.end(
        `<!doctype html><iframe sandbox="allow-scripts" src="/open/folder/" width="900" height="600">`,
      );
      return;
    }
    const file = join(folder, 'site', path.replace(/^\/\w+\/folder\//, '/').replace(/\/$/, '/index.html'));
    // A frame of no site may load no module from a host that does not say this.
    if (path.startsWith('/open/folder/')) response.setHeader('access-control-allow-origin', '*');
    if (!/^\/(some|open)\/folder\//.test(path) || !statSync(file, { throwIfNoEntry: false })?.isFile()) {
      response.statusCode = 404;
      response.end();
      return;
    }
    response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  port = typeof address === 'object' && address ? address.port : 0;
  context = await chromium.launchPersistentContext(join(folder, 'profile'), {
    executablePath: findChromium(),
    headless: true,
    args: FLAGS,
  });
});
afterAll(async () => {
  await context.close();
  server.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Creates an image by the console of the page and reads it; if files are kept, it is still there after a reload. */
async function use(
  page: Page,
  frame: () => Frame,
  kept: boolean,
  more?: (enter: (line: string) => Promise<void>, console: () => Promise<string>) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  page.on('pageerror', (error) => failures.push(String(error)));
  const console = () => frame().locator('.xterm-rows').innerText();
  const enter = async (line: string) => {
    await frame().locator('.xterm-helper-textarea').focus();
    await page.keyboard.type(`${line}\n`);
  };
  const ready = () => frame().getByText('Ready').waitFor();
  await ready();
  expect(await frame().evaluate(() => globalThis.crossOriginIsolated)).toBe(false);
  await enter('qemu-img create -q -f qcow2 made.qcow2 3M');
  await enter('qemu-img info made.qcow2');
  await expect.poll(console).toContain('virtual size: 3 MiB (3145728 bytes)');
  if (kept) {
    await page.reload();
    await ready();
  }
  await enter('qemu-io -c "read -P 0 0 3M" made.qcow2');
  await expect.poll(console).toContain('read 3145728/3145728 bytes at offset 0');
  await enter('rm made.qcow2');
  await more?.(enter, console);
  expect(failures).toEqual([]);
  await page.close();
}

test.each([
  ['of its own site', '127.0.0.1', true],
  // Browsers may give such a frame no storage: files are then in memory.
  ['of another site', 'localhost', false],
])('in a frame of a page %s', async (_name, host, kept) => {
  const page = await context.newPage();
  await page.goto(`http://${host}:${port}/frame.html`);
  const frame = () => page.frames().find((one) => one.url().endsWith('/some/folder/')) ?? page.mainFrame();
  await use(page, frame, kept);
});

test('in a sandboxed frame, where keys are derived in a worker of their own too', async () => {
  const path = join(folder, 'site/disk.luks');
  writeFileSync(path, '');
  truncateSync(path, 20 << 20);
  const kdf = '--pbkdf argon2id --pbkdf-memory 32 --pbkdf-parallel 1 --pbkdf-force-iterations 4'.split(' ');
  execFileSync('cryptsetup', ['luksFormat', '-q', '--disable-locks', '--type', 'luks2', ...kdf, path, '-'], {
    input: 'sesame',
    env: { ...process.env, PATH: `${process.env.PATH}:/sbin:/usr/sbin` },
  });
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${port}/sandboxed.html`);
  const frame = () => page.frames().find((one) => one.url().endsWith('/open/folder/')) ?? page.mainFrame();
  await use(page, frame, false, async (enter, console) => {
    await enter(`import http://127.0.0.1:${port}/open/folder/disk.luks`);
    await expect.poll(console).toContain('disk.luks: copied into the sandbox');
    const disk = 'driver=luks,key-secret=s,file.filename=disk.luks';
    await enter(`qemu-io -r --object secret,id=s,data=sesame -c "read 0 4k" --image-opts ${disk}`);
    await expect.poll(console).toContain('read 4096/4096 bytes at offset 0');
  });
});
