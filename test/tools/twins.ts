/**
 * The same command lines by the real tools and by ours, in two directories that start equal.
 *
 * A corpus file has blocks separated by empty lines; each block gets fresh directories. Lines of a block:
 *   # title           of the block
 *   $ COMMAND         qemu-img or qemu-io: by the real tool in one directory, by ours in the other; output is compared
 *   ! COMMAND         preparation: the same real program in both directories; it must succeed
 *   = FILE            the images are equal: guest content, block status (without host offsets), bitmaps; `qemu-img check` clean
 *   ~ FILE            only the guest content is equal (Node.js cannot make holes in a file that is there)
 *   & COMMAND         qemu-nbd serves in both directories, until the end of the block
 *   < TEXT            lines of standard input for the next command
 * Words are split as by a shell, with '...' and "...".
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, mkdtempSync, existsSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../../src/engine';
import type { Engine } from '../../src/engine/contract';
import { MemoryLocks } from '../../src/files/locks';
import { NodeStore } from '../../src/files/node/store';
import { connectTo } from '../../src/node/connect';
import { nbdOpener } from '../../src/nbd';
import type { Tool, ToolContext } from '../../src/tools/context';
import { qemuImg } from '../../src/tools/img';
import { qemuIo } from '../../src/tools/io';

const TOOLS: Readonly<Record<string, Tool>> = { 'qemu-img': qemuImg, 'qemu-io': qemuIo };

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, '../../build/engine.wasm')));

/** What a command printed and how it ended. */
export interface Outcome {
  stdout: string;
  stderr: string;
  code: number;
}

/** Whether the real tools are on this machine. */
export const haveTools = spawnSync('qemu-img', ['--version']).status === 0;

/** A block of a corpus. */
export interface Block {
  title: string;
  lines: { kind: string; text: string; number: number }[];
}

/** Reads the blocks of a corpus file. */
export function readCorpus(path: string): Block[] {
  const blocks: Block[] = [];
  let block: Block | null = null;
  for (const [index, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    if (line.trim() === '') {
      block = null;
      continue;
    }
    if (!block) blocks.push((block = { title: '', lines: [] }));
    if (line.startsWith('# ')) block.title ||= line.slice(2);
    else block.lines.push({ kind: line[0] ?? '', text: line.slice(2), number: index + 1 });
  }
  return blocks;
}

/** Splits a line into words; a quoted part may be empty. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const match of line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)) {
    words.push(
      match[0].replace(
        /'([^']*)'|"([^"]*)"/g,
        (_all, single?: string, double?: string) => single ?? double ?? '',
      ),
    );
  }
  return words;
}

/** Runs a tool of ours in a directory. */
export async function runOurs(
  words: string[],
  directory: string,
  input: string[] = [],
  engine?: Engine,
): Promise<Outcome> {
  const [name = '', ...rest] = words;
  const tool = TOOLS[name];
  if (!tool) throw new Error(`no tool ${name}`);
  const lines = [...input];
  const outcome: Outcome = { stdout: '', stderr: '', code: 0 };
  const mine = engine ?? createEngine(module);
  const context: ToolContext = {
    engine: mine,
    openNbd: nbdOpener({
      presence: mine.presence,
      connect: (address) => connectTo(address, directory),
    }),
    files: new NodeStore(directory),
    locks: new MemoryLocks(),
    stdout: (text) => (outcome.stdout += text),
    stderr: (text) => (outcome.stderr += text),
    readLine: async () => lines.shift() ?? null,
    signal: new AbortController().signal,
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  };
  outcome.code = await tool(rest, context);
  return outcome;
}

/** Runs a real program in a directory. */
export function runReal(words: string[], directory: string, input: string[] = []): Outcome {
  const [name = '', ...rest] = words;
  const result = spawnSync(name, rest, {
    cwd: directory,
    encoding: 'utf8',
    input: input.map((line) => `${line}\n`).join(''),
  });
  if (result.error) throw result.error;
  // What a shell says of a process that a signal ended.
  const signalled = result.signal ? 128 + constants.signals[result.signal] : -1;
  return { stdout: result.stdout, stderr: result.stderr, code: result.status ?? signalled };
}

/** Two directories for one block. */
export class Twins {
  private readonly servers: number[] = [];
  private readonly root = mkdtempSync(join(tmpdir(), 'qsd-twins-'));
  readonly real = join(this.root, 'real');
  readonly ours = join(this.root, 'ours');

  constructor() {
    mkdirSync(this.real);
    mkdirSync(this.ours);
  }

  /** Starts a server in both directories; it is there when this returns. */
  serve(line: string): void {
    for (const directory of [this.real, this.ours]) {
      const pidFile = join(directory, `server${this.servers.length}.pid`);
      const command = `${line} --fork --pid-file ${pidFile}`;
      const { code, stderr } = runReal(['sh', '-c', command], directory);
      if (code !== 0) throw new Error(`${line}: ${stderr}`);
      this.servers.push(Number(readFileSync(pidFile, 'utf8')));
    }
  }

  remove(): void {
    for (const pid of this.servers) process.kill(pid);
    rmSync(this.root, { recursive: true });
  }

  /** Prepares both directories with a real program. */
  prepare(line: string): void {
    for (const directory of [this.real, this.ours]) {
      const { code, stderr } = runReal(['sh', '-c', line], directory);
      if (code !== 0) throw new Error(`${line}: ${stderr}`);
    }
  }

  /** The outcomes of a command, ready to be compared. */
  async run(line: string, input: string[] = []): Promise<{ real: Outcome; ours: Outcome }> {
    const words = splitWords(line);
    return {
      real: comparable(runReal(words, this.real, input)),
      ours: comparable(await runOurs(words, this.ours, input)),
    };
  }

  /** What differs between the two images of this name; an empty list if nothing. */
  differences(file: string, contentOnly = false): string[] {
    const found: string[] = [];
    const here = [join(this.real, file), join(this.ours, file)] as const;
    const absent = here.filter((path) => !existsSync(path));
    if (absent.length > 0) return absent.map((path) => `${path} is not there`);
    const compared = runReal(['qemu-img', 'compare', ...here], this.real);
    if (compared.code !== 0) found.push(compared.stdout + compared.stderr);
    const [real, ours] = [this.map(this.real, file), this.map(this.ours, file)];
    const at = contentOnly ? -1 : real.findIndex((entry, index) => entry !== ours[index]);
    if (at >= 0 || (!contentOnly && real.length !== ours.length)) {
      found.push(`block status differs in entry ${at}: real ${real[at]}, ours ${ours[at]}`);
    }
    const [kept, oursKept] = [this.bitmaps(this.real, file), this.bitmaps(this.ours, file)];
    if (kept !== oursKept) found.push(`bitmaps differ: real ${kept}, ours ${oursKept}`);
    const checked = runReal(['qemu-img', 'check', file], this.ours);
    if (checked.code !== 0 && checked.code !== 63) found.push(checked.stdout + checked.stderr);
    return found;
  }

  /** The dirty bitmaps in an image, and hashes of what they hold. */
  private bitmaps(directory: string, file: string): string {
    const { stdout } = runReal(['qemu-img', 'info', '--output=json', file], directory);
    const told = JSON.parse(stdout) as { 'format-specific'?: { data: { bitmaps?: { name: string }[] } } };
    const { bitmaps } = told['format-specific']?.data ?? {};
    if (!bitmaps) return 'none';
    const input = ['{"execute": "qmp_capabilities"}'];
    for (const { name } of bitmaps) {
      const hash = { execute: 'x-debug-block-dirty-bitmap-sha256', arguments: { node: 'd', name } };
      input.push(JSON.stringify(hash));
    }
    const blockdev = `driver=qcow2,node-name=d,read-only=on,file.driver=file,file.filename=${file}`;
    const daemon = ['qemu-storage-daemon', '--blockdev', blockdev];
    const monitor = ['--chardev', 'stdio,id=s', '--monitor', 's'];
    const replies = runReal([...daemon, ...monitor], directory, [...input, '{"execute": "quit"}']);
    return [...bitmaps.map((one) => JSON.stringify(one)), ...replies.stdout.split('\n').slice(2, -2)]
      .map((line) => line.trim())
      .join('\n');
  }

  private map(directory: string, file: string): string[] {
    const { stdout } = runReal(['qemu-img', 'map', '--output=json', file], directory);
    return mergeMap(stdout);
  }
}

interface MapEntry {
  length: number;
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  compressed: boolean;
}

/**
 * A map without host offsets, which may differ; neighbours of one kind are joined. Data whose place in the file is a hole
 * counts as data: whether holes are left in allocated clusters depends on how they were filled.
 */
function mergeMap(json: string): string[] {
  const merged: { length: number; kind: string }[] = [];
  for (const { length, depth, present, zero, data, compressed } of JSON.parse(json) as MapEntry[]) {
    const text = JSON.stringify({ depth, present, zero: zero && !data, data, compressed });
    const last = merged.at(-1);
    if (last?.kind === text) last.length += length;
    else merged.push({ length, kind: text });
  }
  let start = 0;
  return merged.map(({ length, kind }) => `${start}..${(start += length)} ${kind}`);
}

/** What cannot be the same in two runs is masked, and texts of 10.0 become those of 9.1, which is our rule. */
export function comparable({ stdout, stderr, code }: Outcome): Outcome {
  // A line that the real tool does not end.
  const ended = stderr.replace(/(on the image file to fix\.)(?=[^\n]|$)/g, '$1\n');
  const unnamed = ended.replace(/#block\d+/g, '#block');
  return { stdout: maskTimes(stdout), stderr: texts91(unnamed), code };
}

function maskTimes(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'DATE')
    .replace(/"(date-n?sec)": \d+/g, '"$1": 0')
    .replace(/(ops; )[0-9:.]+ (?:sec )?\(.* ops\/sec\)/g, '$1TIME')
    .replace(/(Run completed in )[0-9.]+( seconds)/g, '$1TIME$2')
    .replace(/^(\d+,\d+,)[0-9:.]+,[0-9.]+,[0-9.]+$/gm, '$1TIME');
}

/**
 * Where 10.0 prints another text than 9.1 (the fact sheet of the tools lists them), both become one text. The mistakes
 * that getopt finds keep their kind only, because 10.0 names the letter and 9.1 the word.
 */
function texts91(text: string): string {
  return text
    .replace(
      /^Try 'qemu-img (\S+ )?--help' for more info(rmation)?$/gm,
      "Try 'qemu-img --help' for more information",
    )
    .replace(
      /^qemu-img(?: \w+)?: (unrecognized option|invalid option --|option '\S+' is ambiguous|option '\S+' doesn't).*$/gm,
      'WRONG OPTION',
    )
    .replace(
      /^qemu-img(?: \w+)?: (option requires an argument|option '\S+' requires an argument|missing argument for option).*$/gm,
      'NO VALUE',
    )
    .replace(
      /^qemu-img: Invalid (request count|queue depth|pattern byte|flush interval) specified(: '.*'|\. Must be .*)\.$/gm,
      'qemu-img: Invalid $1 specified',
    )
    .replace(/^qemu-img: Invalid step size /gm, 'qemu-img: Invalid step_size ')
    .replace(/^qemu-img: Invalid (.+) specified: '.*'\.$/gm, (_all, what: string) =>
      what === 'number of coroutines'
        ? COROUTINES
        : `qemu-img: Invalid ${what} specified. You may use k, M, G, T, P or E suffixes for\n` +
          'qemu-img: kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.',
    )
    .replace(/^qemu-img: Invalid number of coroutines specified\. Must be between 1 and 16\.$/gm, COROUTINES)
    .replace(
      /^qemu-img: --repair \(-r\) expects 'leaks' or 'all' not '(.*)'$/gm,
      "qemu-img: Unknown option value for -r (expecting 'leaks' or 'all'): $1",
    )
    .replace(
      /^qemu-img: --output expects 'human' or 'json' not '.*'$/gm,
      'qemu-img: --output must be used with human or json as argument.',
    );
}

const COROUTINES = 'qemu-img: Invalid number of coroutines. Allowed number of coroutines is between 1 and 16';
