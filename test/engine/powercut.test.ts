/**
 * Power cuts: all writes of a session are recorded; then images are put together as they may be after a cut, with
 * everything up to some flush, and of the writes behind it any part, in order or not. qemu-img check may find leaked
 * clusters in them, never a corruption; and what was flushed is there.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { Status } from '../../src/engine/contract';
import type { Engine, NodeHandle } from '../../src/engine/contract';
import { cutAt, recorded, Replica, type Step } from './recording';
import { load, must, newEngine, openQcow2, random, run, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const CUTS = 14;

/** Writes the cluster at or before `offset` compressed, if nothing is there. */
function compressOne(engine: Engine, node: NodeHandle, offset: number, seed: number): void {
  const { clusterSize } = engine.qcow2Info(node);
  const start = offset - (offset % clusterSize);
  if (engine.blockStatus(node, start, clusterSize).flags & Status.ALLOCATED) return;
  const buffer = engine.alloc(clusterSize);
  const pick = random(seed);
  // From one that takes a few bytes to one that hardly gets smaller.
  const values = 1 + pick(250);
  const bytes = buffer.view();
  for (let i = 0; i < bytes.length; i++) bytes[i] = pick(values);
  engine.writeCompressed(node, start, clusterSize, buffer);
  buffer.free();
}

test.each([
  ['cluster_size=512,refcount_bits=16', false],
  ['cluster_size=4k,refcount_bits=1', false],
  ['cluster_size=4k', true],
  ['cluster_size=64k', true],
])('%s, with a snapshot: %s', async (options, snapshot) => {
  const path = scratch.path('start.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, '2M');
  must('qemu-io', '-c', 'write -P 200 0 1M', path);
  if (snapshot) must('qemu-img', 'snapshot', '-c', 's', path);
  const start = await load(path);
  const first = new Uint8Array(start.size());
  start.read(first, 0);

  const engine = newEngine();
  const steps: Step[] = [];
  const image = openQcow2(engine, recorded(start, steps), { readOnly: false });
  const pick = random(options.length + 5);
  const buffer = engine.alloc(1 << 17);
  for (let i = 0; i < 160; i++) {
    const length = 512 * (1 + pick(100));
    const offset = 512 * pick(((2 << 20) - length) / 512);
    const kind = pick(13);
    buffer.view(0, length).fill(1 + (i % 199));
    if (kind < 5) engine.write(image.node, offset, length, buffer);
    else if (kind < 7) engine.writeZeroes(image.node, offset, length, pick(2) * 2);
    else if (kind < 9) engine.discard(image.node, offset, length);
    else if (kind < 10) engine.flush(image.node);
    else compressOne(engine, image.node, offset, i);
  }
  engine.truncate(image.node, 9 << 20);
  engine.truncate(image.node, 1 << 20);
  image.close();

  const cut = scratch.path('cut.qcow2');
  for (let i = 0; i < CUTS; i++) {
    const at = pick(steps.length + 1);
    // Half of the cuts lose any of the writes that were not flushed, half of them only the last ones.
    writeFileSync(
      cut,
      cutAt(first, steps, at, () => i % 2 === 1 || pick(2) === 1),
    );
    const { status, stdout, stderr } = run('qemu-img', 'check', cut);
    // No entry points to compressed data that is not there.
    must('qemu-img', 'convert', '-O', 'raw', cut, scratch.path('cut.raw'));
    // 0: clean, 3: leaked clusters and nothing else.
    expect([0, 3], `cut at ${at} of ${steps.length}\n${stdout}${stderr}`).toContain(status);
  }
});

test('flushed data outlives a cut', async () => {
  const path = scratch.path('flushed.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', path, '1M');
  const file = await load(path);
  const start = new Uint8Array(file.size());
  file.read(start, 0);
  const engine = newEngine();
  const steps: Step[] = [];
  const image = openQcow2(engine, recorded(file, steps), { readOnly: false });
  const buffer = engine.alloc(65536);
  buffer.view().fill(5);
  engine.write(image.node, 100_000, 30_000, buffer);
  engine.flush(image.node);
  const marked = steps.length;
  expect(steps[marked - 1]).toEqual({ kind: 'flush' });
  buffer.view().fill(6);
  engine.write(image.node, 300_000, 30_000, buffer);
  const replica = new Replica(start);
  for (const step of steps.slice(0, marked)) replica.apply(step);
  writeFileSync(path, replica.bytes.subarray(0, replica.size));
  expect(must('qemu-io', '-c', 'read -P 5 100000 30000', '-c', 'read -P 0 300000 30000', path)).not.toContain(
    'verification failed',
  );
  image.close();
});
