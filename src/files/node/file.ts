/** A host file under Node.js: synchronous calls of node:fs on a descriptor. */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { Errno, FileError } from '../contract';
import type { BlockFile, FileExtent } from '../contract';
import { fileError } from './errors';
import { HoleScanner } from './holes';
import { WriteBack } from './writeback';

/** The most that one call of the system reads or writes, below its own limit of 2 GiB. */
const CALL_MAX = 1 << 30;

/** An open file of a {@link NodeStore}. */
export class NodeFile implements BlockFile {
  /** The file descriptor; -1 once closed. */
  private fd: number;
  /** Made when holes are asked for. */
  private holes: HoleScanner | null = null;
  /** Made when first asked for; null: it cannot be had. */
  private behind: WriteBack | null | undefined;

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

  writeBack(): Promise<void> | null {
    if (this.fd < 0 || this.readOnly) return null;
    if (this.behind === undefined) this.behind = WriteBack.of(this.fd);
    return this.behind?.start() ?? null;
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

  extent(at: number): FileExtent {
    try {
      const { size, blocks } = fstatSync(this.fd);
      if (blocks * 512 >= size) return { data: true, bytes: size - at };
      this.holes ??= new HoleScanner(this.fd, this.readOnly);
      return this.holes.extent(at, size);
    } catch (error) {
      throw this.failure(error);
    }
  }

  /** A descriptor of -1 is refused by Node itself, with an error of its own. */
  private failure(error: unknown): FileError {
    return this.fd < 0 ? new FileError(Errno.EBADF) : fileError(error);
  }

  close(): void {
    if (this.fd < 0) return;
    const fd = this.fd;
    this.fd = -1;
    this.holes?.close();
    this.behind?.close();
    try {
      closeSync(fd);
    } catch {
      // What was flushed is safe, and there is nobody left who could be told of the rest.
    }
  }
}
