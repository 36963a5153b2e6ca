/** New images are the same bytes as qemu-img's; resizing follows its rules. */
import { readFileSync, statSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { Prealloc } from '../../src/engine/contract';
import type { Qcow2CreateOptions } from '../../src/engine/contract';
import { bytesOf, contentOf, keptOpen, load, memoryFile, must, newEngine, openQcow2 } from './support';
import { save, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());
const engine = newEngine();

const MODES = ['off', 'metadata', 'falloc', 'full'];

/** Makes an image with both and compares all bytes. */
async function expectSame(options: Partial<Qcow2CreateOptions>): Promise<void> {
  const all: Qcow2CreateOptions = {
    size: 10 << 20,
    version: 3,
    clusterSize: 65536,
    refcountBits: 16,
    lazyRefcounts: false,
    preallocation: Prealloc.OFF,
    backingFile: null,
    backingFormat: null,
    ...options,
  };
  const words = [`compat=${all.version === 2 ? '0.10' : '1.1'}`, `cluster_size=${all.clusterSize}`];
  words.push(`refcount_bits=${all.refcountBits}`, `preallocation=${MODES[all.preallocation] ?? ''}`);
  if (all.lazyRefcounts) words.push('lazy_refcounts=on');
  if (all.extendedL2) words.push('extended_l2=on');
  if (all.backingFile !== null) words.push(`backing_file=${all.backingFile}`);
  if (all.backingFormat !== null) words.push(`backing_fmt=${all.backingFormat}`);
  const path = scratch.path('theirs.qcow2');
  must('qemu-img', 'create', '-q', '-u', '-f', 'qcow2', '-o', words.join(','), path, String(all.size));
  const file = await memoryFile();
  const node = engine.openFile(keptOpen(file), { readOnly: false });
  engine.createQcow2(node, all);
  engine.close(node);
  expect(file.size()).toBe(statSync(path).size);
  expect(Buffer.compare(bytesOf(file), readFileSync(path))).toBe(0);
}

describe('create', () => {
  const sizes = [0, 10 << 20, (10 << 20) + 1536];
  test.each([512, 4096, 65536, 2097152])('cluster size %i', async (clusterSize) => {
    for (const size of sizes) {
      await expectSame({ clusterSize, size });
      await expectSame({ clusterSize, size, version: 2 });
    }
    for (const refcountBits of [1, 2, 4, 8, 32, 64]) await expectSame({ clusterSize, refcountBits });
    await expectSame({ clusterSize, lazyRefcounts: true });
  });

  test.each([Prealloc.METADATA, Prealloc.FALLOC, Prealloc.FULL])(
    'preallocation %i',
    async (preallocation) => {
      for (const clusterSize of [512, 65536]) {
        for (const size of sizes) await expectSame({ clusterSize, size, preallocation });
        await expectSame({ clusterSize, preallocation, refcountBits: 1 });
        await expectSame({ clusterSize, preallocation, refcountBits: 64 });
      }
    },
  );

  test.each([16384, 65536, 2097152])('extended L2 entries, cluster size %i', async (clusterSize) => {
    const extendedL2 = true;
    for (const size of sizes) await expectSame({ clusterSize, size, extendedL2 });
    await expectSame({ clusterSize, extendedL2, refcountBits: 1, compressionType: 'zlib' });
    for (const preallocation of [Prealloc.METADATA, Prealloc.FALLOC, Prealloc.FULL]) {
      for (const size of sizes) await expectSame({ clusterSize, size, extendedL2, preallocation });
      const names = { backingFile: 'base.img', backingFormat: 'raw' };
      await expectSame({ clusterSize, extendedL2, preallocation, ...names });
    }
  });

  test('names in the header', async () => {
    await expectSame({ backingFile: 'base.img', backingFormat: 'raw' });
    await expectSame({ backingFile: 'x'.repeat(1023), backingFormat: 'qcow2', clusterSize: 4096 });
    await expectSame({ backingFile: 'base.img', backingFormat: 'raw', version: 2 });
  });

  test('an image of 1 TiB opens fast and in little memory', async () => {
    const file = await memoryFile();
    const fresh = newEngine();
    const node = fresh.openFile(keptOpen(file), { readOnly: false });
    fresh.createQcow2(node, {
      size: 2 ** 40,
      version: 3,
      clusterSize: 65536,
      refcountBits: 16,
      lazyRefcounts: false,
      preallocation: Prealloc.OFF,
      backingFile: null,
      backingFormat: null,
    });
    const start = performance.now();
    const image = fresh.openQcow2(node, { readOnly: true });
    const buffer = fresh.alloc(65536);
    fresh.read(image, 2 ** 40 - 65536, 65536, buffer);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(fresh.memoryBytes()).toBeLessThan(16 << 20);
    expect(fresh.qcow2Info(image)).toMatchObject({ size: 2 ** 40, l1Entries: 2048, version: 3 });
  });

  test('options that do not go together', async () => {
    const node = engine.openFile(await memoryFile(), { readOnly: false });
    const good: Qcow2CreateOptions = {
      size: 1 << 20,
      version: 3,
      clusterSize: 65536,
      refcountBits: 16,
      lazyRefcounts: false,
      preallocation: Prealloc.OFF,
      backingFile: null,
      backingFormat: null,
    };
    const attempt = (options: Partial<Qcow2CreateOptions>) => () =>
      engine.createQcow2(node, { ...good, ...options });
    const v3 = 'compatibility level 1.1 and above (use version=v3 or greater)';
    expect(attempt({ clusterSize: 1000 })).toThrow(
      'Cluster size must be a power of two between 512 and 2048k',
    );
    expect(attempt({ clusterSize: 256 })).toThrow(
      'Cluster size must be a power of two between 512 and 2048k',
    );
    expect(attempt({ size: 1000 })).toThrow('Image size must be a multiple of 512 bytes');
    expect(attempt({ refcountBits: 3 })).toThrow(
      'Refcount width must be a power of two and may not exceed 64 bits',
    );
    expect(attempt({ version: 2, refcountBits: 8 })).toThrow(
      'Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)',
    );
    expect(attempt({ version: 2, lazyRefcounts: true })).toThrow(`Lazy refcounts only supported with ${v3}`);
    expect(attempt({ backingFormat: 'raw' })).toThrow('Backing format cannot be used without backing file');
    expect(attempt({ backingFile: 'a', preallocation: Prealloc.FULL })).toThrow(
      'Backing file and preallocation can only be used at the same time if extended_l2 is on',
    );
    expect(attempt({ extendedL2: true, version: 2 })).toThrow(
      `Extended L2 entries are only supported with ${v3}`,
    );
    expect(attempt({ extendedL2: true, clusterSize: 8192 })).toThrow(
      'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes',
    );
    expect(attempt({ clusterSize: 512, size: 2 ** 40 })).toThrow(
      'Could not resize image: Failed to grow the L1 table: File too large',
    );
    expect(attempt({ backingFile: 'x'.repeat(1024), backingFormat: 'raw' })).toThrow(
      `Could not assign backing file '${'x'.repeat(1024)}' with format 'raw': Invalid argument`,
    );
    expect(attempt({ clusterSize: 512, backingFile: 'x'.repeat(600) })).toThrow(
      `Could not assign backing file '${'x'.repeat(600)}' with format '(null)': No space left on device`,
    );
    engine.close(node);
  });

  test('what the file holds beyond the new image stays', async () => {
    const file = await memoryFile(new Uint8Array(1 << 20).fill(1));
    const node = engine.openFile(keptOpen(file), { readOnly: false });
    engine.createQcow2(node, {
      size: 10 << 20,
      version: 3,
      clusterSize: 65536,
      refcountBits: 16,
      lazyRefcounts: false,
      preallocation: Prealloc.OFF,
      backingFile: null,
      backingFormat: null,
    });
    engine.close(node);
    expect(file.size()).toBe(1 << 20);
    expect(
      bytesOf(file)
        .subarray(256 << 10)
        .every((byte) => byte === 1),
    ).toBe(true);
    const image = openQcow2(engine, file, { readOnly: false });
    expect(contentOf(engine, image.node).every((byte) => byte === 0)).toBe(true);
    image.close();
    const path = scratch.path('kept.qcow2');
    save(file, path);
    expect(must('qemu-img', 'check', path)).toMatch(/^No errors were found/);
  });
});

describe('resize', () => {
  test('growth and shrinking keep the content and pass qemu-img check', async () => {
    for (const cluster of ['512', '4k', '64k', '64k,extended_l2=on', '16k,extended_l2=on']) {
      const path = scratch.path('resize.qcow2');
      must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `cluster_size=${cluster}`, path, '3M');
      must('qemu-io', '-c', 'write -P 9 0 3M', path);
      const file = await load(path);
      const image = openQcow2(engine, file, { readOnly: false });
      engine.truncate(image.node, 20 << 20);
      engine.truncate(image.node, (1 << 20) + 512);
      const before = contentOf(engine, image.node);
      expect(before.every((byte) => byte === 9)).toBe(true);
      engine.truncate(image.node, 2 << 20);
      const after = contentOf(engine, image.node);
      expect(Buffer.compare(after.subarray(0, before.length), before)).toBe(0);
      expect(after.subarray(before.length).every((byte) => byte === 0)).toBe(true);
      engine.truncate(image.node, 5 << 20, Prealloc.METADATA);
      image.close();
      save(file, path);
      expect(must('qemu-img', 'check', path)).toMatch(/^No errors were found/);
      expect(must('qemu-img', 'info', path)).toContain('virtual size: 5 MiB');
    }
  });

  test('a longer backing file does not show through', async () => {
    const base = engine.openNull({ size: 1 << 20, readZeroes: false });
    const path = scratch.path('short.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', path, '128k');
    const image = openQcow2(engine, await load(path), { readOnly: false }, base);
    engine.truncate(image.node, 512 << 10);
    const status = engine.blockStatusAbove(image.node, null, 128 << 10, 384 << 10);
    expect(status).toMatchObject({ bytes: 384 << 10, depth: 1 });
    expect(status.flags & 2).toBe(2);
    image.close();
  });

  test('refusals', async () => {
    const path = scratch.path('refuse.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', path, '1M');
    must('qemu-img', 'snapshot', '-c', 's', path);
    const image = openQcow2(engine, await load(path), { readOnly: false });
    expect(() => engine.truncate(image.node, 1000)).toThrow('The new size must be a multiple of 512');
    expect(() => engine.truncate(image.node, 2 << 20)).toThrow("Can't resize a v2 image which has snapshots");
    image.close();
  });
});
