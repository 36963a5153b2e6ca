/**
 * mirror_top: above the source of a mirror for as long as the job runs. What guests write is marked for the job, or goes to
 * the target at once. Requests never overlap, so a guest's write is never in the middle of a copy.
 */
import { Copy, Driver, Err, Request } from '../abi';
import { copyNested, copyRange, copyDone, startCopy } from '../block/copy';
import { DirtyBitmap, releaseBitmap } from '../block/dirtybitmap';
import { BlockNode } from '../block/node';
import { FilterNode } from './filter';

export class MirrorTopNode extends FilterNode {
  /** null: no mirror runs (yet, or any more). */
  target: BlockNode | null = null;
  /** What differs, or may differ, between source and target. It is disabled: this node marks it itself. */
  bitmap: DirtyBitmap | null = null;
  /** Clusters of the target that are complete; null: that does not matter. */
  complete: DirtyBitmap | null = null;
  /** {@link Copy} bits of the background's copies. */
  flags: i32 = 0;
  /** Writes go to the target before they return. */
  active: bool = false;
  /** Bytes that guests wrote to the target so. */
  activeBytes: i64 = 0;
  /** Why the last of them could not be written there: a negative errno. */
  activeFailure: i32 = 0;

  constructor(file: BlockNode) {
    super(Driver.MIRROR_TOP, file, file.readOnly);
  }

  /** Takes memory for the clusters of the target (of 2^shift bytes), of which none is complete: 0 or ENOMEM. */
  trackClusters(shift: i32): i32 {
    const complete = new DirtyBitmap(shift, this.size());
    const r = complete.open();
    if (r === 0) this.complete = complete;
    return r;
  }

  /** From now on it is a filter that does nothing. */
  stop(): void {
    const complete = this.complete;
    if (complete) complete.release();
    const bitmap = this.bitmap;
    if (bitmap) releaseBitmap(bitmap);
    this.complete = null;
    this.bitmap = null;
    const target = this.target;
    if (target) target.users--;
    this.target = null;
    this.active = false;
  }

  /** Copies a range whose bits are clean already, with the rest of clusters that it begins. For the outcome see copy.ts. */
  background(offset: i64, bytes: i64): i32 {
    const complete = this.complete;
    const start = complete ? this.clusterStart(complete, offset) : offset;
    const end = complete ? this.clusterEnd(complete, offset + bytes) : offset + bytes;
    startCopy();
    const r = copyRange(this.child!, null, this.target!, start, end - start, this.flags);
    if (r < 0) {
      const from = max(offset, start + copyDone);
      if (from < offset + bytes) this.mark(from, offset + bytes - from);
    } else if (complete) {
      this.completed(complete, start, end);
    }
    return r;
  }

  private clusterStart(complete: DirtyBitmap, offset: i64): i64 {
    const start = (offset >> complete.shift) << complete.shift;
    return complete.next(start, start + 1, true) < 0 ? start : offset;
  }

  private clusterEnd(complete: DirtyBitmap, end: i64): i64 {
    const last = ((end - 1) >> complete.shift) << complete.shift;
    if (complete.next(last, last + 1, true) >= 0) return end;
    return min(last + ((<i64>1) << complete.shift), complete.size);
  }

  /** [start, end) was copied: the clusters that were not complete before lie in it as a whole. */
  private completed(complete: DirtyBitmap, start: i64, end: i64): void {
    complete.set(start, end - start);
  }

  private mark(offset: i64, bytes: i64): void {
    const bitmap = this.bitmap;
    if (!bitmap) return;
    bytes = min(bytes, bitmap.size - offset);
    if (bytes > 0) bitmap.set(offset, bytes);
  }

  /** After a write of the source; `r` is what came of it. Whether the target is to be written too. */
  private passes(offset: i64, bytes: i64, r: i32): bool {
    if (!this.target || !bytes) return false;
    if (r >= 0 && this.active) return true;
    this.mark(offset, bytes);
    return false;
  }

  /** Whether a write to the target would begin a cluster that is not complete. */
  private begins(offset: i64, bytes: i64): bool {
    const complete = this.complete;
    if (!complete) return false;
    const end = offset + bytes;
    return this.clusterStart(complete, offset) !== offset || this.clusterEnd(complete, end) !== end;
  }

  /** The same as the source has now, for whole clusters. */
  private sendClusters(offset: i64, bytes: i64): i32 {
    const complete = this.complete!;
    const start = this.clusterStart(complete, offset);
    const end = this.clusterEnd(complete, offset + bytes);
    const r = copyNested(this.child!, this.target!, start, end - start, this.flags);
    if (r >= 0) this.completed(complete, start, end);
    return r;
  }

  /** The target has been written: `r` is what came of it. The guest is not told of failures of the target. */
  private sent(offset: i64, bytes: i64, r: i32): void {
    if (r < 0) {
      this.mark(offset, bytes);
      if (r !== -Err.EAGAIN) this.activeFailure = r;
      return;
    }
    const complete = this.complete;
    if (complete) this.completed(complete, offset, offset + bytes);
    const bitmap = this.bitmap;
    if (bitmap) bitmap.reset(offset, bytes);
    this.activeBytes += bytes;
  }

  private sendData(offset: i64, bytes: i32, from: usize, r: i32): i32 {
    if (this.passes(offset, bytes, r)) {
      const sent = this.begins(offset, bytes)
        ? this.sendClusters(offset, bytes)
        : this.target!.pwrite(offset, bytes, from);
      this.sent(offset, bytes, sent);
    }
    return r;
  }

  override doWrite(offset: i64, bytes: i32, from: usize): i32 {
    return this.sendData(offset, bytes, from, this.child!.pwrite(offset, bytes, from));
  }

  override doWriteCompressed(offset: i64, bytes: i32, from: usize): i32 {
    return this.sendData(offset, bytes, from, this.child!.pwriteCompressed(offset, bytes, from));
  }

  override doZero(offset: i64, bytes: i64, flags: i32): i32 {
    const r = this.child!.pzero(offset, bytes, flags);
    if (this.passes(offset, bytes, r)) {
      const unmap = this.flags & Copy.UNMAP ? flags & Request.MAY_UNMAP : 0;
      const sent = this.begins(offset, bytes)
        ? this.sendClusters(offset, bytes)
        : this.target!.pzero(offset, bytes, unmap);
      this.sent(offset, bytes, sent);
    }
    return r;
  }

  /** What the source reads afterwards only its status can tell: that is left to the background. */
  override doDiscard(offset: i64, bytes: i64): i32 {
    const r = this.child!.pdiscard(offset, bytes);
    if (this.target) this.mark(offset, bytes);
    return r;
  }

  override doClose(): i32 {
    this.stop();
    return super.doClose();
  }
}
