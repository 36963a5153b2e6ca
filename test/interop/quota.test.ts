/** An image on storage that runs full, at every point where it can: the real tools find it whole. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine';
import { BlockError, Prealloc } from '../../src/engine/contract';
import { Errno } from '../../src/files/contract';
import { MemoryStore } from '../../src/files/memory';

const folder = mkdtempSync(join(tmpdir(), 'qsd-web-quota-'));
let module: WebAssembly.Module;

beforeAll(() => {
  module = new WebAssembly.Module(readFileSync('build/engine.wasm'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KIB = 1024;
const SIZE = 64 * KIB * KIB;
/** Bytes of one write, no whole number of clusters. */
const WRITE = 200 * KIB + 512;

function attempt(run: () => void): Errno | 0 {
  try {
    run();
    return 0;
  } catch (error) {
    if (error instanceof BlockError) return error.errno;
    throw error;
  }
}

/** What the storage held when it was full, and what was written before the last flush that succeeded. */
interface Full {
  image: Uint8Array;
  /** Numbers of writes; write n has bytes n + 1 at {@link place}(n). */
  flushed: number[];
  errors: Set<number>;
}

/** Where write number `n` goes: over all the disk, so that many tables are needed. */
function place(n: number): number {
  return ((n * 7) % 60) * KIB * KIB + (n % 3) * 512;
}

async function fill(clusterSize: number, refcountBits: number, quota: number): Promise<Full | null> {
  const store = new MemoryStore({ quota });
  const engine = createEngine(module);
  const file = await store.open('image', { write: true, create: 'truncate' });
  const protocol = engine.openFile(file, { readOnly: false });
  const options = { size: SIZE, version: 3 as const, clusterSize, refcountBits, lazyRefcounts: false };
  const created = attempt(() =>
    engine.createQcow2(protocol, {
      ...options,
      preallocation: Prealloc.OFF,
      backingFile: null,
      backingFormat: null,
    }),
  );
  const errors = new Set<number>();
  const flushed: number[] = [];
  if (created === 0) {
    const node = engine.openQcow2(protocol, { readOnly: false });
    const buffer = engine.alloc(WRITE);
    let written: number[] = [];
    for (let n = 0; n < 40; n++) {
      buffer.view().fill(n + 1);
      const error = attempt(() => engine.write(node, place(n), WRITE, buffer));
      if (error === 0) written.push(n);
      else errors.add(error);
      if (n % 4 !== 3) continue;
      const failed = attempt(() => engine.flush(node));
      if (failed === 0) flushed.push(...written);
      else errors.add(failed);
      written = [];
    }
    const failed = attempt(() => engine.close(node));
    if (failed !== 0) errors.add(failed);
  } else {
    errors.add(created);
  }
  const size = file.size();
  const image = new Uint8Array(size);
  file.read(image, 0);
  attempt(() => engine.close(protocol));
  return created === 0 ? { image, flushed, errors } : null;
}

describe.each([
  [512, 16],
  [4096, 1],
  [65536, 16],
])('clusters of %i bytes, refcounts of %i bits', (clusterSize, refcountBits) => {
  test('every error is ENOSPC, what was flushed can be read, and there are leaks at worst', async () => {
    const path = join(folder, `${clusterSize}.qcow2`);
    let filled = 0;
    // The steps are a few blocks and no power of two, so that all kinds of tables are the ones that find no room.
    for (let quota = 16 * KIB; quota < 9000 * KIB; quota += quota < 600 * KIB ? 36 * KIB : 628 * KIB) {
      const full = await fill(clusterSize, refcountBits, quota);
      if (!full) continue;
      filled++;
      if (quota < 7000 * KIB || full.errors.size > 0) expect([...full.errors]).toEqual([Errno.ENOSPC]);
      writeFileSync(path, full.image);
      const check = spawnSync('qemu-img', ['check', '-f', 'qcow2', path], { encoding: 'utf8' });
      expect([0, 3], `${quota}: ${check.stdout}${check.stderr}`).toContain(check.status);
      const reads = full.flushed.flatMap((n) => ['-c', `read -q -P ${n + 1} ${place(n)} ${WRITE}`]);
      if (reads.length === 0) continue;
      const read = spawnSync('qemu-io', ['-f', 'qcow2', ...reads, path], { encoding: 'utf8' });
      expect(`${quota}: ${read.stdout}${read.stderr}`).toBe(`${quota}: `);
    }
    expect(filled).toBeGreaterThan(20);
  });
});
