/** Amending images: versions, widths of counts, sizes; the real tool reads the result, and the power is cut at any write. */
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import type { AmendChanges } from '../../src/engine/amend';
import { Status, type Engine, type NodeHandle } from '../../src/engine/contract';
import type { BlockFile } from '../../src/files/contract';
import { cutAt, recorded, type Step } from './powercuts/recording';
import {
  bytesOf,
  contentOf,
  load,
  memoryFile,
  must,
  newEngine,
  openQcow2,
  random,
  run,
  save,
  scratchDirectory,
} from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const SIZE = 4 << 20;

/** Runs an amendment to its end. */
function amend(engine: Engine, node: NodeHandle, changes: AmendChanges): void {
  engine.amend.start(node, changes);
  try {
    let last = { before: 0, done: 0 };
    while (engine.amend.step(node)) {
      const { before, done, total, left } = engine.amend.progress(node);
      // It never goes back, and never beyond what there is to do.
      expect(before + done).toBeGreaterThanOrEqual(last.before + last.done);
      expect(done).toBeLessThanOrEqual(total);
      expect(left).toBeGreaterThanOrEqual(total > 0 ? 1 : 0);
      last = { before, done };
    }
    expect(engine.amend.progress(node)).toMatchObject({ done: 0, total: 0, left: 0 });
  } finally {
    engine.amend.end(node);
  }
}

/** An image with data, zero clusters with and without places, and, if wanted, snapshots that share them. */
async function makeImage(options: string, snapshots: number, seed: number): Promise<BlockFile> {
  const path = scratch.path('made.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, String(SIZE));
  const file = await load(path);
  const engine = newEngine();
  const image = openQcow2(engine, file, { readOnly: false });
  const pick = random(seed);
  const buffer = engine.alloc(1 << 17);
  for (let s = 0; s <= snapshots; s++) {
    for (let i = 0; i < 24; i++) {
      const length = 512 * (1 + pick(200));
      const offset = 512 * pick((SIZE - length) / 512);
      buffer.view(0, length).fill(1 + pick(255));
      const kind = pick(6);
      if (kind < 3) engine.write(image.node, offset, length, buffer);
      else if (options.includes('0.10')) engine.discard(image.node, offset, length);
      else engine.writeZeroes(image.node, offset, length, kind === 5 ? 2 : 0);
    }
    if (s < snapshots) {
      engine.createSnapshot(image.node, {
        name: `s${s}`,
        dateSec: 1,
        dateNsec: 0,
        vmClockSec: 0,
        vmClockNsec: 0,
        icount: null,
      });
      if (s === 1) engine.revertSnapshot(image.node, 0);
    }
  }
  if (snapshots === 3) engine.deleteSnapshot(image.node, 0);
  image.close();
  return file;
}

/** What the disk and all snapshots hold. */
function contents(engine: Engine, file: BlockFile): Uint8Array[] {
  const image = openQcow2(engine, file, { readOnly: true });
  const all = [contentOf(engine, image.node)];
  const count = engine.snapshots(image.node).length;
  image.close();
  for (let i = 0; i < count; i++) {
    const shown = openQcow2(engine, file, { readOnly: true });
    engine.showSnapshot(shown.node, i);
    all.push(contentOf(engine, shown.node));
    shown.close();
  }
  return all;
}

function same(a: Uint8Array[], b: Uint8Array[], what: string): void {
  expect(a.length, what).toBe(b.length);
  a.forEach((bytes, i) => expect(Buffer.compare(bytes, b[i] ?? new Uint8Array(0)), `${what}, ${i}`).toBe(0));
}

function checked(file: BlockFile, what: string): void {
  const path = scratch.path('checked.qcow2');
  save(file, path);
  const { status, stdout, stderr } = run('qemu-img', 'check', path);
  expect(status, `${what}\n${stdout}${stderr}`).toBe(0);
}

describe('the real tool finds nothing wrong, and all data is there', () => {
  test.each([
    ['cluster_size=512', 2],
    ['cluster_size=4k', 0],
    ['cluster_size=64k', 3],
    ['cluster_size=2M', 1],
  ])('%s, %i snapshots: all widths', async (options, snapshots) => {
    const engine = newEngine();
    const file = await makeImage(options, snapshots, 11);
    const before = contents(engine, file);
    // Three references do not fit into one bit.
    const widths = snapshots === 0 ? [1, 64, 2, 8, 32, 4, 16] : [64, 8, 32, 4, 16];
    for (const refcountBits of widths) {
      const image = openQcow2(engine, file, { readOnly: false });
      amend(engine, image.node, { refcountBits });
      expect(engine.qcow2Info(image.node).refcountBits).toBe(refcountBits);
      image.close();
      checked(file, `${refcountBits} bits`);
      same(contents(engine, file), before, `${refcountBits} bits`);
    }
  });

  test.each([
    ['cluster_size=512', 2, 21],
    ['cluster_size=4k', 3, 22],
    ['cluster_size=64k', 0, 23],
    ['cluster_size=64k', 3, 24],
    ['cluster_size=64k,refcount_bits=64', 2, 25],
    ['cluster_size=4k,lazy_refcounts=on,refcount_bits=8', 1, 26],
    ['cluster_size=4k,compression_type=zstd', 1, 27],
  ])('%s, %i snapshots: to version 2 and back', async (options, snapshots, seed) => {
    const engine = newEngine();
    const file = await makeImage(options, snapshots, seed);
    checked(file, 'before');
    const before = contents(engine, file);
    const image = openQcow2(engine, file, { readOnly: false });
    amend(engine, image.node, { version: 2, refcountBits: 16 });
    expect(engine.qcow2Info(image.node)).toMatchObject({
      version: 2,
      lazyRefcounts: false,
      refcountBits: 16,
    });
    image.close();
    checked(file, 'version 2');
    same(contents(engine, file), before, 'version 2');
    const again = openQcow2(engine, file, { readOnly: false });
    amend(engine, again.node, { version: 3, lazyRefcounts: true, refcountBits: 32 });
    expect(engine.qcow2Info(again.node)).toMatchObject({
      version: 3,
      lazyRefcounts: true,
      refcountBits: 32,
    });
    again.close();
    checked(file, 'version 3');
    same(contents(engine, file), before, 'version 3');
  });

  test('above a backing node zeros stay zeros', async () => {
    const engine = newEngine();
    const file = await makeImage('cluster_size=4k', 2, 31);
    const base = engine.openNull({ size: SIZE, readZeroes: false });
    const image = openQcow2(engine, file, { readOnly: false }, base);
    const zeros: boolean[] = [];
    for (let at = 0; at < SIZE; at += 4096) {
      zeros.push((engine.blockStatus(image.node, at, 4096).flags & 2) !== 0);
    }
    amend(engine, image.node, { version: 2 });
    const buffer = engine.alloc(4096);
    zeros.forEach((zero, i) => {
      if (!zero) return;
      buffer.view().fill(9);
      engine.read(image.node, i * 4096, 4096, buffer);
      expect(engine.zeroRun(buffer, 0, 4096)).toBe(4096);
    });
    expect(zeros).toContain(true);
    image.close();
    checked(file, 'with a backing node');
  });
});

describe('a power cut at any write', () => {
  test.each<[string, number, AmendChanges]>([
    ['cluster_size=512', 0, { refcountBits: 1 }],
    ['cluster_size=512', 2, { refcountBits: 64 }],
    ['cluster_size=4k,refcount_bits=64', 2, { refcountBits: 4 }],
    ['cluster_size=4k', 3, { version: 2 }],
    ['cluster_size=512', 1, { version: 2 }],
    ['cluster_size=4k,refcount_bits=8', 0, { version: 2, refcountBits: 16, size: SIZE + 65536 }],
    ['cluster_size=4k,compat=0.10', 1, { version: 3, refcountBits: 32, lazyRefcounts: true }],
  ])('%s, %i snapshots, %o', async (options, snapshots, changes) => {
    const engine = newEngine();
    const file = await makeImage(options, snapshots, 41);
    const before = contents(engine, file);
    const start = bytesOf(file);
    const steps: Step[] = [];
    const image = openQcow2(engine, recorded(file, steps), { readOnly: false });
    amend(engine, image.node, changes);
    image.close();
    const pick = random(7);
    const path = scratch.path('cut.qcow2');
    for (let i = 0; i < 24; i++) {
      const at = i < 4 ? steps.length - i : pick(steps.length + 1);
      const bytes = cutAt(start, steps, at, () => i % 2 === 0 || pick(2) === 1);
      writeFileSync(path, bytes);
      const { status, stdout, stderr } = run('qemu-img', 'check', path);
      expect([0, 3], `cut at ${at} of ${steps.length}\n${stdout}${stderr}`).toContain(status);
      const left = contents(engine, await memoryFile(bytes));
      same(
        left.map((disk) => disk.subarray(0, SIZE)),
        before,
        `cut at ${at}`,
      );
    }
  });
});

describe('what cannot be', () => {
  test.each<[string, number, AmendChanges, string]>([
    [
      'cluster_size=64k',
      0,
      { refcountBits: 3 },
      'Refcount width must be a power of two and may not exceed 64 bits',
    ],
    ['cluster_size=64k,refcount_bits=8', 0, { version: 2 }, 'compat=0.10 requires refcount_bits=16'],
    [
      'compat=0.10',
      0,
      { refcountBits: 8 },
      'Refcount widths other than 16 bits require compatibility level 1.1 or above (use compat=1.1 or greater)',
    ],
    [
      'compat=0.10',
      0,
      { lazyRefcounts: true },
      'Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)',
    ],
    ['cluster_size=64k', 0, { size: 1000 }, 'The new size must be a multiple of 512'],
  ])('%s, %i snapshots, %o', async (options, snapshots, changes, text) => {
    const engine = newEngine();
    const file = await makeImage(options, snapshots, 51);
    const before = bytesOf(file);
    const image = openQcow2(engine, file, { readOnly: false });
    expect(() => amend(engine, image.node, changes)).toThrow(text);
    image.close();
    expect(Buffer.compare(bytesOf(file), before)).toBe(0);
  });

  test('counts that are too large for the width, told with the place; nothing is lost', async () => {
    const engine = newEngine();
    const file = await makeImage('cluster_size=64k', 2, 61);
    const before = contents(engine, file);
    const image = openQcow2(engine, file, { readOnly: false });
    expect(() => amend(engine, image.node, { refcountBits: 1 })).toThrow(
      /^Cannot decrease refcount entry width to 1 bits: Cluster at offset 0x[0-9a-f]+ has a refcount of [23]$/,
    );
    image.close();
    checked(file, 'after a refusal');
    same(contents(engine, file), before, 'after a refusal');
  });
});

test.each(['cluster_size=512', 'cluster_size=64k', 'cluster_size=4k,compat=0.10'])(
  '%s: emptied, the backing node shows through, and the file is small again',
  async (options) => {
    const engine = newEngine();
    const file = await makeImage(options, 0, 71);
    const size = file.size();
    const image = openQcow2(engine, file, { readOnly: false });
    let at = 0;
    do at = engine.amend.makeEmpty(image.node, at);
    while (at > 0);
    for (let at = 0; at < SIZE;) {
      const { flags, bytes } = engine.blockStatus(image.node, at, SIZE - at);
      expect(flags & Status.ALLOCATED).toBe(0);
      at += bytes;
    }
    // What is left at the end are blocks of counts that describe themselves.
    expect(file.size()).toBeLessThan(size);
    image.close();
    checked(file, 'emptied');
  },
);
