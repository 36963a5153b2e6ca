/** A file of the origin private file system, open: calls of a sync access handle. */
import { Errno, FileError } from '../contract';
import type { BlockFile } from '../contract';
import { fileError } from './errors';

/** One object for all calls, which are synchronous: the hot path allocates nothing. */
const AT = { at: 0 };

/** The handle that all users of one file in this realm share; some browsers give out no second one. */
export class SharedHandle {
  private users = 1;

  /** @param closed called after the last user has closed it. */
  constructor(
    readonly handle: FileSystemSyncAccessHandle,
    private readonly closed: () => void,
  ) {}

  acquire(): void {
    this.users++;
  }

  release(): void {
    if (--this.users > 0) return;
    try {
      this.handle.close();
    } finally {
      this.closed();
    }
  }
}

/** An open file of an `OpfsStore`. There are no holes to be told: browsers have no call for it. */
export class OpfsFile implements BlockFile {
  /** null once closed. */
  private handle: FileSystemSyncAccessHandle | null;

  /** Takes over one use of the handle. */
  constructor(
    private readonly shared: SharedHandle,
    readonly readOnly: boolean,
  ) {
    this.handle = shared.handle;
  }

  read(into: Uint8Array, at: number): number {
    if (this.handle === null) throw new FileError(Errno.EBADF);
    try {
      AT.at = at;
      return this.handle.read(into, AT);
    } catch (error) {
      throw fileError(error);
    }
  }

  write(from: Uint8Array, at: number): void {
    const handle = this.writable();
    if (from.length === 0) return;
    try {
      AT.at = at;
      let done = handle.write(from, AT);
      while (done < from.length) {
        AT.at = at + done;
        const count = handle.write(from.subarray(done), AT);
        // A browser that writes nothing and says nothing has no space.
        if (count === 0) throw new FileError(Errno.ENOSPC);
        done += count;
      }
    } catch (error) {
      throw fileError(error);
    }
  }

  flush(): void {
    if (this.handle === null) throw new FileError(Errno.EBADF);
    try {
      this.handle.flush();
    } catch (error) {
      throw fileError(error);
    }
  }

  truncate(size: number): void {
    const handle = this.writable();
    try {
      handle.truncate(size);
    } catch (error) {
      throw fileError(error);
    }
  }

  size(): number {
    if (this.handle === null) throw new FileError(Errno.EBADF);
    try {
      return this.handle.getSize();
    } catch (error) {
      throw fileError(error);
    }
  }

  allocated(): number {
    return this.size();
  }

  close(): void {
    if (this.handle === null) return;
    this.handle = null;
    try {
      this.shared.release();
    } catch {
      // What was flushed is safe, and there is nobody left who could be told of the rest.
    }
  }

  private writable(): FileSystemSyncAccessHandle {
    if (this.readOnly) throw new FileError(Errno.EACCES);
    if (this.handle === null) throw new FileError(Errno.EBADF);
    return this.handle;
  }
}
