/** The protocol driver `file`: a node over a file of the host. */
import { Bits, Driver, Err, Preallocation, Request } from '../abi';
import { BlockNode, MAX_OFFSET } from '../block/node';
import { found } from '../block/status';
import {
  fileAllocated,
  fileClose,
  fileExtent,
  fileFlush,
  filePunch,
  fileRead,
  fileSize,
  fileTruncate,
  fileWrite,
} from '../host';
import { fail, failErrno } from '../util/errors';
import { ZERO_BYTES, zeros } from '../util/memory';

/**
 * The length of the node is the file's, rounded up to 512; what is between reads as zeros. Only this node changes the
 * file, so its size is asked for once.
 */
export class FileNode extends BlockNode {
  /** The exact size of the file. */
  private bytes: i64 = 0;

  constructor(
    private file: i32,
    readOnly: bool,
  ) {
    super(Driver.FILE);
    this.readOnly = readOnly;
  }

  /** The number of the file at the host. */
  get hostFile(): i32 {
    return this.file;
  }

  open(): i32 {
    const bytes = fileSize(this.file);
    if (bytes < 0) return <i32>bytes;
    this.setBytes(<i64>bytes);
    return 0;
  }

  private setBytes(bytes: i64): void {
    this.bytes = bytes;
    this.length = (bytes + 511) & ~511;
  }

  doRead(offset: i64, bytes: i32, to: usize): i32 {
    let n = 0;
    if (offset < this.bytes) {
      n = fileRead(this.file, to, bytes, <f64>offset);
      if (n < 0) return n;
    }
    if (n < bytes) memory.fill(to + n, 0, bytes - n);
    return 0;
  }

  doWrite(offset: i64, bytes: i32, from: usize): i32 {
    const end = offset + bytes;
    if (end > MAX_OFFSET) return -Err.EFBIG;
    this.unflushed = true;
    const r = fileWrite(this.file, from, bytes, <f64>offset);
    if (r < 0) {
      // A part may have been written: ask how far the file reaches now.
      const now = fileSize(this.file);
      if (now >= 0) this.setBytes(<i64>now);
      return r;
    }
    if (end > this.bytes) this.setBytes(end);
    return 0;
  }

  doZero(offset: i64, bytes: i64, flags: i32): i32 {
    const end = offset + bytes;
    if (end > MAX_OFFSET) return -Err.EFBIG;
    this.unflushed = true;
    const inside = min(end, this.bytes) - offset;
    if (inside > 0) {
      let punched = 0;
      if (flags & Request.MAY_UNMAP) {
        punched = filePunch(this.file, <f64>offset, <f64>inside);
        if (punched < 0) return punched;
      }
      if (!punched) {
        if (flags & Request.NO_FALLBACK) return -Err.ENOTSUP;
        const r = this.fill(offset, inside);
        if (r < 0) return r;
      }
    }
    if (end > this.bytes) return this.resize(end);
    return 0;
  }

  doDiscard(offset: i64, bytes: i64): i32 {
    bytes = min(bytes, this.bytes - offset);
    if (bytes <= 0) return 0;
    this.unflushed = true;
    const r = filePunch(this.file, <f64>offset, <f64>bytes);
    return r < 0 ? r : 0;
  }

  doFlush(): i32 {
    if (!this.unflushed) return 0;
    const r = fileFlush(this.file);
    if (r === 0) this.unflushed = false;
    return r;
  }

  doTruncate(size: i64, preallocation: i32): i32 {
    if (preallocation !== Preallocation.OFF && size < this.bytes) {
      return fail(Err.ENOTSUP, 'Cannot use preallocation for shrinking files');
    }
    if (preallocation === Preallocation.METADATA) {
      return fail(Err.ENOTSUP, 'Unsupported preallocation mode: metadata');
    }
    if (preallocation !== Preallocation.OFF) {
      // There is no fallocate to ask: only zeros that are written have their place for certain.
      this.unflushed = true;
      const old = this.bytes;
      const r = this.fill(old, size - old);
      if (r < 0) {
        this.resize(old);
        return failErrno(
          r,
          preallocation === Preallocation.FALLOC
            ? 'Could not preallocate new data'
            : 'Could not write zeros for preallocation',
        );
      }
      this.setBytes(size);
      return 0;
    }
    return this.resize(size);
  }

  private resize(size: i64): i32 {
    this.unflushed = true;
    const r = size > MAX_OFFSET ? -Err.EFBIG : fileTruncate(this.file, <f64>size);
    if (r < 0) return failErrno(r, 'Could not resize file');
    this.setBytes(size);
    return 0;
  }

  private fill(offset: i64, bytes: i64): i32 {
    const from = zeros();
    while (bytes > 0) {
      const n = <i32>min<i64>(bytes, ZERO_BYTES);
      const r = fileWrite(this.file, from, n, <f64>offset);
      if (r < 0) return r;
      offset += n;
      bytes -= n;
    }
    return 0;
  }

  doStatus(wantZero: bool, offset: i64, bytes: i64): i32 {
    if (!wantZero) {
      found(bytes, offset, this);
      return Bits.DATA | Bits.OFFSET_VALID;
    }
    if (offset >= this.bytes) {
      found(bytes, offset, this);
      return Bits.ZERO | Bits.OFFSET_VALID;
    }
    const run = fileExtent(this.file, <f64>offset);
    if (run < 0) {
      let hole = <i64>-run;
      // What is behind the end of the file goes on as zeros.
      if (offset + hole >= this.bytes) hole = bytes;
      found(min(hole, bytes), offset, this);
      return Bits.ZERO | Bits.OFFSET_VALID;
    }
    found(run > 0 ? min(<i64>run, bytes) : bytes, offset, this);
    return Bits.DATA | Bits.OFFSET_VALID;
  }

  doAllocated(): i64 {
    return <i64>fileAllocated(this.file);
  }

  doClose(): i32 {
    const r = this.readOnly ? 0 : this.doFlush();
    fileClose(this.file);
    return r;
  }
}
