/** Local files that the user chose, read in place: nothing is copied and nothing can be written. */
import { Errno, FileError } from '../contract';
import type { FileInfo, FileStore, OpenMode } from '../contract';
import { localIdentity } from '../identity';
import { compareNames, parsePath } from '../path';
import { BlobFile } from './blob-file';

let lastId = 0;

/** A flat store of local files under names of their own. To show them beside other files, see `MountStore`. */
export class BlobStore implements FileStore {
  private readonly files = new Map<string, { file: File; id: number }>();

  /** Adds a file; it takes the place of one that has the name. EINVAL, ENAMETOOLONG for a name that cannot be. */
  add(file: File, name: string = file.name): void {
    const { names, directory } = parsePath(name);
    if (names.length !== 1 || names[0] !== name || directory) throw new FileError(Errno.EINVAL);
    this.files.set(name, { file, id: ++lastId });
  }

  async open(path: string, mode: OpenMode): Promise<BlobFile> {
    if (mode.write) throw new FileError(Errno.EACCES);
    return new BlobFile(this.get(path).file);
  }

  async info(path: string): Promise<FileInfo> {
    const { names } = parsePath(path);
    if (names.length === 0) return { name: '/', kind: 'directory', size: 0 };
    return describe(names[0] ?? '', this.get(path).file);
  }

  async list(directory: string): Promise<FileInfo[]> {
    if (parsePath(directory).names.length > 0) {
      this.get(directory);
      throw new FileError(Errno.ENOTDIR);
    }
    return [...this.files].map(([name, { file }]) => describe(name, file)).sort(compareNames);
  }

  /** Takes the file out of the store; the user's own file stays. */
  async remove(path: string): Promise<void> {
    this.get(path);
    this.files.delete(parsePath(path).names[0] ?? '');
  }

  async rename(from: string, to: string): Promise<void> {
    const entry = this.get(from);
    const { names } = parsePath(to);
    if (names.length !== 1) throw new FileError(Errno.EACCES);
    this.files.delete(parsePath(from).names[0] ?? '');
    this.files.set(names[0] ?? '', entry);
  }

  async makeDirectory(): Promise<void> {
    throw new FileError(Errno.EACCES);
  }

  async identity(path: string): Promise<string> {
    return localIdentity('blob', this.get(path).id);
  }

  /** The local file itself. */
  async blob(path: string): Promise<File> {
    return this.get(path).file;
  }

  private get(path: string): { file: File; id: number } {
    const { names, directory } = parsePath(path);
    const [name] = names;
    if (name === undefined) throw new FileError(Errno.EISDIR);
    const entry = this.files.get(name);
    if (!entry) throw new FileError(Errno.ENOENT);
    if (names.length > 1 || directory) throw new FileError(Errno.ENOTDIR);
    return entry;
  }
}

function describe(name: string, file: File): FileInfo {
  return { name, kind: 'file', size: file.size, modified: file.lastModified, readOnly: true };
}
