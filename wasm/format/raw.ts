/** The format `raw`: its file as it is, or a window of it. */
import { Bits, DebugEvent, Driver, Err } from '../abi';
import { BlockNode, MAX_OFFSET } from '../block/node';
import { found } from '../block/status';
import { fail } from '../util/errors';

export class RawNode extends BlockNode {
  /**
   * @param start where the window starts in the child
   * @param fixed its size; -1: up to the end of the child
   */
  constructor(
    file: BlockNode,
    private start: i64,
    private fixed: i64,
    readOnly: bool,
  ) {
    super(Driver.RAW);
    this.attach(file);
    this.readOnly = readOnly;
  }

  /** Checks that the window fits; the texts are QEMU's. */
  open(): i32 {
    const size = this.child!.size();
    if (this.start > size) {
      return fail(
        Err.EINVAL,
        `Offset (${this.start}) cannot be greater than size of the containing file (${size})`,
      );
    }
    if (this.fixed >= 0) {
      if (size - this.start < this.fixed) {
        const sum = `The sum of offset (${this.start}) and size (${this.fixed})`;
        const rest = ` has to be smaller or equal to the  actual size of the containing file (${size})`;
        return fail(Err.EINVAL, sum + rest);
      }
      if (this.fixed & 511) return fail(Err.EINVAL, 'Specified size is not multiple of 512');
    }
    return 0;
  }

  /** Shows another window of the child; on a failure the one before. */
  setWindow(start: i64, fixed: i64): i32 {
    const oldStart = this.start;
    const oldFixed = this.fixed;
    this.start = start;
    this.fixed = fixed;
    const r = this.open();
    if (r < 0) {
      this.start = oldStart;
      this.fixed = oldFixed;
    }
    return r;
  }

  override size(): i64 {
    if (this.fixed >= 0) return this.fixed;
    const left = this.child!.size() - this.start;
    return left > 0 ? (left + 511) & ~511 : 0;
  }

  /** What lies behind a fixed window belongs to somebody else. */
  private outside(offset: i64, bytes: i64): bool {
    return this.fixed >= 0 && offset + bytes > this.fixed;
  }

  doRead(offset: i64, bytes: i32, to: usize): i32 {
    const file = this.child!;
    file.event(DebugEvent.READ_AIO);
    return file.pread(this.start + offset, bytes, to);
  }

  doWrite(offset: i64, bytes: i32, from: usize): i32 {
    if (this.outside(offset, bytes)) return -Err.ENOSPC;
    const file = this.child!;
    file.event(DebugEvent.WRITE_AIO);
    return file.pwrite(this.start + offset, bytes, from);
  }

  doZero(offset: i64, bytes: i64, flags: i32): i32 {
    if (this.outside(offset, bytes)) return -Err.ENOSPC;
    return this.child!.pzero(this.start + offset, bytes, flags);
  }

  doDiscard(offset: i64, bytes: i64): i32 {
    if (this.outside(offset, bytes)) return -Err.ENOSPC;
    return this.child!.pdiscard(this.start + offset, bytes);
  }

  doFlush(): i32 {
    return this.flushChild();
  }

  doTruncate(size: i64, preallocation: i32): i32 {
    if (this.fixed >= 0) return fail(Err.ENOTSUP, 'Cannot resize fixed-size raw disks');
    if (MAX_OFFSET - this.start < size) {
      return fail(Err.EINVAL, 'Disk size too large for the chosen offset');
    }
    return this.child!.ptruncate(this.start + size, preallocation);
  }

  doStatus(_wantZero: bool, offset: i64, bytes: i64): i32 {
    found(bytes, this.start + offset, this.child);
    return Bits.RAW;
  }

  doAllocated(): i64 {
    return this.child!.doAllocated();
  }

  doClose(): i32 {
    return this.readOnly ? 0 : this.doFlush();
  }
}
