/** Recording what is done to a file, and images as a power cut may leave them. */
import type { BlockFile } from '../../../src/files/contract';

/** What was done to a file. */
export type Step =
  { kind: 'write'; at: number; bytes: Uint8Array } | { kind: 'size'; size: number } | { kind: 'flush' };

/** Passes everything on and keeps a list of it. */
export function recorded(file: BlockFile, steps: Step[]): BlockFile {
  return {
    readOnly: false,
    read: (into, at) => file.read(into, at),
    write: (from, at) => {
      steps.push({ kind: 'write', at, bytes: new Uint8Array(from) });
      file.write(from, at);
    },
    flush: () => {
      steps.push({ kind: 'flush' });
      file.flush();
    },
    truncate: (size) => {
      steps.push({ kind: 'size', size });
      file.truncate(size);
    },
    size: () => file.size(),
    allocated: () => file.allocated(),
    close: () => file.close(),
  };
}

/** A disk image that grows. */
export class Replica {
  bytes: Uint8Array;
  size: number;

  constructor(start: Uint8Array) {
    // A copy in any case: the slice of a Buffer is none.
    this.bytes = new Uint8Array(start);
    this.size = start.length;
  }

  apply(step: Step): void {
    if (step.kind === 'size') this.resize(step.size);
    if (step.kind !== 'write') return;
    this.resize(Math.max(this.size, step.at + step.bytes.length));
    this.bytes.set(step.bytes, step.at);
  }

  copy(): Replica {
    return new Replica(this.bytes.subarray(0, this.size));
  }

  private resize(size: number): void {
    if (size > this.bytes.length) {
      const bytes = new Uint8Array(size * 2);
      bytes.set(this.bytes.subarray(0, this.size));
      this.bytes = bytes;
    }
    if (size < this.size) this.bytes.fill(0, size, this.size);
    this.size = size;
  }
}

/** The file as a cut before step `at` may leave it: all up to the last flush, and of the rest what `keep` says. */
export function cutAt(
  start: Uint8Array,
  steps: readonly Step[],
  at: number,
  keep: () => boolean,
): Uint8Array {
  let flushed = at;
  while (flushed > 0 && steps[flushed - 1]!.kind !== 'flush') flushed--;
  const replica = new Replica(start);
  for (const step of steps.slice(0, flushed)) replica.apply(step);
  for (const step of steps.slice(flushed, at)) if (step.kind === 'size' || keep()) replica.apply(step);
  return replica.bytes.slice(0, replica.size);
}
