/** A host file under Node.js: synchronous calls of node:fs on a descriptor. */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { Errno, FileError } from '../contract';
import type { BlockFile, FileExtent } from '../contract';
import { fileError } from './errors';

/** The most that one call of the system reads or writes, below its own limit of 2 GiB. */
const CALL_MAX = 1 << 30;

/** Bytes of the unit in which {@link NodeFile.extent} looks for holes: a page, and the block of the usual file systems. */
const HOLE_BLOCK = 4096;
/** Bytes that {@link NodeFile.extent} reads at once. */
const SCAN_CHUNK = 256 * 1024;
/** Bytes that {@link NodeFile.extent} looks at in one call at the most, so that a call stays near 10 ms. */
const SCAN_MAX = 16 * 1024 * 1024;

const ZEROS = Buffer.alloc(HOLE_BLOCK);
/** Where extent() reads to; calls are synchronous, so one for all files does. Made when first needed. */
let scanBuffer: Buffer | undefined;

/** An open file of a {@link NodeStore}. */
export class NodeFile implements BlockFile {
  /** The file descriptor; -1 once closed. */
  private fd: number;

  /** Takes over the descriptor of a regular file. */
  constructor(
    fd: number,
    readonly readOnly: boolean,
  ) {
    this.fd = fd;
  }

  read(into: Uint8Array, at: number): number {
    let done = 0;
    try {
      while (done < into.length) {
        const count = readSync(this.fd, into, done, Math.min(into.length - done, CALL_MAX), at + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw this.failure(error);
    }
    return done;
  }

  write(from: Uint8Array, at: number): void {
    if (this.readOnly) throw new FileError(Errno.EACCES);
    try {
      for (let done = 0; done < from.length;) {
        const count = writeSync(this.fd, from, done, Math.min(from.length - done, CALL_MAX), at + done);
        // The system writes something or fails; were it otherwise, this would never end.
        if (count === 0) throw new FileError(Errno.ENOSPC);
        done += count;
      }
    } catch (error) {
      throw this.failure(error);
    }
  }

  flush(): void {
    try {
      fdatasyncSync(this.fd);
    } catch (error) {
      throw this.failure(error);
    }
  }

  truncate(size: number): void {
    if (this.readOnly) throw new FileError(Errno.EACCES);
    try {
      ftruncateSync(this.fd, size);
    } catch (error) {
      throw this.failure(error);
    }
  }

  size(): number {
    try {
      return fstatSync(this.fd).size;
    } catch (error) {
      throw this.failure(error);
    }
  }

  allocated(): number {
    try {
      return fstatSync(this.fd).blocks * 512;
    } catch (error) {
      throw this.failure(error);
    }
  }

  /**
   * Node has no call that finds holes (lseek's SEEK_HOLE). In a file that takes as much space as its size there are
   * none. In any other a run of whole blocks of zeros is taken for a hole: it does read as zeros, and only data that
   * was written as zeros is told wrongly. The answer ends after 16 MiB at the latest, so that a call stays short.
   */
  extent(at: number): FileExtent {
    try {
      const { size, blocks } = fstatSync(this.fd);
      if (blocks * 512 >= size) return { data: true, bytes: size - at };
      return this.scan(at, Math.min(size, at + SCAN_MAX));
    } catch (error) {
      throw this.failure(error);
    }
  }

  /** Reads from `from` on until the kind changes, at `end` at the latest. */
  private scan(from: number, end: number): FileExtent {
    const buffer = (scanBuffer ??= Buffer.allocUnsafe(SCAN_CHUNK));
    let data: boolean | undefined;
    for (let at = Math.floor(from / HOLE_BLOCK) * HOLE_BLOCK; at < end;) {
      const count = readSync(this.fd, buffer, 0, Math.min(SCAN_CHUNK, end - at), at);
      if (count === 0) break;
      for (let block = 0; block < count; block += HOLE_BLOCK) {
        const length = Math.min(HOLE_BLOCK, count - block);
        const kind = buffer.compare(ZEROS, 0, length, block, block + length) !== 0;
        data ??= kind;
        if (kind !== data) return { data, bytes: at + block - from };
      }
      at += count;
    }
    return { data: data ?? false, bytes: end - from };
  }

  /** A descriptor of -1 is refused by Node itself, with an error of its own. */
  private failure(error: unknown): FileError {
    return this.fd < 0 ? new FileError(Errno.EBADF) : fileError(error);
  }

  close(): void {
    if (this.fd < 0) return;
    const fd = this.fd;
    this.fd = -1;
    try {
      closeSync(fd);
    } catch {
      // What was flushed is safe, and there is nobody left who could be told of the rest.
    }
  }
}
