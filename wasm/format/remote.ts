/** The protocol driver `nbd`: a node of fixed length over a disk that the host has elsewhere. */
import { Bits, Driver, Err, RemoteOp } from '../abi';
import { BlockNode } from '../block/node';
import { found } from '../block/status';
import { remoteRequest } from '../host';
import { fail } from '../util/errors';

/**
 * The host answers EAGAIN to what it does not have yet: it notes what that is, and whoever sent the request sends it again
 * when it is there (src/engine/presence.ts). What is written is the host's to send, in order.
 */
export class RemoteNode extends BlockNode {
  /** @param bytes the exact size; the node's is rounded up to 512, and what is between reads as zeros */
  constructor(
    private disk: i32,
    private bytes: i64,
    readOnly: bool,
  ) {
    super(Driver.NBD);
    this.length = (bytes + 511) & ~511;
    this.readOnly = readOnly;
  }

  /** The part of a range that the disk has. */
  private inside(offset: i64, bytes: i64): i64 {
    return max<i64>(min(bytes, this.bytes - offset), 0);
  }

  private request(op: i32, argument: usize, offset: i64, bytes: i64): i32 {
    return <i32>remoteRequest(this.disk, op, argument, <f64>offset, <f64>bytes);
  }

  doRead(offset: i64, bytes: i32, to: usize): i32 {
    const n = <i32>this.inside(offset, bytes);
    memory.fill(to + n, 0, bytes - n);
    return n ? this.request(RemoteOp.READ, to, offset, n) : 0;
  }

  doWrite(offset: i64, bytes: i32, from: usize): i32 {
    if (offset + bytes > this.length) return -Err.EINVAL;
    return this.request(RemoteOp.WRITE, from, offset, bytes);
  }

  doZero(offset: i64, bytes: i64, flags: i32): i32 {
    if (offset + bytes > this.length) return -Err.EINVAL;
    const n = this.inside(offset, bytes);
    return n ? this.request(RemoteOp.ZERO, flags, offset, n) : 0;
  }

  doDiscard(offset: i64, bytes: i64): i32 {
    const n = this.inside(offset, bytes);
    return n ? this.request(RemoteOp.DISCARD, 0, offset, n) : 0;
  }

  /** Asked for even if nothing was written through this node: others may have written to the disk. */
  doFlush(): i32 {
    return this.request(RemoteOp.FLUSH, 0, 0, 0);
  }

  /** A format that is made anew makes its file empty first; here that means nothing. */
  doTruncate(size: i64, _preallocation: i32): i32 {
    return size > this.length ? fail(Err.ENOTSUP, 'Cannot grow NBD nodes') : 0;
  }

  doStatus(wantZero: bool, offset: i64, bytes: i64): i32 {
    let n = this.inside(offset, bytes);
    if (!n) {
      // The server has nothing there.
      found(bytes, offset, this);
      return Bits.ZERO;
    }
    if (!wantZero) {
      found(n, offset, this);
      return Bits.DATA | Bits.OFFSET_VALID;
    }
    // The count of bytes, and the bits below it.
    const answer = remoteRequest(this.disk, RemoteOp.STATUS, 0, <f64>offset, <f64>n);
    if (answer < 0) return <i32>answer;
    n = min((<i64>answer) >> RemoteOp.STATUS_BITS, n);
    found(n, offset, this);
    return (<i32>((<i64>answer) & ((1 << RemoteOp.STATUS_BITS) - 1))) | Bits.OFFSET_VALID;
  }

  doAllocated(): i64 {
    return -Err.ENOTSUP;
  }

  doClose(): i32 {
    return this.request(RemoteOp.CLOSE, 0, 0, 0);
  }
}
