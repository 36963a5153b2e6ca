import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isObject, JsonParser, member, parseJson, Real, toJson, type QmpValue } from '../../src/qapi';

/** What the parser makes of bytes, as the monitor of the recording shows it: a value as its text, or the error. */
function results(text: string): string[] {
  const list: string[] = [];
  const parser = new JsonParser((result) =>
    list.push('error' in result ? result.error.desc : toJson(result.value)),
  );
  parser.feed(Buffer.from(text, 'latin1'));
  return list;
}

interface Recorded {
  text: string;
  replies: string[];
}
const recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/json.json'), 'utf8'),
) as Recorded[];

describe('JSON against the recorded daemon', () => {
  it.each(recorded.map((entry) => [JSON.stringify(entry.text).slice(0, 60), entry] as const))(
    '%s',
    (_, entry) => {
      // A reply shows the value itself only as the id of a request that is refused for the lack of "execute".
      const expected = entry.replies.map((reply) => {
        const parsed = parseJson(reply);
        const error = isObject(parsed) ? member(parsed, 'error') : undefined;
        const desc = isObject(error) ? member(error, 'desc') : undefined;
        const id = isObject(parsed) ? member(parsed, 'id') : undefined;
        if (desc === "QMP input lacks member 'execute'")
          return id === undefined ? /^\{\}$/ : reply.slice(7, reply.lastIndexOf(', "error"'));
        if (typeof desc !== 'string') throw new Error(`unexpected reply ${reply}`);
        if (desc === 'QMP input must be a JSON object') return /^[^{].*|^null$/;
        return desc.startsWith('QMP input member') ? /^\{/ : desc;
      });
      const got = results(entry.text);
      expect(got).toHaveLength(expected.length);
      for (const [i, want] of expected.entries()) {
        if (want instanceof RegExp) expect(got[i]).toMatch(want);
        else expect([want, `{"id": ${want}}`]).toContain(got[i]);
      }
    },
  );
});

/** Any value that the parser can make. */
const values = fc.letrec<{ value: QmpValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.double({ noDefaultInfinity: true, noNaN: true }).map((x) => (Number.isInteger(x) ? new Real(x) : x)),
    fc.string({ unit: 'grapheme' }).filter((text) => !/[\ufdd0-\ufdef\ufffe\uffff]/.test(text)),
    fc.array(tie('value')),
    fc.dictionary(fc.string({ unit: 'grapheme-ascii' }), tie('value')),
  ),
})).value;

/** Numbers by value alone: a real without fraction prints like an integer. */
const comparable = (value: QmpValue): unknown => {
  if (value instanceof Real) return value.value + 0;
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(comparable);
  if (!isObject(value)) return value;
  return new Map(
    Object.keys(value)
      .sort()
      .map((key) => [key, comparable(member(value, key) ?? null)]),
  );
};

describe('JSON in general', () => {
  it('reads back what it prints, in one line and pretty', () => {
    fc.assert(
      fc.property(values, fc.boolean(), (value, pretty) => {
        expect(comparable(parseJson(toJson(value, { pretty })))).toEqual(comparable(value));
      }),
    );
  });

  it('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(comparable(parseJson(text))).toEqual(comparable(JSON.parse(text) as QmpValue));
      }),
    );
  });

  it('does not care how the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.json(), fc.string()), { maxLength: 4 }),
        fc.array(fc.nat(40)),
        (texts, cuts) => {
          const bytes = Buffer.from(texts.join('\n'));
          const whole = results(bytes.toString('latin1'));
          const list: string[] = [];
          const parser = new JsonParser((r) => list.push('error' in r ? r.error.desc : toJson(r.value)));
          let at = 0;
          for (const cut of [...cuts, bytes.length]) parser.feed(bytes.subarray(at, (at += cut)));
          expect(list).toEqual(whole);
        },
      ),
    );
  });

  it('survives any bytes and then still reads a value behind 0xff', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const list: QmpValue[] = [];
        const parser = new JsonParser((r) => {
          if ('value' in r) list.push(r.value);
        });
        parser.feed(bytes);
        parser.feed(new Uint8Array([0xff]));
        parser.feed('{"a": 1}');
        expect(list.at(-1)).toEqual({ a: 1 });
      }),
    );
  });

  it('keeps 1, 1.0 and integers beyond 2^53 apart', () => {
    expect(parseJson('[1, 1.0, 1e2, 9007199254740993, -0, 1.5]')).toEqual([
      1,
      new Real(1),
      new Real(100),
      9007199254740993n,
      0,
      1.5,
    ]);
  });

  it('takes any key', () => {
    const value = parseJson('{"__proto__": 1, "constructor": 2}');
    expect(toJson(value)).toBe('{"__proto__": 1, "constructor": 2}');
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it('stops a string without an end at 64 MiB', () => {
    const errors: string[] = [];
    const parser = new JsonParser((r) => errors.push('error' in r ? r.error.desc : 'value'));
    parser.feed('"');
    const piece = new Uint8Array(1 << 20).fill(0x61);
    for (let i = 0; i < 65; i++) parser.feed(piece);
    expect(errors).toEqual(['JSON token size limit exceeded']);
  });

  it('stops at 2^21 tokens', () => {
    const errors: string[] = [];
    const parser = new JsonParser((r) => errors.push('error' in r ? r.error.desc : 'value'));
    parser.feed('[' + '1,'.repeat(1 << 20));
    expect(errors).toEqual(['JSON token count limit exceeded']);
  });
});
