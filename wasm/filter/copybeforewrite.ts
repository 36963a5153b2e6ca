/**
 * The filter `copy-before-write`: what is about to be overwritten is copied to another node first, whole clusters at a
 * time, so that the two together keep what the disk was when the filter was made. Backup jobs copy the rest by the same way.
 */
import { Bits, Driver, Err, Keep } from '../abi';
import { addBitmap, attachBitmap, DirtyBitmap } from '../block/dirtybitmap';
import { BlockNode } from '../block/node';
import { foundBytes, foundFile, foundMap, found, statusAbove, statusOne } from '../block/status';
import { Scratch } from '../util/memory';
import { FilterNode } from './filter';

/** Bytes that are copied by one read and one write, at most (but at least a cluster). */
const PIECE: i64 = 1 << 18;

export class CopyBeforeWriteNode extends FilterNode {
  /** Clusters whose old content is still to be copied: by writes to them, or by a job. */
  private pending: DirtyBitmap;
  /** Clusters whose old content is not in the child any more, if anywhere. */
  private done: DirtyBitmap;
  /** Clusters that may be read as they were. */
  private access: DirtyBitmap;
  /** Own, for the target may be such a filter itself. */
  private buffer: Scratch = new Scratch();
  /** The negative errno that ended the snapshot; 0: it is whole. */
  private broken: i32 = 0;
  /** Bytes that were copied, in whole clusters. */
  copied: f64 = 0;
  /** Whether the last failure of a copy was one of the target. */
  targetFailed: bool = false;
  /** The bytes that the last {@link copyNext} has behind it, from `copiedFrom` on. */
  copiedFrom: i64 = 0;
  copiedBytes: i64 = 0;
  /** Only what the child itself has is copied; of that, what lies below it is nothing new to the target. */
  topOnly: bool = false;
  /** Clusters are written compressed to the target. */
  compress: bool = false;
  /** What was copied is discarded in the child. */
  discardSource: bool = false;

  /**
   * @param shift log2 of the bytes of a cluster
   * @param flags {@link Keep}
   */
  constructor(
    file: BlockNode,
    readOnly: bool,
    private target: BlockNode,
    private shift: i32,
    private flags: i32,
  ) {
    super(Driver.COPY_BEFORE_WRITE, file, readOnly);
    target.users++;
    const size = file.size();
    this.pending = new DirtyBitmap(shift, size);
    this.done = new DirtyBitmap(shift, size);
    this.access = new DirtyBitmap(shift, size);
  }

  /** Makes the bitmaps ones of the node. ENOMEM: the disk is too large for its clusters. */
  open(): i32 {
    let r = this.own(this.pending);
    if (r === 0) r = this.own(this.done);
    if (r === 0) r = this.own(this.access);
    return r;
  }

  /** Such a bitmap has no name, and writes do not mark it. */
  private own(bitmap: DirtyBitmap): i32 {
    bitmap.enabled = false;
    attachBitmap(this, bitmap);
    addBitmap(bitmap);
    return bitmap.open();
  }

  /**
   * What is to be copied: all of the disk, or what is dirty in a bitmap of a disk of the same size; and whether it can be
   * read as it was.
   */
  select(bitmap: DirtyBitmap | null, readable: bool): i32 {
    if (bitmap && bitmap.size !== this.pending.size) return -Err.EINVAL;
    fillFrom(this.pending, bitmap);
    if (readable) fillFrom(this.access, bitmap);
    return 0;
  }

  /** The bytes that are to be copied yet, in whole clusters. */
  left(): f64 {
    return <f64>this.pending.bits.count * <f64>((<i64>1) << this.shift);
  }

  /** Marks in a bitmap what is to be copied yet. */
  addPending(to: DirtyBitmap): i32 {
    if (to.size !== this.pending.size) return -Err.EINVAL;
    to.merge(this.pending);
    return 0;
  }

  override release(): void {
    this.buffer.release();
    this.target.users--;
    super.release();
  }

  override reaches(node: BlockNode): bool {
    return super.reaches(node) || this.target.reaches(node);
  }

  override doReplaceChild(old: BlockNode, now: BlockNode): i32 {
    if (this.target !== old) return super.doReplaceChild(old, now);
    old.users--;
    this.target = now;
    now.users++;
    return 0;
  }

  // ---- copying

  /** Before a range is changed: copies what of it is to be kept. */
  private before(offset: i64, bytes: i64): i32 {
    if (this.broken || bytes <= 0) return 0;
    const mask = ((<i64>1) << this.shift) - 1;
    const start = offset & ~mask;
    const end = min((offset + bytes + mask) & ~mask, this.size());
    let at = start;
    while (at < end) {
      const r = this.copyNext(at, end, PIECE);
      if (r === -Err.EAGAIN) return r;
      if (r < 0) {
        if (!(this.flags & Keep.BREAK_SNAPSHOT)) return r;
        this.broken = r;
        return 0;
      }
      at = this.copiedFrom + this.copiedBytes;
    }
    this.done.set(start, end - start);
    return 0;
  }

  /**
   * Copies the first clusters that are to be copied in a range of whole clusters, of at most `most` bytes but at least one
   * cluster. Afterwards `copiedFrom` says where it was, and `copiedBytes` how far it came; at the end: how far nothing is.
   */
  copyNext(offset: i64, end: i64, most: i64): i32 {
    const pending = this.pending;
    const cluster = (<i64>1) << this.shift;
    const size = this.size();
    this.copiedBytes = 0;
    const at = pending.next(offset, end, true);
    this.copiedFrom = at < 0 ? end : at;
    if (at < 0) return 0;
    let stop = min(end, at + max(most & ~(cluster - 1), cluster));
    const clean = pending.next(at, stop, false);
    if (clean >= 0) stop = clean;
    const file = this.child!;
    let n = stop - at;
    let status = this.topOnly ? statusOne(file, true, at, n) : statusAbove(file, null, true, at, n);
    // What ends inside of a cluster makes that cluster one of data.
    const whole = at + foundBytes >= size ? size - at : foundBytes & ~(cluster - 1);
    if (status === -Err.EAGAIN) return status;
    if (status < 0 || !whole) {
      status = Bits.DATA | Bits.ALLOCATED;
      n = min(cluster, n);
    } else {
      n = min(whole, n);
    }
    if (this.topOnly && !(status & Bits.ALLOCATED)) {
      pending.reset(at, n);
      this.copiedBytes = n;
      return 0;
    }
    const r = status & Bits.ZERO ? this.zero(at, n) : this.data(at, n);
    if (r < 0) return r;
    pending.reset(at, n);
    this.copied += <f64>((n + cluster - 1) & ~(cluster - 1));
    this.copiedBytes = n;
    if (this.discardSource) file.pdiscard(at, n);
    return 0;
  }

  private zero(offset: i64, bytes: i64): i32 {
    this.targetFailed = true;
    return this.target.pzero(offset, bytes, 0);
  }

  private data(offset: i64, bytes: i64): i32 {
    const cluster = (<i64>1) << this.shift;
    const most = this.compress ? cluster : max(PIECE, cluster);
    const end = offset + bytes;
    const buffer = this.buffer.get(<i32>min(bytes, most));
    while (offset < end) {
      const n = <i32>min(end - offset, most);
      this.targetFailed = false;
      let r = this.child!.pread(offset, n, buffer);
      if (r < 0) return r;
      this.targetFailed = true;
      r = this.compress
        ? this.target.pwriteCompressed(offset, n, buffer)
        : this.target.pwrite(offset, n, buffer);
      if (r < 0) return r;
      offset += n;
    }
    return 0;
  }

  /**
   * Lets clusters be that the child itself does not have, from `offset` on; answers how far it has come: the end of what is
   * alike in the child. A cluster that it has in part is copied.
   */
  skipUnallocated(offset: i64): i64 {
    const size = this.size();
    const status = statusOne(this.child!, false, offset, size - offset);
    if (status < 0 || !foundBytes) return min(offset + ((<i64>1) << this.shift), size);
    if (!(status & Bits.ALLOCATED)) this.pending.reset(offset, foundBytes);
    return offset + foundBytes;
  }

  // ---- requests

  override doWrite(offset: i64, bytes: i32, from: usize): i32 {
    const r = this.before(offset, bytes);
    return r < 0 ? r : super.doWrite(offset, bytes, from);
  }

  override doWriteCompressed(offset: i64, bytes: i32, from: usize): i32 {
    const r = this.before(offset, bytes);
    return r < 0 ? r : super.doWriteCompressed(offset, bytes, from);
  }

  override doZero(offset: i64, bytes: i64, flags: i32): i32 {
    const r = this.before(offset, bytes);
    return r < 0 ? r : super.doZero(offset, bytes, flags);
  }

  override doDiscard(offset: i64, bytes: i64): i32 {
    const r = this.before(offset, min(bytes, this.size() - offset));
    return r < 0 ? r : super.doDiscard(offset, bytes);
  }

  // ---- the disk as it was

  /**
   * Where a prefix of a range (of `bytes`, or of {@link keptBytes} when it returns) is kept: 0: in the child; 1: in the
   * target; EACCES: nowhere.
   */
  private keptIn(offset: i64, bytes: i64): i32 {
    const end = offset + bytes;
    if (this.broken || this.access.next(offset, end, false) >= 0) return -Err.EACCES;
    const copied = this.done.next(offset, offset + 1, true) === offset;
    const change = this.done.next(offset, end, !copied);
    keptBytes = (change < 0 ? end : change) - offset;
    return copied ? 1 : 0;
  }

  /** Reads what was there; all of the range must be kept. */
  readOld(offset: i64, bytes: i32, to: usize): i32 {
    while (bytes > 0) {
      const where = this.keptIn(offset, bytes);
      if (where < 0) return where;
      const n = <i32>keptBytes;
      const r = where ? this.target.pread(offset, n, to) : this.child!.pread(offset, n, to);
      if (r < 0) return r;
      offset += n;
      to += n;
      bytes -= n;
    }
    return 0;
  }

  /** The status of what was there. */
  statusOld(wantZero: bool, offset: i64, bytes: i64): i32 {
    const where = this.keptIn(offset, bytes);
    if (where < 0) return where;
    const flags = statusOne(where ? this.target : this.child!, wantZero, offset, keptBytes);
    if (flags >= 0) found(foundBytes, foundMap, foundFile);
    return flags;
  }

  /** What was there in whole clusters is not needed any more: it cannot be read from now on. */
  discardOld(offset: i64, bytes: i64): i32 {
    const cluster = (<i64>1) << this.shift;
    const size = this.size();
    const start = (offset + cluster - 1) & ~(cluster - 1);
    const end = offset + bytes >= size ? size : (offset + bytes) & ~(cluster - 1);
    if (start >= end) return 0;
    const where = this.keptIn(start, end - start);
    if (where < 0) return where;
    this.access.reset(start, end - start);
    this.pending.reset(start, end - start);
    return this.target.pdiscard(start, end - start);
  }
}

let keptBytes: i64 = 0;

/** Makes a bitmap dirty where another one is; null: everywhere. */
function fillFrom(bitmap: DirtyBitmap, source: DirtyBitmap | null): void {
  bitmap.reset(0, bitmap.size);
  if (source) bitmap.merge(source);
  else bitmap.set(0, bitmap.size);
}
