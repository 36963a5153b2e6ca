/** The filter `compress`: all data is written compressed, in whole clusters. */
import { Driver } from '../abi';
import { BlockNode } from '../block/node';
import { Scratch, ZERO_BYTES, zeros } from '../util/memory';
import { FilterNode } from './filter';

export class CompressNode extends FilterNode {
  private widened: Scratch = new Scratch();

  /** @param cluster bytes of a cluster of the image, a power of two */
  constructor(
    file: BlockNode,
    readOnly: bool,
    private cluster: i64,
  ) {
    super(Driver.COMPRESS, file, readOnly);
  }

  override release(): void {
    this.widened.release();
    super.release();
  }

  /** What of its first and last cluster is not in a range is read first. */
  override doWrite(offset: i64, bytes: i32, from: usize): i32 {
    const file = this.child!;
    const mask = this.cluster - 1;
    const start = offset & ~mask;
    const end = min((offset + bytes + mask) & ~mask, max(file.size(), offset + bytes));
    const n = <i32>(end - start);
    if (n === bytes) return file.pwriteCompressed(offset, bytes, from);
    const whole = this.widened.get(n);
    const head = <i32>(offset - start);
    let r = head ? file.pread(start, head, whole) : 0;
    if (r === 0 && head + bytes < n) r = file.pread(offset + bytes, n - head - bytes, whole + head + bytes);
    if (r < 0) return r;
    memory.copy(whole + head, from, bytes);
    return file.pwriteCompressed(start, n, whole);
  }

  /** Whole clusters become zeros; parts are data like other data. */
  override zeroPieces(offset: i64, bytes: i64, flags: i32): i32 {
    const mask = this.cluster - 1;
    const end = offset + bytes;
    const first = min((offset + mask) & ~mask, end);
    const last = end === this.size() ? end : max(end & ~mask, first);
    let r = this.writeZeros(offset, first - offset);
    if (r === 0 && last > first) r = this.child!.pzero(first, last - first, flags);
    return r === 0 ? this.writeZeros(last, end - last) : r;
  }

  private writeZeros(offset: i64, bytes: i64): i32 {
    while (bytes > 0) {
      const n = <i32>min<i64>(bytes, ZERO_BYTES);
      const r = this.doWrite(offset, n, zeros());
      if (r < 0) return r;
      offset += n;
      bytes -= n;
    }
    return 0;
  }
}
