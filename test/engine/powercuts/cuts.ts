/** Every power cut of a session, and what comes of the image. */
import { expect } from 'vitest';
import type { Engine } from '../../../src/engine/contract';
import { contentOf, memoryFile, openQcow2, random } from '../support';
import type { Guest } from './guest';
import { checkAll } from './oracle';
import { Replica, type Step } from './recording';

const BATCH = 128;
const SECTOR = 512;

/** What is lost of the writes that were not flushed when the power went. */
type Loss = 'nothing' | 'all' | 'any' | 'torn';

/**
 * Cuts the power before every step of a journal, and looks at the images that may be left: with all that was written, with
 * nothing that was not flushed, with any part of it, and with the last write torn between two sectors.
 * The real tool may find leaked clusters in them and nothing worse, and the guest sees what was flushed.
 * @returns how many images were looked at
 */
export async function cutEverywhere(
  engine: Engine,
  start: Uint8Array,
  steps: readonly Step[],
  guest: Guest,
  seed: number,
): Promise<number> {
  const pick = random(seed);
  const memories = guest.memories();
  const stable = new Replica(start);
  let flushed = 0;
  let count = 0;
  let batch: { at: number; loss: Loss; image: Uint8Array }[] = [];

  const judge = async () => {
    const verdicts = checkAll(
      batch.map(({ image }) => image),
      (index) => isDirty(batch[index]!.image),
    );
    for (const [index, { at, loss, image }] of batch.entries()) {
      const where = `cut before step ${at} of ${steps.length}, lost: ${loss}`;
      const { status, output } = verdicts[index]!;
      expect([0, 3], `${where}\n${output}`).toContain(status);
      const file = await memoryFile(image);
      const open = openQcow2(engine, file, { readOnly: true });
      const disk = contentOf(engine, open.node, 1 << 18);
      const claims = engine.bitmaps.of(open.node).some((one) => !engine.bitmaps.state(one).inconsistent);
      open.close();
      expect(memories.objection(at, disk), where).toBeNull();
      if (claims) expect(memories.isClosed(at, disk), `${where}: a bitmap claims to be right`).toBe(true);
    }
    count += batch.length;
    batch = [];
  };

  for (let at = 0; at <= steps.length; at++) {
    for (const loss of lossesAt(steps.slice(flushed, at), pick)) {
      const image = stable.copy();
      const since = steps.slice(flushed, at);
      since.forEach((step, index) => {
        const last = index === since.length - 1;
        // A change of the size is not lost here: what was cut off would come back.
        if (step.kind === 'size' || loss === 'nothing' || (loss === 'any' && pick(2) === 1))
          image.apply(step);
        else if (loss === 'torn') image.apply(last ? torn(step, pick) : step);
      });
      batch.push({ at, loss, image: image.bytes.slice(0, image.size) });
    }
    if (batch.length >= BATCH) await judge();
    const step = steps[at];
    if (step?.kind !== 'flush') continue;
    for (const one of steps.slice(flushed, at)) stable.apply(one);
    flushed = at + 1;
  }
  await judge();
  return count;
}

/** The losses that make a difference. */
function lossesAt(since: readonly Step[], pick: (below: number) => number): Loss[] {
  const losses: Loss[] = ['nothing'];
  const writes = since.filter(({ kind }) => kind === 'write').length;
  if (writes === 0) return losses;
  if (writes > 1) losses.push('any');
  if (writes > 2 && pick(4) === 0) losses.push('any', 'all');
  const last = since.at(-1);
  if (last?.kind === 'write' && last.bytes.length > SECTOR) losses.push('torn');
  return losses;
}

/** A write of which only some sectors at the start were made. */
function torn(step: Step, pick: (below: number) => number): Step {
  if (step.kind !== 'write') return step;
  const first = SECTOR - (step.at % SECTOR);
  const boundaries = Math.ceil((step.bytes.length - first) / SECTOR);
  return { ...step, bytes: step.bytes.subarray(0, boundaries > 0 ? first + SECTOR * pick(boundaries) : 0) };
}

/** Whether an image says that its refcounts may be wrong: it is to be repaired before use. */
function isDirty(image: Uint8Array): boolean {
  return image.length > 80 && image[7] === 3 && (image[79]! & 1) === 1;
}
