/** The inspector on a node that is in use: bitmaps that only memory has, and a map that follows what is written. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';
import { AppPage } from './page';

let browser: TestBrowser;
let app: AppPage;

beforeAll(async () => {
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/')).ready();
  app.page.setDefaultTimeout(20_000);
  await app.run('qemu-img create -q -f qcow2 d.qcow2 16M');
  await app.run('blockdev-add driver=qcow2 node-name=d file.driver=file file.filename=d.qcow2');
  await app.run('block-dirty-bitmap-add node=d name=monday');
  await app.run('nbd-server-start addr.type=unix addr.data.path=s');
  await app.run('block-export-add type=nbd id=e node-name=d writable=true');
});
afterAll(() => browser.close());

const inspector = () => app.page.locator('qsd-inspector');
const legend = () => inspector().locator('.legend li').allInnerTexts();
const write = (what: string) => app.run(`qemu-io -f raw -c "write ${what}" nbd+unix:///d?socket=s`);

test('the map shows what is written and marked, without a click', async () => {
  await app.page.getByRole('tab', { name: 'Inspect', exact: true }).click();
  await inspector().getByLabel('Image').selectOption('node:d');
  await inspector().getByRole('tab', { name: 'Map' }).click();
  await expect.poll(legend).toEqual(['Not in this image']);
  await write('1M 1M');
  await expect.poll(legend).toEqual(['Data', 'Not in this image', 'Dirty in a bitmap']);
  await inspector().getByRole('slider', { name: 'Cluster map' }).focus();
  await app.press('Home', ...Array.from({ length: 16 }, () => 'ArrowRight'));
  await inspector().getByRole('tabpanel', { name: 'Map' }).getByText('monday').waitFor();
  await app.run('block-dirty-bitmap-clear node=d name=monday');
  await expect.poll(legend).toEqual(['Data', 'Not in this image']);
  await write('-z 2M 1M');
  await expect.poll(legend).toEqual(['Data', 'Zeros', 'Not in this image', 'Dirty in a bitmap']);
});

test('the overview lists the bitmaps of the node', async () => {
  await inspector().getByRole('tab', { name: 'Overview' }).click();
  const rows = () =>
    inspector().getByRole('table', { name: 'Bitmaps in memory' }).locator('td').allInnerTexts();
  await expect.poll(rows).toEqual(['monday', '64 KiB', '1 MiB', 'recording, goes with the node']);
});

test('a raw disk has them too; a node that is gone ends it quietly', async () => {
  await app.run('qemu-img create -q -f raw r.raw 4M');
  await app.run('blockdev-add driver=raw node-name=r file.driver=file file.filename=r.raw');
  await app.run('block-dirty-bitmap-add node=r name=raw');
  await app.run('block-export-add type=nbd id=r node-name=r writable=true');
  await inspector().getByLabel('Image').focus();
  await inspector().getByLabel('Image').selectOption('node:r');
  await inspector().getByRole('tab', { name: 'Map' }).click();
  await app.run('qemu-io -f raw -c "write 64k 64k" nbd+unix:///r?socket=s');
  await expect.poll(legend).toContain('Dirty in a bitmap');
  await app.run('block-export-del id=r');
  await app.run('blockdev-del node-name=r');
  expect(await app.run('query-named-block-nodes flat=true')).not.toContain('"r"');
});

test('an image on a server: its map, its bytes, its disk', async () => {
  await app.run('qemu-img create -q -f qcow2 far.qcow2 64M');
  await app.run('qemu-io -c "write -P 9 1M 5M" far.qcow2');
  await app.run('blockdev-add driver=file node-name=bytes filename=far.qcow2');
  await app.run('block-export-add type=nbd id=bytes node-name=bytes writable=true');
  expect(
    await app.run(
      'blockdev-add driver=qcow2 node-name=far file.driver=nbd file.export=bytes file.server.type=unix file.server.path=s',
    ),
  ).toContain('{"return": {}}');
  await inspector().getByLabel('Image').focus();
  await inspector().getByLabel('Image').selectOption('node:far');
  await inspector().getByRole('tab', { name: 'Map' }).click();
  await expect.poll(legend).toEqual(['Data', 'Not in this image']);
  await inspector().getByRole('button', { name: 'File', exact: true }).click();
  await inspector().locator('.map[data-known]').waitFor();
  await expect.poll(legend).toEqual(expect.arrayContaining(['L2 table', 'Refcount block', 'Data']));
  await inspector().getByRole('tab', { name: 'Hex' }).click();
  await inspector().getByRole('button', { name: 'Disk', exact: true }).click();
  await inspector().getByLabel('Offset', { exact: true }).fill('1M');
  await app.press('Enter');
  await expect.poll(() => inspector().locator('.bytes .current').textContent()).toBe('09');
});
