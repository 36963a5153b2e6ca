/** Comparing buffers inside the data plane: tools look through whole disks for what differs. */
import type { IoBuffer } from './request';
import type { EngineExports } from './exports';

/**
 * Compares `bytes` of two buffers from their starts or from `at` on, in units of `unit` bytes (the last one may be shorter):
 * n > 0, the first n bytes are units that are equal; n < 0, the first -n bytes are units that differ.
 */
export type CompareRun = (a: IoBuffer, b: IoBuffer, at: number, bytes: number, unit: number) => number;

/** The implementation over the exports of the data plane. */
export function makeCompare(wasm: EngineExports, run: (work: () => number) => number): CompareRun {
  return (a, b, at, bytes, unit) => {
    for (const buffer of [a, b]) {
      if (at < 0 || bytes < 0 || at + bytes > buffer.bytes) throw new RangeError('outside of a buffer');
    }
    if (unit < 1) throw new RangeError('units have at least one byte');
    return run(() => wasm.compareRun(a.pointer + at, b.pointer + at, bytes, unit));
  };
}
