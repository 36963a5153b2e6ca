/** The node `snapshot-access`: the disk as it was when the copy-before-write filter below was made. */
import { Driver, Err } from '../abi';
import { BlockNode } from '../block/node';
import { CopyBeforeWriteNode } from './copybeforewrite';

export class SnapshotAccessNode extends BlockNode {
  constructor(file: BlockNode, readOnly: bool) {
    super(Driver.SNAPSHOT_ACCESS);
    this.attach(file);
    this.readOnly = readOnly;
    this.length = file.size();
  }

  /** null: the child keeps nothing, so there is nothing to be read. */
  private get keeper(): CopyBeforeWriteNode | null {
    const child = this.child!;
    return child instanceof CopyBeforeWriteNode ? (child as CopyBeforeWriteNode) : null;
  }

  doRead(offset: i64, bytes: i32, to: usize): i32 {
    const keeper = this.keeper;
    return keeper ? keeper.readOld(offset, bytes, to) : -Err.ENOTSUP;
  }

  doWrite(_offset: i64, _bytes: i32, _from: usize): i32 {
    return -Err.ENOTSUP;
  }

  doZero(_offset: i64, _bytes: i64, _flags: i32): i32 {
    return -Err.ENOTSUP;
  }

  doDiscard(offset: i64, bytes: i64): i32 {
    const keeper = this.keeper;
    return keeper ? keeper.discardOld(offset, bytes) : -Err.ENOTSUP;
  }

  doFlush(): i32 {
    return 0;
  }

  doTruncate(_size: i64, _preallocation: i32): i32 {
    return -Err.ENOTSUP;
  }

  doStatus(wantZero: bool, offset: i64, bytes: i64): i32 {
    const keeper = this.keeper;
    return keeper ? keeper.statusOld(wantZero, offset, bytes) : -Err.ENOTSUP;
  }

  doAllocated(): i64 {
    return this.child!.doAllocated();
  }

  doClose(): i32 {
    return 0;
  }
}
