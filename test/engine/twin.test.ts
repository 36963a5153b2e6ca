/**
 * The same random writes, zero writes and discards by this engine and by qemu-io, on twins of one image: the same
 * content, no complaint of qemu-img check, and then each goes on with the other's image.
 */
import { copyFileSync, readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { RequestFlag } from '../../src/engine/contract';
import type { NodeHandle } from '../../src/engine/contract';
import { contentOf, load, must, newEngine, openQcow2, random, run, save, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const SIZE = 4 * 1048576 + 512 * 5;
const BACKING_SIZE = 2 * 1048576 + 512;

const layouts: [string, boolean][] = [];
for (const [index, cluster] of ['512', '1k', '4k', '64k', '2M'].entries()) {
  layouts.push([`cluster_size=${cluster},compat=0.10`, index % 2 === 0]);
  // Every width with small clusters, where tables grow; half of them over a backing file.
  const widths = index % 2 === 0 && index > 0 ? [1, 16, 64] : [1, 2, 4, 8, 16, 32, 64];
  for (const [i, width] of (index === 3 ? [16] : widths).entries()) {
    layouts.push([`cluster_size=${cluster},refcount_bits=${width}`, (index + i) % 2 === 0]);
  }
}

for (const [index, cluster] of ['16k', '64k', '2M'].entries()) {
  layouts.push([`cluster_size=${cluster},extended_l2=on`, true]);
  layouts.push([`cluster_size=${cluster},extended_l2=on,refcount_bits=${1 << index}`, false]);
  layouts.push([`cluster_size=${cluster},extended_l2=on,preallocation=metadata`, true]);
}

test.each(layouts)('%s, backing file: %s', async (options, backed) => {
  const engine = newEngine();
  const theirs = scratch.path('theirs.qcow2');
  const ours = scratch.path('ours.qcow2');
  const base = scratch.path('base.raw');
  let backing: NodeHandle | null = null;
  if (backed) {
    must('qemu-img', 'create', '-q', '-f', 'raw', base, String(BACKING_SIZE));
    must('qemu-io', '-f', 'raw', '-c', 'write -P 77 0 1M', '-c', 'write -P 78 1500k 300k', base);
    must(
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-o',
      options,
      '-b',
      base,
      '-F',
      'raw',
      theirs,
      String(SIZE),
    );
    const file = engine.openFile(await load(base, true), { readOnly: true });
    backing = engine.openRaw(file, { readOnly: true });
  } else {
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, theirs, String(SIZE));
  }
  copyFileSync(theirs, ours);

  const pick = random(options.length * 1009 + (backed ? 7 : 0) + options.charCodeAt(options.length - 1));
  const buffer = engine.alloc(1 << 18);
  for (let round = 0; round < 2; round++) {
    const file = await load(ours);
    // Every other layout with the smallest caches, so that tables are written back in the middle of requests.
    const small = options.length % 2 === 0 ? { l2CacheSize: 0, l2CacheEntrySize: 512 } : {};
    const image = openQcow2(engine, file, { readOnly: false, ...small }, backing);
    const words: string[] = [];
    for (let i = 0; i < 120; i++) {
      const kind = pick(10);
      let length = 512 * (1 + pick(pick(3) ? 40 : 500));
      let offset = pick((SIZE - length) / 512) * 512;
      if (pick(3) === 0) {
        length -= pick(511);
        offset += pick(100);
      }
      if (kind < 6) {
        const pattern = 1 + pick(255);
        words.push('-c', `write -P ${pattern} ${offset} ${length}`);
        buffer.view(0, length).fill(pattern);
        engine.write(image.node, offset, length, buffer);
      } else if (kind < 8) {
        const unmap = pick(2) === 1;
        words.push('-c', `write -z ${unmap ? '-u ' : ''}${offset} ${length}`);
        engine.writeZeroes(image.node, offset, length, unmap ? RequestFlag.MAY_UNMAP : 0);
      } else if (kind < 9) {
        words.push('-c', `discard ${offset} ${length}`);
        engine.discard(image.node, offset, length);
      } else {
        words.push('-c', 'flush');
        engine.flush(image.node);
      }
    }
    const seen = contentOf(engine, image.node);
    image.close();
    save(file, ours);
    must('qemu-io', '-f', 'qcow2', '-d', 'unmap', ...words, theirs);
    const check = run('qemu-img', 'check', ours);
    expect(check.stdout + check.stderr).toMatch(/^No errors were found on the image\.\n/);
    expect(must('qemu-img', 'compare', ours, theirs)).toBe('Images are identical.\n');
    must('qemu-img', 'convert', '-O', 'raw', theirs, scratch.path('content.raw'));
    expect(Buffer.compare(seen, readFileSync(scratch.path('content.raw')))).toBe(0);
    // Each goes on with what the other has written.
    copyFileSync(theirs, scratch.path('swap.qcow2'));
    copyFileSync(ours, theirs);
    copyFileSync(scratch.path('swap.qcow2'), ours);
  }
});
