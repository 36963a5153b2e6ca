/** What is dropped from the desktop, by the browser itself: files and folders. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';
import { AppPage } from './page';

let browser: TestBrowser;
let app: AppPage;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'qsd-web-drop-'));
  mkdirSync(join(folder, 'images'));
  writeFileSync(join(folder, 'images/inner.img'), 'inner');
  writeFileSync(join(folder, 'outer.img'), 'outer');
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/')).ready();
});
afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

async function drop(...names: string[]): Promise<void> {
  const session = await browser.context.newCDPSession(app.page);
  const data = { items: [], files: names.map((name) => join(folder, name)), dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await session.send('Input.dispatchDragEvent', { type, x: 200, y: 300, data });
}

test('a folder is left out, which is said; the files beside it are taken', async () => {
  await drop('images', 'outer.img');
  await app.page.getByRole('alert').getByText('Folders are not taken in (images)').waitFor();
  await app.shows('outer.img: 5 B copied into the sandbox');
  const list = await app.run('ls');
  expect(list).toContain('outer.img');
  expect(list).not.toContain('images');
});
