/** Power cuts while qemu-img commit and rebase work: after every one of them the chain reads what it read before. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/contract';
import type { FileStore } from '../../src/files/contract';
import { MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import { qemuImg } from '../../src/tools/img';
import { checkAll } from '../engine/powercuts/oracle';
import { recorded, Replica, type Step } from '../engine/powercuts/recording';
import {
  contentOf,
  memoryFile,
  must,
  newEngine,
  openQcow2,
  random,
  scratchDirectory,
} from '../engine/support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const CHECKED_AT_ONCE = 128;

type Images = Map<string, Uint8Array>;
type Journal = { path: string; step: Step }[];

/** Runs a tool on images in memory; what reaches any of the files is written down in its order. */
async function journalOf(words: string[], images: Images): Promise<Journal> {
  const store = new MemoryStore();
  for (const [path, bytes] of images) {
    const file = await store.open(path, { write: true, create: 'truncate' });
    file.write(bytes, 0);
    file.close();
  }
  const journal: Journal = [];
  const files: FileStore = Object.assign(Object.create(store) as FileStore, {
    open: async (path: string, mode: Parameters<FileStore['open']>[1]) => {
      const file = await store.open(path, mode);
      if (!mode.write) return file;
      const steps: Step[] = [];
      steps.push = (step) => journal.push({ path, step: step });
      return recorded(file, steps);
    },
  });
  let stderr = '';
  const code = await qemuImg(words, {
    engine: newEngine(),
    files,
    locks: new MemoryLocks(),
    stdout: () => undefined,
    stderr: (text) => (stderr += text),
    signal: new AbortController().signal,
    turn: () => Promise.resolve(),
  });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return journal;
}

/** What the image on top reads, by the names that the headers give. */
async function read(engine: Engine, images: Images, path: string): Promise<Uint8Array> {
  const nodes: ReturnType<typeof openQcow2>[] = [];
  for (let at: string | null = path; at !== null;) {
    const open = openQcow2(engine, await memoryFile(images.get(at)), { readOnly: true });
    const above = nodes.at(-1);
    if (above) engine.setBacking(above.node, open.node);
    nodes.push(open);
    at = engine.qcow2Info(open.node).backingFile;
  }
  const content = contentOf(engine, nodes[0]!.node, 1 << 18).slice();
  for (const node of nodes) node.close();
  return content;
}

/** Cuts the power before every step; of what was not flushed all, nothing or any part is lost, in each file for itself. */
async function cutEverywhere(start: Images, journal: Journal, top: string, seed: number): Promise<number> {
  const pick = random(seed);
  const engine = newEngine();
  const before = Buffer.from(await read(engine, start, top));
  const names = [...start.keys()];
  const stable = new Map(names.map((name) => [name, new Replica(start.get(name)!)]));
  const pending = new Map<string, Step[]>(names.map((name) => [name, []]));
  let images: { where: string; bytes: Uint8Array }[] = [];
  let count = 0;
  const judge = (): void => {
    const verdicts = checkAll(
      images.map(({ bytes }) => bytes),
      () => false,
    );
    verdicts.forEach(({ status, output }, i) =>
      expect([0, 3], `${images[i]!.where}\n${output}`).toContain(status),
    );
    images = [];
  };
  for (let at = 0; at <= journal.length; at++) {
    for (const loss of ['nothing', 'all', 'any']) {
      const where = `cut before step ${at} of ${journal.length}, lost: ${loss}`;
      const left: Images = new Map();
      for (const name of names) {
        const image = stable.get(name)!.copy();
        for (const step of pending.get(name)!)
          if (step.kind === 'size' || loss === 'nothing' || (loss === 'any' && pick(2) === 1))
            image.apply(step);
        const bytes = image.bytes.slice(0, image.size);
        left.set(name, bytes);
        // The real tool is to look at this image alone: the place of the backing file's name is taken out.
        images.push({ where: `${where}: ${name}`, bytes: bytes.slice().fill(0, 8, 20) });
      }
      expect(before.equals(await read(engine, left, top)), where).toBe(true);
      count++;
    }
    if (images.length >= CHECKED_AT_ONCE) judge();
    const next = journal[at];
    if (!next) continue;
    const steps = pending.get(next.path)!;
    if (next.step.kind !== 'flush') steps.push(next.step);
    else for (const step of steps.splice(0)) stable.get(next.path)!.apply(step);
  }
  judge();
  return count;
}

/** A chain of three and an image beside it, with data in every one. */
function makeImages(options: string): Images {
  const names = ['base.q', 'middle.q', 'top.q', 'other.q'];
  const [base, middle, top, other] = names.map((name) => scratch.path(name)) as [
    string,
    string,
    string,
    string,
  ];
  const create = ['create', '-q', '-f', 'qcow2', '-o', options];
  must('qemu-img', ...create, base, '1M');
  must('qemu-io', '-c', 'write -P 1 0 300k', base);
  must('qemu-img', ...create, '-u', '-b', 'base.q', '-F', 'qcow2', middle, '1M');
  must(
    'qemu-io',
    '-c',
    'write -P 2 100k 60k',
    '-c',
    'write -z 256k 32k',
    '-c',
    'write -P 3 700k 10k',
    middle,
  );
  must('qemu-img', ...create, '-u', '-b', 'middle.q', '-F', 'qcow2', top, '1200k');
  must(
    'qemu-io',
    '-c',
    'write -P 4 120k 20k',
    '-c',
    'write -P 5 500k 100k',
    '-c',
    'write -P 6 1100k 20k',
    top,
  );
  must('qemu-img', ...create, other, '2M');
  must('qemu-io', '-c', 'write -P 1 0 150k', '-c', 'write -P 9 600k 500k', other);
  return new Map(names.map((name) => [name, new Uint8Array(readFileSync(scratch.path(name)))]));
}

const CASES: [words: string, options: string][] = [
  ['commit top.q', 'cluster_size=16k'],
  ['commit -b base.q top.q', 'cluster_size=4k'],
  ['commit top.q', 'cluster_size=32k,extended_l2=on'],
  ['rebase -b base.q -F qcow2 top.q', 'cluster_size=16k'],
  ['rebase -b other.q -F qcow2 top.q', 'cluster_size=4k'],
  ['rebase -c -b other.q -F qcow2 top.q', 'cluster_size=16k'],
];

test.each(CASES)('%s with %s', { timeout: 120_000 }, async (words, options) => {
  const start = makeImages(options);
  const journal = await journalOf(words.split(' '), start);
  expect(await cutEverywhere(start, journal, 'top.q', words.length)).toBeGreaterThan(30);
});
