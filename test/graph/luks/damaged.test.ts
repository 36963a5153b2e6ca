/** Headers that are damaged: refused with the texts of the real tool, and nothing is written. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, scratchDirectory } from '../../engine/support';
import { create, newGraph } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const image = scratch.path('image.luks');
let intact: Buffer;
beforeAll(async () => {
  await create('luks', image, { size: 65536, 'key-secret': 'first', 'iter-time': 0 });
  intact = readFileSync(image);
});

const u32 = (value: number): number[] => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
const text = (value: string, bytes = 32): number[] => [...Buffer.from(value.padEnd(bytes, '\0'), 'latin1')];
const slot = (index: number): number => 208 + 48 * index;

/** Where bytes are put, and which. */
const DAMAGE: readonly [string, readonly [number, readonly number[]][]][] = [
  ['the magic', [[0, [0x4d]]]],
  ['version 0', [[6, [0, 0]]]],
  ['version 2', [[6, [0, 2]]]],
  ['an unended cipher name', [[8, text('x'.repeat(32))]]],
  ['an unended cipher mode', [[40, text('x'.repeat(32))]]],
  ['an unended hash', [[72, text('x'.repeat(32))]]],
  ['a payload in the header', [[104, u32(7)]]],
  ['no payload offset', [[104, u32(0)]]],
  ['no iterations', [[164, u32(0)]]],
  ['stripes of slot 0', [[slot(0) + 44, u32(4001)]]],
  ['very many stripes', [[slot(3) + 44, u32(0xffffffff)]]],
  ['a state that is none', [[slot(2), u32(1)]]],
  ['an active slot without iterations', [[slot(0) + 4, u32(0)]]],
  ['a slot in the header', [[slot(1) + 40, u32(7)]]],
  ['a slot in the payload', [[slot(7) + 40, u32(4041 - 504)]]],
  ['slots that overlap', [[slot(4) + 40, u32(1024)]]],
  ['a mode without vectors', [[40, text('xts')]]],
  ['an unknown mode', [[40, text('lrw-plain64')]]],
  ['an unknown generator', [[40, text('xts-plain65')]]],
  ['an unknown hash of vectors', [[40, text('xts-essiv:foo')]]],
  ['ESSIV without a hash', [[40, text('xts-essiv')]]],
  ['ESSIV with a hash that is no key', [[40, text('xts-essiv:sha1')]]],
  ['an unknown cipher', [[8, text('foo')]]],
  ['a key of another size', [[108, u32(40)]]],
  ['an unknown hash', [[72, text('foo')]]],
  [
    'cast5 with XTS',
    [
      [8, text('cast5')],
      [108, u32(32)],
    ],
  ],
  ['a payload behind the end of the file', [[104, u32(0x00100000)]]],
];

test.each(DAMAGE)('%s', async (_, changes) => {
  const damaged = Buffer.from(intact);
  for (const [at, bytes] of changes) damaged.set(bytes, at);
  writeFileSync(image, damaged);
  const options = `driver=luks,file.filename=${image}`;
  const { stderr, status } = run('qemu-img', 'info', '--image-opts', options);
  const graph = newGraph();
  const opened = graph.openImage({
    options: { driver: 'luks', 'file.filename': image },
    readOnly: true,
    noIo: true,
  });
  if (status === 0) {
    await opened;
  } else {
    const theirs = stderr.trim().replace(`qemu-img: Could not open '${options}': `, '');
    await expect(opened).rejects.toThrow(theirs);
  }
  await graph.close();
  expect(Buffer.compare(readFileSync(image), damaged)).toBe(0);
});

test('a slot so far away that the real tool counts past 2^32, and takes it', async () => {
  const damaged = Buffer.from(intact);
  damaged.set(u32(0xffffffff), slot(7) + 40);
  writeFileSync(image, damaged);
  const graph = newGraph();
  await expect(graph.openImage({ filename: image, readOnly: true, noIo: true })).rejects.toThrow(
    'Keyslot 7 is overlapping with the encrypted payload',
  );
  await graph.close();
});

test('a key slot whose material or salt is damaged opens nothing, and the next one does', async () => {
  const open = async (secret: string): Promise<void> => {
    const graph = newGraph();
    try {
      await graph.openImage({
        options: { driver: 'luks', 'key-secret': secret, 'file.filename': image },
        readOnly: true,
      });
    } finally {
      await graph.close();
    }
  };
  writeFileSync(image, intact);
  await open('first');
  for (const at of [4096, 4096 + 255999, slot(0) + 8, 112, 132]) {
    const damaged = Buffer.from(intact);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    writeFileSync(image, damaged);
    await expect(open('first')).rejects.toThrow('Invalid password, cannot unlock any keyslot');
  }
});

test('what cannot open a container says so', async () => {
  writeFileSync(image, intact);
  const open = async (options: Record<string, string>): Promise<void> => {
    const graph = newGraph();
    try {
      await graph.openImage({ options: { driver: 'luks', 'file.filename': image, ...options } });
    } finally {
      await graph.close();
    }
  };
  await expect(open({})).rejects.toThrow("Parameter 'key-secret' is required for cipher");
  await expect(open({ 'key-secret': 'nobody' })).rejects.toThrow("No secret with id 'nobody'");
  await expect(open({ 'key-secret': 'second' })).rejects.toThrow(
    'Invalid password, cannot unlock any keyslot',
  );
  expect(Buffer.compare(readFileSync(image), intact)).toBe(0);
});
