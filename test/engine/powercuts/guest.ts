/**
 * What a guest may see of its disk after a power cut: of each sector what it held at the last flush, or something that
 * was written to it since. Every write has a byte of its own for all of its sectors.
 */

const SECTOR = 512;

/** A change of the disk, made between two moments of the journal. */
interface Change {
  /** Length of the journal when the request began. */
  begin: number;
  /** First sector. */
  from: number;
  /** A byte for each sector. */
  values: Uint8Array;
}

interface Flush {
  /** Length of the journal when the flush was complete. */
  end: number;
  /** How many changes came before it. */
  changes: number;
}

/** A moment at which the image was closed. */
interface Closing {
  /** Length of the journal when it began. */
  begin: number;
  /** What the disk held. */
  held: Uint8Array;
}

/** The guest's memory of what it did. Disks never get longer than `sectors`. */
export class Guest {
  private readonly changes: Change[] = [];
  private readonly flushes: Flush[] = [{ end: 0, changes: 0 }];
  private readonly closings: Closing[];
  /** What the disk holds now. */
  readonly now: Uint8Array;
  private readonly start: Uint8Array;

  constructor(start: Uint8Array) {
    this.start = start.slice();
    this.now = start.slice();
    this.closings = [{ begin: 0, held: this.start }];
  }

  /** `bytes` from `offset` on are changed by a request that begins when the journal has `begin` steps. */
  change(begin: number, offset: number, values: Uint8Array): void {
    this.changes.push({ begin, from: offset / SECTOR, values });
    this.now.set(values, offset / SECTOR);
  }

  /** The same byte for a range. */
  fill(begin: number, offset: number, bytes: number, value: number): void {
    this.change(begin, offset, new Uint8Array(bytes / SECTOR).fill(value));
  }

  /** A flush was complete when the journal had `end` steps. */
  flushed(end: number): void {
    this.flushes.push({ end, changes: this.changes.length });
  }

  /** The image was closed, which began when the journal had `begin` steps. */
  closed(begin: number): void {
    this.closings.push({ begin, held: this.now.slice() });
  }

  /** What may be seen by cuts, which are asked for in ascending order. */
  memories(): Memories {
    return new Memories(this.start, this.changes, this.flushes, this.closings);
  }
}

/** Goes along the journal. */
class Memories {
  private readonly held: Uint8Array;
  private flush = 0;
  private applied = 0;

  constructor(
    start: Uint8Array,
    private readonly changes: readonly Change[],
    private readonly flushes: readonly Flush[],
    private readonly closings: readonly Closing[],
  ) {
    this.held = start.slice();
  }

  /**
   * Compares a disk with what it may hold after a cut before step `at` of the journal.
   * @returns what is wrong; null: nothing
   */
  objection(at: number, disk: Uint8Array): string | null {
    while (this.flush + 1 < this.flushes.length && this.flushes[this.flush + 1]!.end <= at) this.flush++;
    const flushed = this.flushes[this.flush]!.changes;
    for (; this.applied < flushed; this.applied++) {
      const { from, values } = this.changes[this.applied]!;
      this.held.set(values, from);
    }
    let behind = flushed;
    while (behind < this.changes.length && this.changes[behind]!.begin < at) behind++;
    const since = this.changes.slice(flushed, behind);
    const words = new Uint32Array(disk.buffer, disk.byteOffset, disk.length / 4);
    for (let sector = 0; sector * SECTOR < disk.length; sector++) {
      const seen = disk[sector * SECTOR]!;
      const word = seen * 0x01010101;
      for (let at = sector * (SECTOR / 4), end = at + SECTOR / 4; at < end; at++) {
        if (words[at] !== word) return `sector ${sector} holds parts of several writes`;
      }
      const may =
        seen === this.held[sector] || since.some(({ from, values }) => values[sector - from] === seen);
      if (!may) return `sector ${sector} holds ${seen}, not ${this.held[sector]} or later`;
    }
    return null;
  }

  /**
   * Whether a disk is what it was when the image was closed: then, and only then, may its bitmaps claim to be right. `at`: as
   * for {@link objection}; a cut while the image is closed may leave what the closing before left.
   */
  isClosed(at: number, disk: Uint8Array): boolean {
    return this.closings
      .filter(({ begin }) => begin <= at)
      .slice(-2)
      .some(({ held }) => {
        for (let sector = 0; sector * SECTOR < disk.length; sector++)
          if (disk[sector * SECTOR] !== held[sector]) return false;
        return true;
      });
  }
}
