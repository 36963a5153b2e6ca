/** Checks of images that say there is immensely much to look at: they end soon, with few lines, in a file that stays small. */
import { afterAll, expect, test } from 'vitest';
import type { CheckResult } from '../../../src/engine/contract';
import type { BlockFile } from '../../../src/files/contract';
import { bytesOf, load, must, newEngine, openQcow2, random, run, save, scratchDirectory } from '../support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** Seconds that a check here may take; it takes less than one. */
const PATIENCE = 20;

interface Outcome {
  findings: string[];
  result: CheckResult;
  /** What the check took, bytes. */
  memory: number;
}

function check(file: BlockFile, repair: boolean): Outcome {
  const engine = newEngine();
  const findings: string[] = [];
  engine.onFinding = (text) => findings.push(text);
  const image = openQcow2(engine, file, { readOnly: !repair, check: true });
  const before = engine.memoryBytes();
  engine.checkStart(image.node, { leaks: repair, errors: repair });
  const start = performance.now();
  while (engine.checkStep(image.node)) {
    expect(performance.now() - start).toBeLessThan(PATIENCE * 1000);
  }
  const memory = engine.memoryBytes() - before;
  const result = engine.checkEnd(image.node);
  image.close();
  return { findings, result, memory };
}

/** An image of the real tool, 1 MiB of it data. */
async function make(clusterBits: number): Promise<BlockFile> {
  const path = scratch.path('image');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `cluster_size=${1 << clusterBits}`, path, '4M');
  must('qemu-io', '-c', 'write -P 7 64k 1M', path);
  return load(path);
}

function header(file: BlockFile): DataView {
  const bytes = new Uint8Array(104);
  file.read(bytes, 0);
  return new DataView(bytes.buffer);
}

/** Writes a refcount table of so many entries behind the file's end, the sound one in front, and lets the header name it. */
function appendTable(
  file: BlockFile,
  clusterBits: number,
  entries: number,
  entry: (i: number) => bigint,
): void {
  const old = Number(header(file).getBigUint64(48));
  const table = new DataView(new ArrayBuffer(entries * 8));
  for (let i = 1; i < entries; i++) table.setBigUint64(i * 8, entry(i));
  const first = new Uint8Array(table.buffer, 0, 8);
  file.read(first, old);
  const at = Math.ceil(file.size() / 2 ** clusterBits) * 2 ** clusterBits;
  file.write(new Uint8Array(table.buffer), at);
  const fields = new DataView(new ArrayBuffer(12));
  fields.setBigUint64(0, BigInt(at));
  fields.setUint32(8, (entries * 8) >> clusterBits);
  file.write(new Uint8Array(fields.buffer), 48);
}

/** What the real tool says of a repaired image, and what it reads from it. */
function expectSound(file: BlockFile): void {
  const path = scratch.path('repaired');
  expect(file.size()).toBeLessThan(128 << 20);
  save(file, path);
  expect(run('qemu-img', 'check', path).stdout).toMatch(/^No errors/);
  expect(run('qemu-io', '-r', '-c', 'read -P 7 64k 1M', path).stdout).not.toContain('verification failed');
}

test('refcount blocks far behind the end of the file do not let it grow there', async () => {
  for (const bits of [9, 14, 16]) {
    const file = await make(bits);
    // Entries that look right, up to where the file would be petabytes long.
    const pick = random(bits);
    appendTable(file, bits, 8192, () => BigInt(pick(2 ** 31)) << BigInt(bits + pick(12)));
    const { findings, result, memory } = check(file, true);
    expect(findings).toContain('ERROR could not resize image: File too large');
    expect(findings).toContain('Rebuilding refcount structure');
    expect(findings.length).toBeLessThan(20_000);
    expect(result).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
    expect(memory).toBeLessThan(32 << 20);
    expectSound(file);
  }
});

test('a table of garbage, as long as tables may be', async () => {
  const file = await make(16);
  const pick = random(5);
  appendTable(file, 16, (8 << 20) / 8, () => BigInt(pick(2 ** 32)) << BigInt(pick(31)));
  const { findings, result } = check(file, true);
  expect(findings).toContain('Rebuilding refcount structure');
  // A million entries are wrong: some are told, all are counted.
  expect(findings).toHaveLength(100_002);
  expect(findings[100_000]).toBe('Too many findings to tell each: the others are counted only');
  expect(result.corruptionsFixed).toBeGreaterThan(1_000_000);
  expect(result).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  expectSound(file);
});

test('damaged entries for 2^30 clusters are told in a few lines', async () => {
  const bits = 14;
  const file = await make(bits);
  const end = file.size();
  // Half of the blocks are at no cluster's start, in two rows; the file is a hole of 16 TiB behind its data.
  appendTable(file, bits, 131072, (i) => (i & 0x8000 ? BigInt(end) + 512n : 0n));
  const size = 2 ** (bits + 30);
  const huge = new Proxy(file, {
    get(target, key) {
      if (key === 'size') return () => size;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const before = bytesOf(file);
  const { findings, result, memory } = check(huge, false);
  const unread = findings.filter((line) => line.startsWith("Can't get refcount"));
  const perBlock = 2 ** (bits - 1);
  const range = (first: number) =>
    `Can't get refcount for clusters ${first * perBlock} to ${(first + 0x8000) * perBlock - 1}: Input/output error`;
  expect(unread).toEqual([range(0x8000), range(0x18000)]);
  expect(result.checkErrors).toBe(2 ** 29);
  expect(memory).toBeLessThan(32 << 20);
  expect(Buffer.compare(bytesOf(file), before)).toBe(0);
});
