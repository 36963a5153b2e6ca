/** Encrypted qcow2 images: of the real tool opened by ours, and ours by it; key slots; the old AES encryption, read. */
import { readFileSync, writeFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { scratchDirectory } from '../../engine/support';
import { create, mustQemuImg, newGraph, pattern, qemuImg, readDisk, writeDisk } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const MIB = 1 << 20;
const DATA = pattern(MIB);

const encrypted = (filename: string, secret = 'first'): Record<string, string> => ({
  driver: 'qcow2',
  'encrypt.key-secret': secret,
  'file.filename': filename,
});
const imageOpts = (options: Record<string, string>): string =>
  Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');

const LUKS = { 'encrypt.format': 'luks', 'encrypt.key-secret': 'first', 'encrypt.iter-time': 0 };

/** The disk as the real tool reads it; its check must be clean. */
function theirs(options: Record<string, string>): Buffer {
  const raw = scratch.path('theirs.raw');
  mustQemuImg('check', '-q', '--image-opts', imageOpts(options));
  mustQemuImg('convert', '--image-opts', '-O', 'raw', imageOpts(options), raw);
  return readFileSync(raw);
}

const KINDS: readonly [string, Record<string, string | number | boolean>][] = [
  ['default', {}],
  ['small clusters', { cluster_size: 512 }],
  ['subclusters', { extended_l2: true }],
  ['version 2', { compat: '0.10' }],
  ['cbc, essiv', { 'encrypt.cipher-mode': 'cbc', 'encrypt.ivgen-alg': 'essiv' }],
  ['preallocated', { preallocation: 'metadata' }],
  ['lazy', { lazy_refcounts: true }],
];

test.each(KINDS)('%s: made and written by ours, read by the real tool', async (_, options) => {
  const image = scratch.path('ours.qcow2');
  await create('qcow2', image, { size: MIB, ...LUKS, ...options });
  await writeDisk(encrypted(image), DATA);
  expect(Buffer.compare(await readDisk(encrypted(image)), DATA)).toBe(0);
  expect(Buffer.compare(theirs(encrypted(image)), DATA)).toBe(0);
  // Nothing of the disk is in the file as it is.
  expect(readFileSync(image).includes(Buffer.from(DATA.subarray(4096, 4160)))).toBe(false);
  const told = JSON.parse(mustQemuImg('info', '--output=json', image)) as Record<string, unknown>;
  const graph = newGraph();
  const user = await graph.openImage({ filename: image, readOnly: true, noIo: true });
  expect(user.info()['format-specific']).toEqual(told['format-specific']);
  expect(user.info().encrypted).toBe(true);
  await graph.close();
});

test('parts of sectors and clusters, zeros, and what a backing file holds', async () => {
  const base = scratch.path('base.raw');
  const image = scratch.path('parts.qcow2');
  writeFileSync(base, DATA);
  await create('qcow2', image, { size: MIB, backing_file: base, backing_fmt: 'raw', ...LUKS });
  const graph = newGraph();
  const { engine } = graph.opener.environment;
  const user = await graph.openImage({ options: encrypted(image) });
  const buffer = engine.alloc(MIB);
  const expected = DATA.slice();
  for (const [offset, bytes] of [
    [1, 1],
    [65535, 2],
    [70000, 100],
    [131072, 512],
    [200000, 100000],
    [MIB - 3, 3],
    [400001, 300000],
    [512, 131072],
  ] as const) {
    buffer.view(0, bytes).fill((bytes * 7) & 255);
    user.write(offset, bytes, buffer);
    expected.fill((bytes * 7) & 255, offset, offset + bytes);
    user.read(offset, bytes, buffer);
    expect(Buffer.compare(buffer.view(0, bytes), expected.subarray(offset, offset + bytes))).toBe(0);
  }
  for (const [offset, bytes] of [
    [0, 65536],
    [300000, 5],
    [720000, 70000],
  ] as const) {
    user.writeZeroes(offset, bytes);
    expected.fill(0, offset, offset + bytes);
  }
  user.read(0, MIB, buffer);
  expect(Buffer.compare(buffer.view(), expected)).toBe(0);
  await user.close();
  await graph.close();
  expect(Buffer.compare(theirs(encrypted(image)), expected)).toBe(0);
});

test('an internal snapshot, and a disk that is made larger', async () => {
  const image = scratch.path('snapshot.qcow2');
  await create('qcow2', image, { size: MIB, ...LUKS });
  await writeDisk(encrypted(image), DATA);
  const graph = newGraph();
  const user = await graph.openImage({ options: encrypted(image) });
  user.snapshots()?.create('s', 'zero', null);
  user.truncate(MIB + 65536);
  await user.close();
  await graph.close();
  await writeDisk(encrypted(image), DATA.toReversed());
  const whole = theirs(encrypted(image));
  expect(Buffer.compare(whole.subarray(0, MIB), DATA.toReversed())).toBe(0);
  expect(whole.subarray(MIB).every((byte) => byte === 0)).toBe(true);
  mustQemuImg('snapshot', '-a', 's', '--image-opts', imageOpts(encrypted(image)));
  expect(Buffer.compare(await readDisk(encrypted(image)), DATA)).toBe(0);
});

test('made by the real tool, read and written by ours', async () => {
  const image = scratch.path('made.qcow2');
  const raw = scratch.path('made.raw');
  writeFileSync(raw, DATA);
  const given = 'encrypt.format=luks,encrypt.key-secret=first,encrypt.iter-time=1';
  mustQemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', given, raw, image);
  expect(Buffer.compare(await readDisk(encrypted(image)), DATA)).toBe(0);
  await writeDisk(encrypted(image), DATA.toReversed());
  expect(Buffer.compare(theirs(encrypted(image)), DATA.toReversed())).toBe(0);
});

test('key slots inside of an image', async () => {
  const image = scratch.path('slots.qcow2');
  await create('qcow2', image, { size: MIB, ...LUKS });
  await writeDisk(encrypted(image), DATA);
  const amend = async (values: Record<string, string | number>, secret: string): Promise<void> => {
    const graph = newGraph();
    try {
      const user = await graph.openImage({ options: encrypted(image, secret) });
      const work = user.amend(values, false);
      try {
        while (await work.step());
      } finally {
        work.end();
      }
      await user.close();
    } finally {
      await graph.close();
    }
  };
  const added = { 'encrypt.state': 'active', 'encrypt.new-secret': 'second', 'encrypt.iter-time': 0 };
  await amend(added, 'first');
  expect(Buffer.compare(theirs(encrypted(image, 'second')), DATA)).toBe(0);
  await amend({ 'encrypt.state': 'inactive', 'encrypt.keyslot': 0 }, 'second');
  expect(qemuImg('check', '--image-opts', imageOpts(encrypted(image))).status).not.toBe(0);
  await expect(readDisk(encrypted(image))).rejects.toThrow('Invalid password, cannot unlock any keyslot');
  expect(Buffer.compare(await readDisk(encrypted(image, 'second')), DATA)).toBe(0);
  await expect(amend({ 'encrypt.state': 'inactive', 'encrypt.keyslot': 1 }, 'second')).rejects.toThrow(
    'Attempt to erase the only active keyslot 1',
  );
});

test('refusals have the texts of the real tool', async () => {
  const image = scratch.path('refused.qcow2');
  const plain = scratch.path('plain.qcow2');
  await create('qcow2', image, { size: MIB, ...LUKS });
  await create('qcow2', plain, { size: MIB });
  for (const options of [
    { driver: 'qcow2', 'file.filename': image },
    encrypted(image, 'nobody'),
    encrypted(image, 'second'),
    { ...encrypted(image), 'encrypt.format': 'aes' },
    { ...encrypted(plain), 'encrypt.format': 'luks' },
  ]) {
    const words = imageOpts(options);
    const { stderr, status } = qemuImg('map', '--output=json', '--image-opts', words);
    expect(status).toBe(1);
    const [line = ''] = stderr.split('\n');
    await expect(readDisk(options), words).rejects.toThrow(
      line.replace(`qemu-img: Could not open '${words}': `, ''),
    );
  }
});

const AES = { 'encrypt.format': 'aes', 'encrypt.key-secret': 'first' };

const OLD_KINDS: readonly [string, Record<string, string | number | boolean>][] = [
  ['default', {}],
  ['small clusters', { cluster_size: 512 }],
  ['subclusters', { extended_l2: true }],
  ['version 2', { compat: '0.10' }],
  ['preallocated', { preallocation: 'metadata' }],
];

test.each(OLD_KINDS)('the old AES encryption, %s: made as the real tool makes it', async (_, options) => {
  const image = scratch.path('ours-old.qcow2');
  const model = scratch.path('their-old.qcow2');
  await create('qcow2', image, { size: MIB, ...AES, ...options });
  const words = Object.entries({ ...AES, ...options }).map(([name, value]) => `${name}=${value}`);
  mustQemuImg('create', '-q', '-f', 'qcow2', '-o', words.join(','), model, '1M');
  expect(readFileSync(image).equals(readFileSync(model))).toBe(true);
});

test.each(OLD_KINDS)('the old AES encryption, %s: written by both, read by both', async (_, options) => {
  const image = scratch.path('old.qcow2');
  const raw = scratch.path('old.raw');
  await create('qcow2', image, { size: MIB, ...AES, ...options });
  await writeDisk(encrypted(image), DATA);
  expect(Buffer.compare(theirs(encrypted(image)), DATA)).toBe(0);
  expect(readFileSync(image).includes(Buffer.from(DATA.subarray(4096, 4160)))).toBe(false);
  const other = pattern(MIB).reverse();
  writeFileSync(raw, other);
  mustQemuImg('convert', '-n', '-f', 'raw', '--target-image-opts', raw, imageOpts(encrypted(image)));
  expect(Buffer.compare(await readDisk(encrypted(image)), other)).toBe(0);
});

test('the old AES encryption: parts of sectors and of clusters keep what is around them', async () => {
  const image = scratch.path('old.qcow2');
  await create('qcow2', image, { size: MIB, ...AES });
  mustQemuImg('snapshot', '--image-opts', '-c', 'before', imageOpts(encrypted(image)));
  const graph = newGraph();
  const user = await graph.openImage({ options: encrypted(image), readOnly: false });
  const want = Buffer.alloc(MIB);
  const { engine } = graph.opener.environment;
  const buffer = engine.alloc(200_000);
  for (const [at, bytes, byte] of [
    [1000, 5000, 1],
    [65_000, 70_000, 2],
    [300_001, 3, 3],
    [MIB - 200_000, 200_000, 4],
    [2000, 100, 5],
  ] as const) {
    buffer.view().fill(byte);
    user.write(at, bytes, buffer);
    want.fill(byte, at, at + bytes);
  }
  expect(user.info()['format-specific']?.data).toMatchObject({ encrypt: { format: 'aes' } });
  await graph.close();
  expect(Buffer.compare(await readDisk(encrypted(image)), want)).toBe(0);
  expect(Buffer.compare(theirs(encrypted(image)), want)).toBe(0);
});

test.each([LUKS, AES])(
  'compressed clusters, which are never encrypted, are read and not written (%o)',
  async (how) => {
    const image = scratch.path('compressed.qcow2');
    const raw = scratch.path('compressed.raw');
    const data = Buffer.alloc(MIB, 'everybody can read this, ');
    writeFileSync(raw, data);
    await create('qcow2', image, { size: MIB, ...how });
    const empty = readFileSync(image);
    const graph = newGraph();
    const user = await graph.openImage({ options: encrypted(image) });
    const buffer = graph.opener.environment.engine.alloc(65536);
    expect(() => user.writeCompressed(0, 65536, buffer)).toThrow('Operation not supported');
    await graph.close();
    expect(readFileSync(image).equals(empty)).toBe(true);
    mustQemuImg('convert', '-n', '-c', '-f', 'raw', '--target-image-opts', raw, imageOpts(encrypted(image)));
    expect(Buffer.compare(await readDisk(encrypted(image)), data)).toBe(0);
    // What the real tool wrote is there for all to see: a stream of deflate in place of sectors that look random.
    const map = mustQemuImg('map', '--output=json', '--image-opts', imageOpts(encrypted(image)));
    expect(map).toContain('"compressed": true');
    const file = readFileSync(image);
    const seen = Array.from({ length: file.length >> 9 }, (_, sector) => {
      try {
        return inflateRawSync(file.subarray(sector * 512), { finishFlush: 2 }).toString('latin1');
      } catch {
        return '';
      }
    });
    expect(seen.some((text) => text.includes('everybody can read this'))).toBe(true);
  },
);
