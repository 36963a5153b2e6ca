/** Headers that are wrong: the engine and QEMU refuse the same ones with the same words. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
const engine = newEngine();

type Change = (header: DataView) => void;
const u8 =
  (at: number, value: number): Change =>
  (header) =>
    header.setUint8(at, value);
const u32 =
  (at: number, value: number): Change =>
  (header) =>
    header.setUint32(at, value);
const u64 =
  (at: number, value: bigint): Change =>
  (header) =>
    header.setBigUint64(at, value);
const all =
  (...changes: Change[]): Change =>
  (header) =>
    changes.forEach((change) => change(header));
/** A header extension in place of the first one, with its fields. */
const extension = (type: number, length: number, ...fields: number[]): Change =>
  all(u32(112, type), u32(116, length), ...fields.map((field, i) => u32(120 + 4 * i, field)));
const BITMAPS = 0x23852875;

const changes: Record<string, Change> = {
  'no magic': u32(0, 1),
  'version 1': u32(4, 1),
  'version 4': u32(4, 4),
  'clusters too small': u32(20, 8),
  'clusters too large': u32(20, 22),
  'header too short': u32(100, 100),
  'header too long': u32(100, 65544),
  'backing name outside': u64(8, 70000n),
  'backing name at the end': u64(8, 65536n),
  'backing name too long': all(u64(8, 600n), u32(16, 2000)),
  'backing name over the extensions': all(u64(8, 120n), u32(16, 4)),
  'unknown feature': u64(72, 32n),
  'unknown features': u64(72, 0xf0000060n),
  'unknown feature with a name': all(u64(72, 64n), u8(216, 0), u8(217, 6)),
  'corrupt bit': u64(72, 2n),
  'compression bit alone': u64(72, 8n),
  'compression type alone': u8(104, 1),
  'unknown compression type': u8(104, 7),
  'refcounts too wide': u32(96, 7),
  'refcounts far too wide': u32(96, 0xffffffff),
  'unknown encryption': u32(32, 3),
  'LUKS without its header': u32(32, 2),
  'no refcount table': u32(56, 0),
  'refcount table too large': u32(56, 200),
  'refcount table unaligned': u64(48, 513n),
  'refcount table out of reach': u64(48, 0xffffffffffff0000n),
  'too many snapshots': u32(60, 70000),
  'snapshot table unaligned': all(u32(60, 1), u64(64, 3n)),
  'snapshot table unaligned, no snapshots': u64(64, 3n),
  'L1 table too large': u32(36, 0x400001),
  'L1 table unaligned': u64(40, 7n),
  'L1 table out of reach': u64(40, 0x7fffffffffff0000n),
  'L1 table too small': u32(36, 0),
  'size too big': u64(24, 1n << 60n),
  'size far too big': u64(24, 0x7fffffffffffffffn),
  'size negative': u64(24, 0xffffffffffffffffn),
  'size no multiple of 512': u64(24, 1000n),
  'raw data file without data file': u64(88, 2n),
  'unknown compatible features': u64(80, 0xffn),
  'backing format too long': extension(0xe2792aca, 16),
  'extension too large': extension(0x12345678, 65535),
  'extension far too large': extension(0x12345678, 0xffffffff),
  'LUKS header without LUKS': extension(0x0537be77, 16),
  'bitmaps of wrong length': extension(BITMAPS, 23),
  'no bitmaps': all(u64(88, 1n), extension(BITMAPS, 24, 0, 0, 0, 0, 0, 0)),
  'too many bitmaps': all(u64(88, 1n), extension(BITMAPS, 24, 70000, 0, 0, 0, 0, 0)),
  'bitmaps with a reserved field': all(u64(88, 1n), extension(BITMAPS, 24, 7, 7, 0, 0, 0, 0)),
  'bitmap directory unaligned': all(u64(88, 1n), extension(BITMAPS, 24, 7, 0, 0, 0, 0, 7)),
};

let original: Uint8Array;
beforeAll(() => {
  const path = scratch.path('original.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', path, '10M');
  original = readFileSync(path);
});

/** What qemu-io says when it opens the image; empty: nothing. */
function theirAnswer(path: string, readOnly: boolean): string {
  const mode = readOnly ? ['-r'] : [];
  const { stderr } = run('qemu-io', ...mode, '-f', 'qcow2', '-c', 'quit', path);
  return (stderr.split(`can't open device ${path}: `)[1] ?? '').trim();
}

async function ourAnswer(bytes: Uint8Array<ArrayBuffer>, readOnly: boolean): Promise<string> {
  try {
    openQcow2(engine, await memoryFile(bytes), { readOnly }).close();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe.each([true, false])('read-only: %s', (readOnly) => {
  test.each(Object.keys(changes))('%s', async (name) => {
    const bytes = new Uint8Array(original);
    changes[name]!(new DataView(bytes.buffer));
    const path = scratch.path('changed.qcow2');
    writeFileSync(path, bytes);
    expect(await ourAnswer(bytes, readOnly)).toBe(theirAnswer(path, readOnly));
  });
});

test('what is not understood but allowed survives a rewrite of the header', async () => {
  // An unknown extension, an unknown field behind the known ones, an unknown autoclear feature.
  const bytes = new Uint8Array(original);
  const header = new DataView(bytes.buffer);
  bytes.fill(0, 112, 65536);
  all(u32(100, 120), u64(112, 0x1122334455667788n), u64(88, 1n << 40n), u64(80, 0x100n))(header);
  all(u32(120, 0x12345678), u32(124, 5), u32(128, 0xaabbccdd), u8(132, 0xee))(header);
  const file = await memoryFile(bytes);
  openQcow2(engine, file, { readOnly: false }).close();
  const now = new DataView(bytesOf(file).buffer);
  expect(now.getUint32(100)).toBe(120);
  expect(now.getBigUint64(112)).toBe(0x1122334455667788n);
  expect(now.getBigUint64(80)).toBe(0x100n);
  // Autoclear features of others end with the first writable open.
  expect(now.getBigUint64(88)).toBe(0n);
  // Behind the feature name table.
  const at = 120 + 8 + 384;
  expect([now.getUint32(at), now.getUint32(at + 4), now.getUint32(at + 8), now.getUint8(at + 12)]).toEqual([
    0x12345678, 5, 0xaabbccdd, 0xee,
  ]);
  const path = scratch.path('kept.qcow2');
  save(file, path);
  must('qemu-img', 'check', path);
});

test('headers alone can be read of images that are not supported yet', async () => {
  const path = scratch.path('later.qcow2');
  for (const options of ['extended_l2=on', 'data_file=' + scratch.path('data.raw')]) {
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, '10M');
    const image = openQcow2(engine, await load(path), { readOnly: true, noIo: true });
    expect(engine.qcow2Info(image.node)).toMatchObject({
      size: 10 << 20,
      extendedL2: options.startsWith('ext'),
      dataFile: options.startsWith('data') ? scratch.path('data.raw') : null,
    });
    const buffer = engine.alloc(512);
    expect(() => engine.read(image.node, 0, 512, buffer)).toThrow();
    image.close();
  }
});
