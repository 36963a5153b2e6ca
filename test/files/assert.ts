/** Checks that need no test framework: the same cases run under vitest and in a worker of a browser. */
import { FileError, strerror } from '../../src/files/contract';
import type { Errno } from '../../src/files/contract';

/** Fails unless both are the same value, or the same plain data. */
export function equal(actual: unknown, expected: unknown, what = 'value'): void {
  if (Object.is(actual, expected)) return;
  const [a, b] = [show(actual), show(expected)];
  if (typeof actual === 'object' && a === b) return;
  throw new Error(`${what}: got ${a}, expected ${b}`);
}

export function ok(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`not true: ${what}`);
}

/** Fails unless both hold the same bytes; names the first one that differs. */
export function equalBytes(actual: Uint8Array, expected: Uint8Array, what = 'bytes'): void {
  equal(actual.length, expected.length, `${what}: length`);
  for (let i = 0; i < actual.length; i++) {
    if (actual[i] !== expected[i])
      throw new Error(`${what}: byte ${i} is ${actual[i]}, expected ${expected[i]}`);
  }
}

/** Fails unless `run` fails with a {@link FileError} of this errno. */
export async function fails(errno: Errno, run: () => unknown): Promise<void> {
  let result: unknown;
  try {
    result = await run();
  } catch (error) {
    if (error instanceof FileError && error.errno === errno) return;
    throw new Error(`expected ${strerror(errno)}, got ${String(error)}`, { cause: error });
  }
  throw new Error(`expected ${strerror(errno)}, got ${show(result)}`);
}

function show(value: unknown): string {
  return value === undefined ? 'undefined' : JSON.stringify(value);
}
