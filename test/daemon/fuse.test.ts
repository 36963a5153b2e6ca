/** Nodes that are shown as files: what other programs over the same files read and write there. */
import { afterEach, expect, test } from 'vitest';
import type { Daemon } from '../../src/daemon';
import { Errno } from '../../src/files/contract';
import { MemoryLocks } from '../../src/files/locks';
import type { MemoryStore } from '../../src/files/memory';
import { qemuImg } from '../../src/tools/img';
import { qemuIo } from '../../src/tools/io';
import { newEngine } from '../engine/support';
import { fails } from '../files/assert';
import { openDaemon } from './daemon';

let daemon: Daemon;
let own: MemoryStore;

afterEach(() => daemon.end());

async function start(): Promise<void> {
  ({ daemon, files: own } = await openDaemon());
  await own.makeDirectory('images');
  (await own.open('images/shown', { write: true, create: 'keep' })).close();
  expect(await run('qemu-img', 'create -q -f qcow2 disk.qcow2 1M')).toBe('');
  await qmp('blockdev-add', {
    driver: 'qcow2',
    'node-name': 'd',
    file: { driver: 'file', filename: 'disk.qcow2' },
  });
}

/** The answer, or the text of the error. */
async function qmp(command: string, args: object): Promise<unknown> {
  const reply = await daemon.execute(command, args as never);
  return reply.error ? reply.error.desc : reply.return;
}

const show = (args: object, id = 'e') =>
  qmp('block-export-add', { type: 'fuse', id, 'node-name': 'd', mountpoint: 'images/shown', ...args });

/** What a program of its own prints, over the files that the daemon shows. */
async function run(tool: 'qemu-img' | 'qemu-io', line: string): Promise<string> {
  let printed = '';
  const main = tool === 'qemu-img' ? qemuImg : qemuIo;
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '');
  await main(words, {
    engine: newEngine(),
    files: daemon.environment.files,
    locks: new MemoryLocks(),
    stdout: (text) => (printed += text),
    stderr: (text) => (printed += text),
    signal: new AbortController().signal,
    turn: () => Promise.resolve(),
  });
  return printed;
}

test('what one side writes the other one reads', async () => {
  await start();
  expect(await show({ writable: true })).toEqual({});
  expect(await run('qemu-io', "-f raw -c 'write -P 7 64k 64k' -c 'write -z 1020k 4k' images/shown")).toMatch(
    /wrote 65536/,
  );
  expect(await run('qemu-img', 'map --output=json -f raw images/shown')).toContain(
    '{ "start": 65536, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true',
  );
  expect(await run('qemu-img', 'info -f raw images/shown')).toContain('virtual size: 1 MiB (1048576 bytes)');
  // The image itself has it when the export and the node are gone.
  expect(await qmp('block-export-del', { id: 'e' })).toEqual({});
  expect(await run('qemu-img', 'info -f raw images/shown')).toContain('virtual size: 0 B');
  await qmp('blockdev-del', { 'node-name': 'd' });
  expect(await run('qemu-io', "-c 'read -P 7 64k 64k' -c 'read -P 0 0 64k' disk.qcow2")).not.toContain(
    'fail',
  );
});

test('an export that is read-only refuses writers', async () => {
  await start();
  await show({});
  expect(await run('qemu-io', "-f raw -c 'write 0 4k' images/shown")).toContain('Permission denied');
  expect(await run('qemu-io', "-f raw -r -c 'read -P 0 0 4k' images/shown")).toContain('read 4096/4096');
});

test('the size changes as far as the export allows', async () => {
  await start();
  await show({ writable: true });
  expect(await run('qemu-img', 'resize -f raw images/shown 2M')).toContain('Image resized');
  const file = await daemon.environment.files.open('images/shown', { write: true });
  await fails(Errno.EIO, () => file.write(new Uint8Array(512), 2 ** 21));
  await qmp('block-export-del', { id: 'e' });
  await fails(Errno.ENOTCONN, () => file.read(new Uint8Array(1), 0));
  file.close();
  await show({ writable: true, growable: true });
  const grown = await daemon.environment.files.open('images/shown', { write: true });
  grown.write(new Uint8Array(65536).fill(5), 2 ** 21);
  grown.close();
  expect(await run('qemu-io', "-f raw -c 'read -P 5 2M 64k' images/shown")).not.toContain('fail');
  expect(await run('qemu-img', 'info -f raw images/shown')).toContain('(2162688 bytes)');
});

test('the place of an export stays what it is', async () => {
  await start();
  const { files } = daemon.environment;
  expect(await show({ mountpoint: 'images' })).toBe("'images' is not a regular file");
  await show({ writable: true });
  expect(await show({ mountpoint: './images//shown' }, 'f')).toBe(
    "There already is a FUSE export on './images//shown'",
  );
  await expect(files.remove('images/shown')).rejects.toMatchObject({ errno: Errno.EBUSY });
  await expect(files.rename('images/shown', 'x')).rejects.toMatchObject({ errno: Errno.EBUSY });
  await expect(files.rename('disk.qcow2', 'images/shown')).rejects.toMatchObject({ errno: Errno.EBUSY });
  // The image may be hidden by what it holds.
  expect(await show({ mountpoint: 'disk.qcow2' }, 'g')).toEqual({});
  expect(await run('qemu-img', 'info disk.qcow2')).toContain('file format: raw');
});

test('the daemon cannot open what it shows', async () => {
  await start();
  await show({ writable: true });
  expect(await qmp('blockdev-add', { driver: 'file', 'node-name': 's', filename: 'images/shown' })).toBe(
    'Too many levels of symbolic links',
  );
  expect(await qmp('query-block-exports', {})).toHaveLength(1);
});
