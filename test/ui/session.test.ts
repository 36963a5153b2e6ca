import { beforeEach, describe, expect, test } from 'vitest';
import type { ConsoleBackend, TaskIo } from '../../src/ui/console/backend';
import { ConsoleSession } from '../../src/ui/console/session';
import { TestTerminal } from './terminal';

class Backend implements ConsoleBackend {
  readonly requests: string[] = [];
  readonly lines: string[] = [];
  reply = '{"return": {}}';
  work: (line: string, io: TaskIo) => Promise<number> = () => Promise.resolve(0);
  readonly shell = [{ name: 'ls', summary: 'lists files', usage: '', arguments: 'files' as const }];
  readonly formats = [];
  readonly page = new Map([
    [
      'greet',
      {
        info: { name: 'greet', summary: '', usage: '', arguments: 'none' as const },
        run: async (words: string[], io: TaskIo) => {
          io.stdout(`hello ${words.join('|')}\n`);
          return 0;
        },
      },
    ],
  ]);

  async qmp(text: string): Promise<string[]> {
    this.requests.push(text);
    return [this.reply];
  }
  runShell(line: string, io: TaskIo): Promise<number> {
    this.lines.push(line);
    return this.work(line, io);
  }
  nodeNames = async (): Promise<string[]> => ['disk'];
  jobIds = async (): Promise<string[]> => [];
  files = async (): Promise<{ name: string; directory: boolean }[]> => [{ name: 'a.img', directory: false }];
}

let terminal: TestTerminal;
let backend: Backend;
let session: ConsoleSession;
let prompts: number;

beforeEach(() => {
  terminal = new TestTerminal(60, 20);
  backend = new Backend();
  prompts = 0;
  session = new ConsoleSession(terminal, backend, { onPrompt: () => prompts++ });
  session.start('welcome\n');
});

/** Modules are loaded when they are needed first, on machines that do other things too. */
const PATIENCE = { timeout: 20_000 };

/** Types and waits until so many prompts have been shown in all. */
async function type(data: string, until = prompts): Promise<void> {
  session.input(data);
  await expect.poll(() => prompts, PATIENCE).toBe(until);
}

const shown = async (): Promise<string> => (await terminal.lines()).join('\n');
const eventually = (text: string): Promise<void> => expect.poll(shown, PATIENCE).toContain(text);

describe('the console', () => {
  test('takes words, JSON and commands of the shell', async () => {
    await type('query-block\r', 2);
    await type('{"execute": "query-jobs"}\r', 3);
    await type('ls -l\r', 4);
    await type('greet "a b" c\r', 5);
    expect(backend.requests).toEqual(['{"execute": "query-block"}', '{"execute": "query-jobs"}']);
    expect(backend.lines).toEqual(['ls -l']);
    expect(await terminal.lines()).toEqual([
      'welcome',
      'qsd> query-block',
      '{"return": {}}',
      'qsd> {"execute": "query-jobs"}',
      '{"return": {}}',
      'qsd> ls -l',
      'qsd> greet "a b" c',
      'hello a b|c',
      'qsd>',
    ]);
  });

  test('asks for more until the braces balance', async () => {
    await type('{"execute":\r');
    await type('"query-block"');
    expect((await terminal.lines()).slice(1)).toEqual(['qsd> {"execute":', '     "query-block"']);
    await type('}\r', 2);
    expect(backend.requests).toEqual(['{"execute":\n"query-block"}']);
  });

  test('a paste of several lines runs one after the other and leaves the last', async () => {
    await type('\x1b[200~query-block\r\rquery-jobs\rls\x1b[201~', 3);
    expect(backend.requests).toHaveLength(2);
    expect((await terminal.lines()).at(-1)).toBe('qsd> ls');
  });

  test('says what is wrong with a line', async () => {
    await type('blockdev-del disk\r', 2);
    await type('frobnicate disk\r', 3);
    expect(await shown()).toContain("Expected key=value, got 'disk'");
    expect(await shown()).toContain('frobnicate: command not found; help lists all');
    expect(backend.requests).toEqual([]);
    backend.reply = '{"error": {"class": "CommandNotFound", "desc": "The command frob has not been found"}}';
    await type('query-jobs\r', 4);
    expect(await shown()).not.toContain('help lists all commands.');
    await type('frob\r', 5);
    expect(await shown()).toContain('help lists all commands.');
  });

  test('events come above the line being typed', async () => {
    await type('half a li');
    session.showEvent('{"timestamp": {"seconds": 1, "microseconds": 0}, "event": "E", "data": {"a": 1}}');
    await type('ne');
    const lines = await terminal.lines();
    expect(lines.at(-2)).toMatch(/ E \{"a": 1\}$/);
    expect(lines.at(-1)).toBe('qsd> half a line');
  });

  test('history and search', async () => {
    await type('query-block\r', 2);
    await type('query-jobs\r', 3);
    await type('new\x1b[A\x1b[A');
    expect((await terminal.lines()).at(-1)).toBe('qsd> query-block');
    await type('\x1b[B\x1b[B');
    expect((await terminal.lines()).at(-1)).toBe('qsd> new');
    await type('\x12bloc');
    expect((await terminal.lines()).at(-1)).toBe("(search 'bloc') query-block");
    await type('x');
    expect((await terminal.lines()).at(-1)).toBe("(failed search 'blocx') query-block");
    await type('\x07');
    expect((await terminal.lines()).at(-1)).toBe('qsd> new');
    await type('\x12query\x12\r', 4);
    expect(backend.requests.at(-1)).toBe('{"execute": "query-block"}');
  });

  test('completes, and lists what is possible', async () => {
    await type('blockdev-d\t');
    await eventually('qsd> blockdev-del');
    await type('n\t');
    await eventually('qsd> blockdev-del node-name=');
    await type('\t');
    await eventually('qsd> blockdev-del node-name=disk');
    await type('\x15job-\t');
    await eventually('job-finalize');
    expect((await terminal.lines()).filter((line) => line.startsWith('qsd>'))).toEqual(['qsd> job-']);
    await type('x');
    expect(await shown()).not.toContain('job-finalize');
  });

  test('Ctrl-C drops the line', async () => {
    await type('blockdev-add\x03');
    expect((await terminal.lines()).slice(1)).toEqual(['qsd> blockdev-add^C', 'qsd>']);
  });

  test('Ctrl-C stops what runs and drops what was typed meanwhile', async () => {
    backend.work = (_line, io) =>
      new Promise((_resolve, reject) => {
        io.progress(1, 4);
        io.signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    session.input('ls\rquery-block\r');
    await eventually(' 25%');
    await type('\x03', 2);
    expect((await terminal.lines()).slice(1)).toEqual(['qsd> ls', '^C', 'qsd>']);
    expect(backend.requests).toEqual([]);
  });

  test('Ctrl-C ends the waiting for a reply', async () => {
    backend.qmp = () => new Promise(() => undefined);
    session.input('query-block\r');
    await eventually('Ctrl-C stops');
    await type('\x03', 2);
    expect((await terminal.lines()).slice(1)).toEqual([
      'qsd> query-block',
      'The daemon goes on with it; its reply is not shown.',
      '^C',
      'qsd>',
    ]);
  });

  test('what is typed while a command runs is entered afterwards', async () => {
    let finish: (code: number) => void = () => undefined;
    backend.work = () => new Promise((resolve) => (finish = resolve));
    session.input('ls\rquery-block\r');
    await expect.poll(() => backend.lines).toEqual(['ls']);
    expect(backend.requests).toEqual([]);
    finish(0);
    await expect.poll(() => backend.requests.length).toBe(1);
  });

  test('a command that fails to answer is reported', async () => {
    backend.work = () => Promise.reject(new Error('the worker is gone'));
    await type('ls\r', 2);
    expect(await shown()).toContain('the worker is gone');
  });

  test('a tool can read lines, to the end of input', async () => {
    const read: (string | null)[] = [];
    backend.work = async (_line, io) => {
      for (;;) {
        io.stdout('tool> ');
        const line = await io.readLine();
        read.push(line);
        if (line === null) return 0;
        io.stdout(`got ${line}\n`);
      }
    };
    session.input('ls\rfirst\r');
    await eventually('got first');
    await type('\x04', 2);
    expect(read).toEqual(['first', null]);
    expect((await terminal.lines()).slice(1)).toEqual([
      'qsd> ls',
      'tool> first',
      'got first',
      'tool>',
      'qsd>',
    ]);
  });

  test('a program can enter lines and run tasks; what was being typed stays', async () => {
    await type('half');
    session.enter('query-block');
    await expect.poll(() => prompts).toBe(2);
    await session.runTask('import a.img', async (io) => {
      io.stdout('imported\n');
      return 0;
    });
    expect((await terminal.lines()).slice(1)).toEqual([
      'qsd> query-block',
      '{"return": {}}',
      '# import a.img',
      'imported',
      'qsd> half',
    ]);
  });
});

describe('a secret', () => {
  const asked = async () => {
    session.input('object-add qom-type=secret id=s0\r');
    await eventually('Data of secret s0:');
  };

  test('is typed at a prompt that does not show it, and is not kept', async () => {
    await asked();
    session.input('wrong\x15hunt\x12er"2\t');
    await type('\r', 2);
    expect(backend.requests).toEqual([
      '{"execute": "object-add", "arguments": {"qom-type": "secret", "id": "s0", "data": "hunter\\"2"}}',
    ]);
    // Neither what was typed nor what was deleted comes back.
    await type('\x1b[A\x19', 2);
    await eventually(
      'qsd> object-add qom-type=secret id=s0\nData of secret s0:\n{"return": {}}\nqsd> object-add qom-type=secret id=s0',
    );
    expect(await shown()).not.toMatch(/hunt|wrong/);
  });

  test('is not sent when it is not given', async () => {
    await asked();
    await type('hunter2\x03', 2);
    await asked();
    await type('\x04', 3);
    expect(backend.requests).toEqual([]);
    expect(await shown()).not.toContain('hunter2');
  });

  test('is not a line that a program enters', async () => {
    await asked();
    session.input('hunter2');
    session.propose('ls proposed');
    await eventually('qsd> ls proposed');
    await asked();
    session.enter('ls entered');
    await eventually('qsd> ls entered');
    expect(backend.requests).toEqual([]);
    expect(await shown()).not.toContain('hunter2');
  });
});
