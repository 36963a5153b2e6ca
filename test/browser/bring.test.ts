/** Files that come into the sandbox: from addresses of the web, and samples that are made in place. */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SAMPLES } from '../../src/lessons';
import { startBrowser, type TestBrowser } from './browser';
import { AppPage } from './page';

const CONTENT = randomBytes(3_000_000);
let browser: TestBrowser;
let app: AppPage;
let server: Server;
let origin: string;
let cookies: (string | undefined)[];

beforeAll(async () => {
  cookies = [];
  server = createServer((request, response) => {
    cookies.push(request.headers.cookie);
    const { pathname } = new URL(request.url ?? '', 'http://host');
    if (pathname !== '/closed.img') response.setHeader('access-control-allow-origin', '*');
    // Without a type a browser waits for the first bytes to guess one.
    response.setHeader('content-type', 'application/octet-stream');
    if (pathname === '/absent.img') return void response.writeHead(404).end();
    if (pathname === '/cut.img') {
      response.writeHead(200, { 'content-length': CONTENT.length });
      response.write(CONTENT.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 100));
      return;
    }
    if (pathname === '/unsized') return void response.end(CONTENT);
    response.writeHead(200, { 'content-length': CONTENT.length }).end(CONTENT);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/')).ready();
  await app.page.setViewportSize({ width: 1500, height: 1000 });
});
afterAll(async () => {
  await browser.close();
  server.closeAllConnections();
  server.close();
});

test('a file of the web is copied, under its name', async () => {
  expect(await app.run(`import ${origin}/folder/some%20disk.img?x=1 ${origin}/unsized`)).toMatch(
    /some disk\.img: copied into the sandbox\s+unsized: copied into the sandbox/,
  );
  const sum = createHash('sha256').update(CONTENT).digest('hex');
  const shown = await app.run('sha256sum "some disk.img" unsized');
  expect(shown.split(sum)).toHaveLength(3);
  expect(cookies.every((cookie) => cookie === undefined)).toBe(true);
});

test.each([
  ['absent.img', 'The host answers 404'],
  ['closed.img', 'does not let other sites read this file'],
  ['cut.img', /The connection broke off after 100000 bytes|Only 100000 of 3000000 bytes came/],
])('%s cannot be had, and leaves nothing', async (name, text) => {
  const shown = (await app.run(`import ${origin}/${name}`)).replace(/\n/g, '');
  expect(shown).toMatch(text instanceof RegExp ? text : new RegExp(text));
  expect(await app.run('ls')).not.toContain(name);
});

test('what is no address is said to be none', async () => {
  expect(await app.run('import nonsense')).toContain('That is no address');
  expect(await app.run('import ftp://127.0.0.1/a')).toContain('Only addresses that begin with');
});

test.each(SAMPLES)('sample $name is made in place, once', async ({ name, files }) => {
  const made = await app.run(`sample ${name}`, 60_000);
  expect(made).not.toMatch(/error|rror:/);
  const list = await app.run('ls');
  for (const file of files) expect(list).toContain(file);
  expect((await app.run(`sample ${name}`)).replace(/\n/g, '')).toContain('there already');
});

test('the damaged sample has errors and leaks, and is repaired', async () => {
  const found = await app.run('qemu-img check sample-damaged.qcow2');
  expect(found).toMatch(/2 errors were found/);
  expect(found).toMatch(/2 leaked clusters were found/);
  expect(await app.run('qemu-img check -r all sample-damaged.qcow2')).toContain(
    'No errors were found on the image.',
  );
});

test('the panel begins these lines, and asks the browser to keep the files', async () => {
  await app.files
    .getByRole('button', { name: 'Make an image to look at' })
    .or(app.files.getByText('Sample'))
    .first()
    .click();
  await app.shows(/qsd> sample $|qsd> sample$/);
  const keep = app.files.getByText('Keep', { exact: true });
  if ((await keep.count()) > 0) {
    await keep.click();
    // Headless Chromium refuses; a browser that agrees shows no doubt any more.
    await expect
      .poll(async () => (await app.files.locator('footer').textContent()) ?? '')
      .toMatch(/does not promise more|^\S+ \S+ of \S+ \S+$/);
  }
});
