/** The filter `blkdebug`: requests fail by rules, and are cut and widened as for a device with limits. */
import { DebugEvent, DebugIo, Driver, Err, Request } from '../abi';
import { BlockNode } from '../block/node';
import { Scratch, ZERO_BYTES, zeros } from '../util/memory';
import { FilterNode } from './filter';

/** Does something when an event comes in a state. */
class Rule {
  constructor(
    public event: i32,
    /** The state in which it holds; 0: in any. */
    public state: i32,
    /** Only {@link newState}: no requests fail. */
    public sets: bool,
    public newState: i32,
    public errno: i32,
    /** {@link DebugIo} bits. */
    public types: i32,
    /** Byte offset that a request must touch; -1: any. */
    public offset: i64,
    public once: bool,
  ) {}
}

/** A request that stands at a breakpoint. */
class Stopped {
  /** @param events that it has come to, the one at which it stands is the last */
  constructor(
    public tag: i32,
    public events: Array<i32>,
  ) {}
}

export class BlkdebugNode extends FilterNode {
  private rules: Array<Rule> = [];
  /** Rules by which requests fail now, the last one first. */
  private active: Array<Rule> = [];
  private state: i32 = 1;
  /** Requests are made of whole multiples of this. */
  align: i64 = 1;
  /** Bytes of a request at most; 0: any number. */
  maxTransfer: i64 = 0;
  /** Zero writes of less are written as data. */
  optZero: i64 = 0;
  maxZero: i64 = 0;
  optDiscard: i64 = 0;
  maxDiscard: i64 = 0;
  private widened: Scratch = new Scratch();
  /** Tags of breakpoints by event: numbers of the caller. */
  private breakEvents: Array<i32> = [];
  private breakTags: Array<i32> = [];
  /** The tag at which the request that runs is to stop; -1: at none. */
  private stop: i32 = -1;
  /** Events that the request has come to that runs; kept while there are breakpoints. */
  private seen: Array<i32> = [];
  private stopped: Array<Stopped> = [];
  /** Events that the request had come to before it stopped: they do not happen again. */
  private past: Array<i32> = [];
  /** Nothing happens and nothing fails: whoever asks is no request. */
  private quiet: bool = false;

  constructor(image: BlockNode, readOnly: bool) {
    super(Driver.BLKDEBUG, image, readOnly);
    this.debugged = true;
  }

  override release(): void {
    this.widened.release();
    super.release();
  }

  addRule(event: i32, state: i32, sets: bool, value: i32, types: i32, offset: i64, once: bool): void {
    this.rules.push(new Rule(event, state, sets, sets ? value : 0, sets ? 0 : value, types, offset, once));
  }

  /** Takes what rules there are for an event; those that fail requests take the place of earlier ones. */
  override debugEvent(event: i32): void {
    // What a request does that is given up because it stopped did not happen.
    if (this.quiet || this.stop >= 0 || (this.past.length && this.isPast(event))) return;
    let next = this.state;
    let injected = false;
    for (let i = this.rules.length - 1; i >= 0; i--) {
      const rule = unchecked(this.rules[i]);
      if (rule.event !== event || (rule.state && rule.state !== this.state)) continue;
      if (rule.sets) {
        next = rule.newState;
        continue;
      }
      if (!injected) this.active.length = 0;
      injected = true;
      this.active.push(rule);
    }
    this.state = next;
    if (this.breakEvents.length) {
      this.seen.push(event);
      this.hitBreakpoint(event);
    }
  }

  /** Whether the request came to this event before it stopped. What it does not come to again (tables that are read by now) is left out. */
  private isPast(event: i32): bool {
    const at = this.past.indexOf(event);
    if (at >= 0) this.past.splice(0, at + 1);
    return at >= 0;
  }

  /** The negative errno by which a request of this kind fails; 0: by none. */
  private failure(offset: i64, bytes: i64, type: i32): i32 {
    if (this.stop >= 0) return -Err.ESUSPENDED;
    if (this.quiet) return 0;
    for (let i = this.active.length - 1; i >= 0; i--) {
      const rule = unchecked(this.active[i]);
      if (!(rule.types & type)) continue;
      const touched = bytes > 0 && rule.offset >= offset && rule.offset < offset + bytes;
      if (rule.offset >= 0 && !touched) continue;
      if (rule.errno <= 0) return 0;
      if (rule.once) {
        this.active.splice(i, 1);
        this.rules.splice(this.rules.indexOf(rule), 1);
      }
      return -rule.errno;
    }
    return 0;
  }

  override doRead(offset: i64, bytes: i32, to: usize): i32 {
    const start = offset - (offset % this.align);
    const end = this.roundUp(offset + bytes);
    const n = <i32>(end - start);
    if (n === bytes) return this.readPieces(offset, bytes, to);
    const wide = this.widened.get(n);
    const r = this.readPieces(start, n, wide);
    if (r === 0) memory.copy(to, wide + <usize>(offset - start), bytes);
    return r;
  }

  private roundUp(offset: i64): i64 {
    const rest = offset % this.align;
    return rest ? offset + this.align - rest : offset;
  }

  /** What of a range goes into one request. */
  private piece(bytes: i64, limit: i64, align: i64): i64 {
    if (!limit || bytes <= limit) return bytes;
    return limit > align ? limit - (limit % align) : align;
  }

  private readPieces(offset: i64, bytes: i32, to: usize): i32 {
    while (bytes > 0) {
      const n = <i32>this.piece(bytes, this.maxTransfer, this.align);
      let r = this.failure(offset, n, DebugIo.READ);
      if (r === 0) r = this.child!.pread(offset, n, to);
      if (r < 0) return r;
      offset += n;
      to += n;
      bytes -= n;
    }
    return 0;
  }

  override doWrite(offset: i64, bytes: i32, from: usize): i32 {
    const align = this.align;
    const head = <i32>(offset % align);
    const end = offset + bytes;
    const tail = <i32>(this.roundUp(end) - end);
    if (!head && !tail) return this.writePieces(offset, bytes, from);
    // The blocks that are written in part are read first.
    const start = offset - head;
    const n = head + bytes + tail;
    const wide = this.widened.get(n);
    const block = <i32>align;
    if (head) {
      this.debugEvent(DebugEvent.PWRITEV_RMW_HEAD);
      const both = tail && n === block;
      if (both) this.debugEvent(DebugEvent.PWRITEV_RMW_TAIL);
      const r = this.readPieces(start, block, wide);
      if (r < 0) return r;
      this.debugEvent(DebugEvent.PWRITEV_RMW_AFTER_HEAD);
      if (both) this.debugEvent(DebugEvent.PWRITEV_RMW_AFTER_TAIL);
    }
    if (tail && (!head || n !== block)) {
      this.debugEvent(DebugEvent.PWRITEV_RMW_TAIL);
      const r = this.readPieces(start + n - block, block, wide + n - block);
      if (r < 0) return r;
      this.debugEvent(DebugEvent.PWRITEV_RMW_AFTER_TAIL);
    }
    memory.copy(wide + head, from, bytes);
    return this.writePieces(start, n, wide);
  }

  private writePieces(offset: i64, bytes: i32, from: usize): i32 {
    this.debugEvent(DebugEvent.PWRITEV);
    let r = 0;
    while (bytes > 0 && r === 0) {
      const n = <i32>this.piece(bytes, this.maxTransfer, this.align);
      r = this.failure(offset, n, DebugIo.WRITE);
      if (r === 0) r = this.child!.pwrite(offset, n, from);
      offset += n;
      from += n;
      bytes -= n;
    }
    this.debugEvent(DebugEvent.PWRITEV_DONE);
    return r;
  }

  override doWriteCompressed(_offset: i64, _bytes: i32, _from: usize): i32 {
    return -Err.ENOTSUP;
  }

  /** Blocks in part are written as data; the rest goes on as zero writes where it is large enough. */
  override zeroPieces(offset: i64, bytes: i64, flags: i32): i32 {
    const end = offset + bytes;
    const head = min(this.roundUp(offset), end) - offset;
    let r = head ? this.writeZeros(offset, head) : 0;
    const stop = max(end - (end % this.align), offset + head);
    if (r === 0 && stop > offset + head) r = this.zeroAligned(offset + head, stop, flags);
    if (r === 0 && end > stop) r = this.writeZeros(stop, end - stop);
    return r;
  }

  private zeroAligned(offset: i64, end: i64, flags: i32): i32 {
    this.debugEvent(DebugEvent.PWRITEV_ZERO);
    const align = max(this.align, this.optZero);
    let r = 0;
    while (offset < end && r === 0) {
      let n = end - offset;
      const inside = offset % align;
      if (inside) n = min(n, align - inside);
      else if (n > align) n = this.piece(n - (n % align), this.maxZero, align);
      r = n < align ? -Err.ENOTSUP : this.failure(offset, n, DebugIo.WRITE_ZEROES);
      if (r === 0) r = this.child!.pzero(offset, n, flags);
      if (r === -Err.ENOTSUP && !(flags & Request.NO_FALLBACK)) r = this.sendZeros(offset, n);
      offset += n;
    }
    this.debugEvent(DebugEvent.PWRITEV_DONE);
    return r;
  }

  /** Zeros as data. */
  private sendZeros(offset: i64, bytes: i64): i32 {
    const from = zeros();
    while (bytes > 0) {
      const n = <i32>this.piece(min<i64>(bytes, ZERO_BYTES), this.maxTransfer, this.align);
      let r = this.failure(offset, n, DebugIo.WRITE);
      if (r === 0) r = this.child!.pwrite(offset, n, from);
      if (r < 0) return r;
      offset += n;
      bytes -= n;
    }
    return 0;
  }

  /** Zeros as data for blocks in part. */
  private writeZeros(offset: i64, bytes: i64): i32 {
    const from = zeros();
    while (bytes > 0) {
      const n = <i32>min<i64>(bytes, ZERO_BYTES);
      const r = this.doWrite(offset, n, from);
      if (r < 0) return r;
      offset += n;
      bytes -= n;
    }
    return 0;
  }

  override doDiscard(offset: i64, bytes: i64): i32 {
    const align = max(this.align, this.optDiscard);
    for (const end = offset + bytes; offset < end;) {
      let n = end - offset;
      const inside = offset % align;
      if (inside) n = min(n, align - inside);
      else if (n > align) n = this.piece(n - (n % align), this.maxDiscard, align);
      let r = this.failure(offset, n, DebugIo.DISCARD);
      if (r === 0 && n >= align) r = this.child!.pdiscard(offset, n);
      if (r < 0 && r !== -Err.ENOTSUP) return r;
      offset += n;
    }
    return 0;
  }

  override doFlush(): i32 {
    const r = this.unflushed ? this.failure(0, 0, DebugIo.FLUSH) : 0;
    return r < 0 ? r : super.doFlush();
  }

  override doStatus(wantZero: bool, offset: i64, bytes: i64): i32 {
    const r = this.failure(offset, bytes, DebugIo.BLOCK_STATUS);
    return r < 0 ? r : super.doStatus(wantZero, offset, bytes);
  }

  /** A protocol of its own for those who ask how much storage it takes: it cannot tell. */
  override doAllocated(): i64 {
    return -Err.ENOTSUP;
  }

  override doClose(): i32 {
    return this.readOnly ? 0 : this.child!.pflush();
  }

  /** Lets the next request stop that comes to `event`. */
  addBreakpoint(event: i32, tag: i32): void {
    this.breakEvents.push(event);
    this.breakTags.push(tag);
  }

  /** Takes all breakpoints with a tag away; ENOENT: there is none. */
  removeBreakpoint(tag: i32): i32 {
    let r = -Err.ENOENT;
    for (let i = this.breakTags.length - 1; i >= 0; i--) {
      if (this.breakTags[i] !== tag) continue;
      this.breakTags.splice(i, 1);
      this.breakEvents.splice(i, 1);
      r = 0;
    }
    return r;
  }

  /** A request begins; `tag`: it is the one that stopped there, and is sent again; -1: another one; -2: none, see {@link quiet}. */
  begin(tag: i32): void {
    this.quiet = tag === -2;
    this.stop = -1;
    this.seen = [];
    this.past = [];
    for (let i = 0; i < this.stopped.length; i++) {
      if (this.stopped[i].tag !== tag) continue;
      this.past = this.stopped[i].events;
      // It may stop again.
      this.seen = this.past.slice();
      this.stopped.splice(i, 1);
      return;
    }
  }

  /** The tag at which the request that failed last was stopped, or -1. The next request runs. */
  takeStop(): i32 {
    const tag = this.stop;
    this.stop = -1;
    this.past = [];
    if (tag >= 0) this.stopped.push(new Stopped(tag, this.seen));
    this.seen = [];
    return tag;
  }

  /** A breakpoint is used up by the request that it stops: that request fails, and is to be sent again. */
  private hitBreakpoint(event: i32): void {
    for (let i = this.breakEvents.length - 1; i >= 0; i--) {
      if (this.breakEvents[i] !== event) continue;
      this.stop = this.breakTags[i];
      this.breakEvents.splice(i, 1);
      this.breakTags.splice(i, 1);
      return;
    }
  }
}
