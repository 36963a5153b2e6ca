import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatJson } from '../../src/ui/console/format';
import { candidateRows } from '../../src/ui/console/menu';
import { progressLine } from '../../src/ui/console/progress';
import { formatEvent, formatReply } from '../../src/ui/console/reply';
import { stripEscapes, textWidth } from '../../src/ui/console/width';

describe('replies', () => {
  test('short ones stay on one line, long ones are indented', () => {
    expect(stripEscapes(formatJson('{"return":{}}'))).toBe('{"return": {}}');
    const long = { return: [{ 'node-name': 'disk', file: 'a'.repeat(70), cache: { direct: false } }] };
    expect(stripEscapes(formatJson(JSON.stringify(long)))).toBe(
      `{
    "return": [
        {
            "node-name": "disk",
            "file": "${'a'.repeat(70)}",
            "cache": {"direct": false}
        }
    ]
}`,
    );
  });

  test('no digit is changed, and readable characters are shown as such', () => {
    expect(stripEscapes(formatJson('{"a": 18446744073709551615, "b": 1e2, "c": "\\u00e9\\u65E5"}'))).toBe(
      '{"a": 18446744073709551615, "b": 1e2, "c": "é日"}',
    );
  });

  test('nothing in a reply can steer the terminal', () => {
    expect(formatJson('["\\u001b[2J\\u202e\\u009b"]')).toContain('\\u001b[2J\\u202e\\u009b');
    expect(formatJson('["\\\\u0041"]')).toContain('\\\\u0041');
  });

  test('what is no JSON comes back as it is', () => {
    for (const text of ['', 'no json', '{"a" 1}', '[1 2]', '{"a":', '}']) expect(formatJson(text)).toBe(text);
  });

  test('the meaning never changes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 10, max: 120 }), (value, width) => {
        const text = JSON.stringify(value);
        expect(JSON.parse(stripEscapes(formatJson(text, width)))).toEqual(JSON.parse(text));
      }),
    );
  });

  test('errors are red', () => {
    expect(formatReply('{"error": {"class": "GenericError", "desc": "no"}}', 80)).toContain('\x1b[31m"no"');
    expect(formatReply('{"id": 1, "error": {"desc": "no"}}', 80)).toContain('\x1b[31m"no"');
    expect(formatReply('{"return": "no"}', 80)).toContain('\x1b[32m"no"');
  });

  test('events are a line with time, name and data', () => {
    const event = {
      timestamp: { seconds: 1_700_000_000, microseconds: 5000 },
      event: 'JOB_STATUS_CHANGE',
      data: { status: 'running', id: 'j' },
    };
    expect(stripEscapes(formatEvent(JSON.stringify(event), 80))).toMatch(
      /^\d\d:\d\d:20\.005 JOB_STATUS_CHANGE \{"status": "running", "id": "j"\}$/,
    );
  });
});

describe('the list of candidates', () => {
  const many = Array.from({ length: 30 }, (_, index) => ({ text: `c${index}`, label: `candidate-${index}` }));

  test('a few have their notes', () => {
    const rows = candidateRows(
      [
        { text: 'a', label: 'a', note: 'first' },
        { text: 'bb', label: 'bb' },
      ],
      40,
      8,
    );
    expect(rows.map(stripEscapes)).toEqual(['  a   first', '  bb  ']);
  });

  test('many stand in columns, down first', () => {
    const rows = candidateRows(many, 80, 10).map(stripEscapes);
    expect(rows).toHaveLength(6);
    expect(rows[0]).toBe('  candidate-0   candidate-6   candidate-12  candidate-18  candidate-24');
    expect(Math.max(...rows.map(textWidth))).toBeLessThanOrEqual(80);
  });

  test('what does not fit is counted', () => {
    const rows = candidateRows(many, 30, 4).map(stripEscapes);
    expect(rows).toHaveLength(4);
    expect(rows[3]).toBe('  and 24 more; Tab again shows them');
  });
});

describe('progress', () => {
  test('a share, and the time left once it can be told', () => {
    expect(stripEscapes(progressLine({ elapsed: 2000, done: 1, total: 4 }))).toMatch(
      / {2}25% {2}6 s left {2}Ctrl-C stops$/,
    );
    expect(stripEscapes(progressLine({ elapsed: 61_500, done: 0, total: 0 }))).toMatch(
      / 1 min 2 s {2}Ctrl-C stops$/,
    );
  });
});
