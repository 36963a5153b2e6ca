/** A local file, open to be read. */
import { Errno, FileError } from '../contract';
import type { BlockFile } from '../contract';
import { fileError } from './errors';

/** Bytes that a small read anywhere fetches: a fetch costs near 0.7 ms whatever its size, and more from here on. */
const WINDOW = 256 * 1024;
/** Bytes that are fetched once reads follow each other. */
const READ_AHEAD = 1024 * 1024;
/** Windows that are kept: 16 MiB at the most. */
const WINDOWS = 16;
/** Reads from this size on go past the windows, in pieces of {@link PIECE}; larger pieces are slower, not faster. */
const LARGE = 512 * 1024;
const PIECE = 1024 * 1024;

interface Window {
  start: number;
  bytes: Uint8Array;
}

/** A file of a `BlobStore`, open: read synchronously, through a few windows that keep what was fetched. */
export class BlobFile implements BlockFile {
  readonly readOnly = true;
  private readonly reader = new FileReaderSync();
  /** The last one used comes first. */
  private windows: Window[] = [];
  /** Where the last fetch ended: the next one that starts there reads ahead. */
  private fetched = -1;
  private open = true;

  constructor(private readonly blob: Blob) {}

  read(into: Uint8Array, at: number): number {
    if (!this.open) throw new FileError(Errno.EBADF);
    const length = Math.min(into.length, this.blob.size - at);
    if (length <= 0) return 0;
    for (let done = 0; done < length;) {
      const rest = length - done;
      const found = this.find(at + done);
      if (!found && rest >= LARGE) {
        const count = Math.min(rest, PIECE);
        into.set(this.fetch(at + done, at + done + count), done);
        done += count;
        continue;
      }
      const window = found ?? this.load(at + done);
      const start = at + done - window.start;
      const count = Math.min(rest, window.bytes.length - start);
      into.set(window.bytes.subarray(start, start + count), done);
      done += count;
    }
    return length;
  }

  write(): void {
    throw new FileError(Errno.EACCES);
  }

  flush(): void {
    if (!this.open) throw new FileError(Errno.EBADF);
  }

  truncate(): void {
    throw new FileError(Errno.EACCES);
  }

  size(): number {
    if (!this.open) throw new FileError(Errno.EBADF);
    return this.blob.size;
  }

  allocated(): number {
    return this.size();
  }

  close(): void {
    this.open = false;
    this.windows = [];
  }

  /** The window that has this byte; it is then the first. */
  private find(at: number): Window | undefined {
    const { windows } = this;
    for (let i = 0; i < windows.length; i++) {
      const window = windows[i];
      if (!window || at < window.start || at >= window.start + window.bytes.length) continue;
      for (let j = i; j > 0; j--) windows[j] = windows[j - 1] ?? window;
      windows[0] = window;
      return window;
    }
    return undefined;
  }

  private load(at: number): Window {
    const start = Math.floor(at / WINDOW) * WINDOW;
    const end = start + (start === this.fetched ? READ_AHEAD : WINDOW);
    const window = { start, bytes: this.fetch(start, Math.min(end, this.blob.size)) };
    if (this.windows.length === WINDOWS) this.windows.pop();
    this.windows.unshift(window);
    return window;
  }

  /** Reads from the disk. A file that was changed since the user chose it can no longer be read: EIO. */
  private fetch(start: number, end: number): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(this.reader.readAsArrayBuffer(this.blob.slice(start, end)));
    } catch (error) {
      throw fileError(error);
    }
    if (bytes.length !== end - start) throw new FileError(Errno.EIO);
    this.fetched = end;
    return bytes;
  }
}
