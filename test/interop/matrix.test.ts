/**
 * Every two properties that a qcow2 image can have meet: images with them are made and used by the same commands of the real
 * tools and of ours, each looks at both, and then each goes on with the other's image.
 */
import { mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Outcome, runOurs, runReal, splitWords, Twins } from '../tools/twins';
import { pairwise } from './pairs';

const PARAMETERS = {
  compat: ['1.1', '0.10'],
  cluster_size: ['512', '4k', '16k', '64k', '2M'],
  refcount_bits: ['16', '1', '2', '4', '8', '32', '64'],
  extended_l2: ['off', 'on'],
  data_file: ['', 'i.raw'],
  data_file_raw: ['off', 'on'],
  compression_type: ['zlib', 'zstd'],
  lazy_refcounts: ['off', 'on'],
  preallocation: ['off', 'metadata', 'falloc', 'full'],
} as const;

type Row = Record<keyof typeof PARAMETERS, string>;

/** What QEMU makes. */
function allowed(row: Row): boolean {
  if (row.extended_l2 === 'on' && ['512', '4k'].includes(row.cluster_size)) return false;
  if (row.data_file_raw === 'on' && (row.data_file === '' || row.preallocation === 'off')) return false;
  const modern =
    row.extended_l2 === 'on' ||
    row.data_file !== '' ||
    row.compression_type === 'zstd' ||
    row.lazy_refcounts === 'on' ||
    row.refcount_bits !== '16';
  return row.compat === '1.1' || !modern;
}

function optionsOf(row: Row): string {
  return (Object.keys(PARAMETERS) as (keyof Row)[])
    .map((name) => [name, row[name]] as const)
    .filter(([name, value]) => value !== '' && !(row.compat === '0.10' && name === 'lazy_refcounts'))
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

const SIZE = 6 * 2 ** 20;

/** One after the other, by each tool on its own image. */
function commands(row: Row): { first: string[]; second: string[] } {
  // A reference count of one bit allows no snapshot.
  const snapshots = row.data_file === '' && row.refcount_bits !== '1';
  // Applying one takes another reference for a while, and two bits count to three.
  const two = snapshots && row.refcount_bits !== '2';
  const bitmaps = row.compat === '1.1';
  const io = (...list: string[]) => `qemu-io -d unmap ${list.map((one) => `-c "${one}"`).join(' ')} i.qcow2`;
  return {
    first: [
      `qemu-img create -f qcow2 -o ${optionsOf(row)} i.qcow2 ${SIZE}`,
      io('write -P 1 0 300k', 'write -P 2 1000k 70k', 'write -P 3 2100001 3000', 'write -z 100k 64k'),
      ...(snapshots
        ? ['qemu-img snapshot -c one i.qcow2', io('write -P 4 50k 200k', 'write -z -u 1M 64k')]
        : []),
      ...(bitmaps
        ? ['qemu-img bitmap --add i.qcow2 b0', 'qemu-img bitmap --add --disable -g 32k i.qcow2 b1']
        : []),
      io('discard 4k 90k', 'write -P 5 3M 1M', 'discard 3200k 200k', 'write -z 5M 1M', 'write -P 6 5100k 1k'),
    ],
    second: [
      io('write -P 7 0 64k', 'discard 1M 1M', 'write -z -u 2M 256k', 'write -P 8 5M 300k'),
      ...(bitmaps ? ['qemu-img bitmap --clear i.qcow2 b0', io('write -P 9 700k 1k')] : []),
      ...(snapshots
        ? [
            ...(two ? ['qemu-img snapshot -c two i.qcow2'] : []),
            // A snapshot is not applied while there are bitmaps.
            ...(bitmaps
              ? ['qemu-img bitmap --remove i.qcow2 b0', 'qemu-img bitmap --remove i.qcow2 b1']
              : []),
            'qemu-img snapshot -a one i.qcow2',
            'qemu-img snapshot -d one i.qcow2',
            ...(bitmaps ? ['qemu-img bitmap --add i.qcow2 b1'] : []),
          ]
        : []),
      // Version 2 does not change the size of a disk with snapshots.
      ...(row.compat === '1.1'
        ? [`qemu-img resize i.qcow2 ${SIZE + 2 ** 21 + 512}`, io(`write -P 10 ${SIZE - 512} 64k`)]
        : []),
      ...(row.data_file_raw === 'off' && row.compat === '1.1' ? ['qemu-img resize --shrink i.qcow2 4M'] : []),
      ...(two ? ['qemu-img snapshot -d two i.qcow2'] : []),
      ...(bitmaps ? ['qemu-img bitmap --remove i.qcow2 b1'] : []),
      io('write -P 11 2M 100k'),
    ],
  };
}

/** The images change sides. */
function swap(twins: Twins): void {
  const kept = join(twins.real, 'kept');
  mkdirSync(kept);
  const names = readdirSync(twins.real).filter((name) => name.startsWith('i.'));
  for (const name of names) renameSync(join(twins.real, name), join(kept, name));
  for (const name of names) renameSync(join(twins.ours, name), join(twins.real, name));
  for (const name of names) renameSync(join(kept, name), join(twins.ours, name));
  rmdirSync(kept);
}

const LOOKS = [
  'qemu-img check --output=json i.qcow2',
  'qemu-img map --output=json i.qcow2',
  'qemu-img info --output=json i.qcow2',
  'qemu-img snapshot -l i.qcow2',
];

interface Extent {
  start: number;
  length: number;
  zero: boolean;
  data: boolean;
  offset?: number;
}

/**
 * A map in which holes of the file inside of data are data: whether the system tells them depends on what it has already
 * written to the disk.
 */
function withoutHoles({ stdout, ...rest }: Outcome): { stderr: string; code: number; map: Extent[] } {
  const map: Extent[] = [];
  for (const extent of JSON.parse(stdout) as Extent[]) {
    const next = { ...extent, zero: extent.zero && !extent.data };
    const last = map.at(-1);
    const joined = last && {
      ...next,
      start: last.start,
      length: last.length + next.length,
      offset: last.offset,
    };
    const goesOn =
      last &&
      JSON.stringify({ ...last, length: joined?.length }) === JSON.stringify(joined) &&
      (last.offset === undefined || last.offset + last.length === next.offset);
    if (goesOn) last.length += next.length;
    else map.push(next);
  }
  return { ...rest, map };
}

/** Both tools say the same of both images, and the two are equal to a guest. */
async function look(twins: Twins): Promise<void> {
  for (const directory of [twins.real, twins.ours]) {
    for (const line of LOOKS) {
      const real = runReal(splitWords(line), directory);
      const ours = await runOurs(splitWords(line), directory);
      expect(real.code, real.stdout + real.stderr).toBe(0);
      if (line.includes(' map ')) expect(withoutHoles(ours), line).toEqual(withoutHoles(real));
      else expect(ours, line).toEqual(real);
    }
  }
  expect(twins.differences('i.qcow2', true)).toEqual([]);
}

describe('qcow2', () => {
  const rows = pairwise(PARAMETERS, allowed);
  test.each(rows.map((row) => [optionsOf(row), row] as const))('%s', async (_options, row) => {
    const twins = new Twins();
    try {
      const { first, second } = commands(row);
      for (const part of [first, second]) {
        for (const line of part) {
          const { real, ours } = await twins.run(line);
          expect(real.code, `${line}\n${real.stdout}${real.stderr}`).toBe(0);
          expect(ours, line).toEqual(real);
        }
        await look(twins);
        swap(twins);
      }
      await look(twins);
    } finally {
      twins.remove();
    }
  });
});
