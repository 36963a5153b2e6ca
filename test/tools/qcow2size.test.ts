/** What the bitmaps of a disk take in a new image: figures of `qemu-img measure` 10.0 for the same bitmaps. */
import { expect, test } from 'vitest';
import { qcow2Layout } from '../../src/tools/img/qcow2size';

/** There are no secrets. */
const noSecret = (): never => {
  throw new Error('no secret');
};

const BITMAPS = [
  { name: 'b0', granularity: 65536 },
  { name: 'a-longer-name', granularity: 512 },
  { name: 'b2', granularity: 1 << 20 },
];

test.each([
  [65536, 458752n],
  [512, 5632n],
])('clusters of %i bytes', (cluster_size, bytes) => {
  expect(qcow2Layout({ cluster_size }, noSecret).bitmapSize(10n << 20n, BITMAPS)).toBe(bytes);
});

test('no bitmaps take nothing', () => {
  expect(qcow2Layout({}, noSecret).bitmapSize(10n << 20n, [])).toBe(0n);
});

test.each([
  [{}, 3473408n],
  [{ 'encrypt.cipher-alg': 'aes-128' }, 2490368n],
  [{ 'encrypt.cipher-mode': 'cbc' }, 2490368n],
  [{ cluster_size: 512 }, 3139584n],
])('a disk of 1 MiB that is encrypted, %o', (options, bytes) => {
  const values = { 'encrypt.format': 'luks', 'encrypt.key-secret': 'x', ...options };
  expect(qcow2Layout(values, () => undefined).fullSize(1n << 20n)).toBe(bytes);
  expect(() => qcow2Layout(values, noSecret)).toThrow('no secret');
});
