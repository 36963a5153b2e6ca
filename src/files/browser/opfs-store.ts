/** The origin private file system as a store. Only for dedicated workers: sync access handles exist nowhere else. */
import './platform';
import { Errno, FileError } from '../contract';
import type { FileInfo, FileStore, OpenMode } from '../contract';
import { LockError } from '../locks';
import { compareNames, parsePath } from '../path';
import type { Path } from '../path';
import { errorName, fileError } from './errors';
import { OpfsFile, SharedHandle } from './opfs-file';
import { moveDirectory, moveFile } from './opfs-move';

/** Options of an {@link OpfsStore}. */
export interface OpfsStoreOptions {
  /**
   * Other tabs may open the same files at the same time, as processes may under Linux; image locks that reach across
   * tabs keep them apart. Without: the first tab to open a file has it alone. Browsers other than Chromium know only that.
   */
  shared: boolean;
}

/**
 * The files of an origin. Names are as on Linux, but `\` is not allowed in Chromium. An open file can be neither removed
 * nor renamed: EBUSY.
 */
export class OpfsStore implements FileStore {
  /** Handles by path; what is being opened is there too, so that two openers share one handle. */
  private readonly handles = new Map<string, Promise<SharedHandle>>();

  private constructor(
    private readonly root: FileSystemDirectoryHandle,
    private readonly options: OpfsStoreOptions,
  ) {}

  /** Rejects where there is no such file system: EACCES in a sandboxed frame and in some private windows. */
  static async create(options: OpfsStoreOptions): Promise<OpfsStore> {
    try {
      return new OpfsStore(await navigator.storage.getDirectory(), options);
    } catch (error) {
      throw fileError(error);
    }
  }

  async open(path: string, mode: OpenMode): Promise<OpfsFile> {
    const parsed = parsePath(path);
    const create = mode.create === 'keep' || mode.create === 'truncate';
    if (create && !mode.write) throw new FileError(Errno.EINVAL);
    const name = lastName(parsed);
    if (name === undefined) throw new FileError(Errno.EISDIR);
    const directory = await this.directory(parsed.names.slice(0, -1));
    const existing = await entry(directory, name);
    if (existing?.kind === 'directory') throw new FileError(Errno.EISDIR);
    if (parsed.directory)
      throw new FileError(existing ? Errno.ENOTDIR : create ? Errno.EISDIR : Errno.ENOENT);
    if (!existing && !create) throw new FileError(Errno.ENOENT);
    const file = existing ?? (await directory.getFileHandle(name, { create: true }).catch(rethrow));
    const opened = new OpfsFile(await this.handle(pathOf(parsed), file, mode.write), !mode.write);
    try {
      if (mode.create === 'truncate') opened.truncate(0);
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  /** One use of the handle of a file, which is made if nobody here has one. */
  private async handle(path: string, file: FileSystemFileHandle, write: boolean): Promise<SharedHandle> {
    const known = this.handles.get(path);
    if (known) {
      const shared = await known.catch(() => undefined);
      // It may have failed, or been closed by its last user, while this one waited.
      if (shared && this.handles.get(path) === known) {
        shared.acquire();
        return shared;
      }
      return this.handle(path, file, write);
    }
    const forget = () => void this.handles.delete(path);
    const made = file
      .createSyncAccessHandle({ mode: this.options.shared ? 'readwrite-unsafe' : 'readwrite' })
      .then((handle) => new SharedHandle(handle, forget));
    this.handles.set(path, made);
    try {
      return await made;
    } catch (error) {
      forget();
      if (errorName(error) !== 'NoModificationAllowedError') throw fileError(error);
      // Another tab has the file alone. QEMU says so with the lock that this would break.
      throw new LockError(write ? 'Failed to get "write" lock' : 'Failed to get shared "write" lock');
    }
  }

  async info(path: string): Promise<FileInfo> {
    const parsed = parsePath(path);
    return describe(lastName(parsed) ?? '/', await this.get(parsed)).catch(rethrow);
  }

  async list(directory: string): Promise<FileInfo[]> {
    const handle = await this.get(parsePath(directory));
    if (handle.kind === 'file') throw new FileError(Errno.ENOTDIR);
    try {
      const infos: Promise<FileInfo | null>[] = [];
      for await (const [name, child] of handle.entries()) {
        // A file that vanished since is left out.
        infos.push(describe(name, child).catch(() => null));
      }
      return (await Promise.all(infos)).filter((info) => info !== null).sort(compareNames);
    } catch (error) {
      throw fileError(error);
    }
  }

  async remove(path: string, options: { recursive?: boolean } = {}): Promise<void> {
    const parsed = parsePath(path);
    await this.get(parsed);
    const name = lastName(parsed);
    if (name === undefined) throw new FileError(Errno.EBUSY);
    this.refuseOpen(parsed);
    const directory = await this.directory(parsed.names.slice(0, -1));
    await directory.removeEntry(name, { recursive: options.recursive === true }).catch(rethrow);
  }

  async rename(from: string, to: string): Promise<void> {
    const source = parsePath(from);
    const target = parsePath(to);
    const moved = await this.get(source);
    const name = lastName(target);
    if (lastName(source) === undefined || name === undefined) throw new FileError(Errno.EBUSY);
    const parent = await this.directory(target.names.slice(0, -1));
    const existing = await entry(parent, name);
    if (pathOf(source) === pathOf(target)) return;
    if (moved.kind === 'directory') {
      if (source.names.every((part, index) => target.names[index] === part))
        throw new FileError(Errno.EINVAL);
      if (existing?.kind === 'file') throw new FileError(Errno.ENOTDIR);
    } else {
      if (existing?.kind === 'directory') throw new FileError(Errno.EISDIR);
      if (target.directory) throw new FileError(Errno.ENOTDIR);
    }
    this.refuseOpen(source);
    this.refuseOpen(target);
    try {
      const from = await this.directory(source.names.slice(0, -1));
      if (moved.kind === 'file') {
        await moveFile(moved, from, parent, name);
        return;
      }
      // Fails with ENOTEMPTY if there is something in it.
      if (existing) await parent.removeEntry(name);
      await moveDirectory(moved, from, parent, name);
    } catch (error) {
      throw fileError(error);
    }
  }

  async makeDirectory(path: string): Promise<void> {
    const parsed = parsePath(path);
    const name = lastName(parsed);
    if (name === undefined) throw new FileError(Errno.EEXIST);
    const directory = await this.directory(parsed.names.slice(0, -1));
    if (await entry(directory, name)) throw new FileError(Errno.EEXIST);
    await directory.getDirectoryHandle(name, { create: true }).catch(rethrow);
  }

  /** `opfs:` and the path, the same in every tab of the origin. */
  async identity(path: string): Promise<string> {
    const parsed = parsePath(path);
    await this.get(parsed);
    return `opfs:${pathOf(parsed)}`;
  }

  /** The contents as the browser's own file: nothing is copied. It can no longer be read once the file is written to. */
  async blob(path: string): Promise<File> {
    const handle = await this.get(parsePath(path));
    if (handle.kind === 'directory') throw new FileError(Errno.EISDIR);
    return handle.getFile().catch(rethrow);
  }

  /** Throws EBUSY if a file at or below the path is open here. (The browser itself looks after the other tabs.) */
  private refuseOpen(path: Path): void {
    const name = pathOf(path);
    for (const open of this.handles.keys()) {
      if (open === name || open.startsWith(`${name}/`)) throw new FileError(Errno.EBUSY);
    }
  }

  private async get(path: Path): Promise<FileSystemFileHandle | FileSystemDirectoryHandle> {
    const name = lastName(path);
    if (name === undefined) return this.root;
    const found = await entry(await this.directory(path.names.slice(0, -1)), name);
    if (!found) throw new FileError(Errno.ENOENT);
    if (path.directory && found.kind === 'file') throw new FileError(Errno.ENOTDIR);
    return found;
  }

  private async directory(names: readonly string[]): Promise<FileSystemDirectoryHandle> {
    let directory = this.root;
    for (const name of names) {
      directory = await directory.getDirectoryHandle(name).catch((error: unknown) => {
        throw errorName(error) === 'TypeMismatchError' ? new FileError(Errno.ENOTDIR) : fileError(error);
      });
    }
    return directory;
  }
}

function rethrow(error: unknown): never {
  throw fileError(error);
}

function lastName(path: Path): string | undefined {
  return path.names[path.names.length - 1];
}

function pathOf(path: Path): string {
  return `/${path.names.join('/')}`;
}

/** What a directory has under a name; undefined: nothing. */
async function entry(
  directory: FileSystemDirectoryHandle,
  name: string,
): Promise<FileSystemFileHandle | FileSystemDirectoryHandle | undefined> {
  try {
    return await directory.getFileHandle(name);
  } catch (error) {
    if (errorName(error) === 'NotFoundError') return undefined;
    if (errorName(error) === 'TypeMismatchError') return directory.getDirectoryHandle(name).catch(rethrow);
    throw fileError(error);
  }
}

async function describe(name: string, handle: FileSystemHandle): Promise<FileInfo> {
  if (handle.kind === 'directory') return { name, kind: 'directory', size: 0 };
  const { size, lastModified } = await (handle as FileSystemFileHandle).getFile();
  return { name, kind: 'file', size, modified: lastModified };
}
