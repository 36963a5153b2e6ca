/** Files and locks as those of one process: the system takes them away when it is killed, and nothing is written. */
import type { BlockFile, FileStore } from '../../files/contract';
import { MemoryStore } from '../../files/memory';
import type { ImageLock, ImageLocks } from '../../files/locks';
import type { TemporaryFiles, ToolContext } from '../context';

/** What temporary files may take in memory, bytes. */
const TEMPORARY_BYTES = 1024 * 1024 * 1024;

/** Remembers what was opened and claimed. */
export class ProcessFiles {
  readonly files: FileStore;
  readonly locks: ImageLocks;
  private readonly opened = new Set<BlockFile>();
  /** Files that nobody else sees. */
  private readonly temporary: Omit<TemporaryFiles, 'make'> & Partial<TemporaryFiles>;
  /** Their names there, by their paths. */
  private readonly names = new Map<string, string>();
  private readonly claimed = new Set<ImageLock>();

  constructor({ files, locks, temporary }: Pick<ToolContext, 'files' | 'locks' | 'temporary'>) {
    this.temporary = temporary?.() ?? new MemoryStore({ quota: TEMPORARY_BYTES });
    const at = (path: string): [Pick<FileStore, 'open' | 'info' | 'identity'>, string] => {
      const name = this.names.get(path);
      return name === undefined ? [files, path] : [this.temporary, name];
    };
    this.files = {
      open: async (path, mode) => {
        const [store, name] = at(path);
        const file = await store.open(name, mode);
        this.opened.add(file);
        return file;
      },
      info: (path) => {
        const [store, name] = at(path);
        return store.info(name);
      },
      list: (directory) => files.list(directory),
      remove: (path, options) => files.remove(path, options),
      rename: (from, to) => files.rename(from, to),
      makeDirectory: (path) => files.makeDirectory(path),
      identity: (path) => {
        const [store, name] = at(path);
        return store.identity(name);
      },
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

  /** The name of a new temporary file, which only this process can see; in the working directory, as relative names of backing files start there. */
  async temporaryPath(): Promise<string> {
    const path = `vl.${(this.names.size + 1).toString(36).padStart(6, '0')}`;
    const name = `/${path}`;
    await this.temporary.make?.(name);
    this.names.set(path, name);
    return path;
  }

  /** Frees the temporary files. None may be open. */
  async removeTemporary(): Promise<void> {
    for (const name of this.names.values()) await this.temporary.remove(name).catch(() => undefined);
  }

  /** Closes all files as they are, without a flush, and lets go of all locks. */
  kill(): void {
    for (const file of this.opened) file.close();
    for (const lock of this.claimed) lock.release();
    this.opened.clear();
    this.claimed.clear();
  }
}
