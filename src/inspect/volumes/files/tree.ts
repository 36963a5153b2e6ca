/** What all readers of file systems share: ways through directories, limits, and what was found before. */
import {
  MAX_ENTRIES,
  MAX_READ,
  VolumeError,
  type FileListing,
  type FileNode,
  type FileTree,
} from '../contract';

/** An entry as a reader knows it: what is told, and where it lies. */
export interface Item {
  node: FileNode;
}

/** A file system, as the tree uses it. */
export interface FileSystem<I extends Item> {
  root: I;
  /** Entries in the order of the disk, without `.` and `..`; throws a {@link VolumeError} where the rest cannot be read. */
  scan(directory: I): AsyncIterable<I>;
  /** Bytes within the size that the node says. */
  read(file: I, offset: number, length: number): Promise<Uint8Array>;
}

/** Entries that are remembered; a way that is not is walked anew. */
const REMEMBERED = 3 * MAX_ENTRIES;

export class Tree<I extends Item> implements FileTree {
  private readonly known = new Map<string, I>();

  constructor(private readonly system: FileSystem<I>) {}

  async list(path: string): Promise<FileListing> {
    const directory = await this.find(path);
    if (directory.node.kind !== 'directory') throw new VolumeError(`${path} is not a directory`);
    const entries: FileNode[] = [];
    if (this.known.size > REMEMBERED) this.known.clear();
    let incomplete = '';
    try {
      for await (const item of this.system.scan(directory)) {
        if (entries.length === MAX_ENTRIES) {
          incomplete = `Only the first ${MAX_ENTRIES} entries are shown`;
          break;
        }
        this.known.set(join(path, item.node.name), item);
        entries.push(item.node);
      }
    } catch (error) {
      if (!(error instanceof VolumeError)) throw error;
      incomplete = error.message;
    }
    return { entries, incomplete };
  }

  async stat(path: string): Promise<FileNode> {
    return (await this.find(path)).node;
  }

  async read(path: string, offset: number, length: number): Promise<Uint8Array> {
    const item = await this.find(path);
    const { kind, size } = item.node;
    if (kind !== 'file') throw new VolumeError(`${path} is not a regular file`);
    const end = Math.min(size, offset + Math.min(length, MAX_READ));
    return offset < 0 || end <= offset ? new Uint8Array(0) : this.system.read(item, offset, end - offset);
  }

  private async find(path: string): Promise<I> {
    if (path === '') return this.system.root;
    const known = this.known.get(path);
    if (known) return known;
    const cut = path.lastIndexOf('/');
    const parent = await this.find(cut < 0 ? '' : path.slice(0, cut));
    const name = path.slice(cut + 1);
    if (parent.node.kind === 'directory') {
      for await (const item of this.system.scan(parent)) {
        if (item.node.name !== name) continue;
        this.known.set(path, item);
        return item;
      }
    }
    throw new VolumeError(`There is no ${path}`);
  }
}

/** A name as a part of a path, in whole characters: no disk can make one lead elsewhere. */
export function safeName(name: string): string {
  return new TextDecoder()
    .decode(new TextEncoder().encode(name))
    .replaceAll('/', '\u2044')
    .replaceAll('\0', '\ufffd');
}

/** The root directory, whose own details nobody asks for. */
export function rootNode(): FileNode {
  return { name: '', kind: 'directory', size: 0, modified: null, mode: '' };
}

/** `rwxr-xr-x`. */
export function modeText(mode: number): string {
  const letters = 'rwxrwxrwx';
  return [...letters].map((letter, index) => ((mode >> (8 - index)) & 1 ? letter : '-')).join('');
}

/** The kind that the upper bits of a Unix mode say. */
export function kindOf(mode: number): FileNode['kind'] {
  const kinds: Record<number, FileNode['kind']> = { 4: 'directory', 8: 'file', 10: 'symlink' };
  return kinds[mode >> 12] ?? 'other';
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}/${name}`;
}
