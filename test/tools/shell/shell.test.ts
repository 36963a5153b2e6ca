import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Errno } from '../../../src/files/contract';
import { fileCommands, imageCommands, Shell } from '../../../src/tools/shell';
import { expand, LineError, splitLine } from '../../../src/tools/shell/words';
import { TestContext } from './context';

const recorded = JSON.parse(readFileSync(new URL('fixtures/commands.json', import.meta.url), 'utf8')) as {
  line: string;
  stdout: string;
  stderr: string;
  status: number;
}[];

const shell = new Shell(fileCommands);

describe('the shell answers as the real commands do', async () => {
  const context = new TestContext();
  await context.put('a', 'abc\n');
  await context.put('f', '');
  await context.put('big', Buffer.alloc(2_000_000, 'big'));
  await context.put(
    'sparse',
    new Uint8Array(Array.from({ length: 100 }, (_, index) => (index * 37) & 255)),
    10_000,
  );
  await context.files.makeDirectory('d');
  // One after the other: a line sees what those before it did.
  test.each(recorded)('$line', async ({ line, stdout, stderr, status }) => {
    context.out = context.err = '';
    const code = await shell.run(line, context);
    expect({ stdout: context.out, stderr: context.err, status: code }).toEqual({ stdout, stderr, status });
  });
});

describe('the shell', () => {
  test('gives help', async () => {
    const context = new TestContext();
    for (const { name, summary } of shell.all) {
      context.out = '';
      expect(await shell.run(`${name} --help`, context)).toBe(0);
      expect(context.out).toContain(`usage: ${name} `);
      expect(context.out).toContain(summary);
      expect(await shell.run(`${name} -h`, context)).toBe(0);
    }
  });

  test('runs nothing for an unknown command or half a line', async () => {
    const context = new TestContext();
    expect(await shell.run('frob a', context)).toBe(127);
    expect(context.err).toBe('frob: command not found\n');
    expect(await shell.run('  # only a comment', context)).toBe(0);
    expect(await shell.run("rm 'a", context)).toBe(2);
  });

  test('hands the tools their words, help included', async () => {
    const calls: string[][] = [];
    const tools = new Shell(
      imageCommands({
        img: async (words) => calls.push(words),
        io: async () => 0,
      }),
    );
    const context = new TestContext();
    await context.put('x1.img', '');
    await context.put('x2.img', '');
    await tools.run("qemu-img create -o 'a=1,b=2' x*.img --help", context);
    expect(calls).toEqual([['create', '-o', 'a=1,b=2', 'x1.img', 'x2.img', '--help']]);
  });

  test('lists details', async () => {
    const context = new TestContext();
    await context.put('disk.img', 'x', 3_000_000);
    await context.files.makeDirectory('dir');
    await shell.run('ls -l', context);
    const [directory, file] = context.out.split('\n');
    expect(directory).toMatch(/^drwxr-xr-x .* dir\/$/);
    expect(file).toMatch(/^-rw-r--r-- +4096 3000000 \d{4}-\d\d-\d\d \d\d:\d\d disk\.img$/);
    context.out = '';
    await shell.run('ls -lh disk.img', context);
    expect(context.out).toMatch(/ 4\.0K 2\.9M /);
  });

  test('copies holes as holes', async () => {
    const context = new TestContext();
    await context.put('sparse', 'begin', 1 << 30);
    expect(await shell.run('cp sparse copy', context)).toBe(0);
    expect(await context.files.info('copy')).toMatchObject({ size: 1 << 30, allocated: 4096 });
  });

  test('Ctrl-C stops a copy and takes back what was written', async () => {
    const context = new TestContext();
    await context.put('big', Buffer.alloc(64 << 20, 1));
    context.onTurn = (turn) => {
      if (turn === 2) context.controller.abort();
    };
    expect(await shell.run('cp big copy', context)).toBe(130);
    await expect(context.files.info('copy')).rejects.toMatchObject({ errno: Errno.ENOENT });
    expect(context.reports.at(-1)?.[1]).toBe(64 << 20);
  });

  test('Ctrl-C stops a checksum', async () => {
    const context = new TestContext();
    await context.put('big', 'x', 8 * 2 ** 30);
    context.onTurn = () => context.controller.abort();
    expect(await shell.run('sha256sum big', context)).toBe(130);
    expect(context.out).toBe('');
  });

  test('a full disk is said, and leaves no half a copy', async () => {
    const context = new TestContext(3 << 20);
    await context.put('big', Buffer.alloc(2 << 20, 1));
    expect(await shell.run('cp big copy', context)).toBe(1);
    expect(context.err).toBe("cp: error writing 'copy': No space left on device\n");
    expect((await context.files.list('.')).map(({ name }) => name)).toEqual(['big']);
  });
});

describe('splitting a line', () => {
  test.each<[string, string[]]>([
    ['a  b\tc', ['a', 'b', 'c']],
    [`'a b' "c d"e f''g ''`, ['a b', 'c de', 'fg', '']],
    [`a\\ b \\' "\\"\\\\\\n"`, ['a b', "'", '"\\\\n']],
    ['a # b', ['a']],
    ['a#b', ['a#b']],
  ])('%s', (line, words) => {
    expect(splitLine(line).map(({ text }) => text)).toEqual(words);
  });

  test('what a shell does with several commands is refused, not passed on as words', () => {
    for (const line of ['ls | more', 'ls >a', 'ls; ls', 'ls & ls'])
      expect(() => splitLine(line)).toThrow(/^There are no pipes, redirections or lists of commands here/);
    expect(splitLine(`'a|b' "c>d" e\\;f`).map(({ text }) => text)).toEqual(['a|b', 'c>d', 'e;f']);
  });

  test('quoted patterns are none', () => {
    expect(splitLine(`'*' "?" \\[a] *`).map(({ pattern }) => pattern !== undefined)).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  test('every text survives quoting', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (texts) => {
        const line = texts.map((text) => `'${text.replaceAll("'", `'\\''`)}'`).join(' ');
        expect(splitLine(line).map(({ text }) => text)).toEqual(texts);
      }),
    );
  });

  test('any line gives words or says what is open, and patterns never fail', async () => {
    const context = new TestContext();
    await context.put('file', '');
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: fc.constantFrom(...`ab*?[]!^-/'"\\ f`) }), async (line) => {
        try {
          expect(
            (await expand(splitLine(line), context.files)).every((word) => typeof word === 'string'),
          ).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(LineError);
        }
      }),
    );
  });
});
