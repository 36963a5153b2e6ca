/**
 * Changes of which tables reach which clusters, for all of an image at once: taking, deleting and applying snapshots.
 *
 * A cluster's count and the COPIED bits of the entries that point to it must change together, and they are in different
 * places. So nothing is changed in place: L2 tables whose bits change, the L1 table, the snapshot table, the refcount
 * blocks that change and the refcount table are written to new clusters, and after a flush one write of the header's
 * fields turns from the old ones to the new ones. A crash leaves the one state or the other, and leaked clusters.
 */
import { Err } from '../../../abi';
import { be64, putBe32, putBe64 } from '../../../util/endian';
import { hash } from '../../../util/errors';
import { allocateClusters, compressedBytes, compressedOffset, freeClusters } from '../refcounts/allocate';
import { signalCorruption } from '../corruption';
import { Qcow2Node } from '../image';
import { forgetInactive } from './inactive';
import { COMPRESSED, COPIED, Field, OFFSET_MASK, REFTABLE_MASK } from '../layout';
import { writeCaches } from '../lifetime';
import { checkWrite, Meta } from '../overlap';
import {
  getRefcount,
  loadRefcount,
  maxRefcount,
  putRefcount,
  refblockOffset,
  refcount,
} from '../refcounts/refcount';
import { adoptSnapshots, SnapshotTable } from './table';

/** The fields of the header that are written in one piece. */
const FIELDS_START: i32 = Field.SIZE;
const FIELDS_BYTES: i32 = Field.INCOMPATIBLE - Field.SIZE;

/** One such change. Make it, fill it in, `commit`, `release`. Methods answer 0 or a negative errno. */
export class TableSwitch {
  /** The new active L1 table, big endian; entries are taken from an old one by `setTables`. */
  private l1: usize = 0;
  private l1Entries: i32 = 0;
  /** One byte for each L1 entry: 1: its L2 table is copied. */
  private copies: usize = 0;
  private copyCount: i32 = 0;
  /** For each refcount block: address of an i32 for each of its clusters, by how much the count changes; 0: by nothing. */
  private deltas: usize = 0;
  private blocks: i32 = 0;
  private touched: i32 = 0;
  /** Clusters of the file: no table may point behind it. */
  private clusters: i64;
  /** Clusters that were taken, in pairs: offset, how many. They are given back if the switch fails. */
  private taken: Array<i64> = [];
  private reftable: usize = 0;

  constructor(
    private image: Qcow2Node,
    /** The table to switch to. */
    private table: SnapshotTable,
    /** The size of the disk, bytes. */
    private length: i64,
  ) {
    this.clusters = (image.file.size() + image.clusterSize - 1) >> image.clusterBits;
    this.blocks = image.reftableUsed;
    const bytes = <usize>this.blocks * sizeof<usize>();
    this.deltas = heap.alloc(max<usize>(bytes, 16));
    memory.fill(this.deltas, 0, bytes);
  }

  /** Frees the memory. */
  release(): void {
    for (let i = 0; i < this.blocks; i++) {
      const block = this.deltasOf(i);
      if (block) heap.free(block);
    }
    heap.free(this.deltas);
    if (this.l1) heap.free(this.l1);
    if (this.copies) heap.free(this.copies);
    if (this.reftable) heap.free(this.reftable);
    this.table.release();
  }


  @inline
  private deltasOf(block: i32): usize {
    return load<usize>(this.deltas + <usize>block * sizeof<usize>());
  }

  /** Changes the counts of the clusters of a range by `by`. */
  add(offset: i64, bytes: i64, by: i32): i32 {
    if (bytes <= 0) return 0;
    const image = this.image;
    if (offset < 0 || offset > i64.MAX_VALUE - bytes) return -Err.EIO;
    const last = (offset + bytes - 1) >> image.clusterBits;
    if (last >= this.clusters) return -Err.EIO;
    for (let c = offset >> image.clusterBits; c <= last; c++) {
      const block = c >> image.refblockBits;
      if (block >= this.blocks) return -Err.EINVAL;
      let at = this.deltasOf(<i32>block);
      if (!at) {
        const size = (<usize>4) << image.refblockBits;
        at = heap.alloc(size);
        memory.fill(at, 0, size);
        store<usize>(this.deltas + <usize>block * sizeof<usize>(), at);
        this.touched++;
      }
      at += (<usize>(c & (((<i64>1) << image.refblockBits) - 1))) << 2;
      store<i32>(at, load<i32>(at) + by);
    }
    return 0;
  }

  /**
   * Changes the counts of all that an L1 table reaches.
   * @param tables by how much those of the L2 tables themselves
   */
  addTables(l1: usize, entries: i32, data: i32, tables: i32): i32 {
    const image = this.image;
    let seen: i64 = 0;
    for (let i = 0; i < entries; i++) {
      const table = <i64>(be64(l1 + ((<usize>i) << 3)) & OFFSET_MASK);
      if (!table) continue;
      if (table & (image.clusterSize - 1)) {
        const message = `L2 table offset ${hash(table)} unaligned (L1 index: ${hash(i)})`;
        signalCorruption(image, true, -1, -1, message);
        return -Err.EIO;
      }
      // No table is there twice: so the work is bounded by the size of the file.
      if (++seen > this.clusters) return -Err.EIO;
      let r = this.add(table, image.clusterSize, tables);
      for (let at: i64 = 0; r === 0 && at < image.clusterSize; at += image.sliceBytes) {
        const slice = image.l2.get(table + at);
        r = slice ? this.addSlice(slice, table, <i32>at, data) : image.l2.error;
      }
      if (r < 0) return r;
    }
    return 0;
  }


  @inline
  private entryBytes(): i32 {
    return this.image.clusterSize >> this.image.l2Bits;
  }

  private addSlice(slice: usize, table: i64, start: i32, by: i32): i32 {
    const image = this.image;
    const step = this.entryBytes();
    for (let at = 0; at < image.sliceBytes; at += step) {
      const entry = be64(slice + at);
      let r: i32;
      if (entry & COMPRESSED) {
        r = this.add(compressedOffset(image, entry), compressedBytes(image, entry), by);
      } else {
        const host = <i64>(entry & OFFSET_MASK);
        if (!host) continue;
        if (host & (image.clusterSize - 1)) {
          const where = `L2 offset: ${hash(table)}, L2 index: ${hash((start + at) / step)})`;
          signalCorruption(
            image,
            true,
            -1,
            -1,
            `Cluster allocation offset ${hash(host)} unaligned (${where}`,
          );
          return -Err.EIO;
        }
        r = this.add(host, image.clusterSize, by);
      }
      if (r < 0) return r;
    }
    return 0;
  }

  /** What the count of the cluster at `offset` is going to be; < 0: a negative errno. */
  private wanted(offset: i64): i64 {
    const image = this.image;
    const cluster = offset >> image.clusterBits;
    const r = loadRefcount(image, cluster);
    if (r < 0) return r;
    const block = cluster >> image.refblockBits;
    const deltas = block < this.blocks ? this.deltasOf(<i32>block) : 0;
    const count = <i64>min<u64>(refcount, (<u64>i64.MAX_VALUE) >> 1);
    if (!deltas) return count;
    const index = <usize>(cluster & (((<i64>1) << image.refblockBits) - 1));
    const sum = count + load<i32>(deltas + (index << 2));
    return sum < 0 ? -Err.EINVAL : sum;
  }

  /**
   * Takes the entries of an L1 table as those of the new one. L2 tables whose COPIED bits will not be true are to be
   * copied. To be called when the counts of all data are known.
   * @param shared by how much the counts of L2 tables change that are used as they are
   * @param copied the same of those that are copied
   */
  setTables(l1: usize, entries: i32, newEntries: i32, shared: i32, copied: i32): i32 {
    const image = this.image;
    const bytes = (<usize>newEntries) << 3;
    this.l1 = heap.alloc(max<usize>(bytes, 16));
    this.l1Entries = newEntries;
    memory.fill(this.l1, 0, bytes);
    memory.copy(this.l1, l1, (<usize>min(entries, newEntries)) << 3);
    this.copies = heap.alloc(max(newEntries, 16));
    memory.fill(this.copies, 0, newEntries);
    for (let i = 0; i < newEntries; i++) {
      const table = <i64>(be64(this.l1 + ((<usize>i) << 3)) & OFFSET_MASK);
      if (!table) continue;
      let r = this.bitsDiffer(table);
      if (r < 0) return r;
      if (r) {
        store<u8>(this.copies + i, 1);
        this.copyCount++;
      }
      r = this.add(table, image.clusterSize, r ? copied : shared);
      if (r < 0) return r;
    }
    return this.checkCounts();
  }

  /** 1: COPIED bits of a table must change; 0: none; < 0: errno. */
  private bitsDiffer(table: i64): i32 {
    const image = this.image;
    const step = this.entryBytes();
    for (let at: i64 = 0; at < image.clusterSize; at += image.sliceBytes) {
      const slice = image.l2.get(table + at);
      if (!slice) return image.l2.error;
      for (let i = 0; i < image.sliceBytes; i += step) {
        const entry = be64(slice + i);
        if (entry & COMPRESSED || !(entry & OFFSET_MASK)) continue;
        const count = this.wanted(<i64>(entry & OFFSET_MASK));
        if (count < 0) return <i32>count;
        if ((count === 1) !== ((entry & COPIED) !== 0)) return 1;
      }
    }
    return 0;
  }

  /** Whether all counts fit: EINVAL, as QEMU says of a count that is too small or would be too large. */
  private checkCounts(): i32 {
    const image = this.image;
    const limit = maxRefcount(image.refcountOrder);
    const n = 1 << image.refblockBits;
    for (let b = 0; b < this.blocks; b++) {
      const deltas = this.deltasOf(b);
      if (!deltas) continue;
      const offset = refblockOffset(image, (<i64>b) << image.refblockBits);
      if (offset <= 0) return offset < 0 ? <i32>offset : -Err.EINVAL;
      const block = image.refs.get(offset);
      if (!block) return image.refs.error;
      for (let i = 0; i < n; i++) {
        const delta = load<i32>(deltas + ((<usize>i) << 2));
        if (!delta) continue;
        const count = getRefcount(block, i, image.refcountOrder);
        // What is pointed to has a count: an image where it has none would only be damaged further.
        if (!count) return -Err.EIO;
        if (delta > 0 ? limit - count < <u64>delta : count < <u64>-delta) return -Err.EINVAL;
      }
    }
    return 0;
  }

  /** Takes clusters; remembers them. Answers their offset or a negative errno. */
  private take(n: i64): i64 {
    const offset = allocateClusters(this.image, n);
    if (offset === 0) return -Err.EIO;
    if (offset > 0) {
      this.taken.push(offset);
      this.taken.push(n);
    }
    return offset;
  }

  private clustersOf(bytes: i64): i64 {
    return (bytes + this.image.clusterSize - 1) >> this.image.clusterBits;
  }

  /** Writes to clusters of ours. */
  private put(offset: i64, bytes: i64, from: usize): i32 {
    const r = checkWrite(this.image, Meta.NONE, offset, bytes);
    return r < 0 ? r : this.image.file.pwrite(offset, <i32>bytes, from);
  }

  /** Writes all that is new, switches to it, and gives back what is old. */
  commit(): i32 {
    const image = this.image;
    const r = this.prepare();
    if (r < 0) {
      for (let i = 0; i < this.taken.length; i += 2) freeClusters(image, this.taken[i], this.taken[i + 1]);
      return r;
    }
    const code = this.writeFields();
    if (code < 0) return code;
    this.adopt();
    const end = writeCaches(image);
    return end < 0 ? end : image.file.pflush();
  }

  private l1Offset: i64 = 0;
  private tableOffset: i64 = 0;
  private reftableOffset: i64 = 0;
  /** The blocks that were replaced. */
  private oldBlocks: Array<i64> = [];

  private prepare(): i32 {
    const image = this.image;
    // Clusters come first: taking them may change the refcount structure itself.
    const l2 = new Array<i64>(this.copyCount);
    for (let i = 0; i < this.copyCount; i++) {
      l2[i] = this.take(1);
      if (l2[i] < 0) return <i32>l2[i];
    }
    this.l1Offset = this.l1Entries ? this.take(this.clustersOf((<i64>this.l1Entries) << 3)) : 0;
    if (this.l1Offset < 0) return <i32>this.l1Offset;
    // A table that stays as it is has no bytes here.
    this.tableOffset = image.snapshotsOffset;
    if (this.table.bytes) this.tableOffset = this.take(this.clustersOf(this.table.length));
    else if (!this.table.count) this.tableOffset = 0;
    if (this.tableOffset < 0) return <i32>this.tableOffset;
    const blocks = new Array<i64>(this.touched);
    for (let i = 0; i < this.touched; i++) {
      blocks[i] = this.take(1);
      if (blocks[i] < 0) return <i32>blocks[i];
    }
    if (this.touched) {
      // The refcount table may have grown while clusters were taken, and may do so now.
      let entries = 0;
      let offset: i64 = 0;
      while (entries !== image.reftableEntries) {
        entries = image.reftableEntries;
        if (offset) freeClusters(image, offset, this.taken.pop());
        if (offset) this.taken.pop();
        offset = this.take(this.clustersOf((<i64>entries) << 3));
        if (offset < 0) return <i32>offset;
      }
      this.reftableOffset = offset;
    }
    let r = image.refs.write();
    if (r === 0) r = this.writeTables(l2);
    if (r === 0 && this.l1Entries) r = this.put(this.l1Offset, (<i64>this.l1Entries) << 3, this.l1);
    if (r === 0 && this.table.bytes) r = this.put(this.tableOffset, this.table.length, this.table.bytes);
    if (r === 0 && this.touched) r = this.writeCounts(blocks);
    return r < 0 ? r : image.file.pflush();
  }

  /** Writes the copies of L2 tables, and puts all COPIED bits as they are going to be true. */
  private writeTables(places: Array<i64>): i32 {
    const image = this.image;
    const size = image.clusterSize;
    const copy = heap.alloc(size);
    let r = 0;
    let next = 0;
    for (let i = 0; r === 0 && i < this.l1Entries; i++) {
      const at = this.l1 + ((<usize>i) << 3);
      const table = <i64>(be64(at) & OFFSET_MASK);
      if (!table) {
        // Bits of entries without a table mean nothing.
        putBe64(at, 0);
      } else if (load<u8>(this.copies + i)) {
        r = this.copyTable(table, copy);
        if (r === 0) r = this.put(places[next], size, copy);
        putBe64(at, (<u64>places[next++]) | COPIED);
      } else {
        const count = this.wanted(table);
        if (count < 0) r = <i32>count;
        else putBe64(at, (<u64>table) | (count === 1 ? COPIED : 0));
      }
    }
    heap.free(copy);
    return r;
  }

  private copyTable(table: i64, to: usize): i32 {
    const image = this.image;
    const step = this.entryBytes();
    for (let at = 0; at < image.clusterSize; at += image.sliceBytes) {
      const slice = image.l2.get(table + at);
      if (!slice) return image.l2.error;
      memory.copy(to + at, slice, image.sliceBytes);
    }
    for (let i = 0; i < image.clusterSize; i += step) {
      const entry = be64(to + i);
      if (entry & COMPRESSED || !(entry & OFFSET_MASK)) continue;
      const count = this.wanted(<i64>(entry & OFFSET_MASK));
      if (count < 0) return <i32>count;
      putBe64(to + i, (entry & ~COPIED) | (count === 1 ? COPIED : 0));
    }
    return 0;
  }

  /** Writes new refcount blocks in place of those that change, and the table that points to them. */
  private writeCounts(places: Array<i64>): i32 {
    const image = this.image;
    const order = image.refcountOrder;
    const n = 1 << image.refblockBits;
    const bytes = (<usize>image.reftableEntries) << 3;
    this.reftable = heap.alloc(bytes);
    memory.copy(this.reftable, image.reftable, bytes);
    const copy = heap.alloc(image.clusterSize);
    let r = 0;
    let next = 0;
    for (let b = 0; r === 0 && b < this.blocks; b++) {
      const deltas = this.deltasOf(b);
      if (!deltas) continue;
      const offset = refblockOffset(image, (<i64>b) << image.refblockBits);
      const block = offset > 0 ? image.refs.get(offset) : 0;
      if (!block) {
        r = offset < 0 ? <i32>offset : -Err.EIO;
        break;
      }
      memory.copy(copy, block, image.clusterSize);
      for (let i = 0; i < n; i++) {
        const delta = load<i32>(deltas + ((<usize>i) << 2));
        if (delta) putRefcount(copy, i, order, getRefcount(copy, i, order) + <u64>(<i64>delta));
      }
      r = this.put(places[next], image.clusterSize, copy);
      putBe64(this.reftable + ((<usize>b) << 3), places[next++]);
      this.oldBlocks.push(offset);
    }
    heap.free(copy);
    return r < 0 ? r : this.put(this.reftableOffset, bytes, this.reftable);
  }

  /** Writes the fields of the header. If that fails they are put back; if that fails too the image is not used any more. */
  private writeFields(): i32 {
    const image = this.image;
    const fields = heap.alloc(FIELDS_BYTES);
    const counts = this.reftable !== 0;
    const reftable = counts ? this.reftableOffset : image.reftableOffset;
    this.fillFields(
      fields,
      this.length,
      this.l1Entries,
      this.l1Offset,
      reftable,
      this.table.count,
      this.tableOffset,
    );
    let r = image.file.pwrite(FIELDS_START, FIELDS_BYTES, fields);
    if (r === 0) r = image.file.pflush();
    if (r < 0) {
      this.fillFields(
        fields,
        image.length,
        image.l1Size,
        image.l1Offset,
        image.reftableOffset,
        image.snapshots,
        image.snapshotsOffset,
      );
      let back = image.file.pwrite(FIELDS_START, FIELDS_BYTES, fields);
      if (back === 0) back = image.file.pflush();
      if (back < 0) image.unusable = true;
    }
    heap.free(fields);
    return r;
  }

  private fillFields(
    to: usize,
    length: i64,
    l1Entries: i32,
    l1Offset: i64,
    reftable: i64,
    snapshots: i32,
    table: i64,
  ): void {
    const image = this.image;
    const base = to - FIELDS_START;
    putBe64(base + Field.SIZE, length);
    putBe32(base + Field.CRYPT_METHOD, image.cryptMethod);
    putBe32(base + Field.L1_SIZE, l1Entries);
    putBe64(base + Field.L1_OFFSET, l1Offset);
    putBe64(base + Field.REFTABLE_OFFSET, reftable);
    const clusters = ((<i64>image.reftableEntries) << 3) >> image.clusterBits;
    putBe32(base + Field.REFTABLE_CLUSTERS, <u32>clusters);
    putBe32(base + Field.SNAPSHOTS, snapshots);
    putBe64(base + Field.SNAPSHOTS_OFFSET, table);
  }

  /** Takes the new state over, and gives back the old refcount structures. */
  private adopt(): void {
    const image = this.image;
    image.l2.clear();
    image.refs.clear();
    if (image.l1) heap.free(image.l1);
    image.l1 = this.l1;
    this.l1 = 0;
    image.l1Size = this.l1Entries;
    image.l1Offset = this.l1Offset;
    image.length = this.length;
    if (this.table.bytes || !this.table.count) adoptSnapshots(image, this.table, this.tableOffset);
    const oldReftable = image.reftableOffset;
    if (this.reftable) {
      heap.free(image.reftable);
      image.reftable = this.reftable;
      this.reftable = 0;
      image.reftableOffset = this.reftableOffset;
      let used = image.reftableEntries;
      while (used && !(be64(image.reftable + ((<usize>(used - 1)) << 3)) & REFTABLE_MASK)) used--;
      image.reftableUsed = used;
    }
    if (image.metadataFilter) heap.free(image.metadataFilter);
    image.metadataFilter = 0;
    forgetInactive(image);
    image.freeIndex = 0;
    image.freeByte = 0;
    image.nextHost = -1;
    image.preallocated = -1;
    image.plainEntry = 0;
    if (!this.touched) return;
    if (image.passDiscardSnapshot) this.discardFreed();
    freeClusters(image, oldReftable, this.clustersOf((<i64>image.reftableEntries) << 3));
    for (let i = 0; i < this.oldBlocks.length; i++) freeClusters(image, this.oldBlocks[i], 1);
  }

  /** Passes on the clusters that nothing refers to any more. */
  private discardFreed(): void {
    const image = this.image;
    const n = 1 << image.refblockBits;
    for (let b = 0; b < this.blocks; b++) {
      const deltas = this.deltasOf(b);
      if (!deltas) continue;
      const first = (<i64>b) << image.refblockBits;
      for (let i = 0; i < n; i++) {
        let run = 0;
        while (i + run < n && load<i32>(deltas + ((<usize>(i + run)) << 2)) < 0) {
          if (loadRefcount(image, first + i + run) < 0 || refcount) break;
          run++;
        }
        if (!run) continue;
        image.file.pdiscard((first + i) << image.clusterBits, (<i64>run) << image.clusterBits);
        i += run - 1;
      }
    }
  }
}
