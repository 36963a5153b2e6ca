/** The node `quorum`: writes go to all children, and reads are what enough of them agree on. */
import { Bits, Driver, Err, QuorumOp } from '../abi';
import { BlockNode } from '../block/node';
import { found, foundBytes, statusAbove } from '../block/status';
import { contentsMismatch, quorumFailed, quorumReport } from '../host';
import { Scratch } from '../util/memory';

/** Children are read in pieces of this many bytes at most, so that memory stays bounded. */
const PIECE: i32 = 1 << 20;

export class QuorumNode extends BlockNode {
  private children: Array<BlockNode> = [];
  private buffers: Array<Scratch> = [];
  /** What each child answered to the request that runs: 0 or a negative errno. */
  private answers: Array<i32> = [];

  constructor(
    private threshold: i32,
    /** Children are asked one after the other until one answers. */
    private fifo: bool,
    /** Two children that must never differ. */
    private verify: bool,
    /** What differs is written anew. */
    private rewrite: bool,
    readOnly: bool,
  ) {
    super(Driver.QUORUM);
    this.readOnly = readOnly;
  }

  /** Another child, the last one. The first one decides on the length; EIO: another length. */
  addChild(node: BlockNode, opening: bool): i32 {
    if (opening && this.children.length && node.size() !== this.length) return -Err.EIO;
    if (!this.children.length) this.length = node.size();
    this.children.push(node);
    this.buffers.push(new Scratch());
    this.answers.push(0);
    node.users++;
    return 0;
  }

  removeChild(node: BlockNode): i32 {
    const at = this.children.indexOf(node);
    if (at < 0) return -Err.EINVAL;
    this.children.splice(at, 1);
    this.buffers.splice(at, 1)[0].release();
    this.answers.pop();
    node.users--;
    return 0;
  }

  override doReplaceChild(old: BlockNode, now: BlockNode): i32 {
    const at = this.children.indexOf(old);
    if (at < 0) return -Err.EINVAL;
    this.children[at] = now;
    old.users--;
    now.users++;
    return 0;
  }

  override reaches(node: BlockNode): bool {
    if (node === this) return true;
    for (let i = 0; i < this.children.length; i++) if (this.children[i].reaches(node)) return true;
    return false;
  }

  override release(): void {
    for (let i = 0; i < this.children.length; i++) {
      this.buffers[i].release();
      this.children[i].users--;
    }
    super.release();
  }

  /** What is elsewhere is no failure: the request comes again. */
  private report(child: i32, op: i32, code: i32, offset: i64, bytes: i64): void {
    if (code === -Err.EAGAIN) return;
    quorumReport(this.children[child].handle, op, -code, <f64>offset, <f64>bytes);
  }

  /** The error that most children have, if too few of them went well; else 0. */
  private settle(offset: i64, bytes: i64): i32 {
    const answers = this.answers;
    let good = 0;
    for (let i = 0; i < answers.length; i++) if (answers[i] === 0) good++;
    if (answers.includes(-Err.EAGAIN)) return -Err.EAGAIN;
    if (good >= this.threshold) return 0;
    let best = 0;
    let votes = 0;
    for (let i = 0; i < answers.length; i++) {
      if (answers[i] === 0) continue;
      let same = 0;
      for (let j = 0; j < answers.length; j++) if (answers[j] === answers[i]) same++;
      if (same > votes) {
        votes = same;
        best = answers[i];
      }
    }
    quorumFailed(this.handle, <f64>offset, <f64>bytes);
    return best;
  }

  doRead(offset: i64, bytes: i32, to: usize): i32 {
    while (bytes > 0) {
      const n = min(bytes, PIECE);
      const r = this.fifo ? this.readFirst(offset, n, to) : this.readAgreed(offset, n, to);
      if (r < 0) return r;
      offset += n;
      to += n;
      bytes -= n;
    }
    return 0;
  }

  private readFirst(offset: i64, bytes: i32, to: usize): i32 {
    let r = 0;
    for (let i = 0; i < this.children.length; i++) {
      r = this.children[i].pread(offset, bytes, to);
      if (r === 0 || r === -Err.EAGAIN) return r;
      this.report(i, QuorumOp.READ, r, offset, bytes);
    }
    return r;
  }

  private readAgreed(offset: i64, bytes: i32, to: usize): i32 {
    const count = this.children.length;
    for (let i = 0; i < count; i++) {
      const r = this.children[i].pread(offset, bytes, this.buffers[i].get(bytes));
      this.answers[i] = r;
      if (r < 0) this.report(i, QuorumOp.READ, r, offset, bytes);
    }
    const failed = this.settle(offset, bytes);
    if (failed < 0) return failed;
    let winner = -1;
    let votes = 0;
    let good = 0;
    for (let i = 0; i < count; i++) {
      if (this.answers[i] < 0) continue;
      good++;
      let same = 0;
      for (let j = 0; j < count; j++) if (this.equal(i, j, bytes)) same++;
      if (same > votes) {
        votes = same;
        winner = i;
      }
    }
    if (votes < good) {
      if (this.verify) {
        const at = this.firstDifference(bytes);
        contentsMismatch(this.handle, <f64>offset, <f64>bytes, <f64>(offset + at));
        return -Err.EIO;
      }
      if (votes < this.threshold) {
        quorumFailed(this.handle, <f64>offset, <f64>bytes);
        return -Err.EIO;
      }
      for (let i = 0; i < count; i++) {
        if (this.answers[i] < 0 || this.equal(winner, i, bytes)) continue;
        this.report(i, QuorumOp.READ, 0, offset, bytes);
        if (this.rewrite) this.children[i].pwrite(offset, bytes, this.buffers[winner].get(bytes));
      }
    }
    memory.copy(to, this.buffers[winner].get(bytes), bytes);
    return 0;
  }

  /** Whether two children answered, and the same. */
  private equal(a: i32, b: i32, bytes: i32): bool {
    if (this.answers[a] < 0 || this.answers[b] < 0) return false;
    return a === b || memory.compare(this.buffers[a].get(bytes), this.buffers[b].get(bytes), bytes) === 0;
  }

  private firstDifference(bytes: i32): i32 {
    const a = this.buffers[0].get(bytes);
    const b = this.buffers[1].get(bytes);
    let at = 0;
    while (at < bytes && load<u8>(a + at) === load<u8>(b + at)) at++;
    return at;
  }

  doWrite(offset: i64, bytes: i32, from: usize): i32 {
    for (let i = 0; i < this.children.length; i++) {
      const r = this.children[i].pwrite(offset, bytes, from);
      this.answers[i] = r;
      if (r < 0) this.report(i, QuorumOp.WRITE, r, offset, bytes);
    }
    return this.settle(offset, bytes);
  }

  doZero(offset: i64, bytes: i64, flags: i32): i32 {
    for (let i = 0; i < this.children.length; i++) {
      const r = this.children[i].pzero(offset, bytes, flags);
      this.answers[i] = r;
      if (r < 0) this.report(i, QuorumOp.WRITE, r, offset, bytes);
    }
    return this.settle(offset, bytes);
  }

  /** Discards are not passed on: what children read afterwards might differ. */
  doDiscard(_offset: i64, _bytes: i64): i32 {
    return -Err.ENOTSUP;
  }

  doFlush(): i32 {
    for (let i = 0; i < this.children.length; i++) {
      const r = this.children[i].pflush();
      this.answers[i] = r;
      if (r < 0) this.report(i, QuorumOp.FLUSH, r, 0, 0);
    }
    return this.settle(0, this.length);
  }

  doTruncate(_size: i64, _preallocation: i32): i32 {
    return -Err.ENOTSUP;
  }

  /** Zeros where all children have zeros; data as far as one of them has data. */
  doStatus(wantZero: bool, offset: i64, bytes: i64): i32 {
    let zeros = bytes;
    let data: i64 = 0;
    for (let i = 0; i < this.children.length; i++) {
      const flags = statusAbove(this.children[i], null, wantZero, offset, bytes);
      if (flags === -Err.EAGAIN) return flags;
      if (flags < 0) {
        this.report(i, QuorumOp.READ, flags, offset, bytes);
        data = bytes;
        break;
      }
      if (flags & Bits.ZERO) zeros = min(zeros, foundBytes);
      else data = max(data, foundBytes);
    }
    found(data ? data : zeros, 0, null);
    return data ? Bits.DATA : Bits.ZERO;
  }

  doAllocated(): i64 {
    let sum: i64 = 0;
    for (let i = 0; i < this.children.length; i++) {
      const bytes = this.children[i].doAllocated();
      if (bytes < 0) return bytes;
      sum += bytes;
    }
    return sum;
  }

  doClose(): i32 {
    return this.readOnly ? 0 : this.doFlush();
  }
}
