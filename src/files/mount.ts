/** Single files of other stores, shown in the tree of one. */
import { Errno, FileError } from './contract';
import type { BlockFile, FileInfo, FileStore, OpenMode } from './contract';
import { compareNames, parsePath } from './path';

/** A file of another store and what is open of it. */
interface Mount {
  store: FileStore;
  /** Its path there. */
  path: string;
  open: number;
  /** It hides a file of the base, and stays until it is unmounted. */
  pinned: boolean;
}

/**
 * A store with files of other stores mounted in it, as with bind mounts: local files stand beside the ones of the
 * origin. A mounted file hides one that has its name. Removal and renaming concern the mount alone, never the file
 * behind it; while it is open they fail with EBUSY.
 */
export class MountStore implements FileStore {
  private readonly mounts = new Map<string, Mount>();
  /** Mounts behind pinned ones. */
  private readonly hidden = new Map<string, Mount>();

  constructor(private readonly base: FileStore) {}

  /**
   * Shows the file `source` of `store` at `path`, in a directory that must exist. Rejects with EEXIST if the name is
   * taken, and as info() does for the file and the directory.
   */
  async mount(path: string, store: FileStore, source: string): Promise<void> {
    const key = keyOf(path);
    if ((await store.info(source)).kind !== 'file') throw new FileError(Errno.EISDIR);
    if (this.mounts.has(key)) throw new FileError(Errno.EEXIST);
    if (await exists(this.base, path)) throw new FileError(Errno.EEXIST);
    await this.checkParent(key);
    this.mounts.set(key, { store, path: source, open: 0, pinned: false });
  }

  /**
   * Shows the file `source` of `store` in the place of the file at `path`, which must exist and comes back with
   * {@link unmount}. Meanwhile the name can be neither removed nor given to another file. EBUSY: that is so already.
   */
  async mountOver(path: string, store: FileStore, source: string): Promise<void> {
    const key = keyOf(path);
    if (this.mounts.get(key)?.pinned) throw new FileError(Errno.EBUSY);
    if ((await this.info(path)).kind !== 'file') throw new FileError(Errno.EINVAL);
    const hidden = this.mounts.get(key);
    this.mounts.set(key, { store, path: source, open: 0, pinned: true });
    if (hidden) this.hidden.set(key, hidden);
  }

  /** Ends what {@link mountOver} did, also while files are open. */
  unmount(path: string): void {
    const key = keyOf(path);
    const hidden = this.hidden.get(key);
    this.hidden.delete(key);
    if (hidden) this.mounts.set(key, hidden);
    else this.mounts.delete(key);
  }

  async open(path: string, mode: OpenMode): Promise<BlockFile> {
    const mount = this.find(path);
    if (!mount) return this.base.open(path, mode);
    mount.open++;
    try {
      return counted(await mount.store.open(mount.path, mode), () => mount.open--);
    } catch (error) {
      mount.open--;
      throw error;
    }
  }

  async info(path: string): Promise<FileInfo> {
    const mount = this.find(path);
    return mount ? this.describe(path, mount) : this.base.info(path);
  }

  async list(directory: string): Promise<FileInfo[]> {
    if (this.find(directory)) throw new FileError(Errno.ENOTDIR);
    const infos = new Map((await this.base.list(directory)).map((info) => [info.name, info]));
    const prefix = keyOf(directory) === '/' ? '/' : `${keyOf(directory)}/`;
    for (const [key, mount] of this.mounts) {
      const name = key.slice(prefix.length);
      if (key.startsWith(prefix) && !name.includes('/')) infos.set(name, await this.describe(key, mount));
    }
    return [...infos.values()].sort(compareNames);
  }

  async remove(path: string, options?: { recursive?: boolean }): Promise<void> {
    const mount = this.find(path);
    if (mount) {
      refuseOpen(mount);
      this.mounts.delete(keyOf(path));
      return;
    }
    const below = this.below(path);
    if (below.length > 0 && !options?.recursive) throw new FileError(Errno.ENOTEMPTY);
    for (const [, inside] of below) refuseOpen(inside);
    await this.base.remove(path, options);
    for (const [key] of below) this.mounts.delete(key);
  }

  async rename(from: string, to: string): Promise<void> {
    const mount = this.find(from);
    const replaced = this.find(to);
    if (keyOf(from) === keyOf(to)) {
      await this.info(from);
      return;
    }
    if (replaced) refuseOpen(replaced);
    if (mount) {
      refuseOpen(mount);
      if (to.endsWith('/')) throw new FileError(Errno.ENOTDIR);
      await this.checkParent(keyOf(to));
      if (!replaced && (await exists(this.base, to))) throw new FileError(Errno.EEXIST);
      this.mounts.delete(keyOf(from));
      this.mounts.set(keyOf(to), mount);
      return;
    }
    const below = this.below(from);
    for (const [, inside] of below) refuseOpen(inside);
    if (replaced && (await this.base.info(from)).kind === 'directory') throw new FileError(Errno.ENOTDIR);
    await this.base.rename(from, to);
    this.mounts.delete(keyOf(to));
    for (const [key, inside] of below) {
      this.mounts.delete(key);
      this.mounts.set(keyOf(to) + key.slice(keyOf(from).length), inside);
    }
  }

  async makeDirectory(path: string): Promise<void> {
    if (this.find(path)) throw new FileError(Errno.EEXIST);
    return this.base.makeDirectory(path);
  }

  async identity(path: string): Promise<string> {
    const mount = this.find(path);
    return mount ? mount.store.identity(mount.path) : this.base.identity(path);
  }

  /** Where a path leads: the store that has the file, and its path there. */
  resolve(path: string): { store: FileStore; path: string } {
    return this.find(path) ?? { store: this.base, path };
  }

  /** The mount at a path; undefined: it is a matter of the base. ENOTDIR for what would be below a mounted file. */
  private find(path: string): Mount | undefined {
    const { names, directory } = parsePath(path);
    let key = '';
    for (const [index, name] of names.entries()) {
      key += `/${name}`;
      const mount = this.mounts.get(key);
      if (!mount) continue;
      if (index < names.length - 1 || directory) throw new FileError(Errno.ENOTDIR);
      return mount;
    }
    return undefined;
  }

  /** The mounts below a directory of the base. */
  private below(path: string): [string, Mount][] {
    return [...this.mounts].filter(([key]) => key.startsWith(`${keyOf(path)}/`));
  }

  private async checkParent(key: string): Promise<void> {
    const parent = key.slice(0, key.lastIndexOf('/')) || '/';
    if (this.find(parent) ?? (await this.base.info(parent)).kind !== 'directory')
      throw new FileError(Errno.ENOTDIR);
  }

  private async describe(path: string, mount: Mount): Promise<FileInfo> {
    const key = keyOf(path);
    return { ...(await mount.store.info(mount.path)), name: key.slice(key.lastIndexOf('/') + 1) };
  }
}

function keyOf(path: string): string {
  return `/${parsePath(path).names.join('/')}`;
}

function refuseOpen(mount: Mount): void {
  if (mount.open > 0 || mount.pinned) throw new FileError(Errno.EBUSY);
}

async function exists(store: FileStore, path: string): Promise<boolean> {
  try {
    await store.info(path);
    return true;
  } catch (error) {
    if (error instanceof FileError && error.errno === Errno.ENOENT) return false;
    throw error;
  }
}

/** The same file, with `closed` called when it is closed for the first time. */
function counted(file: BlockFile, closed: () => void): BlockFile {
  const close = file.close.bind(file);
  let open = true;
  file.close = () => {
    close();
    if (open) closed();
    open = false;
  };
  return file;
}
