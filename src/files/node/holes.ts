/**
 * Holes of a host file, found by reading it: Node has no call for them (lseek's SEEK_HOLE).
 *
 * In a file that takes less space than its size, a run of whole blocks of zeros is taken for a hole. It does read as
 * zeros; only data that was written as zeros is told wrongly.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { FileExtent } from '../contract';

/** Bytes of the unit in which holes are looked for: a page, and the block of the usual file systems. */
const HOLE_BLOCK = 4096;
/** Bytes that are read at once. */
const CHUNK = 2 * 1024 * 1024;
/** Bytes that are looked at in one call at the most, so that a call stays near 10 ms. */
const CALL_MAX = 32 * 1024 * 1024;

/** The one constructor that hands out memory at the start of a page, as direct reads want it. */
interface PageMemory {
  WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer } };
}
const pages = (bytes: number): Buffer =>
  Buffer.from(
    new (globalThis as unknown as PageMemory).WebAssembly.Memory({ initial: bytes / 65536 }).buffer,
  );

/** What is read goes here; calls are synchronous, so one for all files does. Made when first needed. */
let chunk: Buffer | null = null;
let zeros: Buffer | null = null;

/** Finds the holes of one open file. */
export class HoleScanner {
  /** A second descriptor that reads past the page cache, which would be filled with zeros for each hole; -1: none. */
  private direct = -1;

  /**
   * @param fd stays the caller's
   * @param readOnly nobody writes through `fd`: only then is reading past the cache worth it
   */
  constructor(
    private readonly fd: number,
    readOnly: boolean,
  ) {
    if (!readOnly || process.platform !== 'linux') return;
    try {
      this.direct = openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY | constants.O_DIRECT);
    } catch {
      // Not every file system reads directly, and not every container has /proc.
    }
  }

  /** The kind of what is at `at` < `size`; the answer ends after 32 MiB at the latest. */
  extent(at: number, size: number): FileExtent {
    chunk ??= pages(CHUNK);
    zeros ??= Buffer.alloc(CHUNK);
    const end = Math.min(size, at + CALL_MAX);
    let data: boolean | undefined;
    for (let next = Math.floor(at / HOLE_BLOCK) * HOLE_BLOCK; next < end;) {
      const count = Math.min(this.read(chunk, next), end - next);
      if (count <= 0) break;
      // Most chunks of a sparse file are of one kind; one comparison tells.
      const step = chunk.compare(zeros, 0, count, 0, count) === 0 ? count : HOLE_BLOCK;
      for (let block = 0; block < count; block += step) {
        const length = Math.min(step, count - block);
        const kind = chunk.compare(zeros, 0, length, block, block + length) !== 0;
        data ??= kind;
        if (kind !== data) return { data, bytes: next + block - at };
      }
      next += count;
    }
    return { data: data ?? false, bytes: end - at };
  }

  private read(into: Buffer, at: number): number {
    if (this.direct >= 0) {
      try {
        return readSync(this.direct, into, 0, CHUNK, at);
      } catch {
        // Some file systems refuse only when they are asked to read.
        this.close();
      }
    }
    return readSync(this.fd, into, 0, CHUNK, at);
  }

  /** Gives up what the scanner itself has opened. */
  close(): void {
    if (this.direct >= 0) closeSync(this.direct);
    this.direct = -1;
  }
}
