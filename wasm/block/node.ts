/** What every node is, and the one path that requests take through the nodes: accounting, ends, fallbacks. */
import { DebugEvent, DetectZeroes, Err, Request, StatsRecord } from '../abi';
import { thresholdPassed } from '../host';
import { zeroPrefix, zeros, ZERO_BYTES } from '../util/memory';
import { canResizeBitmaps, DirtyBitmap, fitBitmaps, releaseBitmaps, touchBitmaps } from './dirtybitmap';

/** Offsets and sizes end here: whole numbers that are exact as f64. */
export const MAX_OFFSET: i64 = 1 << 53;

/**
 * A node. The `p...` methods are the request path that parents and the outside use; the `do...` methods are the
 * driver, which sees only ranges that lie in the node. All answer 0 or a negative errno.
 */
export abstract class BlockNode {
  handle: i32 = -1;
  /** Bytes; drivers keep it up to date. Ask {@link size}. */
  length: i64 = 0;
  readOnly: bool = false;
  /** The node that holds the data (or the image file). */
  child: BlockNode | null = null;
  /** What unallocated ranges read from. */
  backing: BlockNode | null = null;
  /** Holds the data, if `child` holds no more than what says where it is; null: the child does. */
  external: BlockNode | null = null;
  supportsBacking: bool = false;
  /** Everything is passed on to the child: in a chain it stands for that. */
  passesOn: bool = false;
  /** Nodes that use this one. */
  users: i32 = 0;
  /** Zero writes are cut at multiples of this. */
  zeroAlignment: i64 = 1;
  /** The newest dirty bitmap; null: there are none. */
  dirty: DirtyBitmap | null = null;
  /** It wants to know of {@link event}s: it is a blkdebug node. */
  debugged: bool = false;
  /** A {@link DetectZeroes}. */
  detectZeroes: i32 = DetectZeroes.OFF;
  /** Else discards end here without effect, and zero writes keep the space. */
  discards: bool = true;
  /** Changed since it was flushed. */
  unflushed: bool = false;
  private counters: usize = 0;
  /** A write that ends above this is reported, once. */
  writeThreshold: i64 = i64.MAX_VALUE;

  constructor(
    /** A {@link Driver}. */
    public driver: i32,
  ) {
    const bytes: usize = StatsRecord.COUNT * 8;
    this.counters = heap.alloc(bytes);
    memory.fill(this.counters, 0, bytes);
  }

  /** Adds to a counter. */
  @inline
  count(index: i32, by: f64): void {
    const at = this.counters + ((<usize>index) << 3);
    store<f64>(at, load<f64>(at) + by);
  }

  /** What a counter stands at. */
  @inline
  counted(index: i32): f64 {
    return load<f64>(this.counters + ((<usize>index) << 3));
  }

  /** Address of the {@link StatsRecord} counters. */
  stats(): usize {
    return this.counters;
  }

  /** Frees what the node owns outside of the managed heap. */
  release(): void {
    releaseBitmaps(this);
    heap.free(this.counters);
    this.counters = 0;
  }

  /** Tells a blkdebug node what its parent is about to do (a {@link DebugEvent}); all others do not care. */
  @inline
  event(event: i32): void {
    if (this.debugged) this.debugEvent(event);
  }

  /** What a blkdebug node does about an event. */
  debugEvent(_event: i32): void {}

  /** The length in bytes now. */
  size(): i64 {
    return this.length;
  }

  /** Makes `node` the child. */
  attach(node: BlockNode): void {
    this.child = node;
    node.users++;
  }

  /** Where the data is. */
  @inline
  get storage(): BlockNode {
    const apart = this.external;
    return apart ? apart : this.child!;
  }

  /** Makes `node` the holder of the data; null: the child is. */
  attachExternal(node: BlockNode | null): void {
    const old = this.external;
    if (old) old.users--;
    this.external = node;
    if (node) node.users++;
  }

  /** Makes `node` the backing node; null: none. */
  attachBacking(node: BlockNode | null): void {
    const old = this.backing;
    if (old) old.users--;
    this.backing = node;
    if (node) node.users++;
  }

  /** Makes `now` what `old` is to this node; another one than the backing node. */
  doReplaceChild(old: BlockNode, now: BlockNode): i32 {
    if (this.external === old) {
      this.attachExternal(now);
      return 0;
    }
    if (this.child !== old) return -Err.EINVAL;
    old.users--;
    this.attach(now);
    return 0;
  }

  /** Whether `node` is this node or below it. */
  reaches(node: BlockNode): bool {
    if (node === this) return true;
    const backing = this.backing;
    if (backing && backing.reaches(node)) return true;
    const external = this.external;
    if (external && external.reaches(node)) return true;
    const child = this.child;
    return child !== null && child.reaches(node);
  }

  /** Reports a write that is going to end above the threshold. */
  private passThreshold(end: i64): void {
    const threshold = this.writeThreshold;
    this.writeThreshold = i64.MAX_VALUE;
    thresholdPassed(this.handle, <f64>(end - threshold), <f64>threshold);
  }

  /** Counts a failure; a request whose data is elsewhere comes again, and counts then. */
  private refused(code: i32, requests: i32, failures: i32): void {
    if (code === -Err.EAGAIN) this.count(requests, -1);
    else this.count(failures, 1);
  }

  /** Reads; what is behind the end reads as zeros. */
  pread(offset: i64, bytes: i32, to: usize): i32 {
    this.count(StatsRecord.READS, 1);
    const left = this.size() - offset;
    if (left < bytes) {
      const n = left > 0 ? <i32>left : 0;
      memory.fill(to + n, 0, bytes - n);
      bytes = n;
    }
    if (!bytes) return 0;
    const r = this.doRead(offset, bytes, to);
    if (r < 0) this.refused(r, StatsRecord.READS, StatsRecord.FAILED_READS);
    else this.count(StatsRecord.READ_BYTES, <f64>bytes);
    return r;
  }

  /** Whether data is to be written as zeros. */
  @inline
  private writesZeros(bytes: i32, from: usize): bool {
    return this.detectZeroes !== DetectZeroes.OFF && bytes > 0 && zeroPrefix(from, bytes) === bytes;
  }

  /** The flags of a zero write that was one of data. */
  @inline
  private get zeroFlags(): i32 {
    return this.detectZeroes === DetectZeroes.UNMAP ? Request.MAY_UNMAP : 0;
  }

  pwrite(offset: i64, bytes: i32, from: usize): i32 {
    if (this.writesZeros(bytes, from)) return this.pzero(offset, bytes, this.zeroFlags);
    this.count(StatsRecord.WRITES, 1);
    if (!bytes) return 0;
    if (offset + bytes > this.writeThreshold) this.passThreshold(offset + bytes);
    let r = this.dirty ? touchBitmaps(this, offset, bytes) : 0;
    if (r === 0) r = this.doWrite(offset, bytes, from);
    if (r < 0) {
      this.refused(r, StatsRecord.WRITES, StatsRecord.FAILED_WRITES);
      if (this.dirty) fitBitmaps(this);
    } else {
      this.count(StatsRecord.WRITTEN_BYTES, <f64>bytes);
      this.wrote(offset + bytes);
    }
    return r;
  }

  /** As {@link pwrite}, compressed; see the driver for the ranges that can be. */
  pwriteCompressed(offset: i64, bytes: i32, from: usize): i32 {
    if (this.writesZeros(bytes, from)) return this.pzero(offset, bytes, this.zeroFlags);
    this.count(StatsRecord.WRITES, 1);
    if (offset + bytes > this.writeThreshold) this.passThreshold(offset + bytes);
    let r = this.dirty && bytes ? touchBitmaps(this, offset, bytes) : 0;
    if (r === 0) r = this.doWriteCompressed(offset, bytes, from);
    if (r < 0) {
      this.refused(r, StatsRecord.WRITES, StatsRecord.FAILED_WRITES);
    } else if (bytes) {
      this.count(StatsRecord.WRITTEN_BYTES, <f64>bytes);
      this.wrote(offset + bytes);
    }
    return r;
  }

  /** Makes a range read as zeros; by writing data where the driver knows no other way. */
  pzero(offset: i64, bytes: i64, flags: i32): i32 {
    if (!this.discards) flags &= ~Request.MAY_UNMAP;
    let r = this.dirty && bytes ? touchBitmaps(this, offset, bytes) : 0;
    const end = offset + bytes;
    if (end > this.writeThreshold) this.passThreshold(end);
    if (r === 0) r = this.zeroPieces(offset, bytes, flags);
    if (r === 0) this.wrote(end);
    else if (this.dirty) fitBitmaps(this);
    return r;
  }

  /** Cuts a zero write into pieces that the driver takes. */
  zeroPieces(offset: i64, bytes: i64, flags: i32): i32 {
    const end = offset + bytes;
    const align = this.zeroAlignment;
    while (offset < end) {
      const inside = offset & (align - 1);
      let n = end - offset;
      if (inside) n = min(n, align - inside);
      else if (n > align) n = n & ~(align - 1);
      let r = this.doZero(offset, n, flags);
      if (r === -Err.ENOTSUP && !(flags & Request.NO_FALLBACK)) r = this.writeZeroData(offset, n);
      if (r < 0) return r;
      offset += n;
    }
    return 0;
  }

  pdiscard(offset: i64, bytes: i64): i32 {
    if (!this.discards) return 0;
    this.count(StatsRecord.UNMAPS, 1);
    // A discard makes no node longer; one that undoes an allocation may pass the end.
    const inside = min(bytes, this.size() - offset);
    let r = this.dirty && inside > 0 ? touchBitmaps(this, offset, inside) : 0;
    this.unflushed = true;
    if (r === 0) r = this.doDiscard(offset, bytes);
    if (r === -Err.ENOTSUP) r = 0;
    if (r === -Err.EAGAIN) {
      this.count(StatsRecord.UNMAPS, -1);
      return r;
    }
    this.count(StatsRecord.DISCARDS, 1);
    if (r < 0) {
      this.count(StatsRecord.FAILED_UNMAPS, 1);
      this.count(StatsRecord.FAILED_DISCARDS, 1);
    } else {
      this.count(StatsRecord.UNMAPPED_BYTES, <f64>bytes);
      this.count(StatsRecord.DISCARDED_BYTES, <f64>bytes);
    }
    return r;
  }

  pflush(): i32 {
    this.count(StatsRecord.FLUSHES, 1);
    const child = this.child;
    if (child) child.event(DebugEvent.FLUSH_TO_OS);
    const r = this.doFlush();
    if (r < 0) this.refused(r, StatsRecord.FLUSHES, StatsRecord.FAILED_FLUSHES);
    else this.unflushed = false;
    return r;
  }

  /**
   * Changes the size. The bitmaps follow; what is new is clean in them, however the driver fills it.
   * @param preallocation a {@link Preallocation}
   */
  ptruncate(size: i64, preallocation: i32): i32 {
    const bitmaps = this.dirty;
    if (!bitmaps) return this.doTruncate(size, preallocation);
    let r = canResizeBitmaps(this, size);
    if (r < 0) return r;
    this.dirty = null;
    r = this.doTruncate(size, preallocation);
    this.dirty = bitmaps;
    fitBitmaps(this);
    return r;
  }

  /** Flushes the child, when all that the node itself keeps has been written. */
  flushChild(): i32 {
    const child = this.child!;
    if (this.unflushed) child.event(DebugEvent.FLUSH_TO_DISK);
    return child.pflush();
  }

  private writeZeroData(offset: i64, bytes: i64): i32 {
    const from = zeros();
    while (bytes > 0) {
      const n = <i32>min<i64>(bytes, ZERO_BYTES);
      const r = this.doWrite(offset, n, from);
      if (r < 0) return r;
      offset += n;
      bytes -= n;
    }
    return 0;
  }

  private wrote(end: i64): void {
    this.unflushed = true;
    const at = this.counters + StatsRecord.HIGHEST_WRITE * 8;
    if (<f64>end > load<f64>(at)) store<f64>(at, <f64>end);
  }

  abstract doRead(offset: i64, bytes: i32, to: usize): i32;
  abstract doWrite(offset: i64, bytes: i32, from: usize): i32;
  /** Writes compressed data; by default no driver can. */
  doWriteCompressed(_offset: i64, _bytes: i32, _from: usize): i32 {
    return -Err.ENOTSUP;
  }
  /** ENOTSUP: the range is to be written as data. */
  abstract doZero(offset: i64, bytes: i64, flags: i32): i32;
  abstract doDiscard(offset: i64, bytes: i64): i32;
  abstract doFlush(): i32;
  /** @param preallocation a {@link Preallocation} */
  abstract doTruncate(size: i64, preallocation: i32): i32;
  /** Bits of a status for a prefix of the range; fills the found record (block/status.ts). */
  abstract doStatus(wantZero: bool, offset: i64, bytes: i64): i32;
  /** Bytes of storage in use. */
  abstract doAllocated(): i64;
  /** A change to read-only; everything is flushed already. */
  doSetReadOnly(readOnly: bool): i32 {
    this.readOnly = readOnly;
    return 0;
  }
  /** Writes back and frees; the node is gone whatever it answers. */
  abstract doClose(): i32;
}
