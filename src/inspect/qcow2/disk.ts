/** The disk of a qcow2 image cluster by cluster, read from the L1 and L2 tables as far as a map needs them. */
import { readBytes, type ByteSource } from '../bytes';
import { CellFlag, Use } from '../contract';
import { decodeL1, decodeL2, type L2Entry } from './entries';
import type { Qcow2Header } from './header';

/** L2 tables whose sums, and bytes of decoded tables, that are kept. */
const MOST_SUMS = 65536;
const MOST_BYTES = 4 << 20;
/** In a decoded entry beside the use. */
const SHARED = 0x80;

/** What one L2 table says all in all. */
interface Sum {
  /** The heaviest use. */
  use: Use;
  /** Entries in use. */
  used: number;
  mixed: boolean;
  shared: boolean;
}

const NOTHING: Sum = { use: Use.FREE, used: 0, mixed: false, shared: false };
/** A broken entry is to be seen, and data before zeros. */
const ORDER: readonly Use[] = [Use.UNKNOWN, Use.FREE, Use.ZERO, Use.DATA, Use.COMPRESSED, Use.BROKEN];

export class DiskTables {
  private readonly sums = new Map<number, Sum>();
  private readonly decoded = new Map<number, Uint8Array>();
  private decodedBytes = 0;
  /** Bytes of the disk that an L2 table is for. */
  readonly reach: number;

  constructor(
    private readonly source: ByteSource,
    private readonly header: Qcow2Header,
  ) {
    this.reach = header.clusterSize * header.l2Entries;
  }

  /**
   * Fills cells until a moment of `performance.now()`; those it has not come to stay unknown.
   * @returns how many cells are known
   */
  cells(
    { offset, cellBytes, from }: { offset: number; cellBytes: number; from: number },
    out: { uses: Uint8Array; fill: Uint8Array; flags: Uint8Array },
    until: number,
  ): number {
    const { clusterSize, diskSize } = this.header;
    for (let cell = from; cell < out.uses.length; cell++) {
      if (cell > from && performance.now() >= until) return cell;
      const start = offset + cell * cellBytes;
      if (start >= diskSize) return out.uses.length;
      const end = Math.min(start + cellBytes, diskSize);
      let sum: Sum;
      if (cellBytes >= this.reach) {
        const all = this.tables(start, end, until);
        if (!all) return cell;
        sum = all;
      } else sum = this.entries(start, end);
      out.uses[cell] = sum.use;
      const clusters = Math.ceil((end - start) / clusterSize);
      out.fill[cell] =
        sum.used === 0 ? 0 : Math.max(1, Math.round((Math.min(sum.used, clusters) * 255) / clusters));
      out.flags[cell] = (sum.shared ? CellFlag.SHARED : 0) | (sum.mixed ? CellFlag.MIXED : 0);
    }
    return out.uses.length;
  }

  /** The tables and the entry for an offset of the disk. */
  lookup(offset: number): {
    l1Index: number;
    l2: number;
    l2Index: number;
    entry: L2Entry | null;
    problem: string;
  } {
    const { header, source } = this;
    const l1Index = Math.floor(offset / this.reach);
    const l2Index = Math.floor((offset % this.reach) / header.clusterSize);
    const { l2, problem } = this.l1Entry(l1Index);
    if (l2 === 0 || problem !== '') return { l1Index, l2, l2Index, entry: null, problem };
    const bytes = readBytes(source, l2 + l2Index * header.l2EntryBytes, header.l2EntryBytes);
    if (bytes.length < header.l2EntryBytes)
      return { l1Index, l2, l2Index, entry: null, problem: 'the table is behind the end of the file' };
    return { l1Index, l2, l2Index, entry: decodeL2(header, new DataView(bytes.buffer), 0), problem: '' };
  }

  private l1Entry(index: number): { l2: number; problem: string; copied: boolean } {
    const { l1 } = this.header;
    if ((index + 1) * 8 > l1.length) return { l2: 0, problem: '', copied: true };
    const bytes = readBytes(this.source, l1.offset + index * 8, 8);
    if (bytes.length < 8) return { l2: 0, problem: '', copied: true };
    return decodeL1(this.header, new DataView(bytes.buffer), 0);
  }

  /** All L2 tables of a range together; null: there was not enough time (what was read is kept for the next time). */
  private tables(start: number, end: number, until: number): Sum | null {
    const total: Sum = { ...NOTHING };
    for (let index = Math.floor(start / this.reach); index * this.reach < end; index++) {
      if (index % 64 === 63 && performance.now() >= until + 20) return null;
      const sum = this.sumOf(index);
      total.mixed ||= sum.mixed || (index * this.reach > start && sum.use !== total.use);
      if (ORDER.indexOf(sum.use) > ORDER.indexOf(total.use)) total.use = sum.use;
      total.used += sum.used;
      total.shared ||= sum.shared;
    }
    return total;
  }

  private sumOf(index: number): Sum {
    const { l2, problem, copied } = this.l1Entry(index);
    if (l2 === 0 && problem === '') return NOTHING;
    if (problem !== '' || l2 >= this.source.size())
      return { use: Use.BROKEN, used: 1, mixed: false, shared: false };
    let sum = this.sums.get(l2);
    if (!sum) {
      sum = summed(this.table(l2), 0, this.header.l2Entries);
      if (this.sums.size >= MOST_SUMS) this.sums.clear();
      this.sums.set(l2, sum);
    }
    return copied ? sum : { ...sum, shared: true };
  }

  private entries(start: number, end: number): Sum {
    const { clusterSize } = this.header;
    const index = Math.floor(start / this.reach);
    const { l2, problem, copied } = this.l1Entry(index);
    if (l2 === 0 && problem === '') return NOTHING;
    if (problem !== '' || l2 >= this.source.size())
      return { use: Use.BROKEN, used: 1, mixed: false, shared: false };
    const first = Math.floor((start - index * this.reach) / clusterSize);
    const sum = summed(this.table(l2), first, Math.ceil((end - index * this.reach) / clusterSize));
    return copied ? sum : { ...sum, shared: sum.used > 0 };
  }

  /** The uses of an L2 table's entries. */
  private table(l2: number): Uint8Array {
    const { header } = this;
    let uses = this.decoded.get(l2);
    if (uses) return uses;
    uses = new Uint8Array(header.l2Entries).fill(Use.FREE);
    const bytes = readBytes(this.source, l2, header.clusterSize);
    const view = new DataView(bytes.buffer);
    for (let index = 0; (index + 1) * header.l2EntryBytes <= bytes.length; index++) {
      const at = index * header.l2EntryBytes;
      if (view.getUint32(at) === 0 && view.getUint32(at + 4) === 0 && !header.extendedL2) continue;
      const { use, copied } = decodeL2(header, view, at);
      uses[index] = use | (copied ? 0 : SHARED);
    }
    if (this.decodedBytes > MOST_BYTES) {
      this.decoded.clear();
      this.decodedBytes = 0;
    }
    this.decoded.set(l2, uses);
    this.decodedBytes += uses.length;
    return uses;
  }
}

function summed(table: Uint8Array, from: number, to: number): Sum {
  const sum: Sum = { ...NOTHING };
  let first: Use | null = null;
  for (let index = from; index < to; index++) {
    const value = table[index] ?? 0;
    const use = (value & ~SHARED) as Use;
    if (first === null) first = use;
    else if (use !== first) sum.mixed = true;
    if (use !== Use.FREE) sum.used++;
    if (value & SHARED) sum.shared = true;
    if (ORDER.indexOf(use) > ORDER.indexOf(sum.use)) sum.use = use;
  }
  return sum;
}
