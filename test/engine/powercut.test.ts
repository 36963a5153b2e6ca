/**
 * Power cuts: all writes of a session are recorded; then images are put together as they may be after a cut, with
 * everything up to some flush, and of the writes behind it any part, in order or not. qemu-img check may find leaked
 * clusters in them, never a corruption; and what was flushed is there.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { BlockFile } from '../../src/files/contract';
import { load, must, newEngine, openQcow2, random, run, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

type Step =
  { kind: 'write'; at: number; bytes: Uint8Array } | { kind: 'size'; size: number } | { kind: 'flush' };

/** Passes everything on and keeps a list of it. */
function recorded(file: BlockFile, steps: Step[]): BlockFile {
  return {
    readOnly: false,
    read: (into, at) => file.read(into, at),
    write: (from, at) => {
      steps.push({ kind: 'write', at, bytes: from.slice() });
      file.write(from, at);
    },
    flush: () => {
      steps.push({ kind: 'flush' });
      file.flush();
    },
    truncate: (size) => {
      steps.push({ kind: 'size', size });
      file.truncate(size);
    },
    size: () => file.size(),
    allocated: () => file.allocated(),
    close: () => file.close(),
  };
}

/** A disk image that grows. */
class Replica {
  bytes: Uint8Array;
  size: number;

  constructor(start: Uint8Array) {
    this.bytes = start.slice();
    this.size = start.length;
  }

  apply(step: Step): void {
    if (step.kind === 'size') this.resize(step.size);
    if (step.kind !== 'write') return;
    this.resize(Math.max(this.size, step.at + step.bytes.length));
    this.bytes.set(step.bytes, step.at);
  }

  copy(): Replica {
    return new Replica(this.bytes.subarray(0, this.size));
  }

  private resize(size: number): void {
    if (size > this.bytes.length) {
      const bytes = new Uint8Array(size * 2);
      bytes.set(this.bytes.subarray(0, this.size));
      this.bytes = bytes;
    }
    if (size < this.size) this.bytes.fill(0, size, this.size);
    this.size = size;
  }
}

const CUTS = 14;

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
    const kind = pick(10);
    buffer.view(0, length).fill(1 + (i % 199));
    if (kind < 5) engine.write(image.node, offset, length, buffer);
    else if (kind < 7) engine.writeZeroes(image.node, offset, length, pick(2) * 2);
    else if (kind < 9) engine.discard(image.node, offset, length);
    else engine.flush(image.node);
  }
  engine.truncate(image.node, 9 << 20);
  engine.truncate(image.node, 1 << 20);
  image.close();

  const cut = scratch.path('cut.qcow2');
  for (let i = 0; i < CUTS; i++) {
    const at = pick(steps.length + 1);
    let flushed = at;
    while (flushed > 0 && steps[flushed - 1]!.kind !== 'flush') flushed--;
    const replica = new Replica(first);
    for (const step of steps.slice(0, flushed)) replica.apply(step);
    const rest = steps.slice(flushed, at);
    // Half of the cuts lose any of the writes that were not flushed, half of them only the last ones.
    const kept = i % 2 ? rest : rest.filter((step) => step.kind === 'size' || pick(2) === 1);
    for (const step of kept) replica.apply(step);
    writeFileSync(cut, replica.bytes.subarray(0, replica.size));
    const { status, stdout, stderr } = run('qemu-img', 'check', cut);
    // 0: clean, 3: leaked clusters and nothing else.
    expect([0, 3], `cut at ${at} of ${steps.length}, flushed ${flushed}\n${stdout}${stderr}`).toContain(
      status,
    );
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
