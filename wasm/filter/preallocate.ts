/** The filter `preallocate`: a file that grows by small writes is made longer ahead of them, and cut back in the end. */
import { Driver, Preallocation, Request } from '../abi';
import { BlockNode } from '../block/node';
import { FilterNode } from './filter';

export class PreallocateNode extends FilterNode {
  /** Where the data ends, which is the length that is shown; -1: the child's own length. */
  private dataEnd: i64 = -1;
  /** How far the child reaches; behind `dataEnd` it reads as zeros. Of no meaning without `dataEnd`. */
  private fileEnd: i64 = -1;
  /** The users of the node write and make it longer: nobody else may, so that what is preallocated is nobody's data. */
  private allowed: bool = false;

  constructor(
    file: BlockNode,
    readOnly: bool,
    /** Bytes that are made ready behind the end of a write. */
    private ahead: i64,
    /** The child's length becomes a multiple of this. */
    private align: i64,
  ) {
    super(Driver.PREALLOCATE, file, readOnly);
  }

  override size(): i64 {
    return this.dataEnd >= 0 ? this.dataEnd : this.child!.size();
  }

  setOptions(ahead: i64, align: i64): void {
    this.ahead = ahead;
    this.align = align;
  }

  /** Says whether the file may be made longer from now on; if not, what is too much of it is cut off. */
  allow(allowed: bool): i32 {
    const r = allowed ? 0 : this.cut();
    if (r < 0) return r;
    this.allowed = allowed;
    return 0;
  }

  /** Cuts off what is behind the data, and lets the child's length count again. */
  private cut(): i32 {
    if (this.dataEnd < 0) return 0;
    if (this.fileEnd > this.dataEnd) {
      const r = this.child!.ptruncate(this.dataEnd, Preallocation.OFF);
      if (r < 0) return r;
    }
    this.dataEnd = -1;
    return 0;
  }

  /**
   * Makes room for a write of a range. Answers whether that is all there is to do for zeros: the range reads as zeros now.
   * A failure is none of the write: it goes on without.
   */
  private prepare(offset: i64, end: i64, zeros: bool): bool {
    if (!this.allowed) return false;
    if (this.dataEnd < 0) {
      const length = this.child!.size();
      if (end <= length) return false;
      this.dataEnd = length;
      this.fileEnd = length;
    }
    // Zeros in part below the end of the data are a write like any other.
    const apart = zeros && offset >= this.dataEnd;
    if (end > this.dataEnd) this.dataEnd = end;
    if (end <= this.fileEnd) return apart;
    const align = max<i64>(this.align, 1);
    const want = end + this.ahead;
    const rest = want % align;
    const newEnd = rest ? want + align - rest : want;
    const start = apart ? min(offset, this.fileEnd) : this.fileEnd;
    const r = this.child!.pzero(start, newEnd - start, Request.NO_FALLBACK);
    if (r < 0) {
      // The write itself makes the child as long as it has to be.
      this.fileEnd = max(this.fileEnd, end);
      return false;
    }
    this.fileEnd = newEnd;
    return apart;
  }

  override doWrite(offset: i64, bytes: i32, from: usize): i32 {
    this.prepare(offset, offset + bytes, false);
    return this.child!.pwrite(offset, bytes, from);
  }

  override doZero(offset: i64, bytes: i64, flags: i32): i32 {
    if (this.prepare(offset, offset + bytes, true)) return 0;
    return this.child!.pzero(offset, bytes, flags);
  }

  override doWriteCompressed(offset: i64, bytes: i32, from: usize): i32 {
    this.prepare(offset, offset + bytes, false);
    return this.child!.pwriteCompressed(offset, bytes, from);
  }

  override doTruncate(size: i64, preallocation: i32): i32 {
    const child = this.child!;
    if (this.dataEnd < 0) return child.ptruncate(size, preallocation);
    if (preallocation === Preallocation.FALLOC && size > this.dataEnd) {
      if (size > this.fileEnd) {
        const r = child.ptruncate(size, preallocation);
        if (r < 0) return r;
        this.fileEnd = size;
      }
      this.dataEnd = size;
      return 0;
    }
    // What becomes part of the data is to be made as it is asked for, and not by what was done ahead.
    if (size > this.dataEnd) {
      const r = this.cut();
      return r < 0 ? r : child.ptruncate(size, preallocation);
    }
    const r = child.ptruncate(size, preallocation);
    if (r < 0) return r;
    this.dataEnd = size;
    this.fileEnd = size;
    return 0;
  }

  override doClose(): i32 {
    const r = this.cut();
    const flushed = super.doClose();
    return r < 0 ? r : flushed;
  }
}
