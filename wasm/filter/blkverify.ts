/** The filter `blkverify`: a node under test is compared with a raw copy that gets the same writes. */
import { Driver, Err, VerifyOp } from '../abi';
import { BlockNode } from '../block/node';
import { verifyMismatch } from '../host';
import { Scratch } from '../util/memory';
import { FilterNode } from './filter';

/** Reads are compared in pieces of this many bytes at most, so that memory stays bounded. */
const PIECE: i32 = 1 << 20;

/** The raw copy is the child; the node's length is that of the node under test. */
export class BlkverifyNode extends FilterNode {
  private copy: Scratch = new Scratch();

  constructor(
    raw: BlockNode,
    private test: BlockNode,
    readOnly: bool,
  ) {
    super(Driver.BLKVERIFY, raw, readOnly);
    test.users++;
    this.length = test.size();
  }

  override size(): i64 {
    return this.length;
  }

  override doReplaceChild(old: BlockNode, now: BlockNode): i32 {
    if (this.test !== old) return super.doReplaceChild(old, now);
    this.test = now;
    old.users--;
    now.users++;
    return 0;
  }

  override reaches(node: BlockNode): bool {
    return this.test.reaches(node) || super.reaches(node);
  }

  override release(): void {
    this.test.users--;
    this.copy.release();
    super.release();
  }

  /** What a request fails with that both nodes have answered; both must answer the same. */
  private agree(op: i32, offset: i64, bytes: i64, test: i32, raw: i32): i32 {
    if (test === raw) return test;
    verifyMismatch(this.handle, op, <f64>offset, <f64>bytes, -1, test, raw);
    return -Err.EIO;
  }

  override doRead(offset: i64, bytes: i32, to: usize): i32 {
    while (bytes > 0) {
      const n = min(bytes, PIECE);
      const copy = this.copy.get(n);
      const test = this.test.pread(offset, n, to);
      const r = this.agree(VerifyOp.READ, offset, n, test, this.child!.pread(offset, n, copy));
      if (r < 0) return r;
      if (memory.compare(to, copy, n) !== 0) {
        let at = 0;
        while (load<u8>(to + at) === load<u8>(copy + at)) at++;
        verifyMismatch(this.handle, VerifyOp.READ, <f64>offset, <f64>n, <f64>(offset + at), 0, 0);
        return -Err.EIO;
      }
      offset += n;
      to += n;
      bytes -= n;
    }
    return 0;
  }

  override doWrite(offset: i64, bytes: i32, from: usize): i32 {
    const test = this.test.pwrite(offset, bytes, from);
    return this.agree(VerifyOp.WRITE, offset, bytes, test, this.child!.pwrite(offset, bytes, from));
  }

  override doWriteCompressed(_offset: i64, _bytes: i32, _from: usize): i32 {
    return -Err.ENOTSUP;
  }

  /** Zeros are written as data: the two nodes might make different things of them. */
  override doZero(_offset: i64, _bytes: i64, _flags: i32): i32 {
    return -Err.ENOTSUP;
  }

  /** Discards are not passed on: what is read afterwards might differ. */
  override doDiscard(_offset: i64, _bytes: i64): i32 {
    return -Err.ENOTSUP;
  }

  /** The raw copy is of no value to anybody. */
  override doFlush(): i32 {
    return this.test.pflush();
  }

  /** A protocol of its own for those who ask how much storage it takes: it cannot tell. */
  override doAllocated(): i64 {
    return -Err.ENOTSUP;
  }
}
