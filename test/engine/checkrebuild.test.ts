/** A refcount structure of many blocks is made anew in steps; leaving at any of them loses nothing. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BlockFile } from '../../src/files/contract';
import {
  bytesOf,
  load,
  memoryFile,
  must,
  newEngine,
  openQcow2,
  run,
  save,
  scratchDirectory,
} from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** Blocks of counts that the image has, at least. */
const BLOCKS = 512;
/** Small blocks that a step of the rebuild may write. */
const STEP_WRITES = 64;

/** An image with a block for every 64 clusters of 512 bytes, whose refcount table has a damaged entry. */
let damaged: Uint8Array;
beforeAll(async () => {
  const path = scratch.path('many');
  const options = 'cluster_size=512,refcount_bits=64,preallocation=metadata';
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, '16M');
  must('qemu-io', '-c', 'write -P 1 0 100k', '-c', 'write -P 2 15M 1M', path);
  const bytes = bytesOf(await load(path));
  const table = Number(new DataView(bytes.buffer).getBigUint64(48));
  bytes[table + 8 * 5 + 7]! ^= 1;
  damaged = bytes;
});

interface Repair {
  /** Writes of each step from the one that begins the rebuild on. */
  writes: number[];
  /** Of these, the step that changes the header over to the new table. */
  switched: number;
}

/** Repairs all; with `leaveAt` it ends so many steps after the rebuild began. */
function repair(file: BlockFile, leaveAt = Infinity): Repair {
  const engine = newEngine();
  const findings: string[] = [];
  const writes: number[] = [];
  engine.onFinding = (text) => findings.push(text);
  let count = 0;
  let switched = -1;
  const write = file.write.bind(file);
  file.write = (bytes, at) => {
    count++;
    if (at === 48 && bytes.length === 12) switched = writes.length;
    return write(bytes, at);
  };
  const image = openQcow2(engine, file, { readOnly: false, check: true });
  engine.checkStart(image.node, { leaks: true, errors: true });
  for (let more = true; more && writes.length < leaveAt;) {
    count = 0;
    more = engine.checkStep(image.node);
    if (findings.includes('Rebuilding refcount structure')) writes.push(count);
  }
  engine.checkEnd(image.node);
  image.close();
  return { writes, switched };
}

function expectContent(path: string): void {
  const reads = ['read -P 1 0 100k', 'read -P 0 100k 1M', 'read -P 2 15M 1M'];
  const { stdout } = run('qemu-io', '-r', ...reads.flatMap((read) => ['-c', read]), path);
  expect(stdout).not.toContain('verification failed');
  expect(stdout.match(/^read .* bytes at offset/gm)).toHaveLength(3);
}

test('many blocks: each step writes a few, and the image is sound', async () => {
  const file = await memoryFile(damaged, true);
  const { writes, switched } = repair(file);
  expect(switched).toBeGreaterThan(BLOCKS / STEP_WRITES);
  const rebuilding = writes.slice(0, switched + 1);
  expect(Math.max(...rebuilding)).toBeLessThanOrEqual(STEP_WRITES);
  expect(rebuilding.reduce((sum, n) => sum + n, 0)).toBeGreaterThan(BLOCKS);
  const path = scratch.path('repaired');
  save(file, path);
  expect(must('qemu-img', 'check', path)).toContain('No errors were found on the image.');
  expectContent(path);
});

test('left at any step: the old structure counts, and a later repair finds all content', async () => {
  const whole = repair(await memoryFile(damaged, true)).writes.length;
  expect(whole).toBeGreaterThan(10);
  for (let left = 1; left < whole; left += Math.ceil(whole / 6)) {
    const file = await memoryFile(damaged, true);
    repair(file, left);
    const path = scratch.path('left');
    save(file, path);
    expectContent(path);
    repair(file);
    save(file, path);
    expect(must('qemu-img', 'check', path)).toContain('No errors were found on the image.');
    expectContent(path);
  }
});
