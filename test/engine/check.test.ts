/** Checks and repairs against the real tool: what is found, what is counted, and what a repaired image holds. */
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import type { CheckRepair, CheckResult, Engine } from '../../src/engine/contract';
import type { BlockFile } from '../../src/files/contract';
import { cutAt, recorded, type Step } from './powercuts/recording';
import {
  bytesOf,
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

const NOTHING: CheckRepair = { leaks: false, errors: false };
const LEAKS: CheckRepair = { leaks: true, errors: false };
const ALL: CheckRepair = { leaks: true, errors: true };
/** Where the real tool tells more, ours says that there is more, and counts only. */
const MOST_FINDINGS = 100_000;

interface Outcome {
  /** Lines as the tool prints them to its error stream. */
  findings: string[];
  result: CheckResult;
  error: string | null;
  steps: number;
}

/** One check of an image. */
function check(engine: Engine, file: BlockFile, repair: CheckRepair = NOTHING): Outcome {
  const findings: string[] = [];
  engine.onFinding = (text, program) => findings.push(program ? `qemu-img: ${text}` : text);
  engine.onEvent = (event) => {
    if (event.kind !== 'image-corrupted') return;
    const { message, fatal } = event;
    findings.push(
      fatal
        ? `qcow2: Marking image as corrupt: ${message}; further corruption events will be suppressed`
        : `qcow2: Image is corrupt: ${message}; further non-fatal corruption events will be suppressed`,
    );
  };
  const image = openQcow2(engine, file, { readOnly: !repair.leaks, check: true });
  let error: string | null = null;
  let steps = 0;
  engine.checkStart(image.node, repair);
  try {
    while (engine.checkStep(image.node)) steps++;
  } catch (thrown) {
    error = (thrown as Error).message;
  }
  const result = engine.checkEnd(image.node);
  image.close();
  return { findings, result, error, steps };
}

/** Numbers of qemu-img's JSON; the ones it leaves out are 0. */
function realCounts(path: string): {
  counts: Record<string, number>;
  findings: string[];
  failed: string | null;
} {
  const { stdout, stderr } = run('qemu-img', 'check', '--output=json', path);
  const findings = stderr.split('\n').filter((line) => line !== '');
  const failed = findings.find((line) => line.startsWith('qemu-img: Check failed')) ?? null;
  return {
    counts: stdout === '' ? {} : (JSON.parse(stdout) as Record<string, number>),
    findings: findings.filter((line) => line !== failed),
    failed,
  };
}

function ourCounts(result: CheckResult): Record<string, number> {
  return {
    'image-end-offset': result.imageEnd,
    corruptions: result.corruptions,
    leaks: result.leaks,
    'check-errors': result.checkErrors,
    'total-clusters': result.totalClusters,
    'allocated-clusters': result.allocatedClusters,
    'fragmented-clusters': result.fragmentedClusters,
    'compressed-clusters': result.compressedClusters,
  };
}

/** Writes bytes into an image. */
function poke(file: BlockFile, at: number, ...bytes: number[]): void {
  file.write(new Uint8Array(bytes), at);
}

/** Makes an image with the tools; `commands` are qemu-io's. */
function make(name: string, options: string, size: string, ...commands: string[]): string {
  const path = scratch.path(name);
  must('qemu-img', 'create', '-q', '-f', 'qcow2', ...(options === '' ? [] : ['-o', options]), path, size);
  must('qemu-io', ...commands.flatMap((command) => ['-c', command]), path);
  return path;
}

const RECIPES: Record<string, () => string> = {
  plain: () =>
    make('plain', 'cluster_size=4k', '2M', 'write -P 1 0 300k', 'write -P 2 1M 64k', 'write -z 512k 8k'),
  compressed: () =>
    make(
      'compressed',
      'cluster_size=4k',
      '2M',
      'write -c -P 1 0 40k',
      'write -c -P 3 400k 80k',
      'write 1M 64k',
    ),
  version2: () => make('version2', 'compat=0.10,cluster_size=512', '256k', 'write -P 1 3k 100k'),
  narrow: () => make('narrow', 'cluster_size=4k,refcount_bits=2', '2M', 'write -P 1 0 300k'),
  wide: () => make('wide', 'cluster_size=1k,refcount_bits=64', '1M', 'write -P 1 0 300k'),
  subclusters: () =>
    make(
      'subclusters',
      'cluster_size=16k,extended_l2=on',
      '2M',
      'write 1k 70k',
      'write -z 512k 1k',
      'write 1M 2k',
    ),
  snapshots: () => {
    const path = make('snapshots', 'cluster_size=4k', '2M', 'write -P 1 0 300k');
    must('qemu-img', 'snapshot', '-c', 'first', path);
    must('qemu-io', '-c', 'write -P 2 64k 100k', path);
    must('qemu-img', 'snapshot', '-c', 'second', path);
    must('qemu-io', '-c', 'write -P 3 1M 32k', path);
    return path;
  },
};

describe.each(Object.keys(RECIPES))('%s', (name) => {
  test('damage at random: findings and counts are those of qemu-img', async () => {
    const path = RECIPES[name]!();
    const original = await load(path);
    const engine = newEngine();
    const metadata = metadataOf(original);
    const damaged = scratch.path(`${name}-damaged`);
    let told = 0;
    for (let seed = 1; seed <= 24; seed++) {
      const pick = random(seed * 7919);
      const file = await load(path);
      for (let n = 1 + pick(3); n > 0; n--) {
        const { at, bytes } = metadata[pick(metadata.length)]!;
        // The low bits of offsets, flags, and small offsets: what leads into the image, not only out of it.
        const kinds = [[pick(256)], [0, 0], [0x80], [pick(4)]] as const;
        poke(file, at + pick(bytes), ...kinds[pick(kinds.length)]!);
      }
      save(file, damaged);
      const real = realCounts(damaged);
      // What a damaged header or directory is refused for is not about checks.
      if (real.findings.some((line) => line.includes('Could not open'))) continue;
      const ours = check(engine, file);
      if (real.findings.length > MOST_FINDINGS) {
        expect(ours.findings).toHaveLength(MOST_FINDINGS + 1);
        [ours, real].forEach(({ findings }) => findings.splice(MOST_FINDINGS));
      }
      expect(ours.findings, `seed ${seed}`).toEqual(real.findings);
      told += ours.findings.length;
      if (real.failed === null || real.failed === 'qemu-img: Check failed') {
        expect(ourCounts(ours.result), `seed ${seed}`).toMatchObject(
          Object.fromEntries(Object.entries(real.counts).filter(([, value]) => typeof value === 'number')),
        );
        expect(ours.error, `seed ${seed}`).toBeNull();
      } else {
        expect(`qemu-img: Check failed: ${ours.error}`, `seed ${seed}`).toBe(real.failed);
      }
    }
    expect(told).toBeGreaterThan(20);
  });

  test('damaged counts are repaired: the real tool finds nothing, the content is the same', async () => {
    const path = RECIPES[name]!();
    const engine = newEngine();
    const repaired = scratch.path(`${name}-repaired`);
    for (let seed = 1; seed <= 12; seed++) {
      const pick = random(seed * 104729);
      const file = await load(path);
      const { table, blocks } = refcountStructure(file);
      for (let n = 1 + pick(20); n > 0; n--) {
        const block = blocks[pick(blocks.length)]!;
        poke(file, block + pick(256), pick(256));
      }
      // Sometimes the refcount table itself.
      if (seed % 3 === 0) poke(file, table + 7, seed % 2 === 0 ? 2 : 0x80);
      if (seed % 4 === 0) poke(file, table + 6, 2);
      check(engine, file, ALL);
      const again = check(engine, file);
      expect(again.findings, `seed ${seed}`).toEqual([]);
      save(file, repaired);
      expect(run('qemu-img', 'check', repaired).status, `seed ${seed}`).toBe(0);
      expect(run('qemu-img', 'compare', path, repaired).stdout, `seed ${seed}`).toBe(
        'Images are identical.\n',
      );
    }
  });
});

test.each(Object.keys(RECIPES))('%s: repairs of images with any damage come to an end', async (name) => {
  const path = RECIPES[name]!();
  const original = await load(path);
  const metadata = metadataOf(original);
  let engine = newEngine();
  const small = engine.memoryBytes();
  let ended = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const pick = random(seed * 15485863);
    const file = await load(path);
    for (let n = 1 + pick(4); n > 0; n--) {
      const { at, bytes } = metadata[pick(metadata.length)]!;
      const place = pick(3) === 0 ? 36 + pick(80) : at + pick(bytes);
      poke(file, place, ...(pick(2) === 0 ? [pick(256)] : [pick(256), pick(256), 0, 0]));
    }
    let outcome: Outcome;
    try {
      outcome = check(engine, file, ALL);
    } catch (error) {
      // The header is refused.
      expect((error as Error).message, `seed ${seed}`).not.toContain('Internal error');
      engine = newEngine();
      continue;
    }
    expect(outcome.error ?? '', `seed ${seed}`).not.toContain('Internal error');
    expect(engine.memoryBytes() - small, `seed ${seed}`).toBeLessThan(96 << 20);
    if (outcome.error !== null) continue;
    // What was repaired stays repaired, and what is left is found again.
    const second = check(engine, file, ALL);
    expect(second.error, `seed ${seed}`).toBeNull();
    expect(second.result.leaks, `seed ${seed}`).toBe(0);
    ended++;
  }
  expect(ended).toBeGreaterThan(30);
});

test.each(['plain', 'compressed', 'snapshots'])('%s: a power cut in a repair loses nothing', async (name) => {
  const path = RECIPES[name]!();
  const after = scratch.path(`${name}-cut`);
  for (let seed = 1; seed <= 3; seed++) {
    const pick = random(seed * 32452843);
    const file = await load(path);
    const { table, blocks } = refcountStructure(file);
    for (let n = 12; n > 0; n--) poke(file, blocks[pick(blocks.length)]! + pick(256), pick(4));
    // Counts of 0 make the structure new; else the counts are corrected in place.
    if (seed === 2) poke(file, table + 7, 2);
    if (seed === 3) for (let i = 0; i < 256; i += 2) poke(file, blocks[0]! + i, 0, 1 + pick(3));
    const start = bytesOf(file);
    const steps: Step[] = [];
    expect(check(newEngine(), recorded(file, steps), ALL).error).toBeNull();
    expect(steps.length).toBeGreaterThan(1);
    for (let at = 0; at <= steps.length; at += Math.max(1, Math.floor(steps.length / 10))) {
      const cut = await memoryFile(cutAt(start, steps, at, () => pick(2) === 0));
      check(newEngine(), cut, ALL);
      save(cut, after);
      expect(run('qemu-img', 'check', after).status, `seed ${seed}, cut ${at}`).toBe(0);
      expect(run('qemu-img', 'compare', path, after).stdout, `seed ${seed}, cut ${at}`).toBe(
        'Images are identical.\n',
      );
    }
  }
});

function view(file: BlockFile, at: number, bytes: number): DataView {
  const out = new Uint8Array(bytes);
  file.read(out, at);
  return new DataView(out.buffer);
}

const OFFSET = 0x00fffffffffffe00n;

function refcountStructure(file: BlockFile): { table: number; bytes: number; blocks: number[] } {
  const header = view(file, 0, 104);
  const table = Number(header.getBigUint64(48));
  const bytes = header.getUint32(56) << header.getUint32(20);
  const entries = view(file, table, bytes);
  const blocks: number[] = [];
  for (let i = 0; i < bytes; i += 8) {
    const block = Number(entries.getBigUint64(i));
    if (block) blocks.push(block);
  }
  return { table, bytes, blocks };
}

/** Where an image's tables are. */
function metadataOf(file: BlockFile): { at: number; bytes: number }[] {
  const header = view(file, 0, 104);
  const cluster = 2 ** header.getUint32(20);
  const { table, blocks } = refcountStructure(file);
  const found = [{ at: table, bytes: Math.min(64, blocks.length * 8) }];
  for (const at of blocks) found.push({ at, bytes: 256 });
  const l1 = Number(header.getBigUint64(40));
  const l1Bytes = header.getUint32(36) * 8;
  found.push({ at: l1, bytes: l1Bytes });
  const entries = view(file, l1, l1Bytes);
  for (let i = 0; i < l1Bytes; i += 8) {
    const l2 = Number(entries.getBigUint64(i) & OFFSET);
    if (l2) found.push({ at: l2, bytes: Math.min(cluster, 512) });
  }
  const snapshots = Number(header.getBigUint64(64));
  if (header.getUint32(60)) found.push({ at: snapshots, bytes: 12 });
  return found;
}

test('snapshots and bitmaps survive a repair', async () => {
  const path = make('both', '', '16M', 'write -P 1 0 1M');
  must('qemu-img', 'snapshot', '-c', 'kept', path);
  must('qemu-img', 'bitmap', '--add', path, 'b0');
  must('qemu-io', '-c', 'write -P 2 512k 1M', path);
  const file = await load(path);
  const { blocks } = refcountStructure(file);
  // A cluster far behind all others is leaked; an unknown autoclear feature is set.
  poke(file, blocks[0]! + 201, 1);
  file.truncate(101 * 65536);
  poke(file, 95, 5);
  const engine = newEngine();
  const { result, error } = check(engine, file, LEAKS);
  expect(error).toBeNull();
  expect(result).toMatchObject({ leaksFixed: 1, corruptionsFixed: 0, corruptions: 0, leaks: 0 });
  save(file, path);
  expect(must('qemu-img', 'check', path)).toMatch(/^No errors/);
  expect(must('qemu-img', 'snapshot', '-l', path)).toContain('kept');
  expect(must('qemu-img', 'info', path)).toContain('name: b0');
});

test('a check that repairs nothing writes nothing', async () => {
  const engine = newEngine();
  for (const name of ['plain', 'snapshots']) {
    const path = RECIPES[name]!();
    const file = await load(path);
    poke(file, 79, name === 'plain' ? 3 : 0);
    const bytes = new Uint8Array(file.size());
    file.read(bytes, 0);
    const written = file.write.bind(file);
    file.write = () => {
      throw new Error('written to');
    };
    expect(check(engine, file).error).toBeNull();
    file.write = written;
    const after = new Uint8Array(file.size());
    file.read(after, 0);
    expect(Buffer.compare(after, bytes)).toBe(0);
  }
});

test('a check can be left at any step', async () => {
  const engine = newEngine();
  const file = await load(RECIPES.snapshots!());
  const image = openQcow2(engine, file, { readOnly: false, check: true });
  const memory = () => engine.memoryBytes();
  for (let steps = 0; steps < 12; steps++) {
    engine.checkStart(image.node, ALL);
    for (let i = 0; i < steps; i++) engine.checkStep(image.node);
    engine.checkEnd(image.node);
  }
  let settled = 0;
  for (let i = 0; i < 200; i++) {
    if (i === 100) settled = memory();
    engine.checkStart(image.node, NOTHING);
    while (engine.checkStep(image.node));
    expect(engine.checkEnd(image.node)).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  }
  expect(memory()).toBe(settled);
  expect(() => engine.checkStep(image.node)).toThrow('Invalid argument');
  engine.checkStart(image.node, NOTHING);
  expect(() => engine.checkStart(image.node, NOTHING)).toThrow('Invalid argument');
  image.close();
});

test('an image that is open to be checked is for nothing else', async () => {
  const engine = newEngine();
  const image = openQcow2(engine, await load(RECIPES.subclusters!()), { readOnly: false, check: true });
  const buffer = engine.alloc(512);
  expect(() => engine.read(image.node, 0, 512, buffer)).toThrow('No medium found');
  expect(() => engine.write(image.node, 0, 512, buffer)).toThrow('No medium found');
  expect(() => engine.truncate(image.node, 4 << 20)).toThrow('No medium found');
  image.close();
});

test('other nodes have no checks, and a read-only image is not repaired', async () => {
  const engine = newEngine();
  const node = engine.openNull({ size: 4096, readZeroes: true });
  expect(() => engine.checkStart(node, NOTHING)).toThrow('Operation not supported');
  engine.close(node);
  const image = openQcow2(engine, await load(RECIPES.plain!()), { readOnly: true, check: true });
  expect(() => engine.checkStart(image.node, ALL)).toThrow('Permission denied');
  image.close();
});

test('a file of 2^50 bytes is no reason to take memory for all its clusters', async () => {
  const engine = newEngine();
  const file = await load(RECIPES.plain!());
  const before = engine.memoryBytes();
  const huge = new Proxy(file, {
    get(target, key) {
      if (key === 'size') return () => 2 ** 50;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  expect(check(engine, huge).error).toBe('File too large');
  const large = new Proxy(file, {
    get(target, key) {
      if (key === 'size') return () => 2 ** 41;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  expect(check(engine, large)).toMatchObject({ error: null, result: { corruptions: 0, leaks: 0 } });
  expect(engine.memoryBytes() - before).toBeLessThan(16 << 20);
});

test('many findings are told one by one, and cost no memory', async () => {
  const engine = newEngine();
  const path = scratch.path('many');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', path, '64M');
  const file = await memoryFile();
  const source = await load(path);
  const bytes = new Uint8Array(source.size());
  source.read(bytes, 0);
  file.write(bytes, 0);
  // Every count of the first blocks says 1.
  const { blocks } = refcountStructure(file);
  for (const block of blocks) for (let i = 0; i < 512; i += 2) poke(file, block + i, 0, 1);
  file.truncate(512 * 256 * blocks.length);
  writeFileSync(path, new Uint8Array(0));
  save(file, path);
  const real = realCounts(path);
  const { findings, result } = check(engine, file);
  expect(findings).toEqual(real.findings);
  expect(result.leaks).toBe(real.counts.leaks);
  const { result: repaired } = check(engine, file, LEAKS);
  expect(repaired).toMatchObject({ leaks: 0, leaksFixed: real.counts.leaks });
  expect(check(engine, file).findings).toEqual([]);
});
