/** Power cuts while an image is emptied, as a commit does at its end: what is left is sound, each sector as it was or zero. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { contentOf, memoryFile, must, newEngine, openQcow2, scratchDirectory } from '../support';
import { cutEverywhere } from './cuts';
import { Guest } from './guest';
import { recorded, type Step } from './recording';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const SECTOR = 512;

test.each([
  ['cluster_size=64k', []],
  ['cluster_size=512,refcount_bits=64', []],
  ['cluster_size=4k,compat=0.10', []],
  ['cluster_size=16k,extended_l2=on', []],
  ['cluster_size=4k,lazy_refcounts=on', []],
  ['cluster_size=4k', ['kept']],
] as const)('%s, snapshots: %s', { timeout: 120_000 }, async (options, snapshots) => {
  const path = scratch.path('image.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, '512k');
  must('qemu-io', '-c', 'write -P 1 0 130k', '-c', 'write -P 2 256k 100k', path);
  for (const name of snapshots) {
    must('qemu-img', 'snapshot', '-c', name, path);
    must('qemu-io', '-c', 'write -P 3 64k 20k', '-c', 'write -P 4 400k 20k', path);
  }
  const start = readFileSync(path);
  const engine = newEngine();
  const steps: Step[] = [];
  const image = openQcow2(engine, recorded(await memoryFile(start), steps), { readOnly: false });
  const before = contentOf(engine, image.node);
  const guest = new Guest(new Uint8Array(before.length / SECTOR).map((_, i) => before[i * SECTOR]!));
  guest.fill(steps.length, 0, before.length, 0);
  let at = 0;
  do at = engine.amend.makeEmpty(image.node, at);
  while (at > 0);
  guest.flushed(steps.length);
  expect(contentOf(engine, image.node).every((byte) => byte === 0)).toBe(true);
  image.close();
  expect(await cutEverywhere(engine, start, steps, guest, 7)).toBeGreaterThan(8);
});
