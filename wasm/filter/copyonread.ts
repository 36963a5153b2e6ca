/** The filter `copy-on-read`: what is read from below the top layer is written there on the way. */
import { Bits, DebugEvent, Driver } from '../abi';
import { BlockNode } from '../block/node';
import { foundBytes, statusAbove, statusOne } from '../block/status';
import { Scratch, zeroPrefix } from '../util/memory';
import { FilterNode } from './filter';

/** Bytes that are copied at once, at most. */
const MAX_COPY: i64 = 1 << 20;

export class CopyOnReadNode extends FilterNode {
  private copied: Scratch = new Scratch();

  /**
   * @param cluster bytes of a cluster of the top layer, a power of two; 1: it has none
   * @param bottom the lowest node whose data is copied; null: all is
   */
  constructor(
    file: BlockNode,
    readOnly: bool,
    private cluster: i64,
    private bottom: BlockNode | null,
  ) {
    super(Driver.COPY_ON_READ, file, readOnly);
    if (bottom) bottom.users++;
  }

  override release(): void {
    this.copied.release();
    const bottom = this.bottom;
    if (bottom) bottom.users--;
    super.release();
  }

  override doRead(offset: i64, bytes: i32, to: usize): i32 {
    const file = this.child!;
    while (bytes > 0) {
      const flags = statusOne(file, false, offset, bytes);
      let n = flags < 0 || !foundBytes ? <i64>bytes : min<i64>(bytes, foundBytes);
      // Where it cannot be told the copy is tried, and tells what is wrong.
      let copy = flags < 0 || !(flags & Bits.ALLOCATED);
      if (copy && this.bottom && flags >= 0) {
        copy = this.allocatedBelow(offset, n);
        n = min(n, belowBytes);
      }
      if (copy) n = min(n, MAX_COPY - (offset & (this.cluster - 1)));
      const r = copy ? this.copy(offset, <i32>n, to) : file.pread(offset, <i32>n, to);
      if (r < 0) return r;
      offset += n;
      to += <usize>n;
      bytes -= <i32>n;
    }
    return 0;
  }

  /** Whether a prefix of a range, of {@link belowBytes}, is in a layer from below the top down to the bottom. */
  private allocatedBelow(offset: i64, bytes: i64): bool {
    belowBytes = bytes;
    let top = this.child!;
    while (!top.supportsBacking && top.child) top = top.child!;
    const next = top.backing;
    if (!next) return false;
    const flags = statusAbove(next, this.bottom!.backing, false, offset, bytes);
    if (flags < 0 || !foundBytes) return flags < 0;
    belowBytes = foundBytes;
    return (flags & Bits.ALLOCATED) !== 0;
  }

  /** Reads all of the clusters of a range, writes them to the top layer, and answers the range. */
  private copy(offset: i64, bytes: i32, to: usize): i32 {
    const file = this.child!;
    const mask = this.cluster - 1;
    const start = offset & ~mask;
    const end = min((offset + bytes + mask) & ~mask, file.size());
    const n = <i32>(end - start);
    const whole = this.copied.get(n);
    let r = file.pread(start, n, whole);
    if (r < 0) return r;
    file.event(DebugEvent.COR_WRITE);
    r = zeroPrefix(whole, n) === n ? file.pzero(start, n, 0) : file.pwrite(start, n, whole);
    if (r === 0) memory.copy(to, whole + <usize>(offset - start), bytes);
    return r;
  }
}

let belowBytes: i64 = 0;
