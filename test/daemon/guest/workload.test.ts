import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  requests,
  workloadProblem,
  type GuestRequest,
  type Workload,
} from '../../../src/daemon/guest/workload';

/** Numbers that come again in every run. */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function take(workload: Workload, size: number, count: number, seed = 1): GuestRequest[] {
  const source = requests(workload, size, numbers(seed));
  return Array.from({ length: count }, () => source.next().value);
}

const MIB = 1048576;
const writes: Workload = {
  pattern: 'sequential',
  blockSize: 4096,
  rate: 0,
  mix: { read: 0, write: 1, flush: 0, discard: 0 },
};

describe('a workload', () => {
  test('sequential: one behind the other, then from the start', () => {
    expect(take(writes, 3 * 4096 + 512, 4).map(({ type, offset }) => [type, offset])).toEqual([
      ['write', 0],
      ['write', 4096],
      ['write', 8192],
      ['write', 0],
    ]);
  });

  test('mixes kinds by their weights', () => {
    const counts = { read: 0, write: 0, flush: 0, discard: 0 };
    for (const { type } of take({ ...writes, mix: { read: 6, write: 3, flush: 1, discard: 0 } }, MIB, 5000))
      counts[type]++;
    expect(counts.read / 5000).toBeCloseTo(0.6, 1);
    expect(counts.write / 5000).toBeCloseTo(0.3, 1);
    expect(counts.flush / 5000).toBeCloseTo(0.1, 1);
    expect(counts.discard).toBe(0);
  });

  test('like a database: the log first, flushed; few pages are used most', () => {
    const workload: Workload = {
      ...writes,
      pattern: 'database',
      mix: { read: 0, write: 9, flush: 1, discard: 0 },
    };
    const list = take(workload, 8 * MIB, 3000);
    const log = list.filter(({ type, offset }) => type === 'write' && offset >= 7 * MIB);
    // A log is written from its start, and each of its records is flushed.
    expect(log.slice(0, 3).map(({ offset }) => offset)).toEqual([7 * MIB, 7 * MIB + 4096, 7 * MIB + 8192]);
    for (const [index, request] of list.slice(0, -1).entries())
      if (log.includes(request)) expect(list[index + 1]?.type).toBe('flush');
    const pages = list.filter(({ type, offset }) => type === 'write' && offset < 7 * MIB);
    const hot = pages.filter(({ offset }) => offset < 0.2 * 7 * MIB);
    expect(hot.length / pages.length).toBeGreaterThan(0.7);
  });

  test('never leaves the disk', () => {
    const weight = fc.integer({ min: 0, max: 5 });
    fc.assert(
      fc.property(
        fc.record({
          pattern: fc.constantFrom('sequential', 'random', 'database'),
          blockSize: fc.integer({ min: 1, max: 64 }).map((sectors) => sectors * 512),
          rate: fc.constant(0),
          mix: fc.record({ read: weight, write: weight, flush: weight, discard: weight }),
        }),
        fc.integer({ min: 1, max: 500 }).map((sectors) => sectors * 512),
        fc.integer(),
        (workload: Workload, size, seed) => {
          if (workloadProblem(workload, size) !== null) return;
          for (const { type, offset, bytes } of take(workload, size, 60, seed)) {
            expect(workload.mix[type] > 0).toBe(true);
            expect(offset).toBeGreaterThanOrEqual(0);
            expect(offset + bytes).toBeLessThanOrEqual(size);
            expect(bytes).toBe(type === 'flush' ? 0 : workload.blockSize);
          }
        },
      ),
    );
  });

  test.each([
    [{ blockSize: 100 }, 'The size of a request is a multiple of 512, at most 1 MiB'],
    [{ blockSize: 2 * MIB }, 'The size of a request is a multiple of 512, at most 1 MiB'],
    [{ rate: -1 }, 'The rate must not be negative'],
    [{ rate: NaN }, 'The rate must not be negative'],
    [{ mix: { read: 0, write: 0, flush: 0, discard: 0 } }, 'The mix needs a request of some kind'],
    [{ mix: { read: -1, write: 2, flush: 0, discard: 0 } }, 'The mix needs a request of some kind'],
    [{ blockSize: MIB, pattern: 'random' }, 'The disk is smaller than a request'],
    [{}, null],
  ] as [Partial<Workload>, string | null][])('%j: %s', (change, problem) => {
    expect(workloadProblem({ ...writes, ...change }, MIB / 2)).toBe(problem);
  });
});
