/** A file that can be written and never is: what is written stays in memory and is read back from there. */
import { Errno, FileError, type BlockFile } from '../files/contract';
import type { ByteSource } from './bytes';
import type { FileRange } from './contract';

const PAGE = 4096;
/** Pages that may be written: 32 MiB. */
const MOST_PAGES = 8192;

export class ShadowFile implements BlockFile {
  readonly readOnly = false;
  private readonly pages = new Map<number, Uint8Array>();
  private length: number;
  /** Bytes that were read of the file itself. */
  bytesRead = 0;

  constructor(private readonly source: ByteSource) {
    this.length = source.size();
  }

  read(into: Uint8Array, at: number): number {
    const count = Math.max(0, Math.min(into.length, this.length - at));
    if (count === 0) return 0;
    const wanted = into.subarray(0, count);
    const own = Math.max(0, Math.min(count, this.source.size() - at));
    if (own > 0) this.source.read(wanted.subarray(0, own), at);
    wanted.fill(0, own);
    this.bytesRead += count;
    if (this.pages.size > 0) {
      for (let page = Math.floor(at / PAGE); page * PAGE < at + count; page++) {
        const bytes = this.pages.get(page);
        if (!bytes) continue;
        const from = Math.max(at, page * PAGE);
        const to = Math.min(at + count, (page + 1) * PAGE);
        wanted.set(bytes.subarray(from - page * PAGE, to - page * PAGE), from - at);
      }
    }
    return count;
  }

  write(from: Uint8Array, at: number): void {
    for (let done = 0; done < from.length;) {
      const page = Math.floor((at + done) / PAGE);
      const start = at + done - page * PAGE;
      const count = Math.min(PAGE - start, from.length - done);
      this.page(page).set(from.subarray(done, done + count), start);
      done += count;
    }
    this.length = Math.max(this.length, at + from.length);
  }

  private page(index: number): Uint8Array {
    let bytes = this.pages.get(index);
    if (bytes) return bytes;
    if (this.pages.size >= MOST_PAGES)
      throw new FileError(Errno.EFBIG, 'The repair changes too much to be shown');
    bytes = new Uint8Array(PAGE);
    const inside = Math.min(PAGE, this.source.size() - index * PAGE);
    if (inside > 0) this.source.read(bytes.subarray(0, inside), index * PAGE);
    this.pages.set(index, bytes);
    return bytes;
  }

  /** The ranges that differ from the file, byte by byte, those beside each other as one; at most `most`. */
  changes(most: number): FileRange[] {
    const ranges: FileRange[] = [];
    const original = new Uint8Array(PAGE);
    for (const [index, bytes] of [...this.pages].sort(([a], [b]) => a - b)) {
      original.fill(0);
      const inside = Math.min(PAGE, this.source.size() - index * PAGE);
      if (inside > 0) this.source.read(original.subarray(0, inside), index * PAGE);
      for (let at = 0; at < PAGE; at++) {
        if (bytes[at] === original[at]) continue;
        const offset = index * PAGE + at;
        const last = ranges.at(-1);
        // Entries of tables have up to eight bytes: what is nearer than that belongs together.
        if (last && offset - (last.offset + last.length) < 8) last.length = offset + 1 - last.offset;
        else if (ranges.length === most) return ranges;
        else ranges.push({ offset, length: 1 });
      }
    }
    return ranges;
  }

  flush(): void {
    // There is no storage.
  }

  truncate(size: number): void {
    if (size < this.length) {
      for (const [index, bytes] of this.pages) {
        if (index * PAGE >= size) this.pages.delete(index);
        else if ((index + 1) * PAGE > size) bytes.fill(0, size - index * PAGE);
      }
    }
    this.length = size;
  }

  size(): number {
    return this.length;
  }

  allocated(): number {
    return this.length;
  }

  close(): void {
    this.pages.clear();
  }
}
