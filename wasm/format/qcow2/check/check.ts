/**
 * Checking an image, and repairing it: what points to each host cluster is counted and compared with the counts that
 * the image stores. The rules, the order and the texts are QEMU's.
 *
 * A check runs in steps, so that a large image does not keep the other work of the worker waiting. What is found is
 * told at once, line by line, and not kept.
 */
import { CheckFix, Err } from '../../../abi';
import { finding } from '../../../host';
import { be64 } from '../../../util/endian';
import { describe, hex } from '../../../util/errors';
import { beginBitmaps, readDirectory, releaseBitmaps, stepBitmaps } from './bitmaps';
import { stepCompare } from './compare';
import { stepCopied } from './copied';
import { CountTable, MAX_CLUSTERS } from './counts';
import { dropStaleBitmaps, finishHeader } from './finish';
import { Rebuild } from './rebuild';
import { readTable, rewriteTable, stepSnapshot, SnapshotList } from './snapshots';
import { beginTables, stepTables } from './tables';
import { Qcow2Node } from '../image';
import { EXTERNAL_DATA, OFFSET_MASK, REFTABLE_MASK } from '../layout';
import { writeCaches } from '../lifetime';
import { maxRefcount } from '../refcounts/refcount';

/**
 * A file grows for refcount blocks behind its end to twice its size, or by what is the less of so many bytes and so many
 * clusters. What a hostile refcount table says is no reason to make a file of terabytes and to look at all its clusters.
 */
const MAX_GROWTH: i64 = 64 << 20;
const MAX_GROWTH_CLUSTERS: i64 = 65536;

/** Where a check is. */
const enum Phase {
  SNAPSHOT_TABLE,
  BEGIN,
  ACTIVE,
  INACTIVE,
  FIXED,
  BITMAPS,
  REFBLOCKS,
  COMPARE,
  DECIDE,
  REBUILD,
  FRESH_LEAKS,
  REPAIR,
  COPIED,
  FINISH,
  DONE,
}

/** Entries of tables that one step looks at. */
export const STEP_ENTRIES: i64 = 65536;
/** Lines that one step tells. */
export const STEP_FINDINGS: i32 = 256;
/** Lines that a check tells of what it finds: tables of garbage have millions of wrong entries. All are counted. */
const MAX_FINDINGS: i32 = 100000;

export class Check {
  corruptions: i64 = 0;
  leaks: i64 = 0;
  errors: i64 = 0;
  corruptionsFixed: i64 = 0;
  leaksFixed: i64 = 0;
  /** The cluster behind the last one that is in use, or is said to be. */
  endCluster: i64 = 0;
  /** Guest clusters; of the active tables only. */
  allocated: i64 = 0;
  fragmented: i64 = 0;
  compressed: i64 = 0;

  readonly counts: CountTable;
  snapshots: SnapshotList = new SnapshotList();
  /** The stored counts are so wrong that they must be made anew. */
  rebuild: bool = false;
  /** Findings since the step began. */
  told: i32 = 0;
  /** Something of the image was not there when it was to be read. */
  elsewhere: bool = false;
  /** Findings since the check began. */
  private findings: i32 = 0;
  /** Where the phase is: its meaning is the phase's own. */
  at: i64 = 0;
  index: i32 = 0;
  /** A cluster of scratch memory. */
  table: usize = 0;
  /** The L1 table of the snapshot that is being walked. */
  l1: usize = 0;
  l1Size: i32 = 0;
  /** The directory of bitmaps while it is walked, and its bytes. */
  directory: usize = 0;
  directoryBytes: i64 = 0;
  /** The damaged entry of the refcount table was told. */
  unalignedTold: bool = false;
  /** The file does not become longer than this for a refcount block. */
  private growthLimit: i64 = 0;

  /** The L1 table that is being walked, and its entries. */
  walked: usize = 0;
  walkedSize: i32 = 0;
  /** Whether wrong COPIED flags are repaired. */
  repairsFlags: bool = false;
  /** Corruptions that the comparison found, and counts that it could not read. */
  countErrors: i64 = 0;
  readErrors: i64 = 0;
  /** The first of the clusters whose counts could not be read and that were not told yet; -1: none. */
  unreadFrom: i64 = -1;
  /** COPIED flags that are wrong. */
  flagErrors: i64 = 0;
  /** Nothing is told. */
  quiet: bool = false;

  private phase: Phase = Phase.SNAPSHOT_TABLE;
  /** What this pass may repair: nothing in the one after a rebuild. */
  private passFix: i32;
  private rebuilt: bool = false;
  private before: Check | null = null;
  private rebuilding: Rebuild | null = null;

  constructor(
    readonly image: Qcow2Node,
    /** {@link CheckFix} bits. */
    readonly fix: i32,
  ) {
    this.passFix = fix;
    this.counts = new CountTable(maxRefcount(image.refcountOrder));
  }

  /** Host clusters of the file. */
  fileClusters(): i64 {
    return (this.image.file.size() + this.image.clusterSize - 1) >> this.image.clusterBits;
  }

  get fixes(): bool {
    return (this.passFix & CheckFix.ERRORS) !== 0;
  }

  /** Tells something that was found; of too many things only that there are more. */
  tell(text: string): void {
    this.told++;
    if (this.findings > MAX_FINDINGS) return;
    if (this.findings++ === MAX_FINDINGS)
      text = 'Too many findings to tell each: the others are counted only';
    this.announce(text);
  }

  /** Tells what the check does, or why it ends. */
  announce(text: string): void {
    if (!this.quiet) finding(this.image.handle, changetype<usize>(text), text.length, 0);
  }

  /** The same for what comes from the program itself; its name is put in front. */
  complain(text: string): void {
    this.told++;
    if (!this.quiet) finding(this.image.handle, changetype<usize>(text), text.length, 1);
  }

  /** Tells and counts a corruption that cannot be repaired. */
  corrupt(text: string): void {
    this.corruptions++;
    this.tell(text);
  }

  /** The first word of a line about something that is repaired if `repair` holds. */
  verb(repair: bool): string {
    return repair ? 'Repairing' : 'ERROR';
  }

  /** Whether data is in another file. */
  get hasDataFile(): bool {
    return (this.image.incompatible & EXTERNAL_DATA) !== 0;
  }

  /** Counts a reference to each cluster of a range. A negative answer ends the check. */
  count(offset: i64, bytes: i64): i32 {
    if (bytes <= 0) return 0;
    const cluster: i64 = this.image.clusterSize;
    // The last cluster of the file may be there in part.
    if (offset < 0 || offset > i64.MAX_VALUE - bytes || offset + bytes - this.image.file.size() >= cluster) {
      this.corrupt(
        'ERROR: counting reference for region exceeding the end of the file by one cluster or more: ' +
          `offset 0x${hex(offset)} size 0x${hex(bytes)}`,
      );
      return 0;
    }
    const bits = this.image.clusterBits;
    const last = (offset + bytes - 1) >> bits;
    for (let i = offset >> bits; i <= last; i++) {
      const r = this.counts.add(i);
      if (r === 0) continue;
      if (r !== -Err.ERANGE) return r;
      this.corrupt(`ERROR: overflow cluster offset=0x${hex(i << bits)}`);
      this.tell(
        'Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy ' +
          'if the image cannot be opened for writing',
      );
    }
    return 0;
  }

  /**
   * Gets on with the check; answers 1: there is more to do, 0: it is done, or a negative errno that ends it. Only EAGAIN does
   * not end it: what is to be read is elsewhere. So each step reads what it needs before it counts or tells anything.
   */
  step(): i32 {
    this.told = 0;
    const r = this.advance();
    if (r === -Err.EAGAIN) this.elsewhere = true;
    else if (r < 0) this.phase = Phase.DONE;
    return r;
  }

  private next(phase: Phase): i32 {
    this.phase = phase;
    this.at = 0;
    this.index = 0;
    return 1;
  }

  /** `r` of a phase's step: > 0: it goes on, 0: the phase is over. */
  private then(r: i32, phase: Phase): i32 {
    return r === 0 ? this.next(phase) : r;
  }

  private advance(): i32 {
    switch (this.phase) {
      case Phase.SNAPSHOT_TABLE:
        return this.then(this.start(), Phase.BEGIN);
      case Phase.BEGIN:
        return this.then(this.begin(), Phase.ACTIVE);
      case Phase.ACTIVE:
        return this.then(stepTables(this, true), Phase.INACTIVE);
      case Phase.INACTIVE:
        return this.then(stepSnapshot(this), Phase.FIXED);
      case Phase.FIXED:
        return this.then(this.countFixed(), Phase.BITMAPS);
      case Phase.BITMAPS:
        return this.then(stepBitmaps(this), Phase.REFBLOCKS);
      case Phase.REFBLOCKS:
        return this.then(this.stepRefblocks(), this.rebuilt ? Phase.FRESH_LEAKS : Phase.COMPARE);
      case Phase.COMPARE:
        return this.then(stepCompare(this, 0), Phase.DECIDE);
      case Phase.DECIDE:
        return this.decide();
      case Phase.REBUILD:
        return this.stepRebuild();
      case Phase.FRESH_LEAKS:
        return this.then(stepCompare(this, this.fix & CheckFix.LEAKS), Phase.COPIED);
      case Phase.REPAIR:
        return this.then(stepCompare(this, this.fix), Phase.COPIED);
      case Phase.COPIED:
        if (!this.at && !this.index) this.settleRebuild();
        return this.then(stepCopied(this), Phase.FINISH);
      case Phase.FINISH:
        return this.then(this.finish(), Phase.DONE);
      default:
        return 0;
    }
  }

  /** Nothing that is cached may differ from the file. */
  private start(): i32 {
    const image = this.image;
    if (!this.table) {
      if (!image.readOnly) {
        const r = writeCaches(image);
        if (r < 0) return r;
      }
      image.l2.clear();
      image.refs.clear();
      // An L2 table that starts inside a cluster is read as it stands.
      this.table = heap.alloc(image.clusterSize);
    }
    return readTable(this);
  }

  private begin(): i32 {
    const clusters = this.fileClusters();
    if (clusters > MAX_CLUSTERS) {
      this.errors++;
      return -Err.EFBIG;
    }
    let r = this.counts.grow(clusters);
    if (r === 0) r = this.count(0, this.image.clusterSize);
    if (r < 0) return r;
    const image = this.image;
    const growth = min(MAX_GROWTH, MAX_GROWTH_CLUSTERS << image.clusterBits);
    if (!this.growthLimit)
      this.growthLimit = (clusters << image.clusterBits) + max(image.file.size(), growth);
    return beginTables(this, image.l1, image.l1Size, image.l1Offset);
  }

  /** What is at a place that the header names. */
  private countFixed(): i32 {
    const image = this.image;
    let r = readDirectory(this);
    if (r < 0) return r;
    r = this.count(image.snapshotsOffset, image.snapshotsBytes);
    if (r === 0) r = this.count(image.reftableOffset, (<i64>image.reftableEntries) << 3);
    const crypto = image.cryptoHeader;
    if (r === 0 && crypto) r = this.count(be64(crypto.at), be64(crypto.at + 8));
    return r === 0 ? beginBitmaps(this) : r;
  }

  private stepRefblocks(): i32 {
    const image = this.image;
    const end = min(image.reftableEntries, this.index + <i32>STEP_ENTRIES);
    while (this.index < end) {
      const i = this.index++;
      const entry = be64(image.reftable + ((<usize>i) << 3));
      if (!entry) continue;
      const r = this.checkRefblock(i, entry);
      if (r < 0) return r;
      if (this.told >= STEP_FINDINGS) return 1;
    }
    return this.index < image.reftableEntries ? 1 : 0;
  }

  private checkRefblock(index: i32, entry: u64): i32 {
    const image = this.image;
    const offset = <i64>(entry & REFTABLE_MASK);
    const cluster = offset >>> image.clusterBits;
    if (entry & ~REFTABLE_MASK) {
      this.corrupt(`ERROR refcount table entry ${index} has reserved bits set`);
      this.rebuild = true;
      return 0;
    }
    if (offset & (image.clusterSize - 1)) {
      this.corrupt(`ERROR refcount block ${index} is not cluster aligned; refcount table entry corrupted`);
      this.rebuild = true;
      return 0;
    }
    if (cluster >= this.counts.clusters) return this.growForRefblock(index, offset, cluster);
    const r = this.count(offset, image.clusterSize);
    if (r < 0) return r;
    const count = this.counts.get(cluster);
    if (count !== 1) {
      this.corrupt(`ERROR refcount block ${index} refcount=${count}`);
      this.rebuild = true;
    }
    return 0;
  }

  /** A refcount block behind the end of the file: it becomes a block of zeros in a longer file. */
  private growForRefblock(index: i32, offset: i64, cluster: i64): i32 {
    const image = this.image;
    this.tell(`${this.verb(this.fixes)} refcount block ${index} is outside image`);
    if (!this.fixes) {
      this.corruptions++;
      return 0;
    }
    let r = offset > 0 ? -Err.EFBIG : -Err.EINVAL;
    if (offset > 0 && cluster < MAX_CLUSTERS && offset < this.growthLimit) {
      r = image.file.ptruncate(offset + image.clusterSize, 0);
    }
    if (r === 0) r = this.counts.grow(this.fileClusters());
    if (r < 0) {
      this.tell(`ERROR could not resize image: ${describe(-r)}`);
      this.corruptions++;
      this.rebuild = true;
      return 0;
    }
    this.corruptionsFixed++;
    return this.count(offset, image.clusterSize);
  }

  /** After the comparison: what is to be repaired, and how. */
  private decide(): i32 {
    if (this.rebuild && this.fixes) {
      this.announce('Rebuilding refcount structure');
      const old = new Check(this.image, 0);
      old.corruptions = this.corruptions;
      old.leaks = this.leaks;
      this.before = old;
      this.rebuilding = new Rebuild(this);
      const r = dropStaleBitmaps(this.image);
      return r < 0 ? r : this.next(Phase.REBUILD);
    }
    if (this.fix) {
      if (this.rebuild) {
        this.announce('ERROR need to rebuild refcount structures');
        return -Err.EIO;
      }
      if (this.leaks || this.countErrors) {
        // They are counted again by the pass that repairs.
        this.leaks = 0;
        this.corruptions -= this.countErrors;
        this.errors -= this.readErrors;
        this.countErrors = 0;
        this.readErrors = 0;
        const r = dropStaleBitmaps(this.image);
        return r < 0 ? r : this.next(Phase.REPAIR);
      }
    }
    return this.next(Phase.COPIED);
  }

  private stepRebuild(): i32 {
    const r = this.rebuilding!.step();
    if (r !== 0) return r;
    this.releaseRebuild();
    // Everything is counted again, over the new structure.
    this.corruptions = 0;
    this.leaks = 0;
    this.errors = 0;
    this.countErrors = 0;
    this.readErrors = 0;
    this.allocated = 0;
    this.fragmented = 0;
    this.compressed = 0;
    this.rebuild = false;
    this.rebuilt = true;
    this.passFix = 0;
    this.counts.clear();
    return this.next(Phase.BEGIN);
  }

  private releaseRebuild(): void {
    const rebuilding = this.rebuilding;
    if (rebuilding) rebuilding.release();
    this.rebuilding = null;
  }

  /** What the rebuild did away with counts as repaired. */
  private settleRebuild(): void {
    const old = this.before;
    this.passFix = this.fix;
    if (!old) return;
    this.before = null;
    this.corruptionsFixed += max<i64>(0, old.corruptions - this.corruptions);
    // The leaks that the comparison gave back are those of the old structure and what was leaked before.
    this.leaksFixed = max<i64>(0, old.leaks - this.leaks);
  }

  private finish(): i32 {
    let r = rewriteTable(this);
    if (r < 0) return r;
    if (this.fix) r = finishHeader(this);
    this.counts.release();
    return r;
  }

  /** Frees the memory. The image's tables stay as they are now. */
  release(): void {
    releaseBitmaps(this);
    this.releaseRebuild();
    this.counts.release();
    this.snapshots.release();
    if (this.table) heap.free(this.table);
    if (this.l1) heap.free(this.l1);
    this.table = 0;
    this.l1 = 0;
    this.image.l2.clear();
    if (this.image.readOnly) this.image.refs.clear();
  }

  /** The L2 table of an L1 entry, into {@link table}. */
  readL2(entry: u64): i32 {
    return this.image.file.pread(<i64>(entry & OFFSET_MASK), this.image.clusterSize, this.table);
  }
}
