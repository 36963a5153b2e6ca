/** The pretended guest in the page, faults, and the plug. */
import axe from 'axe-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';
import { atRest, AppPage } from './page';

let browser: TestBrowser;
let app: AppPage;

beforeAll(async () => {
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/?panes=console,graph,guest')).ready();
  app.page.setDefaultTimeout(20_000);
  await app.page.setViewportSize({ width: 2000, height: 1100 });
  await app.run('qemu-img create -q -f qcow2 a.qcow2 64M');
  await app.run('blockdev-add driver=qcow2 node-name=a file.driver=file file.filename=a.qcow2');
});
afterAll(() => browser.close());

const guest = () => app.page.locator('qsd-guest');
const graph = () => app.page.locator('qsd-graph');
const card = (key: string) => graph().locator(`.card[data-key="${key}"]`);
const numbers = () => guest().locator('.numbers').textContent();

test('writes while a job runs; the graph shows it', async () => {
  await app.run('block-dirty-bitmap-add node=a name=marks');
  await guest().getByLabel('Pattern').selectOption('database');
  await guest().getByRole('button', { name: 'Start' }).click();
  await card('user:guest').waitFor();
  expect(await card('user:guest').locator('.words').textContent()).toBe('User guest, uses root: a');
  await expect.poll(numbers).toMatch(/^\d+ requests\/s .* written [\d.]+ [KM]iB/);
  await expect
    .poll(() => card('node:a').locator('.bitmap').textContent())
    .toMatch(/^marks: [1-9][\d.]* [KM]iB dirty$/);
  await app.run('blockdev-snapshot-sync node-name=a snapshot-file=b.qcow2 snapshot-node-name=b format=qcow2');
  await expect
    .poll(() => card('user:guest').locator('.words').textContent())
    .toBe('User guest, uses root: b');
  await guest().getByRole('button', { name: 'Stop' }).click();
  await expect.poll(() => card('user:guest').count()).toBe(0);
  // The overlay went with its last user, as in QEMU.
  await expect.poll(() => card('node:b').count()).toBe(0);
  await app.run('blockdev-add driver=qcow2 node-name=b backing=a file.driver=file file.filename=b.qcow2');
  await card('node:b').waitFor();
});

test('axe finds nothing wrong', async () => {
  // What comes has faded in.
  await app.page.waitForTimeout(700);
  await app.page.evaluate(axe.source);
  await atRest(app.page);
  const { violations } = await app.page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run({ exclude: ['.xterm'] }),
  );
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
});

test('what cannot be is said', async () => {
  for (const kind of ['Reads', 'Writes', 'Flushes', 'Discards']) await guest().getByLabel(kind).fill('0');
  await guest().getByRole('button', { name: 'Start' }).click();
  await guest().getByText('The mix needs a request of some kind').waitFor();
  await guest().getByLabel('Writes').fill('1');
  await guest().getByLabel('Node').selectOption('a');
  await guest().getByRole('button', { name: 'Start' }).click();
  await guest().getByText('Block node is read-only').waitFor();
});

test('faults below an image: writes fail, and go on when they are taken out', async () => {
  await guest().getByLabel('Node').selectOption('b');
  await guest().getByRole('button', { name: 'Prepare a fault: one write fails with ENOSPC' }).click();
  await app.shows(/blockdev-add driver=blkdebug/);
  await app.press('Enter');
  await guest().getByRole('button', { name: 'Put faults below it' }).click();
  await app.shows(/blockdev-reopen options=/);
  await app.press('Enter');
  await guest().getByRole('button', { name: 'Take the faults out again' }).waitFor();
  await guest().getByRole('button', { name: 'Start' }).click();
  await guest()
    .getByText(/1 failed: No space left on device/)
    .waitFor();
  await guest().getByRole('button', { name: 'Stop' }).click();
  await guest().getByRole('button', { name: 'Take the faults out again' }).click();
  await app.shows(/blockdev-reopen options=\[\{"driver": "qcow2", "node-name": "b", "file": "#block/);
  await app.press('Enter');
  await guest().getByRole('button', { name: 'Put faults below it' }).waitFor();
});

test('the plug is pulled while the guest writes: another daemon comes, the image is sound', async () => {
  await guest().getByLabel('Rate').selectOption('0');
  await guest().getByRole('button', { name: 'Start' }).click();
  await card('user:guest').waitFor();
  await expect.poll(numbers).toMatch(/requests/);
  await guest().getByRole('button', { name: 'Pull the plug' }).click();
  await guest().getByRole('button', { name: 'Really pull it?' }).click();
  await graph().getByRole('heading', { name: 'The plug was pulled' }).waitFor();
  await graph().getByRole('button', { name: 'Check b.qcow2' }).click();
  await app.shows(/qsd> qemu-img check b\.qcow2/);
  await app.press('Enter');
  await app.shows(/No errors were found on the image|leaked clusters/);
  expect(await app.text()).not.toMatch(/\d+ errors were found/);
  await graph().getByRole('button', { name: 'Open b again' }).click();
  await app.shows(/blockdev-add driver=qcow2 node-name=b/);
  await app.press('Enter');
  await card('node:b').waitFor();
});
