/**
 * Compressed clusters written by this engine: the content is right, `qemu-img check` finds nothing, the real tools go on
 * with the image, and so do we with theirs.
 */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { Status } from '../../src/engine/contract';
import type { NewSnapshot, NodeHandle } from '../../src/engine/contract';
import type { BlockFile } from '../../src/files/contract';
import { Errno, FileError } from '../../src/files/contract';
import { contentOf, load, must, newEngine, openQcow2, random, run, save, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** Bytes of `kinds` kinds in no order: the fewer kinds, the better they are compressed; 256: not at all. */
function fill(bytes: Uint8Array, kinds: number, seed: number): void {
  const pick = random(seed);
  for (let i = 0; i < bytes.length; i++) bytes[i] = kinds === 1 ? seed : pick(kinds);
}

async function create(options: string, size: number): Promise<{ path: string; file: BlockFile }> {
  const path = scratch.path('image.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, String(size));
  return { path, file: await load(path) };
}

/** Saves and checks the image, and compares its content, read by the real tools, with `content`. */
function expectContent(file: BlockFile, path: string, content: Uint8Array): void {
  save(file, path);
  expect(must('qemu-img', 'check', path)).toMatch(/^No errors were found on the image\.\n/);
  must('qemu-img', 'convert', '-O', 'raw', path, scratch.path('content.raw'));
  expect(Buffer.compare(readFileSync(scratch.path('content.raw')), content)).toBe(0);
}

function errnoOf(work: () => void): number {
  try {
    work();
  } catch (error) {
    return (error as { errno: number }).errno;
  }
  return 0;
}

test.each([
  ['cluster_size=512,refcount_bits=1', 256 * 1024 + 512 * 3, 512],
  ['cluster_size=512,compat=0.10', 512 * 1024, 512],
  ['cluster_size=4k,refcount_bits=2', 1 << 20, 4096],
  ['cluster_size=4k,refcount_bits=64', (1 << 20) + 1024, 4096],
  ['cluster_size=64k', (4 << 20) + 512, 65536],
  ['cluster_size=2M', 9 << 20, 2 << 20],
])('random requests, %s', async (options, size, cluster) => {
  const engine = newEngine();
  const { path, file } = await create(options, size);
  const content = new Uint8Array(size);
  const pick = random(options.length + cluster);
  const buffer = engine.alloc(cluster);
  const clusters = Math.ceil(size / cluster);
  for (let round = 0; round < 3; round++) {
    const small = round % 2 ? { l2CacheSize: 0, l2CacheEntrySize: 512 } : {};
    const image = openQcow2(engine, file, { readOnly: false, ...small });
    for (let i = 0; i < (cluster > 1 << 20 ? 20 : 250); i++) {
      const start = cluster * pick(clusters);
      const bytes = Math.min(cluster, size - start);
      const kind = pick(10);
      fill(buffer.view(0, bytes), [1, 2, 20, 200, 256][pick(5)] ?? 1, i + round);
      const view = buffer.view(0, bytes).slice();
      const status = engine.blockStatus(image.node, start, bytes);
      if (kind < 6 && !(status.flags & Status.DATA)) {
        engine.writeCompressed(image.node, start, bytes, buffer);
        content.set(view, start);
      } else if (kind < 7) {
        const part = Math.min(bytes, 512 * (1 + pick(cluster / 512)));
        engine.write(image.node, start, part, buffer);
        content.set(view.subarray(0, part), start);
      } else if (kind < 9) {
        engine.discard(image.node, start, bytes);
        content.fill(0, start, start + bytes);
      } else {
        engine.flush(image.node);
      }
    }
    expect(Buffer.compare(contentOf(engine, image.node), content)).toBe(0);
    image.close();
    expectContent(file, path, content);
  }

  // The real tools go on with it: into what is left of the last cluster of compressed data too.
  const words: string[] = [];
  for (let at = 0, n = 0; at < size && n < 40; at += cluster, n++) {
    const bytes = Math.min(cluster, size - at);
    words.push('-c', `discard ${at} ${bytes}`, '-c', `write ${n % 3 ? '-c ' : ''}-P ${n + 1} ${at} ${bytes}`);
    content.fill(n + 1, at, at + bytes);
  }
  expect(must('qemu-io', '-d', 'unmap', ...words, path)).not.toContain('failed');
  const image = openQcow2(engine, await load(path), { readOnly: false });
  expect(Buffer.compare(contentOf(engine, image.node), content)).toBe(0);
  image.close();
});

test('real compressed images are gone on with', async () => {
  const engine = newEngine();
  const { path } = await create('cluster_size=64k', 1 << 20);
  must('qemu-io', '-c', 'write -c -P 65 0 64k', '-c', 'write -c -P 66 128k 128k', path);
  const file = await load(path);
  const image = openQcow2(engine, file, { readOnly: false });
  const buffer = engine.alloc(65536);
  buffer.view().fill(67);
  engine.writeCompressed(image.node, 65536, 65536, buffer);
  image.close();
  const content = new Uint8Array(1 << 20);
  content.fill(65, 0, 65536).fill(67, 65536, 131072).fill(66, 131072, 262144);
  expectContent(file, path, content);
});

describe('places', () => {
  /** Writes `count` clusters that get very small, and answers how many host clusters they take. */
  async function growth(options: string, count: number): Promise<number> {
    const engine = newEngine();
    const { path, file } = await create(options, 1 << 20);
    const image = openQcow2(engine, file, { readOnly: false });
    const { clusterSize } = engine.qcow2Info(image.node);
    const buffer = engine.alloc(clusterSize);
    buffer.view().fill(9);
    // The L2 table is allocated by the first one.
    engine.writeCompressed(image.node, 0, clusterSize, buffer);
    const before = Math.ceil(file.size() / clusterSize);
    for (let i = 1; i <= count; i++) engine.writeCompressed(image.node, i * clusterSize, clusterSize, buffer);
    image.close();
    const content = new Uint8Array(1 << 20);
    content.fill(9, 0, (count + 1) * clusterSize);
    const after = Math.ceil(file.size() / clusterSize);
    expectContent(file, path, content);
    return after - before;
  }

  test('a host cluster takes as much as fits', async () => {
    expect(await growth('cluster_size=4k', 100)).toBe(0);
  });

  test('but no more references than the counts can count', async () => {
    expect(await growth('cluster_size=4k,refcount_bits=1', 20)).toBe(20);
    expect(await growth('cluster_size=4k,refcount_bits=2', 20)).toBe(6);
    expect(await growth('cluster_size=4k,refcount_bits=4', 44)).toBe(2);
  });

  test('data reaches into the next cluster, and is given back with all of them', async () => {
    const engine = newEngine();
    const { path, file } = await create('cluster_size=4k', 1 << 20);
    const image = openQcow2(engine, file, { readOnly: false });
    const buffer = engine.alloc(4096);
    fill(buffer.view(), 30, 1);
    for (let i = 0; i < 60; i++) engine.writeCompressed(image.node, i * 4096, 4096, buffer);
    engine.flush(image.node);
    const size = file.size();
    // Thirty kinds of bytes take five bits each.
    expect(size).toBeLessThan(60 * 4096 * 0.8);
    engine.discard(image.node, 0, 60 * 4096);
    engine.flush(image.node);
    for (let i = 100; i < 130; i++) engine.write(image.node, i * 4096, 4096, buffer);
    for (let i = 0; i < 5; i++) engine.writeCompressed(image.node, i * 4096, 4096, buffer);
    engine.flush(image.node);
    expect(file.size()).toBeLessThanOrEqual(size);
    const content = new Uint8Array(1 << 20);
    for (let i = 0; i < 130; i++) if (i < 5 || i >= 100) content.set(buffer.view(), i * 4096);
    image.close();
    expectContent(file, path, content);
  });

  test('the rest of a cluster that was given back and taken again is left alone', async () => {
    const engine = newEngine();
    const { path, file } = await create('cluster_size=64k', 1 << 20);
    const image = openQcow2(engine, file, { readOnly: false });
    const buffer = engine.alloc(65536);
    buffer.view().fill(1);
    engine.writeCompressed(image.node, 0, 65536, buffer);
    engine.discard(image.node, 0, 65536);
    engine.flush(image.node);
    buffer.view().fill(2);
    engine.write(image.node, 65536, 65536, buffer);
    buffer.view().fill(3);
    engine.writeCompressed(image.node, 131072, 65536, buffer);
    image.close();
    const content = new Uint8Array(1 << 20);
    content.fill(2, 65536, 131072).fill(3, 131072, 196608);
    expectContent(file, path, content);
  });
});

describe('with snapshots', () => {
  const taken = (name: string): NewSnapshot => ({
    name,
    dateSec: 1,
    dateNsec: 0,
    vmClockSec: 0,
    vmClockNsec: 0,
    icount: null,
  });

  test('the rest of a cluster that a snapshot gave back is left alone', async () => {
    const engine = newEngine();
    const { path, file } = await create('cluster_size=64k', 1 << 20);
    const image = openQcow2(engine, file, { readOnly: false });
    const buffer = engine.alloc(65536);
    engine.createSnapshot(image.node, taken('empty'));
    buffer.view().fill(1);
    engine.writeCompressed(image.node, 0, 65536, buffer);
    engine.revertSnapshot(image.node, 0);
    buffer.view().fill(2);
    for (let i = 1; i < 6; i++) engine.write(image.node, i << 16, 65536, buffer);
    buffer.view().fill(3);
    engine.writeCompressed(image.node, 8 << 16, 65536, buffer);
    image.close();
    const content = new Uint8Array(1 << 20);
    content.fill(2, 65536, 6 << 16).fill(3, 8 << 16, 9 << 16);
    expectContent(file, path, content);
  });

  test.each(['cluster_size=512', 'cluster_size=4k,refcount_bits=4', 'cluster_size=64k'])(
    'compressed, taken, deleted and applied in any order, %s',
    async (options) => {
      const engine = newEngine();
      const { path, file } = await create(options, 1 << 20);
      const image = openQcow2(engine, file, { readOnly: false });
      const { clusterSize } = engine.qcow2Info(image.node);
      const buffer = engine.alloc(clusterSize);
      const pick = random(clusterSize);
      let content = new Uint8Array(1 << 20);
      const kept: Uint8Array[] = [];
      for (let i = 0; i < 200; i++) {
        const kind = pick(20);
        const start = clusterSize * pick(Math.min(64, content.length / clusterSize));
        fill(buffer.view(), 1 + pick(60), i);
        const { flags } = engine.blockStatus(image.node, start, clusterSize);
        if (kind < 10 && !(flags & Status.DATA)) {
          engine.writeCompressed(image.node, start, clusterSize, buffer);
          content.set(buffer.view(), start);
        } else if (kind < 13) {
          engine.write(image.node, start, clusterSize, buffer);
          content.set(buffer.view(), start);
        } else if (kind < 16) {
          engine.discard(image.node, start, clusterSize);
          content.fill(0, start, start + clusterSize);
        } else if (kind === 16 && kept.length < 4) {
          // A count that cannot grow any more forbids it.
          if (errnoOf(() => engine.createSnapshot(image.node, taken(`s${i}`))) === 0)
            kept.push(content.slice());
        } else if (kind === 17 && kept.length > 0) {
          const index = pick(kept.length);
          engine.deleteSnapshot(image.node, index);
          kept.splice(index, 1);
        } else if (kind === 18 && kept.length > 0) {
          const index = pick(kept.length);
          if (errnoOf(() => engine.revertSnapshot(image.node, index)) === 0)
            content = (kept[index] ?? content).slice();
        }
        if (i % 20 === 0) {
          expect(Buffer.compare(contentOf(engine, image.node), content)).toBe(0);
          engine.flush(image.node);
          expectContent(file, path, content);
        }
      }
      image.close();
      expectContent(file, path, content);
    },
  );
});

describe('refused', () => {
  test('ranges that are no whole clusters, and clusters with data', async () => {
    const engine = newEngine();
    const { path, file } = await create('cluster_size=64k', 3 * 65536 + 1024);
    const image = openQcow2(engine, file, { readOnly: false });
    const buffer = engine.alloc(1 << 18);
    buffer.view().fill(1);
    const write = (offset: number, bytes: number): number =>
      errnoOf(() => engine.writeCompressed(image.node, offset, bytes, buffer));
    expect(write(0, 512)).toBe(Errno.EINVAL);
    expect(write(512, 65536)).toBe(Errno.EINVAL);
    expect(write(65536, 65536 + 512)).toBe(Errno.EINVAL);
    expect(write(3 * 65536, 2048)).toBe(Errno.EIO);
    expect(write(3 * 65536, 1024)).toBe(0);
    expect(write(3 * 65536, 1024)).toBe(Errno.EIO);
    engine.write(image.node, 0, 512, buffer);
    expect(write(0, 65536)).toBe(Errno.EIO);
    engine.writeZeroes(image.node, 0, 65536);
    expect(write(0, 65536)).toBe(Errno.EIO);
    engine.discard(image.node, 0, 65536);
    expect(write(0, 131072)).toBe(0);
    expect(write(0, 0)).toBe(0);
    image.close();
    const content = new Uint8Array(3 * 65536 + 1024);
    content.fill(1, 0, 131072).fill(1, 3 * 65536);
    expectContent(file, path, content);
  });

  test('nodes without compression, and read-only ones', async () => {
    const engine = newEngine();
    const buffer = engine.alloc(65536);
    const write = (node: NodeHandle): number => errnoOf(() => engine.writeCompressed(node, 0, 65536, buffer));
    expect(write(engine.openNull({ size: 1 << 20, readZeroes: true }))).toBe(Errno.ENOTSUP);
    const { path, file } = await create('cluster_size=64k', 1 << 20);
    const fileNode = engine.openFile(await load(path), { readOnly: false });
    expect(write(engine.openRaw(fileNode, { readOnly: false }))).toBe(Errno.ENOTSUP);
    const image = openQcow2(engine, file, { readOnly: true });
    expect(write(image.node)).toBe(Errno.EACCES);
    image.close();
  });

  test('a write that fails leaks its place at the worst', async () => {
    const engine = newEngine();
    const { path, file } = await create('cluster_size=4k', 1 << 20);
    let full = false;
    const failing = new Proxy(file, {
      get(target, key) {
        if (key === 'write') {
          return (from: Uint8Array, at: number) => {
            if (full) throw new FileError(Errno.ENOSPC);
            target.write(from, at);
          };
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const image = openQcow2(engine, failing, { readOnly: false });
    const buffer = engine.alloc(4096);
    const content = new Uint8Array(1 << 20);
    for (let i = 0; i < 60; i++) {
      fill(buffer.view(), 40, i);
      full = i % 3 === 2;
      const errno = errnoOf(() => engine.writeCompressed(image.node, i * 4096, 4096, buffer));
      expect(errno).toBe(full ? Errno.ENOSPC : 0);
      if (!full) content.set(buffer.view(), i * 4096);
    }
    full = false;
    image.close();
    save(file, path);
    // 0: clean, 3: leaked clusters and nothing else; then they are given back.
    expect([0, 3]).toContain(run('qemu-img', 'check', path).status);
    must('qemu-img', 'check', '-q', '-r', 'leaks', path);
    expectContent(await load(path), path, content);
  });
});
