import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isComplete } from '../../src/ui/console/input';
import { SyntaxProblem, toRequest } from '../../src/ui/console/qmp-shell';

describe('the syntax command key=value', () => {
  test.each<[string, unknown]>([
    ['query-block', { execute: 'query-block' }],
    ['  job-cancel   id=j1 ', { execute: 'job-cancel', arguments: { id: 'j1' } }],
    [
      'blockdev-add driver=qcow2 node-name=a file.driver=file file.filename=a.qcow2',
      {
        execute: 'blockdev-add',
        arguments: { driver: 'qcow2', 'node-name': 'a', file: { driver: 'file', filename: 'a.qcow2' } },
      },
    ],
    ['c a=1 b=-2 c=+3 d=007', { execute: 'c', arguments: { a: 1, b: -2, c: 3, d: 7 } }],
    ['c a=true b=False c=null', { execute: 'c', arguments: { a: true, b: false, c: null } }],
    ['c a=1.5 b=1G c= d=trues', { execute: 'c', arguments: { a: '1.5', b: '1G', c: '', d: 'trues' } }],
    [`c a="1" b='x y' c="say \\"hi\\""`, { execute: 'c', arguments: { a: '1', b: 'x y', c: 'say "hi"' } }],
    ['c a=b=c', { execute: 'c', arguments: { a: 'b=c' } }],
    [
      'c options={"driver": "file", "size": 65536} list=[1, {"a": [2]}]',
      { execute: 'c', arguments: { options: { driver: 'file', size: 65536 }, list: [1, { a: [2] }] } },
    ],
    ['c a.b.c=1 a.b.d=2 a.e=3', { execute: 'c', arguments: { a: { b: { c: 1, d: 2 }, e: 3 } } }],
    ['c a={"text": "} \\" ["}', { execute: 'c', arguments: { a: { text: '} " [' } } }],
  ])('%s', (line, request) => {
    expect(JSON.parse(toRequest(line))).toEqual(request);
  });

  test('a number keeps its digits beyond 2^53', () => {
    expect(toRequest('c a=9007199254740993')).toContain(': 9007199254740993}');
  });

  test('JSON with single quotes goes through as it is: the daemon reads it', () => {
    expect(toRequest("c a={'b': 1}")).toBe('{"execute": "c", "arguments": {"a": {\'b\': 1}}}');
  });

  test.each([
    ['c word', "Expected key=value, got 'word'"],
    ['c =x', "Expected key=value, got '=x'"],
    ['c a=1 a=2', "'a' is given more than once"],
    ['c a=1 a.b=2', "'a' has a value already, so 'a.b' cannot be set"],
    ['c a.b=1 a=2', "'a' cannot have a value of its own beside its members"],
    ['c a..b=1', "The key 'a..b' has an empty part"],
    ['c a={} b={"x":1},"y":2', `The value of 'b' is not one JSON value: {"x":1},"y":2`],
    ['c a="x', 'Nothing closes the " at column 5'],
    ['c a={"x":1', 'Nothing closes the { at column 5'],
  ])('%s: %s', (line, message) => {
    expect(() => toRequest(line)).toThrow(new SyntaxProblem(message));
  });

  test('every string arrives as it was, in quotes', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const quoted = `"${text.replace(/[\\"]/g, '\\$&')}"`;
        expect(JSON.parse(toRequest(`c a=${quoted}`))).toEqual({ execute: 'c', arguments: { a: text } });
      }),
    );
  });

  test('any line gives JSON with the typed command, or a problem in words', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          const request = toRequest(`c ${text}`);
          if (!/[{[]/.test(text)) expect(JSON.parse(request)).toMatchObject({ execute: 'c' });
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxProblem);
        }
      }),
    );
  });
});

describe('whether a line goes on', () => {
  test.each([
    ['', true],
    ['# a comment with {', true],
    ['query-block', true],
    ['{"execute": "query-block"}', true],
    ['{"execute":', false],
    ['{"execute": "x", "arguments": {', false],
    ['{"text": "}"', false],
    // No line feed can be inside a string of JSON: the daemon may say so at once.
    ['{"open', true],
    ['}', true],
    ['c a={"b":', false],
    ["c a='x", false],
    ["c a='x'", true],
    ['c a="[" b', true],
  ])('%j: %s', (text, complete) => {
    expect(isComplete(text)).toBe(complete);
  });
});
