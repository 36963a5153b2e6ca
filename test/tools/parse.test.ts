/** The parsers below the tools, by examples of the real ones and by properties. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Getopt, type OptionTable } from '../../src/tools/getopt';
import { humanSize, ioDuration, ioSize } from '../../src/tools/human';
import { imageOptions, splitOptions } from '../../src/tools/optionlist';
import { cvtnum } from '../../src/tools/sizes';
import { nextRun, SECTOR } from '../../src/tools/img/zeroruns';
import { haveTools, runReal } from './twins';

describe('options', () => {
  const table: OptionTable = {
    short: 'ab:',
    long: [
      { name: 'alpha', value: false, code: 'a' },
      { name: 'beta', value: true, code: 'b' },
      { name: 'better', value: true, code: 'better' },
    ],
  };
  const parse = (words: string[], stop = false): string => {
    const parser = new Getopt(words, table, stop);
    const found: string[] = [];
    for (let next = parser.next(); next; next = parser.next()) {
      found.push(next.kind === 'option' ? `${next.code}=${next.value}` : next.text);
    }
    return [...found, ...parser.operands].join(' | ');
  };

  it.each([
    [['x', '-a', 'y', '-b', 'v'], 'a= | b=v | x | y'],
    [['-abv', '-b=v'], 'a= | b=v | b==v'],
    [['--al', '--beta', 'v', '--better=w'], 'a= | b=v | better=w'],
    [['-a', '--', '-b', '--alpha'], 'a= | -b | --alpha'],
    [['--be=1'], "option '--be=1' is ambiguous; possibilities: '--beta' '--better'"],
    [['--alpha=1'], "option '--alpha' doesn't allow an argument"],
    [['--gamma=1', '-a'], "unrecognized option '--gamma=1' | a="],
    [['-c', '-ca'], "invalid option -- 'c' | invalid option -- 'c' | a="],
    [['-b'], "option requires an argument -- 'b'"],
    [['--beta'], "option '--beta' requires an argument"],
    [['-', '-:'], "invalid option -- ':' | -"],
  ])('%j', (words, expected) => expect(parse(words)).toBe(expected));

  it('stops at the first operand if told to', () => {
    expect(parse(['-a', 'x', '-b', 'v'], true)).toBe('a= | x | -b | v');
  });

  it('loses no word', () => {
    fc.assert(
      fc.property(fc.array(fc.string().map((word) => word.replace(/^-+/, ''))), (words) => {
        expect(new Getopt(words, table).operands).toEqual([]);
        const parser = new Getopt(words, table);
        expect(parser.next()).toBeNull();
        expect(parser.operands).toEqual(words);
      }),
    );
  });
});

describe('lists of options', () => {
  it('takes back what was written into one', () => {
    const key = fc.stringMatching(/^[a-z][a-z0-9.-]{0,8}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.string()), { minLength: 1 }), (items) => {
        const text = items.map(([name, value]) => `${name}=${value.replaceAll(',', ',,')}`).join(',');
        expect(splitOptions(text)).toEqual(items.map(([name, value]) => ({ key: name, value })));
      }),
    );
  });

  it('knows bare items', () => {
    const warnings: string[] = [];
    const warn = (text: string): void => void warnings.push(text);
    expect(imageOptions('x,,y,on,nooff,a=1', 'file', warn)).toEqual({
      file: 'x,y',
      on: 'on',
      off: 'off',
      a: '1',
    });
    expect(warnings).toEqual([
      "short-form boolean option 'on' deprecated\nPlease use on=on instead",
      "short-form boolean option 'nooff' deprecated\nPlease use off=off instead",
    ]);
  });
});

describe('sizes', () => {
  it.runIf(haveTools)('reads numbers as qemu-io does', () => {
    const digit = fc.constantFrom(...'0123456789');
    const part = fc.oneof(
      digit,
      fc.constantFrom(...'.kKmMgGtTpPeEbBxX+-_ fF', ' ', '0x', '18446744073709551616'),
    );
    const texts = fc.sample(
      fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('')),
      {
        numRuns: 600,
        seed: 4,
      },
    );
    // In qemu-io words are split at blanks; -q keeps a number that starts with - from being an option.
    const words = [...new Set(texts.filter((text) => !/\s/.test(text)))];
    const commands = words.flatMap((word) => ['-c', `alloc ${word} 0`]);
    const { stdout } = runReal(['qemu-io', '-f', 'null-co', ...commands, 'null-co://'], '/');
    const expected = words.map((word) => {
      const value = cvtnum(word);
      if (value === 'range') return `Parsing error: argument too large -- ${word}`;
      if (value === 'invalid') {
        return `Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- ${word}`;
      }
      return `0/0 bytes allocated at offset ${ioSize(Number(value))}`;
    });
    expect(stdout.trimEnd().split('\n')).toEqual(expected);
  });

  it.each([
    [0, '0 B'],
    [512, '512 B'],
    [999, '999 B'],
    [1000, '0.977 KiB'],
    [1536, '1.5 KiB'],
    [197120, '192 KiB'],
    [1023488, '1e+03 KiB'],
    [1024000, '0.977 MiB'],
    [10480000000, '9.76 GiB'],
    [2 ** 60, '1 EiB'],
  ])('prints %d bytes for people', (bytes, text) => expect(humanSize(bytes)).toBe(text));

  it.each([
    [0, '0 bytes'],
    [712.99926, '712.999260 bytes'],
    [1024, '1 KiB'],
    [3000, '2.930 KiB'],
    [0x1c0000, '1.750 MiB'],
  ])('prints %d bytes as qemu-io', (bytes, text) => expect(ioSize(bytes)).toBe(text));

  it.each([
    [0.0149, false, '00.01 sec'],
    [0, true, '0:00:00.00'],
    [1336.189, false, '0:22:16.18'],
  ])('prints %d seconds', (seconds, always, text) => expect(ioDuration(seconds, always)).toBe(text));
});

describe('runs of zeros', () => {
  const scan = (data: boolean[], alignment: number, minimum: number): boolean[] => {
    const bytes = data.length * SECTOR;
    const zeroRun = (at: number, length: number): number => {
      const first = data[at / SECTOR] ?? false;
      let end = at / SECTOR;
      while (end * SECTOR < at + length && data[end] === first) end++;
      const count = end * SECTOR - at;
      return first ? -count : count;
    };
    const written: boolean[] = [];
    for (let at = 0; at < bytes;) {
      const run = nextRun(zeroRun, at, bytes - at, at, {
        alignment: alignment * SECTOR,
        minimum: minimum * SECTOR,
      });
      expect(run.bytes).toBeGreaterThan(0);
      for (let i = 0; i < run.bytes / SECTOR; i++) written.push(run.data);
      at += run.bytes;
    }
    return written;
  };

  it('leaves no data out', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 100 }),
        fc.constantFrom(1, 2, 8, 16),
        fc.integer({ min: 1, max: 20 }),
        (data, alignment, minimum) => {
          const written = scan(data, alignment, minimum);
          expect(written).toHaveLength(data.length);
          data.forEach((is, index) => is && expect(written[index]).toBe(true));
        },
      ),
    );
  });
});
