/**
 * Random writes, zeroes and discards by real qemu-io and by ours on twin images: the guest content stays equal, the image
 * is clean, and each tool goes on with the other's image.
 */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { haveTools, runOurs, runReal, Twins } from './twins';

/** Numbers from a seed, the same in every run (a linear congruential generator). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const SIZE = 5 * 1024 * 1024;
const REQUESTS = 250;

function commands(seed: number): string[] {
  const pick = random(seed);
  return Array.from({ length: REQUESTS }, () => {
    const offset = pick(SIZE);
    const bytes = 1 + pick(Math.min(SIZE - offset, pick(4) === 0 ? 400_000 : 5000));
    const kind = pick(10);
    if (kind < 6) return `write -q -P ${1 + pick(255)} ${offset} ${bytes}`;
    if (kind < 7) return `write -q -z ${offset} ${bytes}`;
    if (kind < 8) return `write -q -zu ${offset} ${bytes}`;
    return `discard -q ${offset} ${bytes}`;
  });
}

const LAYOUTS = [
  '-f qcow2 i.q 5M',
  '-f qcow2 -o cluster_size=512 i.q 5M',
  '-f qcow2 -o cluster_size=4k,refcount_bits=1 i.q 5M',
  '-f qcow2 -o cluster_size=2M,compat=0.10 i.q 5M',
  '-f qcow2 -o lazy_refcounts=on,refcount_bits=64 i.q 5M',
  '-f qcow2 -b base.q -F qcow2 i.q 5M',
  '-f qcow2 -o preallocation=metadata i.q 5M',
  '-f qcow2 -o extended_l2=on i.q 5M',
  '-f qcow2 -o extended_l2=on,cluster_size=16k -b base.q -F qcow2 i.q 5M',
  '-f qcow2 -o extended_l2=on,preallocation=metadata,cluster_size=128k -b base.q -F qcow2 i.q 5M',
];

describe.runIf(haveTools)('random requests', () => {
  it.each(LAYOUTS.map((layout, index) => ({ layout, seed: 1000 + index })))(
    'on $layout',
    async ({ layout, seed }) => {
      const twins = new Twins();
      try {
        twins.prepare("qemu-img create -q -f qcow2 base.q 3M && qemu-io -c 'write -q -P 9 100k 2M' base.q");
        twins.prepare(`qemu-img create -q ${layout}`);
        const asOptions = (list: string[]): string[] => list.flatMap((command) => ['-c', command]);
        const first = asOptions(commands(seed));
        const second = asOptions(commands(seed + 500));
        const here = [twins.real, twins.ours];
        expect(runReal(['qemu-io', ...first, 'i.q'], twins.real)).toEqual({
          stdout: '',
          stderr: '',
          code: 0,
        });
        expect(await runOurs(['qemu-io', ...first, 'i.q'], twins.ours)).toEqual({
          stdout: '',
          stderr: '',
          code: 0,
        });
        expect(same(twins)).toEqual([]);
        // Each goes on with the other's image.
        const [real = '', ours = ''] = here.map((directory) => join(directory, 'i.q'));
        copyFileSync(real, `${real}.kept`);
        copyFileSync(ours, real);
        copyFileSync(`${real}.kept`, ours);
        expect(runReal(['qemu-io', ...second, 'i.q'], twins.real)).toEqual({
          stdout: '',
          stderr: '',
          code: 0,
        });
        expect(await runOurs(['qemu-io', ...second, 'i.q'], twins.ours)).toEqual({
          stdout: '',
          stderr: '',
          code: 0,
        });
        expect(same(twins)).toEqual([]);
      } finally {
        twins.remove();
      }
    },
  );
});

/** Equal content, and both clean. */
function same(twins: Twins): string[] {
  const { stdout, code } = runReal(['qemu-img', 'check', 'i.q'], twins.real);
  return [...twins.differences('i.q', true), ...(code === 0 ? [] : [stdout])];
}
