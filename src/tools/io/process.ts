/** Files and locks as those of one process: the system takes them away when it is killed, and nothing is written. */
import type { BlockFile, FileStore } from '../../files/contract';
import type { ImageLock, ImageLocks } from '../../files/locks';

/** Remembers what was opened and claimed. */
export class ProcessFiles {
  readonly files: FileStore;
  readonly locks: ImageLocks;
  private readonly opened = new Set<BlockFile>();
  private readonly claimed = new Set<ImageLock>();

  constructor(files: FileStore, locks: ImageLocks) {
    this.files = {
      open: async (path, mode) => {
        const file = await files.open(path, mode);
        this.opened.add(file);
        return file;
      },
      info: (path) => files.info(path),
      list: (directory) => files.list(directory),
      remove: (path, options) => files.remove(path, options),
      rename: (from, to) => files.rename(from, to),
      makeDirectory: (path) => files.makeDirectory(path),
      identity: (path) => files.identity(path),
      ...(files.readStream && {
        readStream: (path, limit) => files.readStream?.(path, limit) ?? Promise.reject(new Error(path)),
      }),
    };
    this.locks = {
      claim: (identity) => {
        const lock = locks.claim(identity);
        this.claimed.add(lock);
        return lock;
      },
    };
  }

  /** Closes all files as they are, without a flush, and lets go of all locks. */
  kill(): void {
    for (const file of this.opened) file.close();
    for (const lock of this.claimed) lock.release();
    this.opened.clear();
    this.claimed.clear();
  }
}
