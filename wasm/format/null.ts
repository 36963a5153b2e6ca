/** The drivers `null-co` and `null-aio`: a node of any size that keeps nothing. */
import { Bits, Driver } from '../abi';
import { BlockNode } from '../block/node';
import { found } from '../block/status';

export class NullNode extends BlockNode {
  constructor(
    size: i64,
    private readZeroes: bool,
    readOnly: bool,
  ) {
    super(Driver.NULL);
    this.length = size;
    this.readOnly = readOnly;
  }

  doRead(_offset: i64, bytes: i32, to: usize): i32 {
    if (this.readZeroes) memory.fill(to, 0, bytes);
    return 0;
  }

  /** A format that is made in this node writes beyond the end, and the node grows. */
  doWrite(offset: i64, bytes: i32, _from: usize): i32 {
    this.length = max<i64>(this.length, offset + bytes);
    return 0;
  }

  doZero(_offset: i64, _bytes: i64, _flags: i32): i32 {
    return 0;
  }

  doDiscard(_offset: i64, _bytes: i64): i32 {
    return 0;
  }

  doFlush(): i32 {
    return 0;
  }

  doTruncate(size: i64, _preallocation: i32): i32 {
    this.length = size;
    return 0;
  }

  doStatus(_wantZero: bool, offset: i64, bytes: i64): i32 {
    found(bytes, offset, this);
    return this.readZeroes ? Bits.OFFSET_VALID | Bits.ZERO : Bits.OFFSET_VALID;
  }

  doAllocated(): i64 {
    return 0;
  }

  doClose(): i32 {
    return 0;
  }
}
