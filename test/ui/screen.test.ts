import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layOut } from '../../src/ui/console/layout';
import { Screen } from '../../src/ui/console/screen';
import { TestTerminal } from './terminal';

const PROMPT = '\x1b[1;34m>\x1b[0m ';

describe('the screen', () => {
  test('shows the line with the cursor in it, and what is printed above it', async () => {
    const terminal = new TestTerminal(20, 6);
    const screen = new Screen(terminal);
    screen.setEdit({ prompt: PROMPT, text: 'hello', cursor: 2 });
    expect(await terminal.lines()).toEqual(['> hello']);
    expect(await terminal.cursor()).toEqual([0, 4]);
    screen.print('event one\nevent two\n');
    expect(await terminal.lines()).toEqual(['event one', 'event two', '> hello']);
    expect(await terminal.cursor()).toEqual([2, 4]);
  });

  test('wraps a long line over rows and redraws all of them', async () => {
    const terminal = new TestTerminal(12, 6);
    const screen = new Screen(terminal);
    screen.setEdit({ prompt: PROMPT, text: 'abcdefghijklmnopqrstuvwxyz', cursor: 26 });
    expect(await terminal.lines()).toEqual(['> abcdefghij', 'klmnopqrstuv', 'wxyz']);
    screen.print('out\n');
    expect(await terminal.lines()).toEqual(['out', '> abcdefghij', 'klmnopqrstuv', 'wxyz']);
    screen.setEdit({ prompt: PROMPT, text: 'short', cursor: 0 });
    expect(await terminal.lines()).toEqual(['out', '> short']);
    expect(await terminal.cursor()).toEqual([1, 2]);
  });

  test('the cursor stands on a row of its own behind a full one', async () => {
    const terminal = new TestTerminal(12, 6);
    const screen = new Screen(terminal);
    screen.setEdit({ prompt: PROMPT, text: 'abcdefghij', cursor: 10 });
    expect(await terminal.cursor()).toEqual([1, 0]);
    screen.setEdit({ prompt: PROMPT, text: 'abcdefghi', cursor: 9 });
    expect(await terminal.lines()).toEqual(['> abcdefghi']);
    expect(await terminal.cursor()).toEqual([0, 11]);
  });

  test('lines of one text are aligned under the prompt', async () => {
    const terminal = new TestTerminal(20, 6);
    const screen = new Screen(terminal);
    screen.setEdit({ prompt: PROMPT, text: '{\n"a": 1\n}', cursor: 3 });
    expect(await terminal.lines()).toEqual(['> {', '  "a": 1', '  }']);
    expect(await terminal.cursor()).toEqual([1, 3]);
    screen.commitEdit('^C');
    screen.print('next\n');
    expect(await terminal.lines()).toEqual(['> {', '  "a": 1', '  }^C', 'next']);
  });

  test('a text taller than the screen shows the part around the cursor', async () => {
    const terminal = new TestTerminal(20, 5);
    const screen = new Screen(terminal);
    const text = Array.from({ length: 30 }, (_, index) => `line ${index}`).join('\n');
    screen.print('before\n');
    for (const cursor of [text.length, text.indexOf('line 15'), 0, text.length]) {
      screen.setEdit({ prompt: PROMPT, text, cursor });
    }
    expect((await terminal.lines()).slice(-3)).toEqual(['  line 27', '  line 28', '  line 29']);
    screen.setEdit({ prompt: PROMPT, text: 'x', cursor: 1 });
    expect(await terminal.lines()).toEqual(['before', '> x']);
  });

  test('hints stand below the line and go away', async () => {
    const terminal = new TestTerminal(20, 6);
    const screen = new Screen(terminal);
    screen.setEdit({ prompt: PROMPT, text: 'ab', cursor: 1, hints: ['one', 'a hint that is much too long'] });
    expect(await terminal.lines()).toEqual(['> ab', 'one', 'a hint that is muc…']);
    expect(await terminal.cursor()).toEqual([0, 3]);
    screen.setEdit({ prompt: PROMPT, text: 'ab', cursor: 1 });
    expect(await terminal.lines()).toEqual(['> ab']);
  });

  test('the state of a command is below its output, and not beside an unfinished line', async () => {
    const terminal = new TestTerminal(20, 6);
    const screen = new Screen(terminal);
    screen.setStatus('working');
    screen.print('one\n');
    expect(await terminal.lines()).toEqual(['one', 'working']);
    screen.print('    (10/100%)\r');
    screen.setStatus('still working');
    expect(await terminal.lines()).toEqual(['one', '    (10/100%)']);
    screen.print('    (99/100%)\r\n');
    expect(await terminal.lines()).toEqual(['one', '    (99/100%)', 'still working']);
    screen.setStatus(null);
    expect(await terminal.lines()).toEqual(['one', '    (99/100%)']);
  });

  test('the prompt of a tool is taken from the unfinished line', async () => {
    const terminal = new TestTerminal(20, 6);
    const screen = new Screen(terminal);
    screen.print('a\nqemu-io> ');
    expect(screen.takePartial()).toBe('qemu-io> ');
    screen.setEdit({ prompt: 'qemu-io> ', text: 'read', cursor: 4 });
    expect(await terminal.lines()).toEqual(['a', 'qemu-io> read']);
  });

  test('a narrower screen draws the line anew', async () => {
    const terminal = new TestTerminal(30, 6);
    const screen = new Screen(terminal);
    screen.print('out\n');
    screen.setEdit({ prompt: PROMPT, text: 'abcdefghijklmnop', cursor: 16 });
    await terminal.lines();
    terminal.resize(14, 6);
    screen.resized();
    expect(await terminal.lines()).toEqual(['out', '> abcdefghijkl', 'mnop']);
    expect(await terminal.cursor()).toEqual([2, 4]);
  });

  test('clearing leaves the line at the top', async () => {
    const terminal = new TestTerminal(20, 4);
    const screen = new Screen(terminal);
    screen.print('a\nb\nc\nd\ne\n');
    screen.setEdit({ prompt: PROMPT, text: 'x', cursor: 1 });
    screen.clear();
    expect(await terminal.lines()).toEqual(['> x']);
  });

  test('any text and cursor stand where the terminal has them', async () => {
    const character = fc.constantFrom('a', 'b', ' ', 'é', '日', '\n', '本');
    await fc.assert(
      fc.asyncProperty(
        fc.array(character, { maxLength: 60 }),
        fc.nat(),
        fc.integer({ min: 12, max: 30 }),
        async (characters, at, columns) => {
          const text = characters.join('');
          const cursor = at % (text.length + 1);
          const terminal = new TestTerminal(columns, 80);
          const screen = new Screen(terminal);
          screen.setEdit({ prompt: PROMPT, text: 'something drawn before', cursor: 5 });
          screen.setEdit({ prompt: PROMPT, text, cursor });
          const layout = layOut(2, text, cursor, columns);
          const rows = layout.rows.map((row, index) => (index === 0 ? '> ' : '') + row.text);
          const shown = await terminal.lines();
          expect(shown.map((row) => row.trimEnd())).toEqual(
            rows.slice(0, shown.length).map((row) => row.trimEnd()),
          );
          expect(rows.slice(shown.length).join('').trim()).toBe('');
          expect(await terminal.cursor()).toEqual([layout.cursorRow, layout.cursorColumn]);
        },
      ),
      { numRuns: 60 },
    );
  });
});
