/**
 * For version 2, which knows no zero clusters: each of them becomes data, or nothing where there is no backing node. In
 * the active tables and in those of snapshots; each table is changed once for all that share it.
 */
import { Err } from '../../../abi';
import { clock } from '../../../host';
import { be64, putBe64 } from '../../../util/endian';
import { hash } from '../../../util/errors';
import { allocateClusters, freeClusters } from '../refcounts/allocate';
import { signalCorruption } from '../corruption';
import { Qcow2Node } from '../image';
import { COMPRESSED, COPIED, OFFSET_MASK, ZERO } from '../layout';
import { orderAfterCounts } from '../refcounts/lazy';
import { checkWrite, Meta } from '../overlap';
import { changeRefcounts, loadRefcount, refcount } from '../refcounts/refcount';
import { checkL1, readError, readL1 } from '../snapshots/operations';
import { snapshotError, snapshotOf, SnapshotTable } from '../snapshots/table';
import { TableSwitch } from '../snapshots/switch';

/** Milliseconds that one step takes. */
const STEP_TIME: f64 = 6;
/** Bytes that are written with zeros at once. */
const MAX_RUN: i32 = 1 << 20;

/** The walk over all L2 tables, in steps. */
export class ZeroExpansion {
  /** The L1 table that is walked: -1: the active one, else a snapshot's. */
  private snapshot: i32 = -1;
  private l1: usize = 0;
  private entries: i32;
  private l1Index: i32 = 0;
  private l2Index: i32 = 0;
  /** References of the table that is walked. */
  private sharers: i64 = 0;
  /** Clusters that others use too, in pairs: offset, how many references are to be taken away at the end. */
  private shared: Array<i64> = [];

  constructor(
    private image: Qcow2Node,
    /** Only look for compressed clusters; change nothing. */
    private search: bool,
  ) {
    this.entries = image.l1Size;
    this.units = image.l1Size;
    for (let i = 0; i < image.snapshots; i++) {
      const snapshot = snapshotOf(image, i);
      if (snapshot) this.units += snapshot.l1Entries;
    }
  }

  /** Units of work, as QEMU counts them: entries of all L1 tables. */
  units: i64;
  /** Those that are done. */
  unitsDone: i64 = 0;

  /** A compressed cluster was found by a search. */
  found: bool = false;

  release(): void {
    if (this.l1) heap.free(this.l1);
    this.l1 = 0;
  }

  /** Works on for some milliseconds at most; 1: there is more to do, 0: it is done; or a negative errno. */
  step(): i32 {
    const start = clock();
    while (true) {
      const r = this.advance();
      if (r <= 0) return r;
      if (clock() - start > STEP_TIME) return 1;
    }
  }

  private advance(): i32 {
    const image = this.image;
    if (this.l1Index >= this.entries) return this.nextL1();
    const l1 = this.snapshot < 0 ? image.l1 : this.l1;
    const table = <i64>(be64(l1 + ((<usize>this.l1Index) << 3)) & OFFSET_MASK);
    if (!table) {
      this.l1Index++;
      this.unitsDone++;
      return 1;
    }
    if (!this.l2Index) {
      if (table & (image.clusterSize - 1)) {
        const message = `L2 table offset ${hash(table)} unaligned (L1 index: ${hash(this.l1Index)})`;
        signalCorruption(image, true, -1, -1, message);
        return -Err.EIO;
      }
      const r = loadRefcount(image, table >> image.clusterBits);
      if (r < 0) return r;
      // More than all tables of the image, or none: its counts are wrong.
      if (!refcount || refcount > <u64>image.snapshots + 1) return -Err.EIO;
      this.sharers = <i64>refcount;
    }
    const r = this.search ? this.look(table) : this.expand(table);
    if (r < 0) return r;
    if (this.l2Index >> image.l2Bits) {
      this.l2Index = 0;
      this.l1Index++;
      this.unitsDone++;
    }
    return 1;
  }

  private nextL1(): i32 {
    const image = this.image;
    this.release();
    this.l1Index = 0;
    if (++this.snapshot >= image.snapshots) return this.search ? 0 : this.dropShared();
    const snapshot = snapshotOf(image, this.snapshot);
    if (!snapshot) return snapshotError;
    const r = checkL1(image, snapshot);
    if (r < 0) return r;
    this.l1 = readL1(image, snapshot);
    if (!this.l1) return readError;
    this.entries = <i32>snapshot.l1Entries;
    return 1;
  }

  private sliceAt(table: i64): i64 {
    const image = this.image;
    return table + ((<i64>(this.l2Index >> image.sliceBits)) << (image.sliceBits + 3));
  }

  /** Looks at a slice. */
  private look(table: i64): i32 {
    const image = this.image;
    const slice = image.l2.get(this.sliceAt(table));
    if (!slice) return image.l2.error;
    for (let i = 0; i < image.sliceBytes; i += 8) if (be64(slice + i) & COMPRESSED) this.found = true;
    this.l2Index += 1 << image.sliceBits;
    return 1;
  }

  /** Changes entries of one slice, up to and with the first run that takes writing. */
  private expand(table: i64): i32 {
    const image = this.image;
    const at = this.sliceAt(table);
    const slice = image.l2.get(at);
    if (!slice) return image.l2.error;
    const n = 1 << image.sliceBits;
    const first = this.l2Index & (n - 1);
    for (let i = first; i < n; i++) {
      const entry = be64(slice + ((<usize>i) << 3));
      if (entry & COMPRESSED || !(entry & ZERO)) continue;
      if (!(entry & OFFSET_MASK) && !image.backing) {
        putBe64(slice + ((<usize>i) << 3), 0);
        image.l2.touch(at, i << 3, (i + 1) << 3);
        continue;
      }
      const done = this.fill(at, slice, i, n, entry);
      if (done < 0) return done;
      this.l2Index += i + done - first;
      return 1;
    }
    this.l2Index += n - first;
    return 1;
  }

  /** Gives a run of entries from `i` on clusters of zeros; answers how many they were. */
  private fill(at: i64, slice: usize, i: i32, end: i32, entry: u64): i32 {
    const image = this.image;
    const bits = image.clusterBits;
    let host = <i64>(entry & OFFSET_MASK);
    if (host) {
      if (host & (image.clusterSize - 1)) {
        const message = `Cluster allocation offset ${hash(host)} unaligned`;
        signalCorruption(image, true, -1, -1, `${message} (L2 offset: ${hash(at)}, L2 index: ${hash(i)})`);
        return -Err.EIO;
      }
      const r = loadRefcount(image, host >> bits);
      if (r < 0) return r;
      if (refcount < <u64>this.sharers) return -Err.EIO;
      if (refcount === <u64>this.sharers) {
        const code = this.writeZeros(host, 1);
        if (code < 0) return code;
        image.l2.dependOnFlush();
        return this.put(at, i, 1, entry & ~ZERO);
      }
      // Others see data in it: these entries get a cluster of their own.
      this.shared.push(host);
      this.shared.push(this.sharers);
    }
    let n = 1;
    const most = max(1, min(end - i, MAX_RUN >> bits));
    if (!host)
      while (n < most && (be64(slice + ((<usize>(i + n)) << 3)) & (OFFSET_MASK | ZERO)) === ZERO) n++;
    host = allocateClusters(image, n);
    if (host <= 0) return host ? <i32>host : -Err.EIO;
    let r = 0;
    let references: i64 = 1;
    while (r === 0 && references < this.sharers) {
      r = changeRefcounts(image, host >> bits, n, true);
      if (r === 0) references++;
    }
    if (r === 0) r = this.writeZeros(host, n);
    if (r === 0) r = orderAfterCounts(image);
    if (r === 0) r = this.put(at, i, n, (<u64>host) | (this.sharers === 1 ? COPIED : 0));
    if (r < 0) for (; references > 0; references--) freeClusters(image, host, n);
    return r;
  }

  private writeZeros(host: i64, n: i32): i32 {
    const image = this.image;
    const bytes = (<i64>n) << image.clusterBits;
    const r = checkWrite(image, Meta.NONE, host, bytes);
    return r < 0 ? r : image.file.pzero(host, bytes, 0);
  }

  /** Sets `n` entries, each to the cluster behind the one before; answers `n`. */
  private put(at: i64, i: i32, n: i32, entry: u64): i32 {
    const image = this.image;
    const slice = image.l2.get(at);
    if (!slice) return image.l2.error;
    for (let k = 0; k < n; k++) {
      putBe64(slice + ((<usize>(i + k)) << 3), entry + ((<u64>k) << image.clusterBits));
    }
    image.l2.touch(at, i << 3, (i + n) << 3);
    return n;
  }

  /** Takes away the references to clusters that others use too, with the COPIED bits that change by it, in one write. */
  private dropShared(): i32 {
    const image = this.image;
    const n = this.shared.length;
    if (!n) return 0;
    let r = image.doFlush();
    if (r < 0) return r;
    const table = new SnapshotTable();
    table.count = image.snapshots;
    const change = new TableSwitch(image, table, image.length);
    for (let i = 0; r === 0 && i < n; i += 2) {
      r = change.add(this.shared[i], image.clusterSize, -(<i32>this.shared[i + 1]));
    }
    if (r === 0) r = change.add(image.l1Offset, (<i64>image.l1Size) << 3, -1);
    if (r === 0) r = change.setTables(image.l1, image.l1Size, image.l1Size, 0, -1);
    if (r === 0) r = change.commit();
    change.release();
    this.shared = [];
    return r;
  }
}
