import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson, parseKeyval, QmpError, visitKeyval, visitType, type KeyvalObject } from '../../src/qapi';

interface Recorded {
  version: string;
  cases: { option: string; value: string; error: string | null }[];
}
const recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/keyval.json'), 'utf8'),
) as Recorded;

const OPTIONS: Record<string, { type: string; implied?: string }> = {
  blockdev: { type: 'BlockdevOptions', implied: 'driver' },
  object: { type: 'ObjectOptions', implied: 'qom-type' },
  export: { type: 'BlockExportOptions', implied: 'type' },
  'nbd-server': { type: 'NbdServerOptions' },
};

/** The error of an option, or null; options that start with a brace are JSON. */
function errorOf(option: string, text: string): string | null {
  const { type, implied } = OPTIONS[option] ?? { type: '' };
  try {
    if (text.startsWith('{')) visitType(type, parseJson(text));
    else visitKeyval(type, parseKeyval(text, implied));
    return null;
  } catch (error) {
    if (error instanceof QmpError) return error.desc;
    throw error;
  }
}

describe('options of the command line against the recorded daemon', () => {
  it.each(recorded.cases.map((c) => [`${c.option} ${c.value}`.slice(0, 100), c] as const))('%s', (_, c) => {
    expect(errorOf(c.option, c.value)).toBe(c.error);
  });
});

const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,8}$/);
const trees = fc.letrec<{ tree: KeyvalObject; list: KeyvalObject[] }>((tie) => ({
  tree: fc.dictionary(name, fc.oneof({ maxDepth: 3 }, fc.string(), tie('list'), tie('tree')), {
    minKeys: 1,
    maxKeys: 4,
  }),
  list: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
})).tree;

/** A tree as options: dotted keys, commas doubled. */
function write(value: KeyvalObject[string], path = ''): string[] {
  if (typeof value === 'string') return [`${path}=${value.replaceAll(',', ',,')}`];
  const prefix = path ? `${path}.` : '';
  return Object.entries(value).flatMap(([key, inner]) => write(inner, prefix + key));
}

describe('options in general', () => {
  it('reads back any tree, whatever the order of its keys', () => {
    fc.assert(
      fc.property(trees, fc.gen(), (tree, gen) => {
        const items = write(tree);
        const shuffled = gen(fc.shuffledSubarray, items, { minLength: items.length });
        expect(parseKeyval(shuffled.join(','))).toEqual(tree);
      }),
    );
  });

  it('answers any text with a value or one of its errors', () => {
    fc.assert(
      fc.property(fc.string(), fc.boolean(), (text, implied) => {
        try {
          parseKeyval(text, implied ? 'driver' : undefined);
        } catch (error) {
          expect(error).toBeInstanceOf(QmpError);
        }
      }),
    );
  });

  it('gives typed values', () => {
    const text = 'raw,node-name=a,size=0x200,read-only=on,file.driver=file,file.filename=a,,b';
    expect(visitKeyval('BlockdevOptions', parseKeyval(text, 'driver'))).toEqual({
      driver: 'raw',
      'node-name': 'a',
      size: 512,
      'read-only': true,
      file: { driver: 'file', filename: 'a,b' },
    });
  });
});
