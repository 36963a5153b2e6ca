/** The elements in a page of another site, as docs/embedding.md shows it. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import axe from 'axe-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, startBrowser, type TestBrowser } from './browser';
import { startHost } from './host';
import { AppPage, atRest } from './page';

let browser: TestBrowser;
let host: Awaited<ReturnType<typeof startHost>>;
let site: Server;
let address: string;

/** The pages of the documentation, in their order. */
function examples(elements: string): string[] {
  const text = readFileSync(join(ROOT, 'docs/embedding.md'), 'utf8');
  return [...text.matchAll(/```html\n(<!doctype html>.*?)```/gs)].map(([, page = '']) =>
    page.replace('https://example.org/qsd-web/', elements),
  );
}

beforeAll(async () => {
  host = await startHost(join(ROOT, 'dist/web'));
  const pages = examples(host.address);
  expect(pages).toHaveLength(2);
  for (const page of pages) expect(page).toContain(`${host.address}embed.js`);
  site = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(pages[request.url === '/disk' ? 1 : 0]);
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(site.address() as AddressInfo).port}/`;
  browser = await startBrowser();
});
afterAll(async () => {
  await browser.close();
  site.closeAllConnections();
  site.close();
  host.close();
});

test('the page of the documentation works on another site than the elements', async () => {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(20_000);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await page.setViewportSize({ width: 1300, height: 760 });
  await page.goto(address);
  const app = new AppPage(page);
  await page.locator('qsd-console[data-ready]').waitFor();
  // One daemon for all: what the console starts shows in the graph, what it makes in the files.
  const card = (name: string) => page.locator(`qsd-graph .card[data-key="node:${name}"]`);
  await card('top').waitFor();
  await page.locator('qsd-files').getByText('base.qcow2').waitFor();
  await page
    .locator('qsd-lessons')
    .getByRole('heading', { name: /stream/ })
    .waitFor();
  // A command of the graph is put into the console.
  await card('top').click();
  await page.locator('qsd-graph .details button.command, qsd-graph .details li button').first().click();
  await app.shows(/qsd> \S+.*(?:node|device)/);
  await atRest(page);
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run({ exclude: ['.xterm'] }),
  );
  // The example is only as long as it must be: the structure of the page around is not looked at.
  const found = violations.filter(
    ({ id }) => !/^(?:html-has-lang|landmark-.*|page-has-heading-one|region)$/.test(id),
  );
  expect(found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  expect(errors).toEqual([]);
  await page.close();
});

test('a program of the page has a node as its disk', async () => {
  const page = await browser.context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`${address}disk`);
  await page.locator('output').getByText('16777216 bytes; 0, 7').waitFor({ timeout: 20_000 });
  expect(errors).toEqual([]);
  await page.close();
});
