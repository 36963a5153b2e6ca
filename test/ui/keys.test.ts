import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyDecoder, type Input } from '../../src/ui/console/keys';

const key = (name: string): unknown => ({ kind: 'key', key: name });

describe('the keys of a terminal', () => {
  test.each([
    ['\r', [key('enter')]],
    ['\x1b[A', [key('up')]],
    ['\x1bOH', [key('home')]],
    ['\x1b[1;5D', [key('word-left')]],
    ['\x1bf', [key('word-right')]],
    ['\x1b\x7f', [key('delete-word-left')]],
    ['\x03', [key('ctrl-c')]],
    ['\x1b', [key('escape')]],
    ['ab\x01é日', [{ kind: 'text', text: 'ab' }, key('ctrl-a'), { kind: 'text', text: 'é日' }]],
    // Function keys and mouse reports are no text.
    ['\x1b[15~x\x1b[<0;3;4M', [{ kind: 'text', text: 'x' }]],
  ])('%j', (data, expected) => {
    expect(new KeyDecoder().decode(data)).toEqual(expected);
  });

  test('a paste is one input, with plain line feeds', () => {
    expect(new KeyDecoder().decode('\x1b[200~a\r\nb\rc\x1b[201~d')).toEqual([
      { kind: 'paste', text: 'a\nb\nc' },
      { kind: 'text', text: 'd' },
    ]);
  });

  test('a paste may come in pieces, cut anywhere', () => {
    const data = '\x1b[200~one\rtwo\x1b[201~';
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 6, max: data.length })), (cuts) => {
        const decoder = new KeyDecoder();
        const inputs: Input[] = [];
        let from = 0;
        for (const to of [...cuts.sort((a, b) => a - b), data.length]) {
          inputs.push(...decoder.decode(data.slice(from, to)));
          from = to;
        }
        expect(inputs).toEqual([{ kind: 'paste', text: 'one\ntwo' }]);
      }),
    );
  });
});
