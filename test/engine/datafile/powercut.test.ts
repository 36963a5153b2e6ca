/**
 * Power cuts of images with a data file. Both files lose what was not flushed, each by itself: the real tool may find leaked
 * clusters in the image, and the guest sees what it flushed, whatever the data file held before.
 */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { RequestFlag } from '../../../src/engine/contract';
import { Guest } from '../powercuts/guest';
import { checkAll } from '../powercuts/oracle';
import { recorded, Replica, type Step } from '../powercuts/recording';
import { contentOf, memoryFile, must, newEngine, random, scratchDirectory } from '../support';
import { openPair } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const SECTOR = 512;
const SIZE = 1 << 18;
const REQUESTS = 60;

/** A step of one of the two files. */
interface Entry {
  data: boolean;
  step: Step;
}

/** A list of steps that notes them in a journal of both files. */
function noting(journal: Entry[], data: boolean): Step[] {
  const steps: Step[] = [];
  steps.push = (step: Step) => journal.push({ data, step });
  return steps;
}

test.each([
  ['cluster_size=4k', 1],
  ['cluster_size=64k', 2],
  ['cluster_size=512,refcount_bits=64', 3],
  ['cluster_size=4k,data_file_raw=on', 4],
  ['cluster_size=64k,data_file_raw=on', 5],
  ['cluster_size=16k,extended_l2=on', 6],
  ['cluster_size=64k,extended_l2=on', 7],
  ['cluster_size=16k,extended_l2=on,data_file_raw=on', 8],
])('%s', { timeout: 120_000 }, async (options, seed) => {
  const path = scratch.path(`${seed}.qcow2`);
  const raw = scratch.path(`${seed}.raw`);
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `${options},data_file=${raw}`, path, String(SIZE));
  // Data that nothing points to any more: it must never be seen again.
  must(
    'qemu-io',
    '-c',
    `write -P 250 0 ${SIZE}`,
    '-c',
    `write -z 0 ${SIZE}`,
    '-c',
    'write -P 251 64k 64k',
    path,
  );
  const starts = [readFileSync(path), readFileSync(raw)] as const;
  const engine = newEngine();
  const journal: Entry[] = [];
  const pair = openPair(
    engine,
    {
      image: recorded(await memoryFile(starts[0]), noting(journal, false)),
      data: recorded(await memoryFile(starts[1]), noting(journal, true)),
    },
    // The smallest caches: tables are written back in the middle of requests.
    { readOnly: false, passDiscard: seed % 2 === 0, l2CacheSize: 0, l2CacheEntrySize: 512 },
  );
  const begin = contentOf(engine, pair.node);
  const guest = new Guest(new Uint8Array(SIZE / SECTOR).map((_, sector) => begin[sector * SECTOR]!));
  const pick = random(seed);
  const buffer = engine.alloc(1 << 17);
  for (let i = 0; i < REQUESTS; i++) {
    const bytes = SECTOR * (1 + pick(120));
    const offset = SECTOR * pick((SIZE - bytes) / SECTOR + 1);
    const at = journal.length;
    const kind = pick(10);
    if (kind < 5) {
      buffer.view(0, bytes).fill(1 + i);
      guest.fill(at, offset, bytes, 1 + i);
      engine.write(pair.node, offset, bytes, buffer);
    } else if (kind < 7) {
      guest.fill(at, offset, bytes, 0);
      engine.writeZeroes(pair.node, offset, bytes, pick(2) ? RequestFlag.MAY_UNMAP : 0);
    } else if (kind < 9) {
      const before = contentOf(engine, pair.node);
      engine.discard(pair.node, offset, bytes);
      const after = contentOf(engine, pair.node);
      for (let sector = offset / SECTOR; sector * SECTOR < offset + bytes; sector++) {
        const now = after[sector * SECTOR]!;
        if (now !== before[sector * SECTOR]) guest.fill(at, sector * SECTOR, SECTOR, now);
      }
    } else {
      engine.flush(pair.node);
      guest.flushed(journal.length);
    }
  }
  pair.close();
  guest.flushed(journal.length);

  const memories = guest.memories();
  const stable = [new Replica(starts[0]), new Replica(starts[1])] as const;
  const since: [Step[], Step[]] = [[], []];
  const cuts: { at: number; image: Uint8Array; data: Uint8Array }[] = [];
  for (let at = 0; at <= journal.length; at++) {
    for (const loss of ['nothing', 'image', 'data', 'any'] as const) {
      if (loss !== 'nothing' && !since[0].length && !since[1].length) continue;
      const left = stable.map((replica, file) => {
        const copy = replica.copy();
        for (const step of since[file]!) {
          const lost = loss === 'any' ? pick(2) === 1 : loss === (file ? 'data' : 'image');
          if (step.kind === 'size' || !lost) copy.apply(step);
        }
        return copy.bytes.slice(0, copy.size);
      });
      cuts.push({ at, image: left[0]!, data: left[1]! });
    }
    const entry = journal[at];
    if (!entry) break;
    const file = entry.data ? 1 : 0;
    since[file].push(entry.step);
    if (entry.step.kind === 'flush') for (const step of since[file].splice(0)) stable[file].apply(step);
  }
  expect(cuts.length).toBeGreaterThan(REQUESTS);

  for (const { at, image, data } of cuts) {
    const files = { image: await memoryFile(image), data: await memoryFile(data) };
    const open = openPair(engine, files, { readOnly: true });
    expect(memories.objection(at, contentOf(engine, open.node)), `cut before step ${at}`).toBeNull();
    open.close();
  }
  // The tool looks at the image alone: that data is where it is said to be needs no counts.
  const looked = cuts.filter((_, index) => index % 7 === 0);
  const verdicts = checkAll(
    looked.map(({ image }) => image),
    () => false,
  );
  for (const { status, output } of verdicts) expect([0, 3], output).toContain(status);
});
