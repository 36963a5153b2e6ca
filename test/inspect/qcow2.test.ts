/** The structure of qcow2 images that the real tools made, against what the tools say of them. */
import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { CellFlag, Use } from '../../src/inspect/contract';
import { must, run } from '../engine/support';
import { counted, inspectPath, scratch, wholeCheck, wholeMap } from './support';

const directory = scratch();
const path = (name: string): string => directory.path(name);
afterAll(() => directory.remove());

const CLUSTER = 65536;
const io = (file: string, ...commands: string[]): void => {
  must('qemu-io', '-f', 'qcow2', ...commands.flatMap((one) => ['-c', one]), file);
};

/** An image with a bit of everything. */
function everything(name: string): string {
  const file = path(name);
  must('qemu-img', 'create', '-q', '-f', 'qcow2', file, '64M');
  io(file, 'write -P 1 0 1M', 'write -z 2M 192k', 'write -c -P 5 4M 64k', 'write -c -P 6 4160k 64k');
  must('qemu-img', 'snapshot', '-c', 'first', file);
  io(file, 'write -P 2 512k 128k', 'write -P 3 40M 64k');
  must('qemu-img', 'bitmap', '--add', file, 'marks');
  io(file, 'write -P 4 50M 64k');
  return file;
}

const withoutZeros = (uses: Uint8Array): Use[] =>
  ([...uses] as Use[]).map((use) => (use === Use.ZERO ? Use.FREE : use));

interface MapEntry {
  start: number;
  length: number;
  zero: boolean;
  data: boolean;
  present: boolean;
  compressed: boolean;
  offset?: number;
}

describe('an image with a bit of everything', () => {
  const file = everything('all.qcow2');

  test('overview: fields at their places, feature bits, snapshots, bitmaps', async () => {
    const inspection = await inspectPath(file);
    const overview = await inspection.refresh();
    expect(overview).toMatchObject({
      format: 'qcow2',
      diskSize: 64 << 20,
      clusterSize: CLUSTER,
      fileSize: statSync(file).size,
    });
    const fields = overview.sections.flatMap((section) => section.fields);
    const bytes = readFileSync(file);
    const field = (name: string) => fields.find((one) => one.name === name);
    expect(field('l1_table_offset')).toMatchObject({
      offset: 40,
      length: 8,
      value: `0x${bytes.readBigUInt64BE(40).toString(16)}`,
      target: { offset: Number(bytes.readBigUInt64BE(40)), length: bytes.readUInt32BE(36) * 8 },
    });
    expect(field('compatible_features')?.bits).toEqual([
      expect.objectContaining({ bit: 0, name: 'lazy refcounts', set: false }),
    ]);
    expect(field('autoclear_features')?.bits?.[0]).toMatchObject({ name: 'bitmaps', set: true });
    expect(overview.snapshots).toMatchObject([{ id: '1', name: 'first', diskSize: 64 << 20 }]);
    expect(overview.bitmaps).toMatchObject([{ name: 'marks', granularity: 65536, inUse: false, auto: true }]);
    expect(overview.remarks).toEqual([]);
    await inspection.close();
    await expect(inspection.refresh()).rejects.toThrow('The inspection has ended');
  });

  test('the map of the disk is that of qemu-img map', async () => {
    const inspection = await inspectPath(file);
    await inspection.refresh();
    const { uses, flags } = await wholeMap(inspection, {
      view: 'guest',
      offset: 0,
      cellBytes: CLUSTER,
      cells: 1024,
    });
    const entries = JSON.parse(must('qemu-img', 'map', '--output=json', file)) as MapEntry[];
    const expected = new Uint8Array(1024);
    for (const { start, length, zero, present, compressed } of entries)
      expected.fill(
        !present ? Use.FREE : compressed ? Use.COMPRESSED : zero ? Use.ZERO : Use.DATA,
        start / CLUSTER,
        (start + length) / CLUSTER,
      );
    // The tool does not tell clusters of zeros from none at all.
    const merged = withoutZeros(uses);
    expect(merged).toEqual(withoutZeros(expected));
    expect([...uses.subarray(32, 35)]).toEqual([Use.ZERO, Use.ZERO, Use.ZERO]);
    const shared = [...flags].flatMap((flag, cell) => (flag & CellFlag.SHARED ? [cell] : []));
    expect(shared).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15]);
    const dirty = [...flags].flatMap((flag, cell) => (flag & CellFlag.DIRTY ? [cell] : []));
    expect(dirty).toEqual([800]);
    await inspection.close();
  });

  test('larger cells show the sum of the small ones', async () => {
    const inspection = await inspectPath(file);
    await inspection.refresh();
    const small = await wholeMap(inspection, { view: 'guest', offset: 0, cellBytes: CLUSTER, cells: 1024 });
    const large = await wholeMap(inspection, {
      view: 'guest',
      offset: 0,
      cellBytes: CLUSTER * 64,
      cells: 16,
    });
    for (let cell = 0; cell < 16; cell++) {
      const part = small.uses.subarray(cell * 64, cell * 64 + 64);
      const used = part.length - (counted(part)[Use.FREE] ?? 0);
      expect(Math.round(((large.fill[cell] ?? 0) * 64) / 255)).toBe(used);
      if (used > 0) expect([...part]).toContain(large.uses[cell]);
    }
    await inspection.close();
  });

  test('the map of the file: nothing leaked, all kinds found; places lead to each other', async () => {
    const inspection = await inspectPath(file);
    await inspection.refresh();
    const cells = Math.ceil(statSync(file).size / CLUSTER);
    const { uses } = await wholeMap(inspection, { view: 'file', offset: 0, cellBytes: CLUSTER, cells });
    const counts = counted(uses);
    expect(counts).toMatchObject({
      [Use.HEADER]: 1,
      [Use.L1]: 1,
      [Use.L2]: 1,
      [Use.REFCOUNT_TABLE]: 1,
      [Use.REFCOUNT_BLOCK]: 1,
    });
    expect(counts).toMatchObject({
      [Use.SNAPSHOT_TABLE]: 1,
      [Use.SNAPSHOT_L1]: 1,
      [Use.SNAPSHOT_L2]: 1,
      [Use.COMPRESSED]: 1,
      [Use.BITMAP]: 3,
    });
    // 16 clusters of 1 MiB and two behind; two of them have a copy that only the snapshot has.
    expect(counts[Use.DATA]).toBe(18);
    expect(counts[Use.SNAPSHOT_DATA]).toBe(2);
    expect(counts[Use.LEAKED] ?? 0).toBe(0);
    expect(counts[Use.BROKEN] ?? 0).toBe(0);

    const place = await inspection.describe('guest', 40 << 20);
    expect(place).toMatchObject({ use: Use.DATA, title: 'Data' });
    const host = place.links.find(({ label }) => label === 'Its bytes in the file');
    const there = await inspection.describe('file', host?.offset ?? 0);
    expect(there.links).toContainEqual({
      label: 'Its place on the disk',
      view: 'guest',
      offset: 40 << 20,
      length: CLUSTER,
    });
    expect(await inspection.read('file', host?.offset ?? 0, 4)).toEqual(new Uint8Array([3, 3, 3, 3]));
    expect(await inspection.read('guest', 40 << 20, 4)).toEqual(new Uint8Array([3, 3, 3, 3]));
    expect(await inspection.read('guest', 4160 << 10, 2)).toEqual(new Uint8Array([6, 6]));
    await inspection.close();
  });

  test('entries of tables as fields', async () => {
    const inspection = await inspectPath(file);
    const { sections } = await inspection.refresh();
    const l1 = sections[0]?.fields.find(({ name }) => name === 'l1_table_offset')?.target?.offset ?? 0;
    const [entry] = await inspection.fields(l1, 8);
    expect(entry).toMatchObject({
      name: 'L1[0]',
      offset: l1,
      value: expect.stringMatching(/^L2 table at 0x[0-9a-f]+, only used here$/) as string,
    });
    const l2 = entry?.target?.offset ?? 0;
    const entries = await inspection.fields(l2, 8 * 66);
    expect(entries).toHaveLength(66);
    expect(entries[0]?.value).toMatch(/^data at 0x[0-9a-f]+, shared$/);
    expect(entries[8]?.value).toMatch(/^data at 0x[0-9a-f]+$/);
    expect(entries[20]?.value).toBe('not allocated');
    expect(entries[32]?.value).toMatch(/^zeros/);
    expect(entries[64]?.value).toMatch(/^compressed data at 0x[0-9a-f]+, at most \d+ bytes$/);
    // In the middle of an entry.
    expect(await inspection.fields(l2 + 13, 1)).toMatchObject([{ name: 'L2[1]' }]);
    await inspection.close();
  });

  test('reads are bounded', async () => {
    const inspection = await inspectPath(file);
    await expect(inspection.read('file', 0, 2 << 20)).rejects.toThrow('At most 1 MiB');
    expect(await inspection.read('file', statSync(file).size - 4, 100)).toHaveLength(4);
    expect(await inspection.read('guest', 64 << 20, 100)).toHaveLength(0);
    await inspection.close();
  });
});

describe('checks', () => {
  test('leaks: found as qemu-img finds them; the preview says what a repair changes, and changes nothing', async () => {
    const file = path('leaky.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', file, '64M');
    io(file, 'write 0 1M');
    // The last cluster's entry is taken out of the table: its count stays.
    const bytes = readFileSync(file);
    const l2 = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & 0x00fffffffffffe00n);
    bytes.writeBigUInt64BE(0n, l2 + 15 * 8);
    writeFileSync(file, bytes);
    const inspection = await inspectPath(file);
    await inspection.refresh();
    const { uses } = await wholeMap(inspection, {
      view: 'file',
      offset: 0,
      cellBytes: CLUSTER,
      cells: bytes.length / CLUSTER,
    });
    expect(counted(uses)[Use.LEAKED]).toBe(1);
    const look = await wholeCheck(inspection, 'look');
    const real = run('qemu-img', 'check', file);
    expect(look.counts).toMatchObject({ leaks: 1, corruptions: 0 });
    expect(real.stdout + real.stderr).toContain(look.findings[0]);
    const preview = await wholeCheck(inspection, 'leaks');
    expect(preview.counts).toMatchObject({ leaksFixed: 1 });
    expect(preview.after).toEqual({ corruptions: 0, leaks: 0 });
    expect(preview.findings).toContainEqual(
      expect.stringMatching(/^Repairing cluster \d+ refcount=1 reference=0$/),
    );
    expect(preview.changes).toMatchObject([
      { length: 1, what: expect.stringMatching(/^refcount\[\d+\]: 1$/) as string },
    ]);
    expect(readFileSync(file)).toEqual(bytes);
    // The real tool changes the same bytes.
    const repaired = path('repaired.qcow2');
    copyFileSync(file, repaired);
    run('qemu-img', 'check', '-r', 'leaks', repaired);
    const after = readFileSync(repaired);
    const leaked = uses.indexOf(Use.LEAKED);
    const tables = bytes.subarray(0, leaked * CLUSTER);
    const changed = [...tables.keys()].filter((at) => bytes[at] !== after[at]);
    expect(preview.changes.map(({ offset }) => offset)).toEqual(changed);
    await inspection.close();
  });

  test('corruption: a cluster in use that is counted as free', async () => {
    const file = path('corrupt.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', file, '8M');
    io(file, 'write 0 64k');
    const bytes = readFileSync(file);
    const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
    const used = bytes.length / 4096 - 1;
    bytes.writeUInt16BE(0, block + used * 2);
    writeFileSync(file, bytes);
    const inspection = await inspectPath(file);
    await inspection.refresh();
    const page = await wholeMap(inspection, { view: 'file', offset: 0, cellBytes: 4096, cells: used + 1 });
    expect(page.uses[used]).toBe(Use.BROKEN);
    const state = await wholeCheck(inspection, 'look');
    const real = run('qemu-img', 'check', file);
    expect(real.stdout).toContain(`${state.counts?.corruptions ?? 0} errors were found`);
    expect(state.findings).toContain(`ERROR cluster ${used} refcount=0 reference=1`);
    for (const finding of state.findings) expect(real.stderr + real.stdout).toContain(finding);
    expect((await wholeCheck(inspection, 'all')).after).toEqual({ corruptions: 0, leaks: 0 });
    await inspection.close();
  });

  test('other formats have none', async () => {
    const file = path('plain.raw');
    must('qemu-img', 'create', '-q', '-f', 'raw', file, '1M');
    const inspection = await inspectPath(file);
    expect(await inspection.refresh()).toMatchObject({ format: 'raw', diskSize: 1 << 20 });
    await expect(inspection.beginCheck('look')).rejects.toThrow('This image format does not support checks');
    await inspection.close();
  });
});

test.each([
  ['v2', ['compat=0.10']],
  ['small clusters', ['cluster_size=512']],
  ['one bit counts', ['refcount_bits=1']],
  ['wide counts', ['refcount_bits=64']],
  ['extended entries', ['extended_l2=on']],
  ['large clusters', ['cluster_size=2M']],
])('%s: all of the file is understood', async (name, options) => {
  const file = path(`kind-${name}.qcow2`);
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options.join(','), file, '32M');
  io(file, 'write -P 1 0 700k', 'write -P 2 5M 4k');
  const inspection = await inspectPath(file);
  const { clusterSize, remarks, fileSize } = await inspection.refresh();
  expect(remarks).toEqual([]);
  const { uses } = await wholeMap(inspection, {
    view: 'file',
    offset: 0,
    cellBytes: clusterSize,
    cells: Math.ceil(fileSize / clusterSize),
  });
  const counts = counted(uses);
  expect(counts[Use.BROKEN] ?? 0).toBe(0);
  expect(counts[Use.LEAKED] ?? 0).toBe(0);
  expect(counts[Use.DATA]).toBe(Math.ceil((700 << 10) / clusterSize) + Math.ceil(4096 / clusterSize));
  await inspection.close();
});

test('an overlay whose backing file is missing is shown without it', async () => {
  const file = path('lost.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-u', '-b', 'nowhere.raw', '-F', 'raw', file, '1M');
  const inspection = await inspectPath(file);
  expect((await inspection.refresh()).facts).toContainEqual(['Backing file', 'nowhere.raw (raw)']);
  expect(await inspection.read('guest', 0, 1)).toEqual(new Uint8Array(1));
  expect((await inspection.refresh()).remarks).toEqual([
    { kind: 'warning', text: expect.stringMatching(/^Shown without its backing file: /) as string },
  ]);
  await inspection.close();
});

test('a backing file that is no plain file is not opened', async () => {
  const file = path('far.qcow2');
  must(
    'qemu-img',
    'create',
    '-q',
    '-f',
    'qcow2',
    '-u',
    '-b',
    'json:{"driver":"raw","file":{"driver":"file","filename":"all.qcow2"}}',
    '-F',
    'raw',
    file,
    '1M',
  );
  const inspection = await inspectPath(file);
  await inspection.read('guest', 0, 1);
  expect((await inspection.refresh()).remarks).toMatchObject([
    { text: expect.stringContaining('An inspection opens no') as string },
  ]);
  await inspection.close();
});

test('whatever is in the tables, answers come, and soon', { timeout: 60_000 }, async () => {
  const base = readFileSync(everything('hostile.qcow2'));
  const file = path('mutant.qcow2');
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(fc.oneof(fc.nat(600), fc.nat(base.length - 9)), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
        {
          minLength: 1,
          maxLength: 12,
        },
      ),
      fc.nat(base.length),
      async (changes, cut) => {
        const bytes = Buffer.from(base);
        for (const [at, value] of changes) bytes.writeBigUInt64BE(value, at);
        writeFileSync(file, bytes);
        truncateSync(file, cut);
        const inspection = await inspectPath(file);
        try {
          const { diskSize, clusterSize, fileSize } = await inspection.refresh();
          const begun = performance.now();
          for (const view of ['file', 'guest'] as const) {
            const size = view === 'file' ? fileSize : (diskSize ?? 0);
            let cellBytes = clusterSize;
            while (size / cellBytes > 256) cellBytes *= 2;
            await inspection.map({ view, offset: 0, cellBytes, cells: 256 });
            await inspection.describe(view, Math.floor(size / 2));
          }
          await inspection.fields(0, 4096);
          expect(performance.now() - begun).toBeLessThan(3000);
        } finally {
          await inspection.close();
        }
      },
    ),
    { numRuns: 25 },
  );
});
