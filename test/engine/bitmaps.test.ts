/** Dirty bitmaps of nodes: against a model of one flag for each granule, and on disks of all sizes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BitmapHandle } from '../../src/engine/request';
import { BlockError, RequestFlag, type Engine, type NodeHandle } from '../../src/engine/contract';
import { Errno } from '../../src/files/contract';
import { keptOpen, memoryFile, newEngine, openQcow2 } from './support';

const engine = newEngine();
const { bitmaps } = engine;

function errnoOf(call: () => unknown): number {
  try {
    call();
  } catch (error) {
    if (error instanceof BlockError) return error.errno;
    throw error;
  }
  return 0;
}

function withNull(size: number, use: (node: NodeHandle) => void): void {
  const node = engine.openNull({ size, readZeroes: true });
  try {
    use(node);
  } finally {
    engine.close(node);
  }
}

/** The dirty granules, as the bits in memory say. */
function bitsOf(bitmap: BitmapHandle): boolean[] {
  const { size, granularity } = bitmaps.state(bitmap);
  const bytes = bitmaps.serialBytes(bitmap);
  const buffer = engine.alloc(bytes);
  bitmaps.serialize(bitmap, 0, bytes, buffer);
  const view = buffer.view();
  const bits = Array.from(
    { length: Math.ceil(size / granularity) },
    (_, i) => ((view[i >> 3]! >> (i & 7)) & 1) === 1,
  );
  buffer.free();
  return bits;
}

/** What the model says must be what all questions answer. */
function expectBits(bitmap: BitmapHandle, model: readonly boolean[]): void {
  const { granularity, size, count } = bitmaps.state(bitmap);
  expect(bitsOf(bitmap)).toEqual(model);
  expect(count).toBe(model.filter(Boolean).length * granularity);
  const seen = model.map(() => false);
  let clean = 0;
  for (let at = 0; at < size;) {
    const area = bitmaps.nextDirtyArea(bitmap, at, size);
    if (!area) break;
    expect(bitmaps.nextZero(bitmap, clean) ?? size).toBe(
      area.offset > clean ? clean : area.offset + area.bytes,
    );
    expect(area.offset % granularity).toBe(0);
    for (let i = area.offset / granularity; i * granularity < area.offset + area.bytes; i++) seen[i] = true;
    at = clean = area.offset + area.bytes;
  }
  expect(seen).toEqual(model);
}

describe('requests', () => {
  test('every kind of write marks enabled bitmaps of its own node, reads do not', async () => {
    const file = await memoryFile();
    const bottom = engine.openFile(keptOpen(file), { readOnly: false });
    engine.createQcow2(bottom, {
      size: 1 << 20,
      version: 3,
      clusterSize: 65536,
      refcountBits: 16,
      lazyRefcounts: false,
      preallocation: 0,
      backingFile: null,
      backingFormat: null,
    });
    engine.close(bottom);
    const image = openQcow2(engine, file, { readOnly: false });
    const on = bitmaps.create(image.node, 65536, 'on');
    const off = bitmaps.create(image.node, 65536);
    const below = bitmaps.create(image.file, 65536);
    bitmaps.setEnabled(off, false);
    const buffer = engine.alloc(65536);
    buffer.view().fill(7);
    engine.read(image.node, 0, 4096, buffer);
    expect(bitmaps.count(on)).toBe(0);
    engine.write(image.node, 65535, 2, buffer);
    expect(bitmaps.nextDirtyArea(on, 0, 1 << 20)).toEqual({ offset: 0, bytes: 131072 });
    engine.writeZeroes(image.node, 0x40000, 1, RequestFlag.MAY_UNMAP);
    engine.discard(image.node, 0x80000, 65536);
    engine.writeCompressed(image.node, 0xf0000, 65536, buffer);
    engine.writeCompressed(image.node, 0, 0, buffer);
    expect([0, 1, 4, 8, 15].every((i) => bitmaps.get(on, i * 65536))).toBe(true);
    expect(bitmaps.count(on)).toBe(5 * 65536);
    expect(bitmaps.count(off)).toBe(0);
    engine.flush(image.node);
    expect(bitmaps.count(below)).toBeGreaterThan(0);
    // The file grew, and the bitmap with it.
    expect(bitmaps.state(below).size).toBe(engine.length(image.file));
    expect(bitmaps.of(image.node)).toEqual([off, on]);
    expect(bitmaps.state(on).name).toBe('on');
    bitmaps.rename(on, 'ön');
    expect(bitmaps.state(on).name).toBe('ön');
    image.close();
    expect(errnoOf(() => bitmaps.count(on))).toBe(Errno.EINVAL);
    buffer.free();
  });

  test('a refused write past the end leaves the size of bitmaps alone', async () => {
    const node = engine.openFile(await memoryFile(new Uint8Array(4096)), { readOnly: false });
    const raw = engine.openRaw(node, { offset: 0, size: 2048, readOnly: false });
    const bitmap = bitmaps.create(raw, 512);
    const buffer = engine.alloc(4096);
    expect(errnoOf(() => engine.write(raw, 1024, 2048, buffer))).toBe(Errno.EIO);
    expect(bitmaps.state(bitmap)).toMatchObject({ size: 2048, count: 0 });
    engine.close(raw);
    const whole = engine.openRaw(node, { readOnly: false });
    const grows = bitmaps.create(whole, 512);
    const file = bitmaps.create(node, 512);
    engine.write(whole, 3584, 512, buffer);
    engine.truncate(whole, 8192);
    expect(bitmaps.state(grows)).toMatchObject({ size: 8192, count: 512 });
    expect(bitmaps.state(file)).toMatchObject({ size: 8192, count: 512 });
    engine.truncate(whole, 3000 - (3000 % 512));
    expect(bitmaps.state(grows)).toMatchObject({ size: 2560, count: 0 });
    engine.truncate(whole, 4096);
    expect(bitmaps.state(grows)).toMatchObject({ size: 4096, count: 0 });
    engine.close(whole);
    engine.close(node);
    buffer.free();
  });
});

test('what is too large or too fine is refused', () => {
  withNull(2 ** 53 - 512, (node) => {
    expect(errnoOf(() => bitmaps.create(node, 512))).toBe(Errno.ENOMEM);
    for (const wrong of [256, 2 ** 32]) expect(errnoOf(() => bitmaps.create(node, wrong))).toBe(Errno.EINVAL);
    const bitmap = bitmaps.create(node, 65536);
    const before = engine.memoryBytes();
    bitmaps.set(bitmap, 0, 2 ** 53);
    expect(bitmaps.count(bitmap)).toBe(2 ** 53);
    expect(engine.memoryBytes()).toBe(before);
    bitmaps.reset(bitmap, 0, 2 ** 53);
    bitmaps.set(bitmap, 2 ** 52 + 5, 1);
    expect(bitmaps.nextDirtyArea(bitmap, 0, 2 ** 53)).toEqual({ offset: 2 ** 52, bytes: 65536 });
    expect(bitmaps.nextDirtyArea(bitmap, 2 ** 52 + 7, 2 ** 53, 100)).toEqual({
      offset: 2 ** 52 + 7,
      bytes: 100,
    });
    expect(bitmaps.nextDirtyArea(bitmap, 2 ** 52 + 65536, 2 ** 53)).toBeNull();
  });
});

type Change =
  | { kind: 'set' | 'reset' | 'write'; at: number; bytes: number }
  | { kind: 'resize'; size: number }
  | { kind: 'merge'; into: number; from: number }
  | { kind: 'clear' | 'restore' | 'save' | 'load'; which: number };

const GRANULARITIES = [512, 1024, 4096];
/** Up to two pages and a half of 512-byte granules. */
const MAX_SIZE = 512 * 80000;

const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('set' as const, 'reset' as const, 'write' as const),
      at: fc.nat(MAX_SIZE),
      bytes: fc.oneof(fc.nat(3000), fc.nat(MAX_SIZE)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('resize' as const), size: fc.nat(MAX_SIZE) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('merge' as const), into: fc.nat(2), from: fc.nat(2) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('clear' as const, 'restore' as const, 'save' as const, 'load' as const),
      which: fc.nat(2),
    }),
  },
);

/** Bitmaps of three granularities of one node, and the same as lists of flags. */
class Model {
  size = 512 * 70000;
  readonly flags = GRANULARITIES.map((granularity) => this.clean(granularity));
  private clean(granularity: number): boolean[] {
    return new Array<boolean>(Math.ceil(this.size / granularity)).fill(false);
  }
  set(which: number, at: number, bytes: number, on: boolean): void {
    const flags = this.flags[which]!;
    const granularity = GRANULARITIES[which]!;
    if (bytes === 0) return;
    const end = at + bytes >= this.size ? flags.length * granularity : at + bytes;
    const first = on ? Math.floor(at / granularity) : Math.ceil(at / granularity);
    const last = on ? Math.ceil(end / granularity) : Math.floor(end / granularity);
    for (let i = first; i < Math.min(last, flags.length); i++) flags[i] = on;
  }
}

function apply(
  engineNow: Engine,
  node: NodeHandle,
  handles: BitmapHandle[],
  model: Model,
  step: Change,
): void {
  switch (step.kind) {
    case 'set':
    case 'reset': {
      bitmaps[step.kind](handles[0]!, step.at, step.bytes);
      model.set(0, step.at, step.bytes, step.kind === 'set');
      break;
    }
    case 'write': {
      const at = Math.min(step.at, model.size);
      const bytes = Math.min(step.bytes, model.size - at);
      engineNow.writeZeroes(node, at, bytes);
      for (const which of [0, 1, 2]) model.set(which, at, bytes, true);
      break;
    }
    case 'resize': {
      const size = step.size - (step.size % 512);
      engineNow.truncate(node, size);
      model.size = size;
      GRANULARITIES.forEach((granularity, which) => {
        const flags = model.flags[which]!;
        const length = Math.ceil(size / granularity);
        const grown = new Array<boolean>(Math.max(0, length - flags.length)).fill(false);
        model.flags[which] = [...flags.slice(0, length), ...grown];
      });
      break;
    }
    case 'merge': {
      bitmaps.merge(handles[step.into]!, handles[step.from]!);
      const granularity = GRANULARITIES[step.from]!;
      model.flags[step.from]!.slice().forEach((dirty, i) => {
        const bytes = Math.min(granularity, model.size - i * granularity);
        if (dirty) model.set(step.into, i * granularity, bytes, true);
      });
      break;
    }
    case 'clear':
      bitmaps.release(bitmaps.clear(handles[step.which]!));
      model.flags[step.which]!.fill(false);
      break;
    case 'save':
    case 'restore': {
      const bitmap = handles[step.which]!;
      const saved = step.kind === 'save' ? bitmaps.save(bitmap) : bitmaps.clear(bitmap);
      bitmaps.set(bitmap, 0, 5000);
      bitmaps.restore(bitmap, saved);
      break;
    }
    case 'load': {
      const bitmap = handles[step.which]!;
      const bytes = bitmaps.serialBytes(bitmap);
      const buffer = engineNow.alloc(bytes);
      bitmaps.serialize(bitmap, 0, bytes, buffer);
      bitmaps.release(bitmaps.clear(bitmap));
      // In pieces that are no pages.
      const piece = engineNow.alloc(777);
      for (let at = 0; at < bytes; at += 777) {
        const n = Math.min(777, bytes - at);
        piece.view(0, n).set(buffer.view(at, n));
        bitmaps.deserialize(bitmap, at, n, piece);
      }
      piece.free();
      buffer.free();
    }
  }
}

test('any sequence of changes leaves what a model of flags says', async () => {
  const file = await memoryFile();
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (steps) => {
      const bottom = engine.openFile(keptOpen(file), { readOnly: false });
      const model = new Model();
      engine.truncate(bottom, model.size);
      const handles = GRANULARITIES.map((granularity) => bitmaps.create(bottom, granularity));
      try {
        for (const step of steps) apply(engine, bottom, handles, model, step);
        handles.forEach((handle, which) => expectBits(handle, model.flags[which]!));
      } finally {
        engine.close(bottom);
      }
    }),
    { numRuns: 40, seed: 7 },
  );
});

test('bits behind the end of a disk are not taken', () => {
  withNull(512 * 13, (node) => {
    const bitmap = bitmaps.create(node, 512);
    const buffer = engine.alloc(16);
    buffer.view().fill(0);
    buffer.view()[1] = 0x20;
    expect(errnoOf(() => bitmaps.deserialize(bitmap, 0, 2, buffer))).toBe(Errno.EINVAL);
    buffer.view().set([0xff, 0x1f]);
    bitmaps.deserialize(bitmap, 0, 2, buffer);
    expect(bitmaps.count(bitmap)).toBe(512 * 13);
    expect(bitmaps.nextZero(bitmap, 0)).toBeNull();
  });
});
