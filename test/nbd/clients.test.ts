/** Real clients at our daemon's exports: copies, maps, many connections, connections that break, and removal. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDaemonIn } from '../daemon/daemon';
import { haveTools } from '../tools/twins';
import { hello, infoData, option, request } from './messages';

const directory = mkdtempSync(join(tmpdir(), 'nbd-clients-'));
const uri = 'nbd+unix:///q?socket=n.sock';
const { daemon, events } = openDaemonIn(directory);

async function run(program: string, ...words: string[]): Promise<string> {
  return (await promisify(execFile)(program, words, { cwd: directory })).stdout;
}

async function ok(command: string, args: object = {}): Promise<unknown> {
  const reply = await daemon.execute(command, args as never);
  expect(reply.error).toBeUndefined();
  return reply.return;
}

const address = { type: 'unix', data: { path: 'n.sock' } };

beforeAll(async () => {
  if (!haveTools) return;
  const tool = (program: string, ...words: string[]) => execFileSync(program, words, { cwd: directory });
  tool('qemu-img', 'create', '-q', '-f', 'qcow2', 'base.qcow2', '64M');
  tool('qemu-io', '-f', 'qcow2', '-c', 'write -P 5 1M 3M', 'base.qcow2');
  tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'a.qcow2');
  tool('qemu-io', '-f', 'qcow2', '-c', 'write -P 6 2M 64k', '-c', 'write -z 3M 64k', 'a.qcow2');
  await ok('blockdev-add', {
    driver: 'qcow2',
    'node-name': 'q',
    file: { driver: 'file', filename: 'a.qcow2' },
  });
});

afterAll(async () => {
  await daemon.end();
  rmSync(directory, { recursive: true });
});

/** A client that has chosen the export and says no more. */
async function enter(): Promise<Socket> {
  const socket = connect(join(directory, 'n.sock'));
  socket.on('error', () => undefined);
  socket.write(Buffer.concat([hello(), option(7, infoData('q'))]));
  await once(socket, 'data');
  await sleep(5);
  return socket;
}

describe.runIf(haveTools)('clients', () => {
  it('see where data is, and in which layer', async () => {
    await ok('nbd-server-start', { addr: address });
    await ok('block-export-add', {
      type: 'nbd',
      id: 'e',
      'node-name': 'q',
      writable: true,
      'allocation-depth': true,
    });
    const rows = async (option: string) =>
      (await run('nbdinfo', option, uri))
        .trimEnd()
        .split('\n')
        .map((line) => line.trim().replace(/ +/g, ' '));
    expect(await rows('--map')).toEqual([
      '0 1048576 3 hole,zero',
      '1048576 2097152 0 data',
      '3145728 65536 3 hole,zero',
      '3211264 983040 0 data',
      '4194304 62914560 3 hole,zero',
    ]);
    expect(await rows('--map=qemu:allocation-depth')).toEqual([
      '0 1048576 0 absent',
      '1048576 1048576 2 backing depth 2',
      '2097152 65536 1 local',
      '2162688 983040 2 backing depth 2',
      '3145728 65536 1 local',
      '3211264 983040 2 backing depth 2',
      '4194304 62914560 0 absent',
    ]);
  });

  it('copy the disk, and copy it back', async () => {
    await run('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', uri, 'first.raw');
    await run('nbdcopy', uri, 'second.raw');
    await run('cmp', 'first.raw', 'second.raw');
    await run(
      'sh',
      '-c',
      'head -c 5000000 /dev/urandom | dd of=first.raw bs=1M seek=20 conv=notrunc status=none',
    );
    await run('nbdcopy', 'first.raw', uri);
    expect(await run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri, 'first.raw')).toContain(
      'identical',
    );
  });

  it('a hundred of them at the same time; more wait', async () => {
    const clients = await Promise.all(Array.from({ length: 100 }, enter));
    const late = connect(join(directory, 'n.sock'));
    let greeted = false;
    late.on('data', () => (greeted = true));
    await sleep(50);
    expect(greeted).toBe(false);
    clients[7]?.destroy();
    await once(late, 'data');
    for (const socket of [...clients, late]) socket.destroy();
    expect(await run('nbdinfo', '--size', uri)).toBe('67108864\n');
  });

  it('go away in the middle of everything', async () => {
    for (let i = 0; i < 60; i++) {
      const socket = await enter();
      const size = 1024 * 1024;
      const write = request({ type: 1, offset: 30 * size, length: size, data: new Uint8Array(size).fill(i) });
      socket.write(i % 2 ? write.subarray(0, i * 1000) : request({ type: 0, length: 32 * size }));
      if (i % 3) await sleep(i % 5);
      socket.destroy();
    }
    expect(
      await run('qemu-io', '-f', 'raw', '-c', 'write -P 9 30M 1M', '-c', 'read -P 9 30M 1M', uri),
    ).toContain('read');
  });

  it('that take no replies do not stop others, and cost little', async () => {
    const deaf = await enter();
    deaf.pause();
    const size = 32 * 1024 * 1024;
    for (let i = 0; i < 200; i++) deaf.write(request({ type: 0, length: size }));
    await sleep(100);
    const before = process.memoryUsage();
    await run('qemu-io', '-f', 'raw', '-c', 'read 0 1M', uri);
    expect(before.arrayBuffers).toBeLessThan(300 * 1024 * 1024);
    deaf.destroy();
  });

  it('are cut off only by force', async () => {
    const socket = await enter();
    const closed = once(socket, 'close');
    expect(await daemon.execute('block-export-del', { id: 'e' })).toEqual({
      error: { class: 'GenericError', desc: "export 'e' still in use" },
    });
    events.length = 0;
    await ok('block-export-del', { id: 'e', mode: 'hard' });
    await closed;
    // The export ends when its server has seen that.
    for (let left = 500; left > 0 && events.length === 0; left--) await sleep(10);
    expect(events.map(({ event, data }) => ({ event, data }))).toEqual([
      { event: 'BLOCK_EXPORT_DELETED', data: { id: 'e' } },
    ]);
    expect(await ok('query-block-exports')).toEqual([]);
    await ok('nbd-server-stop');
    await ok('blockdev-del', { 'node-name': 'q' });
    expect(execFileSync('qemu-img', ['check', 'a.qcow2'], { cwd: directory, encoding: 'utf8' })).toContain(
      'No errors',
    );
  });
});
