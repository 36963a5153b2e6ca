/**
 * Another width of the reference counts. All counts are written anew, to new blocks and a new table in clusters that the
 * old structure counts; then one write of the header turns to them. A crash leaves the one or the other, and leaks.
 */
import { Err } from '../../../abi';
import { be64, putBe64 } from '../../../util/endian';
import { fail, hash } from '../../../util/errors';
import { allocateClusters, freeClusters } from '../refcounts/allocate';
import { rewriteHeader } from '../header';
import { Qcow2Node } from '../image';
import { MAX_REFTABLE_BYTES, REFTABLE_MASK } from '../layout';
import { checkWrite, Meta } from '../overlap';
import { getRefcount, maxRefcount, putRefcount, refblockOffset } from '../refcounts/refcount';

/** Counts that one step looks at. */
const STEP_COUNTS: i64 = 131072;
/** Entries of a refcount table, at most. */
const MAX_ENTRIES: i64 = MAX_REFTABLE_BYTES >> 3;

const enum Phase {
  /** Which ranges need a block; each gets a cluster. Taking it may make more blocks needed: until nothing is new. */
  SCAN,
  TABLE,
  WRITE,
  SWITCH,
  /** The old blocks and the old table are given back. */
  FREE,
  DONE,
}

/** The change, in steps. */
export class WidthChange {
  private phase: Phase = Phase.SCAN;
  /** log2 of the entries of a new block. */
  private blockBits: i32;
  /** The new table as it is going to be on disk; entries are made where a block is needed. */
  private table: usize = 0;
  private capacity: i32 = 0;
  private entries: i32 = 0;
  private tableOffset: i64 = 0;
  private tableClusters: i64 = 0;
  /** A cluster was taken since the scan began. */
  private grew: bool = false;
  private firstScan: bool = true;
  /** Scans that are complete, before the new table has a place. */
  private scans: i64 = 0;
  /** Entries of the old table, and log2 of the counts of each. */
  private tableEntries: i64;
  private oldBlockBits: i32;
  /** Host cluster, or index of a table entry. */
  private at: i64 = 0;
  /** The block that is being put together. */
  private block: usize = 0;
  private oldTable: usize = 0;
  private oldEntries: i32 = 0;
  private oldOffset: i64 = 0;

  constructor(
    private image: Qcow2Node,
    /** log2 of the new width. */
    private order: i32,
  ) {
    this.blockBits = image.clusterBits + 3 - order;
    this.tableEntries = image.reftableEntries;
    this.oldBlockBits = image.refblockBits;
  }

  /** Works on for some milliseconds at most; 1: there is more to do, 0: it is done; or a negative errno. */
  step(): i32 {
    switch (this.phase) {
      case Phase.SCAN:
        return this.scan();
      case Phase.TABLE:
        return this.takeTable();
      case Phase.WRITE:
        return this.write();
      case Phase.SWITCH:
        return this.turn();
      case Phase.FREE:
        return this.freeOld();
      default:
        return 0;
    }
  }

  /**
   * Units of work, as QEMU counts them: entries of the old table for each walk along it, of which there are three at least:
   * two that look for blocks to be taken, the last of which finds none, and one that writes. (The scan that sees whether the
   * new table needs a block itself does not count.)
   */
  units(): i64 {
    return this.tableEntries * (max(this.scans, 2) + 1);
  }

  /** Those that are done. */
  unitsDone(): i64 {
    const all = this.units();
    if (this.phase >= Phase.SWITCH) return all;
    const entry = this.phase === Phase.WRITE ? this.at << this.blockBits : this.at;
    const walked = min(entry >> this.oldBlockBits, this.tableEntries);
    if (this.phase === Phase.WRITE) return all - this.tableEntries + walked;
    return this.tableEntries * this.scans + (this.tableOffset ? 0 : walked);
  }

  /** Frees the memory, and gives back what was taken for a change that did not come about. */
  release(): void {
    if (this.phase < Phase.FREE && this.phase !== Phase.DONE) {
      for (let i = 0; i < this.entries; i++) {
        const offset = this.offsetOf(i);
        if (offset) freeClusters(this.image, offset, 1);
      }
      if (this.tableOffset) freeClusters(this.image, this.tableOffset, this.tableClusters);
    }
    if (this.table) heap.free(this.table);
    if (this.block) heap.free(this.block);
    if (this.oldTable) heap.free(this.oldTable);
    this.table = 0;
    this.block = 0;
    this.oldTable = 0;
    this.entries = 0;
    this.tableOffset = 0;
    this.phase = Phase.DONE;
  }

  /** The new block of a range; 0: none. */
  private offsetOf(index: i64): i64 {
    return index < this.entries ? <i64>be64(this.table + ((<usize>index) << 3)) : 0;
  }

  private setOffset(index: i64, offset: i64): i32 {
    if (index >= MAX_ENTRIES) return -Err.EFBIG;
    if (index >= this.capacity) {
      const capacity = max(<i32>index + 1, max(64, this.capacity << 1));
      const table = heap.alloc((<usize>capacity) << 3);
      memory.fill(table, 0, (<usize>capacity) << 3);
      if (this.table) {
        memory.copy(table, this.table, (<usize>this.entries) << 3);
        heap.free(this.table);
      }
      this.table = table;
      this.capacity = capacity;
    }
    putBe64(this.table + ((<usize>index) << 3), offset);
    this.entries = max(this.entries, <i32>index + 1);
    return 0;
  }

  private scan(): i32 {
    const image = this.image;
    const perOld: i64 = (<i64>1) << image.refblockBits;
    const limit = maxRefcount(this.order);
    let left = STEP_COUNTS;
    while (left > 0) {
      if (this.at >= (<i64>image.reftableUsed) << image.refblockBits) return this.scanned();
      const oldEnd = (this.at & ~(perOld - 1)) + perOld;
      const offset = refblockOffset(image, this.at);
      if (offset < 0) return <i32>offset;
      const index = this.at >> this.blockBits;
      const known = this.offsetOf(index) !== 0;
      if (!offset || (known && !this.firstScan)) {
        this.at = offset ? min(oldEnd, (index + 1) << this.blockBits) : oldEnd;
        left -= 64;
        continue;
      }
      const block = image.refs.get(offset);
      if (!block) return image.refs.error;
      const start = this.at;
      const stop = min(min(oldEnd, (index + 1) << this.blockBits), start + left);
      let used = known;
      for (let c = start; c < stop; c++) {
        const count = getRefcount(block, <i32>(c & (perOld - 1)), image.refcountOrder);
        if (count > limit) {
          const where = `Cluster at offset ${hash(c << image.clusterBits)} has a refcount of ${count}`;
          const width = 1 << this.order;
          return fail(Err.EINVAL, `Cannot decrease refcount entry width to ${width} bits: ${where}`);
        }
        if (count) used = true;
      }
      left -= stop - start + 64;
      this.at = stop;
      if (!used || known) continue;
      const fresh = allocateClusters(image, 1);
      if (fresh <= 0) return fresh ? <i32>fresh : -Err.EIO;
      this.grew = true;
      const r = this.setOffset(index, fresh);
      if (r < 0) {
        freeClusters(image, fresh, 1);
        return r;
      }
    }
    return 1;
  }

  private scanned(): i32 {
    this.at = 0;
    if (!this.tableOffset) this.scans++;
    this.firstScan = false;
    if (!this.grew) this.phase = Phase.TABLE;
    this.grew = false;
    return 1;
  }

  private takeTable(): i32 {
    const image = this.image;
    const needed = (((<i64>this.entries) << 3) + image.clusterSize - 1) >> image.clusterBits;
    if (this.tableOffset && needed <= this.tableClusters) {
      this.phase = Phase.WRITE;
      this.block = heap.alloc(image.clusterSize);
      // What is taken must be counted on disk, or a crash could let others take it.
      const r = image.refs.write();
      return r < 0 ? r : 1;
    }
    if (needed << image.clusterBits > MAX_REFTABLE_BYTES) return -Err.EFBIG;
    if (this.tableOffset) freeClusters(image, this.tableOffset, this.tableClusters);
    this.tableOffset = 0;
    const offset = allocateClusters(image, needed);
    if (offset <= 0) return offset ? <i32>offset : -Err.EIO;
    this.tableOffset = offset;
    this.tableClusters = needed;
    this.phase = Phase.SCAN;
    return 1;
  }

  private write(): i32 {
    let left = STEP_COUNTS;
    while (left > 0) {
      if (this.at >= this.entries) return this.writeTable();
      const offset = this.offsetOf(this.at);
      if (offset) {
        const r = this.writeBlock(this.at, offset);
        if (r < 0) return r;
        left -= (<i64>1) << this.blockBits;
      }
      left -= 16;
      this.at++;
    }
    return 1;
  }

  private writeBlock(index: i64, offset: i64): i32 {
    const image = this.image;
    const perOld: i64 = (<i64>1) << image.refblockBits;
    const first = index << this.blockBits;
    const end = (index + 1) << this.blockBits;
    memory.fill(this.block, 0, image.clusterSize);
    for (let c = first; c < end;) {
      const stop = min(end, (c & ~(perOld - 1)) + perOld);
      const old = refblockOffset(image, c);
      if (old < 0) return <i32>old;
      if (!old) {
        c = stop;
        continue;
      }
      const block = image.refs.get(old);
      if (!block) return image.refs.error;
      for (; c < stop; c++) {
        const count = getRefcount(block, <i32>(c & (perOld - 1)), image.refcountOrder);
        if (count) putRefcount(this.block, <i32>(c - first), this.order, count);
      }
    }
    const r = checkWrite(image, Meta.NONE, offset, image.clusterSize);
    return r < 0 ? r : image.file.pwrite(offset, image.clusterSize, this.block);
  }

  private writeTable(): i32 {
    const image = this.image;
    const bytes = <usize>(this.tableClusters << image.clusterBits);
    const table = heap.alloc(bytes);
    memory.fill(table, 0, bytes);
    memory.copy(table, this.table, (<usize>this.entries) << 3);
    heap.free(this.table);
    this.table = table;
    this.capacity = <i32>(bytes >> 3);
    let r = checkWrite(image, Meta.NONE, this.tableOffset, bytes);
    if (r === 0) r = image.file.pwrite(this.tableOffset, <i32>bytes, table);
    if (r === 0) r = image.file.pflush();
    this.phase = Phase.SWITCH;
    return r < 0 ? r : 1;
  }

  /** The header names the new structure. If that fails it is put back; if that fails too the image is not used any more. */
  private turn(): i32 {
    const image = this.image;
    const order = image.refcountOrder;
    this.oldTable = image.reftable;
    this.oldEntries = image.reftableEntries;
    this.oldOffset = image.reftableOffset;
    const used = image.reftableUsed;
    this.adopt(this.table, this.capacity, this.entries, this.tableOffset, this.order);
    let r = rewriteHeader(image);
    if (r === 0) r = image.file.pflush();
    if (r < 0) {
      this.adopt(this.oldTable, this.oldEntries, used, this.oldOffset, order);
      this.oldTable = 0;
      let back = rewriteHeader(image);
      if (back === 0) back = image.file.pflush();
      if (back < 0) image.unusable = true;
      return r;
    }
    this.table = 0;
    this.entries = 0;
    this.phase = Phase.FREE;
    this.at = 0;
    return 1;
  }

  private adopt(table: usize, entries: i32, used: i32, offset: i64, order: i32): void {
    const image = this.image;
    image.refs.clear();
    image.reftable = table;
    image.reftableEntries = entries;
    image.reftableUsed = used;
    image.reftableOffset = offset;
    image.refcountOrder = order;
    image.refblockBits = image.clusterBits + 3 - order;
    if (image.metadataFilter) heap.free(image.metadataFilter);
    image.metadataFilter = 0;
    image.freeIndex = 0;
    image.freeByte = 0;
    image.nextHost = -1;
  }

  private freeOld(): i32 {
    const image = this.image;
    for (let left = 1024; left > 0 && this.at < this.oldEntries; left--) {
      const offset = <i64>(be64(this.oldTable + ((<usize>this.at) << 3)) & REFTABLE_MASK);
      if (offset && !(offset & (image.clusterSize - 1))) freeClusters(image, offset, 1);
      this.at++;
    }
    if (this.at < this.oldEntries) return 1;
    const clusters = (((<i64>this.oldEntries) << 3) + image.clusterSize - 1) >> image.clusterBits;
    freeClusters(image, this.oldOffset, clusters);
    this.phase = Phase.DONE;
    return 0;
  }
}
