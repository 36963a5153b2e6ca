/**
 * The process is killed, or the power is cut, at random moments while a job works and a guest writes: images check clean
 * with the real tool, the chain is readable, and the guest finds what it had flushed.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { Permission } from '../../../src/files/locks';
import { isObject, type QmpObject } from '../../../src/qapi';
import { must, random, scratchDirectory } from '../../engine/support';
import type { Daemon } from '../../../src/daemon';
import { openDaemonOn } from '../daemon';
import { Journal, journaled } from './journal';
import { KINDS, type Kind } from './kinds';

const MIB = 1 << 20;
const BLOCK = 4096;
const SIZE = 4 * MIB;
const CUTS = 8;

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** The images: a layer each of four, with a megabyte of their own. */
function makeChain(): Map<string, Uint8Array> {
  const layers = ['a', 'b', 'c', 'd'];
  layers.forEach((name, i) => {
    const below = i > 0 ? ['-b', scratch.path(`${layers[i - 1]}.qcow2`), '-F', 'qcow2'] : [];
    must('qemu-img', 'create', '-q', '-f', 'qcow2', ...below, scratch.path(`${name}.qcow2`), `${SIZE}`);
    const bytes = i > 0 ? MIB : SIZE;
    const write = `write -q -P ${10 + i} ${i * MIB} ${bytes}`;
    must('qemu-io', '-f', 'qcow2', '-c', write, scratch.path(`${name}.qcow2`));
    if (i > 0)
      must(
        'qemu-img',
        'rebase',
        '-q',
        '-u',
        '-f',
        'qcow2',
        '-b',
        `${layers[i - 1]}.qcow2`,
        '-F',
        'qcow2',
        scratch.path(`${name}.qcow2`),
      );
  });
  // Whoever opens the disk to write must say first that its bitmap is out of date.
  must('qemu-img', 'bitmap', '--add', '-f', 'qcow2', scratch.path('d.qcow2'), 'kept');
  return new Map(layers.map((name) => [`${name}.qcow2`, readFileSync(scratch.path(`${name}.qcow2`))]));
}

/** What a guest wrote, and when: positions in the journal. */
class Memories {
  private readonly writes: { at: number; block: number; value: number }[] = [];
  private readonly flushes: { writes: number; at: number }[] = [];

  wrote(at: number, block: number, value: number): void {
    this.writes.push({ at, block, value });
  }

  /** A flush has come back. */
  flushed(at: number): void {
    this.flushes.push({ writes: this.writes.length, at });
  }

  /** What each block may have after a cut. */
  allowed(cut: number): Set<number>[] {
    const stable = this.flushes.findLast(({ at }) => at <= cut)?.writes ?? 0;
    const blocks = Array.from(
      { length: SIZE / BLOCK },
      (_, i) => new Set([10 + Math.floor((i * BLOCK) / MIB)]),
    );
    for (const [index, { at, block, value }] of this.writes.entries()) {
      if (at >= cut && index >= stable) break;
      if (index < stable) blocks[block]?.clear();
      blocks[block]?.add(value);
    }
    return blocks;
  }
}

async function command(daemon: Daemon, name: string, args: QmpObject): Promise<void> {
  expect(await daemon.execute(name, args), `${name} ${JSON.stringify(args)}`).toEqual({ return: {} });
}

/** Places in the journal. */
interface Marks {
  /** Where the job began. */
  begun: number;
  /** Where the guest first wrote to the image that it went over to; the end: it stayed. */
  moved: number;
}

/** A job from its start to its end, and a while more, as a guest writes to the disk and flushes now and then. */
async function session(
  kind: Kind,
  journal: Journal,
  memories: Memories,
  pick: (below: number) => number,
): Promise<Marks> {
  const { daemon, events } = openDaemonOn(await journaled(journal, makeChain()));
  for (const [i, name] of ['a', 'b', 'c', 'd'].entries()) {
    const file = { driver: 'file', filename: `${name}.qcow2` };
    const backing: QmpObject = i > 0 ? { backing: 'abc'[i - 1] ?? '' } : {};
    await command(daemon, 'blockdev-add', { driver: 'qcow2', 'node-name': name, file, ...backing });
  }
  for (const [name, args] of kind.before ?? []) {
    await command(daemon, name, args);
    // What takes a job is done when that has concluded.
    while (events.length > 0 && JSON.stringify(await daemon.execute('query-jobs')).includes('running'))
      await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const perm = Permission.CONSISTENT_READ | Permission.WRITE;
  const guest = await daemon.graph.attach({ nodeName: 'd' }, { perm, shared: Permission.ALL });
  const buffer = daemon.environment.engine.alloc(BLOCK);
  let moved = Infinity;
  // Filters of jobs are no images.
  const hasLeft = (): boolean => guest.node.driver === 'qcow2' && guest.node.name !== 'd';
  const things = (): void => {
    if (hasLeft()) moved = Math.min(moved, journal.length);
    const value = 20 + pick(200);
    const block = pick(SIZE / BLOCK);
    buffer.view().fill(value);
    memories.wrote(journal.length, block, value);
    guest.write(block * BLOCK, BLOCK, buffer);
    if (pick(6) > 0) return;
    guest.flush();
    memories.flushed(journal.length);
  };
  things();
  let begun = journal.length;
  const [name, args] = kind.start;
  await command(daemon, name, { 'job-id': 'j', ...args });
  // An image that is being made is not there yet.
  if (kind.makesTarget) begun = journal.length;
  const seen = (status: string): boolean =>
    events.some(
      ({ data }) =>
        isObject(data ?? null) && (data as QmpObject).id === 'j' && (data as QmpObject).status === status,
    );
  for (let asked = false; !seen('concluded');) {
    // A job that is to get ready needs a guest that rests for a moment.
    if (!kind.ready || asked || journal.length < begun + 150) things();
    if (kind.ready && !asked && seen('ready')) {
      asked = true;
      await command(daemon, kind.ready, { device: 'j' });
    }
    if (kind.held && seen('pending')) {
      for (let i = 0; i < 30; i++) things();
      await command(daemon, 'job-finalize', { id: 'j' });
    }
    if (kind.endless && !asked && journal.length > begun + 150) {
      asked = true;
      await command(daemon, 'job-cancel', { id: 'j' });
    }
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  expect(seen('aborting')).toBe(kind.endless ?? false);
  for (let i = 0; i < 20 && kind.pivot; i++) things();
  expect(hasLeft()).toBe(kind.pivot !== undefined);
  // The engine is left as it is: nothing is closed.
  return { begun, moved };
}

/** Has all images of all directories checked, and the guest's disk read. */
const JUDGE = `
for d in "$0"/*/; do cd "$d"; for i in *.qcow2; do
  qemu-img check -q "$i" >"$i.out" 2>&1; s=$?; [ $s = 0 ] || [ $s = 3 ] || echo "$i: $(cat "$i.out")" >>verdict
done; qemu-img convert -f qcow2 -O raw "$(cat image)" disk || echo unreadable >>verdict
qemu-img info d.qcow2 | grep -q in-use || echo 'the bitmap of the disk is not what it says' >>verdict
touch verdict; done`;

describe('a kill while there is a', () => {
  it.each(Object.entries(KINDS))('%s', async (name, kind) => {
    const pick = random(1 + Object.keys(KINDS).indexOf(name));
    const journal = new Journal();
    const memories = new Memories();
    const { begun, moved } = await session(kind, journal, memories, pick);
    const root = scratch.path(name.replaceAll(' ', '-'));
    const cuts = Array.from({ length: CUTS }, (_, i) => ({
      // The last steps are those that change headers and chains.
      at: i % 2 ? begun + pick(journal.length - begun) : Math.min(journal.length, moved + 6) - pick(12),
      power: i % 3 > 0,
    }));
    for (const [i, { at, power }] of cuts.entries()) {
      mkdirSync(`${root}/${i}`, { recursive: true });
      for (const [file, bytes] of journal.filesAt(at, () => !power || pick(2) === 0)) {
        if (!kind.unfinished?.includes(file)) writeFileSync(`${root}/${i}/${file}`, bytes);
      }
      writeFileSync(`${root}/${i}/image`, at > moved ? (kind.pivot ?? '') : 'd.qcow2');
    }
    must('bash', '-c', JUDGE, root);
    for (const [i, { at, power }] of cuts.entries()) {
      const where = `${power ? 'power cut' : 'killed'} at ${at} of ${journal.length}`;
      expect(readFileSync(`${root}/${i}/verdict`, 'utf8'), where).toBe('');
      const disk = readFileSync(`${root}/${i}/disk`);
      const wrong = memories
        .allowed(at)
        .map((values, block) => ({ block, values: [...values], has: disk[block * BLOCK] ?? -1 }))
        .filter(({ values, has }) => !values.includes(has));
      expect(wrong, where).toEqual([]);
    }
  });
});
