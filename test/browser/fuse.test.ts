/** Exports of the kind fuse in a real browser: every tool of the console sees the node as a raw file, at its path. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';
import { AppPage } from './page';

let browser: TestBrowser;
let app: AppPage;

beforeAll(async () => {
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/?panes=console')).ready();
  for (const line of [
    'qemu-img create -q -f qcow2 disk.qcow2 1M',
    "qemu-io -c 'write -q -P 0x61 64k 4k' disk.qcow2",
    'qemu-img create -q -f raw shown 512',
    'blockdev-add driver=qcow2 node-name=d file.driver=file file.filename=disk.qcow2',
  ])
    await app.run(line);
});

afterAll(() => browser.close());

const add = (more: string) => app.run(`block-export-add type=fuse id=f node-name=d mountpoint=shown ${more}`);

test('tools read it, and cannot write it', async () => {
  expect(await add('')).not.toContain('error');
  expect(await app.run('qemu-img info shown')).toMatch(/file format: raw\nvirtual size: 1 MiB/);
  expect(await app.run("qemu-io -r -f raw -c 'read -P 0x61 64k 4k' shown")).toContain('read 4096/4096');
  expect(await app.run("qemu-io -f raw -c 'write 0 4k' shown")).not.toContain('wrote');
  expect(await app.run('qemu-img convert -f raw -O qcow2 shown copy.qcow2')).not.toContain('qemu-img:');
  expect(await app.run('qemu-img compare -f raw -F qcow2 shown copy.qcow2')).toContain(
    'Images are identical',
  );
  await app.run('block-export-del id=f');
  expect(await app.run('qemu-img info shown')).toContain('virtual size: 512 B');
}, 60_000);

test('tools write it, and make it longer', async () => {
  expect(await add('writable=true growable=true')).not.toContain('error');
  expect(await app.run("qemu-io -f raw -c 'write -P 0x62 512k 4k' shown")).toContain('wrote 4096/4096');
  expect(await app.run('qemu-img resize -f raw shown 2M')).toContain('Image resized.');
  expect(await app.run('qemu-img info shown')).toContain('virtual size: 2 MiB');
  await app.run('block-export-del id=f');
  await app.run('blockdev-del node-name=d');
  expect(await app.run("qemu-io -c 'read -P 0x62 512k 4k' -c length disk.qcow2")).toMatch(
    /read 4096\/4096[^]*2 MiB/,
  );
  expect(await app.run('qemu-img check disk.qcow2')).toContain('No errors were found');
}, 60_000);
