/** Ctrl-C while qemu-img works, at any of its breaks: nothing is lost, and the command can be given once more. */
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MemoryLocks } from '../../src/files/locks';
import { NodeStore } from '../../src/files/node/store';
import { qemuImg } from '../../src/tools/img';
import { must, newEngine, scratchDirectory } from '../engine/support';
import { haveTools, runReal, splitWords } from './twins';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** How many of the breaks of a run are tried. */
const STOPS = 8;
const INTERRUPTED = 130;

/** Time goes by with every look at the clock, so that each step of the work is followed by a break. */
let now = 0;
beforeEach(() => void vi.spyOn(performance, 'now').mockImplementation(() => (now += 11)));
afterEach(() => void vi.restoreAllMocks());

interface Run {
  code: number;
  stderr: string;
  /** Breaks that it took. */
  turns: number;
}

/** Runs a command in a directory; Ctrl-C comes in its break number `stop`. */
async function run(command: string, directory: string, stop = Infinity): Promise<Run> {
  const control = new AbortController();
  let stderr = '';
  let turns = 0;
  const code = await qemuImg(splitWords(command), {
    engine: newEngine(),
    files: new NodeStore(directory),
    locks: new MemoryLocks(),
    stdout: () => undefined,
    stderr: (text) => (stderr += text),
    signal: control.signal,
    turn: () => {
      if (++turns === stop) control.abort();
      return Promise.resolve();
    },
  });
  return { code, stderr, turns };
}

let directories = 0;

/** A directory with the files of another one. */
function copyOf(directory: string): string {
  const copy = scratch.path(`copy${directories++}`);
  cpSync(directory, copy, { recursive: true });
  return copy;
}

function directoryWith(commands: readonly string[]): string {
  const directory = scratch.path(`start${directories++}`);
  mkdirSync(directory);
  for (const command of commands) must('sh', '-c', `cd ${directory} && ${command}`);
  return directory;
}

const CHAIN = [
  'qemu-img create -q -f qcow2 -o cluster_size=4k base.q 3M',
  'qemu-io -c "write -P 1 0 1M" base.q',
  'qemu-img create -q -f qcow2 -o cluster_size=4k -b base.q -F qcow2 top.q',
  'qemu-io -c "write -P 2 300k 1M" -c "write -z 2M 100k" -c "write -P 3 2500k 500k" top.q',
  'qemu-img create -q -f qcow2 other.q 3M',
  'qemu-io -c "write -P 1 0 500k" -c "write -P 4 1500k 1M" other.q',
  'qemu-img convert -O raw top.q before.raw',
];
const VERSION_3 = [
  'qemu-img create -q -f qcow2 -o cluster_size=1k top.q 3M',
  'qemu-io -c "write -P 2 300k 1M" -c "write -z 2M 300k" top.q',
  'qemu-img snapshot -c one top.q',
  'qemu-io -c "write -z 400k 200k" -c "write -P 3 2500k 100k" top.q',
  'qemu-img convert -O raw top.q before.raw',
];

const CASES: [command: string, files: readonly string[], images: readonly string[]][] = [
  ['commit top.q', CHAIN, ['top.q', 'base.q']],
  ['commit -d top.q', CHAIN, ['top.q', 'base.q']],
  ['rebase -b other.q -F qcow2 top.q', CHAIN, ['top.q', 'other.q', 'base.q']],
  ['rebase -b "" top.q', CHAIN, ['top.q', 'base.q']],
  ['amend -o refcount_bits=64 top.q', VERSION_3, ['top.q']],
  ['amend -o compat=0.10 top.q', VERSION_3, ['top.q']],
  ['amend -o refcount_bits=32,lazy_refcounts=on,size=4M top.q', VERSION_3, ['top.q']],
];

test.runIf(haveTools).each(CASES)('%s', { timeout: 60_000 }, async (command, files, images) => {
  const start = directoryWith(files);
  const same = (directory: string, where: string): void => {
    const compared = runReal(['qemu-img', 'compare', '-f', 'raw', 'before.raw', 'top.q'], directory);
    // A disk that was made larger has zeros there.
    expect(compared.code, where + compared.stdout).toBe(0);
    for (const image of images) {
      const { code, stdout, stderr } = runReal(['qemu-img', 'check', image], directory);
      expect([0, 3], `${where}: ${image}\n${stdout}${stderr}`).toContain(code);
    }
  };
  const { turns, code } = await run(command, copyOf(start));
  expect(code).toBe(0);
  expect(turns).toBeGreaterThan(3);
  const every = Math.max(1, Math.floor(turns / STOPS));
  for (let stop = 1; stop <= turns; stop += every) {
    const directory = copyOf(start);
    const where = `stopped in break ${stop} of ${turns}`;
    expect(await run(command, directory, stop), where).toEqual({
      code: INTERRUPTED,
      stderr: '',
      turns: stop,
    });
    same(directory, where);
    expect(await run(command, directory), where).toMatchObject({ code: 0, stderr: '' });
    same(directory, `${where}, then once more`);
  }
});

const MAKERS: [command: string, target: string][] = [
  ['convert -O qcow2 top.q target', 'target'],
  ['convert -c -O qcow2 top.q target', 'target'],
  ['dd if=top.q of=target', 'target'],
];

test.runIf(haveTools).each(MAKERS)('%s', async (command, target) => {
  const start = directoryWith(CHAIN);
  const before = readFileSync(join(start, 'top.q'));
  const { turns } = await run(command, copyOf(start));
  expect(turns).toBeGreaterThan(1);
  for (const stop of [1, turns]) {
    const directory = copyOf(start);
    expect((await run(command, directory, stop)).code).toBe(INTERRUPTED);
    expect(existsSync(join(directory, target))).toBe(false);
    expect(readFileSync(join(directory, 'top.q')).equals(before)).toBe(true);
  }
});

test.runIf(haveTools)('compare and bench end', async () => {
  const start = directoryWith(CHAIN);
  expect((await run('compare top.q before.raw', start, 2)).code).toBe(INTERRUPTED);
  expect((await run('bench -c 1000 top.q', start, 5)).code).toBe(INTERRUPTED);
});
