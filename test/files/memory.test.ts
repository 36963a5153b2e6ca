import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Errno } from '../../src/files/contract';
import { MemoryStore } from '../../src/files/memory';
import { fails } from './assert';
import { conformance } from './conformance';
import type { Backend } from './conformance';

const memory: Backend = {
  writable: true,
  holes: 'exact',
  punch: true,
  unlinkOpen: true,
  create: async () => {
    const store = new MemoryStore();
    return {
      store,
      make: async (path, bytes) => {
        const file = await store.open(path, { write: true, create: 'truncate' });
        file.write(bytes, 0);
        file.close();
      },
    };
  },
};

describe('memory: conformance', () => {
  for (const { name, run } of conformance(memory)) test(name, run);
});

describe('memory', () => {
  test('a write beyond the quota is ENOSPC and changes nothing', async () => {
    const store = new MemoryStore({ quota: 64 * 1024 });
    const file = await store.open('a', { write: true, create: 'truncate' });
    file.write(new Uint8Array(60 * 1024).fill(1), 0);
    await fails(Errno.ENOSPC, () => file.write(new Uint8Array(12288).fill(2), 56 * 1024));
    expect(file.size()).toBe(60 * 1024);
    const into = new Uint8Array(60 * 1024);
    file.read(into, 0);
    expect(into.every((byte) => byte === 1)).toBe(true);
    // What is there can be overwritten, a hole costs nothing, and what is freed can be used again.
    file.write(new Uint8Array(60 * 1024).fill(3), 0);
    file.truncate(2 ** 40);
    file.write(new Uint8Array(4096), 2 ** 39);
    await fails(Errno.ENOSPC, () => file.write(new Uint8Array(1), 0x7000000000));
    file.punch(0, 4096);
    file.write(new Uint8Array(1), 0x7000000000);
    expect(store.used).toBe(64 * 1024);
    file.close();
    await store.remove('a');
    expect(store.used).toBe(0);
  });

  test('the space of a removed file is freed with its last handle', async () => {
    const store = new MemoryStore();
    const file = await store.open('a', { write: true, create: 'truncate' });
    file.write(new Uint8Array(8192), 0);
    await store.remove('a');
    expect(store.used).toBe(8192);
    file.close();
    expect(store.used).toBe(0);
  });

  test('holes of terabytes are told at once', async () => {
    const store = new MemoryStore();
    const file = await store.open('a', { write: true, create: 'truncate' });
    const size = 2 ** 50;
    file.truncate(size);
    file.write(new Uint8Array(1), size / 2);
    const start = performance.now();
    expect(file.extent(0)).toEqual({ data: false, bytes: size / 2 });
    expect(file.extent(size / 2)).toEqual({ data: true, bytes: 4096 });
    expect(file.extent(size / 2 + 4096)).toEqual({ data: false, bytes: size / 2 - 4096 });
    file.punch(0, size);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(file.allocated()).toBe(0);
  });

  test('any series of writes, holes and truncations reads like an array', () => {
    const LIMIT = 600_000;
    const offset = fc.nat(LIMIT);
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('write' as const),
        at: offset,
        bytes: fc.integer({ min: 1, max: 150_000 }),
      }),
      fc.record({
        kind: fc.constant('punch' as const),
        at: offset,
        bytes: fc.integer({ min: 1, max: 300_000 }),
      }),
      fc.record({ kind: fc.constant('truncate' as const), at: offset, bytes: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const store = new MemoryStore();
        const file = store.openSync('a', { write: true, create: 'truncate' });
        let model = new Uint8Array(0);
        const resize = (size: number) => {
          const next = new Uint8Array(size);
          next.set(model.subarray(0, size));
          model = next;
        };
        steps.forEach(({ kind, at, bytes }, index) => {
          if (kind === 'truncate') {
            file.truncate(at);
            resize(at);
          } else if (kind === 'write') {
            file.write(new Uint8Array(bytes).fill(index + 1), at);
            if (at + bytes > model.length) resize(at + bytes);
            model.fill(index + 1, at, at + bytes);
          } else {
            if (at + bytes > model.length) return;
            file.punch(at, bytes);
            model.fill(0, at, at + bytes);
          }
        });
        expect(file.size()).toBe(model.length);
        const all = new Uint8Array(model.length);
        expect(file.read(all, 0)).toBe(model.length);
        expect(Buffer.compare(all, model)).toBe(0);
        let data = 0;
        for (let at = 0; at < model.length;) {
          const extent = file.extent(at);
          expect(extent.bytes).toBeGreaterThan(0);
          if (extent.data) data += Math.ceil((at + extent.bytes) / 4096) - Math.floor(at / 4096);
          else expect(model.subarray(at, at + extent.bytes).every((byte) => byte === 0)).toBe(true);
          at += extent.bytes;
        }
        expect(file.allocated()).toBe(data * 4096);
        expect(store.used).toBe(data * 4096);
        file.close();
      }),
      { numRuns: 150 },
    );
  });
});
