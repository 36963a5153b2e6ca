/** A file in memory that is quickly made what it was, and that knows what was done to it. */
import { Errno, FileError } from '../../../src/files/contract';
import type { BlockFile, FileExtent } from '../../../src/files/contract';

/** Bytes that are really there; behind them the file reads as zeros and has no room. */
const CAPACITY = 4 << 20;
/** No file is longer. */
const MAX_SIZE = 2 ** 44;

export class GuardedFile implements BlockFile {
  readonly readOnly = false;
  readonly bytes = Buffer.alloc(CAPACITY);
  /** Writes may come; else one is an error of the engine, and kept in `trespasses`. */
  writable = true;
  trespasses = 0;
  private length = 0;
  /** Everything from here on is zero. */
  private high = 0;

  /** Gives the file a content. */
  reset(content: Buffer): void {
    content.copy(this.bytes);
    this.bytes.fill(0, content.length, Math.max(content.length, this.high));
    this.length = this.high = content.length;
  }

  read(into: Uint8Array, at: number): number {
    const n = Math.max(0, Math.min(into.length, this.length - at));
    const there = Math.max(0, Math.min(n, CAPACITY - at));
    into.set(this.bytes.subarray(at, at + there));
    into.fill(0, there, n);
    return n;
  }

  private change(): void {
    if (this.writable) return;
    this.trespasses++;
    throw new FileError(Errno.EACCES);
  }

  write(from: Uint8Array, at: number): void {
    this.change();
    const end = at + from.length;
    if (end > CAPACITY) throw new FileError(Errno.ENOSPC);
    this.bytes.set(from, at);
    this.high = Math.max(this.high, end);
    this.length = Math.max(this.length, end);
  }

  truncate(size: number): void {
    this.change();
    if (size > MAX_SIZE) throw new FileError(Errno.EFBIG);
    if (size < this.length) this.bytes.fill(0, size, Math.max(size, this.high));
    this.length = size;
    this.high = Math.min(this.high, size);
  }

  extent(at: number): FileExtent {
    return at < CAPACITY
      ? { data: true, bytes: Math.min(CAPACITY, this.length) - at }
      : { data: false, bytes: this.length - at };
  }

  flush(): void {
    // Memory is as stable as it gets.
  }

  size(): number {
    return this.length;
  }

  allocated(): number {
    return Math.min(this.length, CAPACITY);
  }

  close(): void {
    // It is used again.
  }
}
