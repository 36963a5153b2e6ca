/** What the bitmaps of a disk take in a new image: figures of `qemu-img measure` 10.0 for the same bitmaps. */
import { expect, test } from 'vitest';
import { qcow2Layout } from '../../src/tools/img/qcow2size';

const BITMAPS = [
  { name: 'b0', granularity: 65536 },
  { name: 'a-longer-name', granularity: 512 },
  { name: 'b2', granularity: 1 << 20 },
];

test.each([
  [65536, 458752n],
  [512, 5632n],
])('clusters of %i bytes', (cluster_size, bytes) => {
  expect(qcow2Layout({ cluster_size }).bitmapSize(10n << 20n, BITMAPS)).toBe(bytes);
});

test('no bitmaps take nothing', () => {
  expect(qcow2Layout({}).bitmapSize(10n << 20n, [])).toBe(0n);
});
