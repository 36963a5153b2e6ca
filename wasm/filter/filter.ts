/** Nodes that pass everything on to their child; each filter overrides what it does something about. */
import { Bits } from '../abi';
import { BlockNode } from '../block/node';
import { found } from '../block/status';

export class FilterNode extends BlockNode {
  constructor(driver: i32, file: BlockNode, readOnly: bool) {
    super(driver);
    this.attach(file);
    this.readOnly = readOnly;
    this.passesOn = true;
  }

  override size(): i64 {
    return this.child!.size();
  }

  doRead(offset: i64, bytes: i32, to: usize): i32 {
    return this.child!.pread(offset, bytes, to);
  }

  doWrite(offset: i64, bytes: i32, from: usize): i32 {
    return this.child!.pwrite(offset, bytes, from);
  }

  override doWriteCompressed(offset: i64, bytes: i32, from: usize): i32 {
    return this.child!.pwriteCompressed(offset, bytes, from);
  }

  doZero(offset: i64, bytes: i64, flags: i32): i32 {
    return this.child!.pzero(offset, bytes, flags);
  }

  doDiscard(offset: i64, bytes: i64): i32 {
    return this.child!.pdiscard(offset, bytes);
  }

  doFlush(): i32 {
    return this.flushChild();
  }

  doTruncate(size: i64, preallocation: i32): i32 {
    return this.child!.ptruncate(size, preallocation);
  }

  doStatus(_wantZero: bool, offset: i64, bytes: i64): i32 {
    found(bytes, offset, this.child);
    return Bits.RAW;
  }

  doAllocated(): i64 {
    return this.child!.doAllocated();
  }

  doClose(): i32 {
    return this.readOnly ? 0 : this.doFlush();
  }
}
