/** LUKS containers that the real tools made. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { Use } from '../../src/inspect/contract';
import { must } from '../engine/support';
import { counted, inspectPath, scratch, wholeMap } from './support';

const directory = scratch();
const path = (name: string): string => directory.path(name);
afterAll(() => directory.remove());

const SECRET = ['--object', 'secret,id=s,data=abc'];

test('LUKS1: fields, key slots, the map', async () => {
  const file = path('one.luks');
  must('qemu-img', 'create', '-q', '-f', 'luks', ...SECRET, '-o', 'key-secret=s,iter-time=10', file, '4M');
  const inspection = await inspectPath(file);
  const overview = await inspection.refresh();
  expect(overview).toMatchObject({ format: 'luks', diskSize: 4 << 20 });
  expect(overview.facts).toContainEqual(['Cipher', 'aes-xts-plain64, 512 bits of key']);
  expect(overview.slots.map(({ active }) => active)).toEqual([
    true,
    false,
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
  const material = overview.slots[0]?.material;
  expect(material).toEqual({ offset: 4096, length: 258048 });
  expect(await inspection.fields(170, 1)).toMatchObject([{ name: 'UUID', offset: 168, length: 40 }]);
  // Nothing was written to the disk yet: the file has a hole there.
  const { uses } = await wholeMap(inspection, { view: 'file', offset: 0, cellBytes: 65536, cells: 96 });
  expect([uses[0], uses[30], uses[32]]).toEqual([Use.KEYS, Use.KEYS, Use.FREE]);
  // Without the passphrase the disk cannot be read.
  await expect(inspection.read('guest', 0, 1)).rejects.toThrow(
    "Parameter 'key-secret' is required for cipher",
  );
  await inspection.close();
});

test('a damaged key slot is told', async () => {
  const file = path('damaged.luks');
  must('qemu-img', 'create', '-q', '-f', 'luks', ...SECRET, '-o', 'key-secret=s,iter-time=10', file, '1M');
  const bytes = readFileSync(file);
  bytes.writeUInt32BE(7, 208 + 44);
  writeFileSync(file, bytes);
  const inspection = await inspectPath(file);
  const { sections } = await inspection.refresh();
  const slot = sections.flatMap(({ fields }) => fields).find(({ name }) => name === 'key slot 0');
  expect(slot?.problem).toBe('Keyslot 0 is corrupted (stripes 7 != 4000)');
  await inspection.close();
});

test('LUKS2: both copies, key slots, segment', async () => {
  const file = path('two.luks');
  writeFileSync(file, '');
  must('truncate', '-s', '20M', file);
  writeFileSync(path('key'), 'abc');
  must(
    'cryptsetup',
    'luksFormat',
    '-q',
    '--type',
    'luks2',
    '--pbkdf',
    'pbkdf2',
    '--pbkdf-force-iterations',
    '1000',
    file,
    path('key'),
  );
  const inspection = await inspectPath(file);
  const overview = await inspection.refresh();
  expect(overview).toMatchObject({ format: 'luks2', diskSize: 4 << 20, fileSize: statSync(file).size });
  expect(overview.remarks).toEqual([]);
  expect(overview.sections.map(({ title }) => title)).toEqual([
    'LUKS2 header',
    'LUKS2 header, second copy',
    'JSON area',
  ]);
  expect(overview.slots).toMatchObject([
    { name: '0', derivation: 'pbkdf2-sha256, 1000 iterations', material: { offset: 32768, length: 258048 } },
  ]);
  await inspection.close();
});

test('LUKS in qcow2', async () => {
  const file = path('in.qcow2');
  must(
    'qemu-img',
    'create',
    '-q',
    '-f',
    'qcow2',
    ...SECRET,
    '-o',
    'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
    file,
    '4M',
  );
  const inspection = await inspectPath(file);
  const overview = await inspection.refresh();
  expect(overview.facts).toContainEqual(['Encryption', 'LUKS']);
  expect(overview.slots[0]?.active).toBe(true);
  const { uses } = await wholeMap(inspection, { view: 'file', offset: 0, cellBytes: 65536, cells: 64 });
  expect(counted(uses)[Use.KEYS]).toBe(32);
  expect([...uses]).not.toContain(Use.LEAKED);
  await inspection.close();
});
