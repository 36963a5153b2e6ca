import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LineEditor } from '../../src/ui/console/line-editor';

function editor(marked: string): LineEditor {
  const at = marked.indexOf('|');
  const result = new LineEditor();
  result.set(marked.replace('|', ''), at);
  return result;
}

function marked({ text, cursor }: LineEditor): string {
  return `${text.slice(0, cursor)}|${text.slice(cursor)}`;
}

describe('the line editor', () => {
  const cases: [string, keyof LineEditor, string][] = [
    ['ab|c', 'left', 'a|bc'],
    ['|abc', 'left', '|abc'],
    ['ab|c', 'right', 'abc|'],
    ['abc|', 'right', 'abc|'],
    ['ab\ncd|', 'home', 'ab\n|cd'],
    ['a|b\ncd', 'end', 'ab|\ncd'],
    ['ab\n|cd', 'left', 'ab|\ncd'],
    ['file.name=a|b', 'wordLeft', 'file.name=|ab'],
    ['file.|name=ab', 'wordRight', 'file.name|=ab'],
    ['ab|c', 'backspace', 'a|c'],
    ['|abc', 'backspace', '|abc'],
    ['ab|c', 'delete', 'ab|'],
    ['abc|', 'delete', 'abc|'],
    ['one two.three|', 'deleteWordLeft', 'one two.|'],
    ['one two.three|', 'deleteBlankWordLeft', 'one |'],
    ['one two  |three', 'deleteBlankWordLeft', 'one |three'],
    ['one| two', 'deleteWordRight', 'one|'],
    ['on|e\ntwo', 'deleteToEnd', 'on|\ntwo'],
    ['one|\ntwo', 'deleteToEnd', 'one|two'],
    ['one\ntw|o', 'deleteToStart', 'one\n|o'],
    ['ab|', 'transpose', 'ba|'],
    ['a|bc', 'transpose', 'ba|c'],
    ['|ab', 'transpose', '|ab'],
    // One thing on the screen is one step, however it is encoded.
    ['a👩‍💻|', 'left', 'a|👩‍💻'],
    ['é|', 'backspace', '|'],
    ['|日本', 'right', '日|本'],
  ];
  test.each(cases)('%s %s gives %s', (before, action, after) => {
    const line = editor(before);
    (line[action] as () => void)();
    expect(marked(line)).toBe(after);
  });

  test('puts in the middle', () => {
    const line = editor('ac|e');
    line.left();
    line.insert('b');
    expect(marked(line)).toBe('ab|ce');
  });

  test('moves between lines and keeps the column where it can', () => {
    const line = editor('long line\nab\nlonger li|ne');
    expect(line.up()).toBe(true);
    expect(marked(line)).toBe('long line\nab|\nlonger line');
    expect(line.up()).toBe(true);
    expect(marked(line)).toBe('lo|ng line\nab\nlonger line');
    expect(line.up()).toBe(false);
    expect(line.down()).toBe(true);
    expect(line.down()).toBe(true);
    expect(line.down()).toBe(false);
  });

  test('puts back what was deleted last', () => {
    const line = editor('one two|');
    line.deleteBlankWordLeft();
    line.home();
    line.yank();
    expect(marked(line)).toBe('two|one ');
  });

  test('the cursor stays inside the text, and no text is lost by moves', () => {
    const moves = ['left', 'right', 'home', 'end', 'up', 'down', 'wordLeft', 'wordRight'] as const;
    const edits = ['backspace', 'delete', 'deleteWordLeft', 'deleteToEnd', 'yank', 'transpose'] as const;
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.array(fc.constantFrom(...moves, ...edits)),
        fc.nat(),
        (text, actions, start) => {
          const line = new LineEditor();
          line.set(text, start % (text.length + 1));
          for (const action of actions) {
            const { text: before } = line;
            line[action]();
            if ((moves as readonly string[]).includes(action)) expect(line.text).toBe(before);
            expect(line.cursor).toBeGreaterThanOrEqual(0);
            expect(line.cursor).toBeLessThanOrEqual(line.text.length);
          }
        },
      ),
    );
  });
});
