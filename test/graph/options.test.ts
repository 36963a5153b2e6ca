import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nest, Options } from '../../src/graph/options';
import { refused } from './support';

describe('options', () => {
  test('nested, dotted and listed options are flattened', () => {
    const options = Options.from({
      a: { b: { c: 1 } },
      'a.d': 'x',
      list: [true, { e: null }],
      empty: {},
      none: [],
    });
    expect([...options.entries()]).toEqual([
      ['a.b.c', 1],
      ['a.d', 'x'],
      ['list.0', true],
      ['list.1.e', null],
      ['empty', {}],
      ['none', []],
    ]);
  });

  test('what is nested and flattened again is the same', () => {
    const key = fc.stringMatching(/^[a-z-]{1,4}(\.[a-z-]{1,4}){0,2}$/);
    fc.assert(
      fc.property(fc.uniqueArray(key), (keys) => {
        // A key that is also the beginning of another one has no nested form.
        const free = keys.filter((one) => !keys.some((other) => other.startsWith(`${one}.`)));
        const flat: [string, number][] = free.map((name, index) => [name, index]);
        const again = Options.from(nest(flat));
        expect(new Map(again.entries())).toEqual(new Map(flat));
      }),
    );
  });

  test('options below a prefix are taken away with it', () => {
    const options = Options.from({ file: { driver: 'file', filename: 'a' }, filename: 'b', 'file-x': 1 });
    expect([...options.takeBelow('file').entries()]).toEqual([
      ['driver', 'file'],
      ['filename', 'a'],
    ]);
    expect([...options.entries()]).toEqual([
      ['filename', 'b'],
      ['file-x', 1],
    ]);
  });

  test('booleans', async () => {
    const of = (value: string | boolean) => Options.from({ b: value }).takeBoolean('b');
    for (const text of ['on', 'yes', 'true', 'y', true]) expect(of(text)).toBe(true);
    for (const text of ['off', 'no', 'false', 'n', false]) expect(of(text)).toBe(false);
    await refused(() => of('maybe'), "Parameter 'b' expects 'on' or 'off'");
    expect(new Options().takeBoolean('b')).toBeUndefined();
  });

  test('sizes, as text and typed', async () => {
    const of = (value: string | number) => Options.from({ s: value }).takeSize('s');
    expect(of('1M')).toBe(1048576);
    expect(of('1.5k')).toBe(1536);
    expect(of(4096)).toBe(4096);
    expect(of(2 ** 53)).toBe(2 ** 53);
    const bad = await refused(() => of('x'), "Parameter 's' expects a non-negative number below 2^64");
    expect(bad.hints).toHaveLength(2);
    await refused(() => of(-1), "Value '-1' is out of range for parameter 's'");
    await refused(() => of('1E'), /2\^53/);
  });

  test('numbers are whole ones of 64 bits, negative ones their complement', async () => {
    const of = (value: string | number) => Options.from({ n: value }).takeNumber('n');
    expect(of('0x10')).toBe(16n);
    expect(of(-1)).toBe(2n ** 64n - 1n);
    await refused(() => of('1k'), "Parameter 'n' expects a number");
    await refused(() => of('18446744073709551616'), /is out of range for parameter 'n'/);
  });

  test('any value either gives a size or is refused', () => {
    const value = fc.oneof(fc.string(), fc.double(), fc.integer(), fc.boolean(), fc.constant(null));
    fc.assert(
      fc.property(value, (given) => {
        const options = Options.from({ s: given });
        let size: number | undefined;
        try {
          size = options.takeSize('s');
        } catch (error) {
          expect((error as Error).message).toContain("'s'");
          return;
        }
        if (size !== undefined) expect(Number.isSafeInteger(size) || size === 2 ** 53).toBe(true);
      }),
    );
  });

  test('the first option left over is the first in the order of dictionaries', () => {
    expect(Options.from({ z: 1, a: 1, x: 1 }).first()).toBe('x');
    expect(new Options().first()).toBeUndefined();
  });
});
