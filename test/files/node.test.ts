import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync, linkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Errno } from '../../src/files/contract';
import { NodeStore } from '../../src/files/node/store';
import { equal, fails } from './assert';
import { conformance } from './conformance';
import type { Backend } from './conformance';

const root = mkdtempSync(join(tmpdir(), 'qsd-web-files-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function directory(): string {
  return mkdtempSync(join(root, 'case-'));
}

const node: Backend = {
  writable: true,
  holes: 'zeros',
  punch: false,
  unlinkOpen: true,
  create: async () => {
    const path = directory();
    return {
      store: new NodeStore(path),
      make: async (name, bytes) => writeFileSync(join(path, name), bytes),
      dispose: async () => rmSync(path, { recursive: true }),
    };
  },
};

describe('Node: conformance', () => {
  for (const { name, run } of conformance(node)) test(name, run);
});

describe('Node', () => {
  test('a pipe and a device are no files, and opening a pipe does not wait', async () => {
    const path = directory();
    execFileSync('mkfifo', [join(path, 'pipe')]);
    const store = new NodeStore(path);
    await fails(Errno.EINVAL, () => store.open('pipe', { write: false }));
    await fails(Errno.EINVAL, () => store.open('/dev/null', { write: false }));
    await fails(Errno.EINVAL, () => store.info('/dev/null'));
    expect(await store.list('.')).toEqual([]);
  });

  test('writing back in the background: it ends, one at a time, and outlives the file', async () => {
    const store = new NodeStore(directory());
    const file = await store.open('image', { write: true, create: 'keep' });
    file.write(new Uint8Array(1 << 20).fill(7), 0);
    const [first, second] = [file.writeBack(), file.writeBack()];
    expect(first !== null).toBe(process.platform === 'linux');
    expect(second).toBe(first);
    await first;
    const last = file.writeBack();
    file.close();
    await last;
    expect(file.writeBack()).toBe(null);
    const reader = await store.open('image', { write: false });
    expect(reader.writeBack()).toBe(null);
    reader.close();
  });

  test('links: one identity, removal of the link alone, dangling and circular ones', async () => {
    const path = directory();
    const store = new NodeStore(path);
    writeFileSync(join(path, 'a'), 'a');
    symlinkSync('a', join(path, 'soft'));
    linkSync(join(path, 'a'), join(path, 'hard'));
    symlinkSync('absent', join(path, 'dangling'));
    symlinkSync('circle', join(path, 'circle'));
    expect(await store.identity('soft')).toBe(await store.identity('a'));
    expect(await store.identity('hard')).toBe(await store.identity('a'));
    await fails(Errno.ENOENT, () => store.open('dangling', { write: false }));
    await fails(Errno.ELOOP, () => store.open('circle', { write: false }));
    equal(
      (await store.list('.')).map((info) => info.name),
      ['a', 'hard', 'soft'],
    );
    await store.remove('soft');
    await store.remove('dangling');
    expect((await store.info('a')).size).toBe(1);
  });

  test('holes are where qemu-img map sees them', async () => {
    const path = directory();
    const store = new NodeStore(path);
    const file = await store.open('sparse.raw', { write: true, create: 'truncate' });
    file.truncate(40 * 1024 * 1024);
    let state = 1;
    for (let i = 0; i < 60; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      file.write(new Uint8Array(1 + (state >>> 17)).fill(1 + (i % 255)), state % (39 * 1024 * 1024));
    }
    file.flush();
    const map = execFileSync('qemu-img', ['map', '-f', 'raw', '--output=json', join(path, 'sparse.raw')]);
    const expected = (JSON.parse(map.toString()) as { start: number; length: number; data: boolean }[]).map(
      ({ start, length, data }) => ({ start, length, data }),
    );
    const found: typeof expected = [];
    for (let at = 0; at < file.size();) {
      const { data, bytes } = file.extent(at);
      const last = found.at(-1);
      if (last?.data === data) last.length += bytes;
      else found.push({ start: at, length: bytes, data });
      at += bytes;
    }
    file.close();
    expect(found).toEqual(expected);
    expect(found.length).toBeGreaterThan(50);
  });

  test('a write that the system cuts short fails with its reason, and what fitted is there', async () => {
    const path = directory();
    const script = `
      import { NodeStore } from ${JSON.stringify(join(process.cwd(), 'src/files/node/store.ts'))};
      process.on('SIGXFSZ', () => undefined);
      const store = new NodeStore(${JSON.stringify(path)});
      const file = await store.open('a', { write: true, create: 'truncate' });
      file.write(new Uint8Array(50_000), 0);
      try {
        file.write(new Uint8Array(50_000), 50_000);
      } catch (error) {
        console.log(error.errno, error.message, file.size());
      }
    `;
    writeFileSync(join(path, 'limit.mts'), script);
    // Files of this process end at 64 KiB: the first part of the second write fits, the rest does not.
    const command = `ulimit -f 64; exec ${join(process.cwd(), 'node_modules/.bin/tsx')} limit.mts`;
    const run = spawnSync('bash', ['-c', command], { cwd: path, encoding: 'utf8' });
    expect(run.stdout).toBe('27 File too large 65536\n');
  });
});
