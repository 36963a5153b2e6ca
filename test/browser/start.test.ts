/** Start scripts in the page: links, the dialog, a whole command line of the daemon, reset and undo. */
import axe from 'axe-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { encodeScript } from '../../src/ui/start/link';
import { startBrowser, type TestBrowser } from './browser';
import { AppPage, atRest } from './page';

const SCRIPT = `# A chain of two
qemu-img create -q -f qcow2 base.qcow2 16M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
qemu-storage-daemon --blockdev qcow2,node-name=top,file.driver=file,file.filename=top.qcow2 --export nbd,id=e,node-name=top`;
const FAILING = SCRIPT.replace(' --export nbd,id=e,node-name=top', ' --export nbd,id=e,node-name=nope');

let browser: TestBrowser;
let app: AppPage;

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());

const open = async (fragment: string): Promise<void> => {
  app = await new AppPage(await browser.newPage(`/${fragment === '' ? '' : `#${fragment}`}`)).ready();
  app.page.setDefaultTimeout(20_000);
  await app.page.setViewportSize({ width: 1500, height: 1000 });
};
const node = (name: string) => app.page.locator(`qsd-graph .card[data-key="node:${name}"]`);
const dialog = () => app.page.getByRole('dialog');
const empty = async (): Promise<void> => {
  await open('');
  await app.run('reset -y');
  await app.page.evaluate(() => localStorage.clear());
  await app.page.close();
};
beforeEach(empty);
afterEach(() => app.page.close());

test('a link is followed at once in an empty sandbox', async () => {
  await open(await encodeScript(SCRIPT.replace(/ --export.*/, '')));
  await app.shows('qemu-storage-daemon --blockdev');
  await node('top').waitFor();
});

test('a link that reaches out of the sandbox asks first', async () => {
  const script = 'import http://127.0.0.1:9/disk.img\nls';
  await open(await encodeScript(script));
  expect(await dialog().getByRole('textbox', { name: 'Start script' }).inputValue()).toBe(script);
  await dialog().getByText('Nothing of them was entered yet.').waitFor();
  expect(await app.text()).not.toContain('import');
});

test('where its files exist it asks first, and says which', async () => {
  await open('');
  await app.run('qemu-img create -q base.qcow2 1M');
  await app.page.close();
  await open(await encodeScript(SCRIPT));
  await dialog().getByText('Nothing of them was entered yet.').waitFor();
  await dialog().getByText('Here already, and may be changed or overwritten: base.qcow2').waitFor();
  expect(await dialog().getByRole('textbox', { name: 'Start script' }).inputValue()).toBe(SCRIPT);
  await atRest(app.page);
  await app.page.evaluate(axe.source);
  const found = await app.page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run({ exclude: ['.xterm'] }),
  );
  expect(found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  await dialog().getByRole('button', { name: 'Not now' }).click();
  expect(await app.run('ls')).not.toContain('top.qcow2');
});

test('an option that fails has the text of the real daemon, and nothing of the line stays', async () => {
  await open(await encodeScript(FAILING));
  await app.shows(/qemu-storage-daemon: --export nbd,id=e,node-name=nope: \S.*/);
  expect(await app.run('query-named-block-nodes')).toMatch(/"return": \[\]/);
});

test('what was entered becomes a script, is kept, and is run when the page is opened again', async () => {
  await open('');
  await app.run('qemu-img create -q -f qcow2 mine.qcow2 1M');
  await app.run('qemu-img info mine.qcow2');
  await app.run('qemu-img create -q -f qcow2 mine.qcow2 1Q');
  await app.page.getByRole('button', { name: 'Share' }).click();
  const script = dialog().getByRole('textbox', { name: 'Start script' });
  expect(await script.inputValue()).toBe('qemu-img create -q -f qcow2 mine.qcow2 1M');
  const link = await dialog().getByRole('textbox', { name: 'Link' }).inputValue();
  expect(link).toMatch(/#start=qemu-img\+create\+-q\+-f\+qcow2\+mine\.qcow2\+1M$/);
  expect(await dialog().getByRole('textbox', { name: 'Code to embed it' }).inputValue()).toContain(
    '<iframe src=',
  );
  await script.fill('blockdev-add driver=null-co node-name=kept');
  await dialog().getByLabel('Run it whenever this page is opened here').check();
  await app.press('Escape');
  await dialog().waitFor({ state: 'detached' });
  await app.page.close();
  await open('');
  await app.shows('node-name=kept');
  await node('kept').waitFor();
});

test('undo takes the last line back; reset asks, and empties the sandbox', async () => {
  await open('');
  await app.run('qemu-img create -q -f qcow2 a.qcow2 1M');
  await app.run('blockdev-add driver=qcow2 node-name=a file.driver=file file.filename=a.qcow2');
  await app.run('ls');
  await app.run('qemu-img create -q b.img 1M');
  const before = await app.done();
  await app.type('undo');
  await app.press('Enter');
  // undo itself, and two lines again.
  await expect.poll(() => app.done()).toBe(before + 3);
  const files = await app.run('ls');
  expect(files).toContain('a.qcow2');
  expect(files).not.toContain('b.img');
  await node('a').waitFor();
  await app.clear();
  const ended = await app.done();
  await app.type('reset');
  await app.press('Enter');
  await app.shows('Delete all that is in the sandbox (1 entry)? [y/N]');
  await app.type('y');
  await app.press('Enter');
  await expect.poll(() => app.done()).toBe(ended + 1);
  expect(await app.run('ls')).toBe('qsd> ls\nqsd>');
  expect(await app.run('undo')).toContain('undo: cannot: nothing was changed yet');
});

test('a damaged link is said to be one', async () => {
  await open('start=z.AAAA');
  await app.page.getByText('The start script of this link is damaged').waitFor();
});
