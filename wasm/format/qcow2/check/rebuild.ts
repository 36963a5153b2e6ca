/**
 * A new refcount structure, made from what a check counted: blocks and table go to clusters that nothing refers to, and
 * the header changes over in one write at the end. The old structure is leaked, and given back by the check.
 *
 * It is made in steps: nothing that the image uses is touched before the last one, so that an end at any step only leaks.
 */
import { Err } from '../../../abi';
import { be64, putBe32, putBe64 } from '../../../util/endian';
import { Check } from './check';
import { CountTable } from './counts';
import { Qcow2Node } from '../image';
import { Field, MAX_REFTABLE_BYTES, REFTABLE_MASK } from '../layout';
import { putRefcount } from '../refcounts/refcount';

/** What one step may do: looking at a cluster or at a block that needs nothing is 1. */
const STEP_WORK: i64 = 262144;
/** What writing a block is, without its bytes: a call out of the data plane. */
const WRITE_WORK: i64 = 4096;
/** log2 of the bytes of a block whose writing is 1 more. */
const WRITE_BITS: i64 = 4;

const enum Phase {
  HOLD,
  BLOCKS,
  TABLE,
  WRITE,
  SWITCH,
}

export class Rebuild {
  private readonly image: Qcow2Node;
  private readonly counts: CountTable;
  private phase: Phase = Phase.HOLD;
  /** What is left of the step's work. */
  private work: i64 = 0;
  /** Offsets of the new blocks, by index, 0: none; room for {@link capacity}. */
  private blocks: usize = 0;
  private capacity: i64 = 0;
  /** No cluster below this one is free. */
  private firstFree: i64 = 0;
  private tableStart: i64 = 0;
  private tableClusters: i64 = 0;
  /** The block that is being looked at or written, and the next cluster of it; -1: the block was not begun. */
  private block: i64 = 0;
  private cluster: i64 = -1;
  /** This look at all blocks took clusters, which may need blocks themselves. */
  private took: bool = false;
  /** The clusters in front of {@link runEnd} that are free, and the lowest free one, while a run for the table is looked for. */
  private run: i64 = 0;
  private runEnd: i64 = -1;
  private lowest: i64 = -1;

  constructor(private readonly check: Check) {
    this.image = check.image;
    this.counts = check.counts;
  }

  /** Gets on with it for a few milliseconds; answers 1: there is more to do, 0: it is done, or a negative errno. */
  step(): i32 {
    this.work = STEP_WORK;
    switch (this.phase) {
      case Phase.HOLD:
        this.holdDamagedBlocks();
        this.phase = Phase.BLOCKS;
        return 1;
      case Phase.BLOCKS: {
        const r = this.takeBlocks();
        return r === 0 ? this.afterBlocks() : r;
      }
      case Phase.TABLE: {
        const r = this.takeTable();
        if (r === 0) this.phase = Phase.BLOCKS;
        return r < 0 ? r : 1;
      }
      case Phase.WRITE: {
        const r = this.writeBlocks();
        if (r === 0) this.phase = Phase.SWITCH;
        return r < 0 ? r : 1;
      }
      default:
        return this.switchOver();
    }
  }

  /** Frees the memory. */
  release(): void {
    if (this.blocks) heap.free(this.blocks);
    this.blocks = 0;
    this.capacity = 0;
  }

  /** What damaged entries point to is not counted; until the header has changed over, it is left as it is. */
  private holdDamagedBlocks(): void {
    const image = this.image;
    for (let i = 0; i < image.reftableUsed; i++) {
      const entry = be64(image.reftable + ((<usize>i) << 3));
      const offset = <i64>(entry & REFTABLE_MASK);
      if (<u64>offset === entry && !(offset & (image.clusterSize - 1))) continue;
      const first = offset >>> image.clusterBits;
      for (let c = first; c <= first + 1 && c < this.counts.clusters; c++) this.counts.add(c);
    }
  }

  /** Blocks that the clusters known so far would fill. */
  private blockCount(): i64 {
    const bits = this.image.refblockBits;
    return (this.counts.clusters + ((<i64>1) << bits) - 1) >> bits;
  }

  /** The first cluster behind those of the block. */
  private blockEnd(): i64 {
    return min(this.counts.clusters, (this.block + 1) << this.image.refblockBits);
  }

  /** Takes a cluster for each block that is needed and has none; the clusters may need blocks themselves. */
  private takeBlocks(): i32 {
    while (true) {
      while (this.block < this.blockCount()) {
        const r = this.takeBlock();
        if (r !== 0) return r;
        this.block++;
        this.cluster = -1;
      }
      this.block = 0;
      if (!this.took) return 0;
      this.took = false;
    }
  }

  /** Takes a cluster for this block if it is needed; 1: the step is over before. */
  private takeBlock(): i32 {
    if (this.cluster < 0) {
      if (this.work-- <= 0) return 1;
      const r = this.reserve(this.block + 1);
      if (r < 0) return r;
      this.cluster = this.block << this.image.refblockBits;
    }
    const at = this.blocks + ((<usize>this.block) << 3);
    if (load<i64>(at)) return 0;
    const counts = this.counts;
    const end = this.blockEnd();
    while (this.cluster < end && !counts.get(this.cluster)) {
      if (this.work-- <= 0) return 1;
      this.cluster = counts.emptyPage(this.cluster) ? counts.pageEnd(this.cluster) : this.cluster + 1;
    }
    if (this.cluster >= end) return 0;
    while (counts.get(this.firstFree)) {
      if (this.work-- <= 0) return 1;
      this.firstFree++;
    }
    const r = counts.add(this.firstFree);
    if (r < 0) return r;
    store<i64>(at, this.firstFree++ << this.image.clusterBits);
    this.took = true;
    return 0;
  }

  /** Room for the offsets of so many blocks. */
  private reserve(count: i64): i32 {
    if (count <= this.capacity) return 0;
    if (count << 3 > MAX_REFTABLE_BYTES) return -Err.EFBIG;
    const room = min(max(count, max<i64>(this.capacity << 1, 1024)), MAX_REFTABLE_BYTES >> 3);
    const bytes = (<usize>room) << 3;
    const old = (<usize>this.capacity) << 3;
    this.blocks = this.blocks ? heap.realloc(this.blocks, bytes) : heap.alloc(bytes);
    memory.fill(this.blocks + old, 0, bytes - old);
    this.capacity = room;
    return 0;
  }

  /** All blocks have clusters: is the table long enough for them? */
  private afterBlocks(): i32 {
    const perCluster = this.image.clusterSize >> 3;
    const wanted = (this.blockCount() + perCluster - 1) / perCluster;
    if (wanted > this.tableClusters) {
      // A table that turned out to be too short is leaked.
      this.tableClusters = wanted;
      this.runEnd = -1;
      this.phase = Phase.TABLE;
    } else {
      this.phase = Phase.WRITE;
    }
    return 1;
  }

  /** Takes contiguous clusters for the table, first fit; 1: the step is over before. */
  private takeTable(): i32 {
    const counts = this.counts;
    if (this.runEnd < 0) {
      this.run = 0;
      this.runEnd = this.firstFree;
      this.lowest = -1;
    }
    while (this.run < this.tableClusters) {
      if (this.work-- <= 0) return 1;
      if (counts.get(this.runEnd)) {
        this.run = 0;
      } else {
        if (this.lowest < 0) this.lowest = this.runEnd;
        this.run++;
      }
      this.runEnd++;
    }
    this.tableStart = this.runEnd - this.tableClusters;
    for (let c = this.tableStart; c < this.runEnd; c++) {
      const r = counts.add(c);
      if (r < 0) return r;
    }
    this.firstFree = this.lowest === this.tableStart ? this.runEnd : this.lowest;
    return 0;
  }

  /** Writes the blocks, from where the step before came to; 1: the step is over before. */
  private writeBlocks(): i32 {
    const count = this.blockCount();
    while (this.block < count) {
      if (this.work <= 0) return 1;
      const r = this.writeBlock();
      if (r !== 0) return r;
      this.block++;
      this.cluster = -1;
    }
    return 0;
  }

  /** Fills the check's scratch cluster with the counts of this block, and writes it; 1: the step is over before. */
  private writeBlock(): i32 {
    const image = this.image;
    const counts = this.counts;
    const buffer = this.check.table;
    this.work--;
    const offset = load<i64>(this.blocks + ((<usize>this.block) << 3));
    if (!offset) return 0;
    const first = this.block << image.refblockBits;
    if (this.cluster < 0) {
      memory.fill(buffer, 0, image.clusterSize);
      this.cluster = first;
    }
    const end = this.blockEnd();
    while (this.cluster < end) {
      const stop = min(end, counts.pageEnd(this.cluster));
      if (counts.emptyPage(this.cluster)) {
        this.work--;
      } else {
        this.work -= stop - this.cluster;
        for (let c = this.cluster; c < stop; c++) {
          const value = counts.get(c);
          if (value) putRefcount(buffer, <i32>(c - first), image.refcountOrder, value);
        }
      }
      this.cluster = stop;
      if (this.work <= 0 && stop < end) return 1;
    }
    this.work -= WRITE_WORK + ((<i64>image.clusterSize) >> WRITE_BITS);
    return image.file.pwrite(offset, image.clusterSize, buffer);
  }

  /** Writes the table, and then the header that names it. */
  private switchOver(): i32 {
    const image = this.image;
    const bits = image.clusterBits;
    const count = this.blockCount();
    const tableBytes = <i32>(this.tableClusters << bits);
    const table = heap.alloc(tableBytes);
    memory.fill(table, 0, tableBytes);
    for (let i: i64 = 0; i < count; i++) {
      const at = (<usize>i) << 3;
      putBe64(table + at, load<i64>(this.blocks + at));
    }
    let r = image.file.pwrite(this.tableStart << bits, tableBytes, table);
    if (r === 0) r = image.file.pflush();
    if (r === 0) {
      const fields = heap.alloc(16);
      putBe64(fields, this.tableStart << bits);
      putBe32(fields + 8, <u32>this.tableClusters);
      r = image.file.pwrite(Field.REFTABLE_OFFSET, 12, fields);
      heap.free(fields);
    }
    if (r === 0) r = image.file.pflush();
    if (r < 0) {
      heap.free(table);
      return r;
    }
    takeOver(image, table, tableBytes, this.tableStart << bits);
    return 0;
  }
}

/** The image works with the new table from now on. */
function takeOver(image: Qcow2Node, table: usize, bytes: i32, offset: i64): void {
  image.refs.clear();
  if (image.reftable) heap.free(image.reftable);
  image.reftable = table;
  image.reftableOffset = offset;
  image.reftableEntries = bytes >> 3;
  let used = image.reftableEntries;
  while (used && !load<u64>(table + ((<usize>(used - 1)) << 3))) used--;
  image.reftableUsed = used;
  image.freeIndex = 0;
  image.freeByte = 0;
  if (image.metadataFilter) heap.free(image.metadataFilter);
  image.metadataFilter = 0;
}
