/** Real jobs share the worker's time, and keep their speed. Time is virtual: only what is written takes any. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Daemon } from '../../src/daemon';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import type { OpenMode } from '../../src/files/contract';
import type { QmpValue } from '../../src/qapi';

const MODULE = new WebAssembly.Module(readFileSync('build/engine.wasm'));
const MIB = 2 ** 20;
/** Bytes that are written in a virtual millisecond, if writing takes time. */
const RATE = MIB / 4;

let daemon: Daemon;
let files: SlowStore;
/** Virtual milliseconds that the worker was kept busy. */
let busy: number;
/** Whether writing takes time. */
let costly: boolean;
/** How long the worker was busy between each two turns. */
let pieces: number[];

/** Files in memory; writing to them takes virtual time. */
class SlowStore extends MemoryStore {
  override async open(path: string, mode: OpenMode): ReturnType<MemoryStore['open']> {
    const file = await super.open(path, mode);
    const write = file.write.bind(file);
    file.write = (from, at) => {
      if (costly) busy += from.length / RATE;
      write(from, at);
    };
    return file;
  }
}

beforeEach(() => {
  busy = 0;
  costly = false;
  pieces = [];
  let before = 0;
  files = new SlowStore();
  daemon = new Daemon({
    engine: createEngine(MODULE),
    files,
    locks: new MemoryLocks(),
    version: 'test',
    now: () => 0,
    turn: () => {
      pieces.push(busy - before);
      before = busy;
      return new Promise((resolve) => setImmediate(resolve));
    },
    exit: () => undefined,
  });
});

afterEach(async () => {
  await daemon.end();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const must = async (name: string, args: QmpValue): Promise<QmpValue> => {
  const reply = await daemon.execute(name, args);
  expect(reply).not.toHaveProperty('error');
  return reply.return ?? null;
};

interface Info {
  device: string;
  offset: number;
  len: number;
}
const infos = async (): Promise<Info[]> => (await must('query-block-jobs', {})) as unknown as Info[];

async function createFile(name: string, size: number): Promise<void> {
  await concluded('file', { driver: 'file', filename: name, size });
}

async function concluded(id: string, options: QmpValue): Promise<void> {
  await must('blockdev-create', { 'job-id': id, options });
  const status = async () => ((await must('query-jobs', {})) as { status: string }[])[0]?.status;
  while ((await status()) !== 'concluded') await new Promise((resolve) => setImmediate(resolve));
  await must('job-dismiss', { id });
}

/** An empty qcow2 image in a file of its own. */
async function createImage(name: string, size: number): Promise<void> {
  await createFile(name, 0);
  await must('blockdev-add', { driver: 'file', 'node-name': 'new', filename: name });
  await concluded('image', { driver: 'qcow2', file: 'new', size });
  await must('blockdev-del', { 'node-name': 'new' });
}

/** A disk that is all data. */
async function addDisk(node: string, size: number): Promise<void> {
  const file = await files.open('data', { write: true, create: 'keep' });
  for (let at = file.size(); at < size; at += MIB) file.write(new Uint8Array(MIB).fill(1), at);
  file.close();
  await must('blockdev-add', { driver: 'file', 'node-name': node, filename: 'data', 'read-only': true });
}

const addImage = (node: string, backing: string | null) =>
  must('blockdev-add', {
    driver: 'qcow2',
    'node-name': node,
    file: { driver: 'file', filename: node },
    backing,
  });

const KINDS = ['mirror', 'backup', 'stream', 'commit'] as const;

/** Starts a job that copies a disk which is all data. */
async function start(kind: (typeof KINDS)[number], id: string, size: number, speed: number): Promise<void> {
  const base = { 'job-id': id, device: `${id}-s`, speed };
  if (kind !== 'commit') await addDisk(kind === 'stream' ? `${id}-b` : `${id}-s`, size);
  switch (kind) {
    case 'mirror':
    case 'backup':
      await createFile(`${id}-t`, size);
      await must('blockdev-add', { driver: 'file', 'node-name': `${id}-t`, filename: `${id}-t` });
      await must(`blockdev-${kind}`, {
        ...base,
        target: `${id}-t`,
        sync: 'full',
        ...(kind === 'mirror' && { 'buf-size': MIB }),
      });
      return;
    case 'stream':
      await createImage(`${id}-s`, size);
      await addImage(`${id}-s`, `${id}-b`);
      await must('block-stream', base);
      return;
    case 'commit': {
      // The layer in the middle gets its data before it has a base.
      await addDisk(`${id}-d`, size);
      await createImage(`${id}-m`, size);
      await addImage(`${id}-m`, null);
      await must('blockdev-backup', {
        'job-id': 'fill',
        device: `${id}-d`,
        target: `${id}-m`,
        sync: 'full',
      });
      while ((await infos()).some(({ device }) => device === 'fill'))
        await new Promise((resolve) => setImmediate(resolve));
      await must('blockdev-del', { 'node-name': `${id}-m` });
      await createFile(`${id}-b`, size);
      await must('blockdev-add', { driver: 'file', 'node-name': `${id}-b`, filename: `${id}-b` });
      await addImage(`${id}-m`, `${id}-b`);
      await createImage(`${id}-s`, size);
      await addImage(`${id}-s`, `${id}-m`);
      await must('block-commit', { ...base, 'top-node': `${id}-m`, 'base-node': `${id}-b` });
    }
  }
}

describe('ten jobs', () => {
  it('take turns of at most 10 ms, and come forward alike', async () => {
    vi.spyOn(performance, 'now').mockImplementation(() => busy);
    const size = 16 * MIB;
    const ids = Array.from({ length: 10 }, (_, i) => `j${i}`);
    // They are paused until all are there: the first pieces were done when a command was answered.
    for (const [i, id] of ids.entries()) {
      await start(KINDS[i % KINDS.length] ?? 'mirror', id, size, 1);
      await must('job-pause', { id });
    }
    const first = new Map((await infos()).map(({ device, offset }) => [device, offset]));
    expect(first.size).toBe(ids.length);
    for (const id of ids) await must('block-job-set-speed', { device: id, speed: 0 });
    costly = true;
    pieces.length = 0;
    for (const id of ids) await must('job-resume', { id });
    // A turn: five milliseconds of work, and a piece that had begun before they were over.
    const turn = 5 * RATE + MIB;
    let least = 0;
    while (least < size / 2) {
      const now = (await infos()).filter(({ device }) => ids.includes(device));
      expect(now).toHaveLength(ids.length);
      const gained = now.map(({ device, offset }) => offset - (first.get(device) ?? 0));
      expect(Math.max(...gained) - Math.min(...gained)).toBeLessThanOrEqual(2 * turn);
      least = Math.min(...gained);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(pieces.length).toBeGreaterThan(ids.length);
    expect(Math.max(...pieces)).toBeGreaterThanOrEqual(5);
    expect(Math.max(...pieces)).toBeLessThanOrEqual(10);
  });
});

describe('the speed of a job', () => {
  /** Time goes by. */
  async function pass(seconds: number): Promise<void> {
    for (let i = 0; i < seconds * 200; i++) {
      vi.advanceTimersByTime(5);
      for (let j = 0; j < 3; j++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it.each(KINDS)('%s: is kept within 5 percent, also when it is changed', async (kind) => {
    await start(kind, 'j', 160 * MIB, MIB);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    const offset = async (): Promise<number> => (await infos())[0]?.offset ?? NaN;
    // What slept by the real clock sleeps by the virtual one from here on.
    await must('block-job-set-speed', { device: 'j', speed: MIB + 1 });
    await pass(2);
    for (const speed of [2 * MIB, 4 * MIB, MIB]) {
      await must('block-job-set-speed', { device: 'j', speed });
      await pass(2);
      const from = await offset();
      await pass(16);
      const done = (await offset()) - from;
      // At both ends a piece may just be done.
      expect(done).toBeGreaterThanOrEqual(speed * 16 * 0.95 - MIB);
      expect(done).toBeLessThanOrEqual(speed * 16 * 1.05 + MIB);
    }
  });
});
