/**
 * Files in memory: sparse, with holes that can be told from data, and with an optional quota. What the tests and the
 * bench run on, and a store for scratch images.
 */
import { Errno, FileError } from './contract';
import type { BlockFile, FileExtent, FileInfo, FileStore, OpenMode } from './contract';
import { localIdentity } from './identity';
import { compareNames, parsePath } from './path';
import type { Path } from './path';

/** Bytes of the unit in which space is taken and holes are told, as in the usual Linux file systems. */
const BLOCK = 4096;
/** Blocks of a slab; one bit of a 32-bit mask for each. */
const SLAB_BLOCKS = 32;
/** Bytes of a slab, the unit in which memory is taken. */
const SLAB = BLOCK * SLAB_BLOCKS;

/** Space in use, shared by all files of a store. */
interface Space {
  used: number;
  readonly limit: number;
}

/** A piece of a file. Blocks whose bit in `mask` is clear are holes; their bytes are zero. */
interface Slab {
  readonly bytes: Uint8Array;
  mask: number;
}

/** The contents of a file, apart from its names and its open handles. */
class Contents {
  readonly slabs = new Map<number, Slab>();
  size = 0;
  blocks = 0;
  modified = Date.now();

  constructor(private readonly space: Space) {}

  read(into: Uint8Array, at: number): number {
    const length = Math.min(into.length, this.size - at);
    if (length <= 0) return 0;
    for (let done = 0; done < length;) {
      const index = Math.floor((at + done) / SLAB);
      const start = at + done - index * SLAB;
      const count = Math.min(SLAB - start, length - done);
      const slab = this.slabs.get(index);
      if (slab) into.set(slab.bytes.subarray(start, start + count), done);
      else into.fill(0, done, done + count);
      done += count;
    }
    return length;
  }

  write(from: Uint8Array, at: number): void {
    if (from.length === 0) return;
    this.reserve(at, at + from.length);
    for (let done = 0; done < from.length;) {
      const index = Math.floor((at + done) / SLAB);
      const start = at + done - index * SLAB;
      const count = Math.min(SLAB - start, from.length - done);
      let slab = this.slabs.get(index);
      if (!slab) this.slabs.set(index, (slab = { bytes: new Uint8Array(SLAB), mask: 0 }));
      slab.bytes.set(count === from.length ? from : from.subarray(done, done + count), start);
      slab.mask |= blockMask(start, start + count);
      done += count;
    }
    this.size = Math.max(this.size, at + from.length);
    this.modified = Date.now();
  }

  /** Takes the space for a write of [from, to) before any byte of it is written, so that ENOSPC leaves the file as it was. */
  private reserve(from: number, to: number): void {
    let blocks = 0;
    for (let at = from; at < to;) {
      const index = Math.floor(at / SLAB);
      const end = Math.min(to, (index + 1) * SLAB);
      const wanted = blockMask(at - index * SLAB, end - index * SLAB);
      blocks += countBits(wanted & ~(this.slabs.get(index)?.mask ?? 0));
      at = end;
    }
    if (this.space.used + blocks * BLOCK > this.space.limit) throw new FileError(Errno.ENOSPC);
    this.space.used += blocks * BLOCK;
    this.blocks += blocks;
  }

  truncate(size: number): void {
    if (size < this.size) {
      const end = this.size;
      this.size = size;
      this.clear(size, Math.ceil(end / BLOCK) * BLOCK);
    }
    this.size = size;
    this.modified = Date.now();
  }

  punch(at: number, bytes: number): void {
    const end = Math.min(at + bytes, this.size);
    // The block that the file ends in goes as a whole when nothing of it is left.
    this.clear(at, end === this.size ? Math.ceil(end / BLOCK) * BLOCK : end);
    this.modified = Date.now();
  }

  /** Makes [from, to) zero and gives back the blocks that lie in it as a whole. */
  private clear(from: number, to: number): void {
    if (to <= from) return;
    const first = Math.floor(from / SLAB);
    const last = Math.floor((to - 1) / SLAB);
    // A hole of terabytes costs no more than the slabs there are.
    const indices = last - first < this.slabs.size ? range(first, last) : [...this.slabs.keys()];
    for (const index of indices) {
      if (index < first || index > last) continue;
      const slab = this.slabs.get(index);
      if (!slab) continue;
      const start = Math.max(from - index * SLAB, 0);
      const end = Math.min(to - index * SLAB, SLAB);
      slab.bytes.fill(0, start, end);
      const whole = blockMask(Math.ceil(start / BLOCK) * BLOCK, Math.floor(end / BLOCK) * BLOCK);
      this.free(slab.mask & whole);
      slab.mask &= ~whole;
      if (slab.mask === 0) this.slabs.delete(index);
    }
  }

  private free(mask: number): void {
    const blocks = countBits(mask);
    this.space.used -= blocks * BLOCK;
    this.blocks -= blocks;
  }

  /** Gives all space back, when the last name and the last handle are gone. */
  dispose(): void {
    for (const slab of this.slabs.values()) this.free(slab.mask);
    this.slabs.clear();
  }

  extent(at: number): FileExtent {
    const data = this.isData(at);
    let end = (Math.floor(at / BLOCK) + 1) * BLOCK;
    while (end < this.size) {
      const index = Math.floor(end / SLAB);
      const slab = this.slabs.get(index);
      if (!slab) {
        if (data) break;
        end = this.nextSlab(index) * SLAB;
        continue;
      }
      const bit = slab.mask & (1 << ((end - index * SLAB) / BLOCK));
      if ((bit !== 0) !== data) break;
      end += BLOCK;
    }
    return { data, bytes: Math.min(end, this.size) - at };
  }

  private isData(at: number): boolean {
    const index = Math.floor(at / SLAB);
    const mask = this.slabs.get(index)?.mask ?? 0;
    return (mask & (1 << Math.floor((at - index * SLAB) / BLOCK))) !== 0;
  }

  /** The index of the first slab after the absent one at `index`; behind the end of the file if there is none. */
  private nextSlab(index: number): number {
    const end = Math.ceil(this.size / SLAB);
    if (end - index > this.slabs.size) {
      let next = end;
      for (const key of this.slabs.keys()) if (key > index && key < next) next = key;
      return next;
    }
    let next = index + 1;
    while (next < end && !this.slabs.has(next)) next++;
    return next;
  }
}

/** The bits of the blocks that [start, end) of a slab touches; 0 when it is empty. */
function blockMask(start: number, end: number): number {
  const count = Math.ceil(end / BLOCK) - Math.floor(start / BLOCK);
  if (count <= 0) return 0;
  return (count === SLAB_BLOCKS ? -1 : (1 << count) - 1) << Math.floor(start / BLOCK);
}

function countBits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}

function* range(first: number, last: number): Generator<number> {
  for (let index = first; index <= last; index++) yield index;
}

/** A file of the tree; it lives until it has neither a name nor an open handle. */
class FileNode {
  readonly kind = 'file';
  readonly id = nextId();
  readonly contents: Contents;
  handles = 0;
  linked = true;

  constructor(space: Space) {
    this.contents = new Contents(space);
  }

  unlink(): void {
    this.linked = false;
    this.disposeIfUnused();
  }

  disposeIfUnused(): void {
    if (!this.linked && this.handles === 0) this.contents.dispose();
  }
}

class DirectoryNode {
  readonly kind = 'directory';
  readonly id = nextId();
  readonly entries = new Map<string, FileNode | DirectoryNode>();
}

let lastId = 0;
/** Numbers are never used twice in a realm, so that the files of all its stores have names of their own. */
function nextId(): number {
  return ++lastId;
}

/** A file of a {@link MemoryStore}, open. Writes are all or nothing: ENOSPC leaves the file as it was. */
export class MemoryFile implements BlockFile {
  private open = true;

  /** @internal Made by {@link MemoryStore.open}. */
  constructor(
    private readonly node: FileNode,
    readonly readOnly: boolean,
  ) {
    node.handles++;
  }

  read(into: Uint8Array, at: number): number {
    return this.contents().read(into, at);
  }

  write(from: Uint8Array, at: number): void {
    this.writable().write(from, at);
  }

  flush(): void {
    this.contents();
  }

  truncate(size: number): void {
    this.writable().truncate(size);
  }

  size(): number {
    return this.contents().size;
  }

  allocated(): number {
    return this.contents().blocks * BLOCK;
  }

  extent(at: number): FileExtent {
    return this.contents().extent(at);
  }

  punch(at: number, bytes: number): boolean {
    this.writable().punch(at, bytes);
    return true;
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.node.handles--;
    this.node.disposeIfUnused();
  }

  private contents(): Contents {
    if (!this.open) throw new FileError(Errno.EBADF);
    return this.node.contents;
  }

  private writable(): Contents {
    if (this.readOnly) throw new FileError(Errno.EACCES);
    return this.contents();
  }
}

/** Options of a {@link MemoryStore}. */
export interface MemoryStoreOptions {
  /** Bytes of storage that all files together may take, in blocks of 4096; a write beyond fails with ENOSPC. Default: no limit. */
  quota?: number;
}

/** A tree of files in memory. As on Linux, an open file can be removed and renamed; its space is freed with its last handle. */
export class MemoryStore implements FileStore {
  private readonly root = new DirectoryNode();
  private readonly space: Space;

  constructor(options: MemoryStoreOptions = {}) {
    this.space = { used: 0, limit: options.quota ?? Infinity };
  }

  /** Bytes of storage that all files take, those without a name but still open included. */
  get used(): number {
    return this.space.used;
  }

  async open(path: string, mode: OpenMode): Promise<MemoryFile> {
    return this.openSync(path, mode);
  }

  /** {@link FileStore.open}, at once. */
  openSync(path: string, mode: OpenMode): MemoryFile {
    const parsed = parsePath(path);
    const create = mode.create === 'truncate' || mode.create === 'keep';
    if (create && !mode.write) throw new FileError(Errno.EINVAL);
    let node = this.find(parsed.names);
    if (node?.kind === 'directory') throw new FileError(Errno.EISDIR);
    if (parsed.directory) throw new FileError(node ? Errno.ENOTDIR : create ? Errno.EISDIR : Errno.ENOENT);
    if (!node) {
      if (!create) throw new FileError(Errno.ENOENT);
      const { directory, name } = this.parent(parsed);
      directory.entries.set(name, (node = new FileNode(this.space)));
    } else if (mode.create === 'truncate') {
      node.contents.truncate(0);
    }
    return new MemoryFile(node, !mode.write);
  }

  async info(path: string): Promise<FileInfo> {
    const parsed = parsePath(path);
    return describe(parsed.names[parsed.names.length - 1] ?? '/', this.get(parsed));
  }

  async list(directory: string): Promise<FileInfo[]> {
    const node = this.get(parsePath(directory));
    if (node.kind === 'file') throw new FileError(Errno.ENOTDIR);
    return [...node.entries].map(([name, entry]) => describe(name, entry)).sort(compareNames);
  }

  async remove(path: string, options: { recursive?: boolean } = {}): Promise<void> {
    const parsed = parsePath(path);
    const node = this.get(parsed);
    const { directory, name } = this.parent(parsed);
    if (node.kind === 'directory' && node.entries.size > 0 && !options.recursive)
      throw new FileError(Errno.ENOTEMPTY);
    directory.entries.delete(name);
    unlinkAll(node);
  }

  async rename(from: string, to: string): Promise<void> {
    const source = parsePath(from);
    const target = parsePath(to);
    const node = this.get(source);
    const old = this.parent(source);
    const renamed = this.parent(target);
    const existing = renamed.directory.entries.get(renamed.name);
    if (existing === node) return;
    if (node.kind === 'directory') {
      if (source.names.every((name, index) => target.names[index] === name))
        throw new FileError(Errno.EINVAL);
      if (existing?.kind === 'file') throw new FileError(Errno.ENOTDIR);
      if (existing && existing.entries.size > 0) throw new FileError(Errno.ENOTEMPTY);
    } else {
      if (existing?.kind === 'directory') throw new FileError(Errno.EISDIR);
      if (target.directory) throw new FileError(Errno.ENOTDIR);
    }
    old.directory.entries.delete(old.name);
    renamed.directory.entries.set(renamed.name, node);
    if (existing) unlinkAll(existing);
  }

  async makeDirectory(path: string): Promise<void> {
    const parsed = parsePath(path);
    if (this.find(parsed.names)) throw new FileError(Errno.EEXIST);
    const { directory, name } = this.parent(parsed);
    directory.entries.set(name, new DirectoryNode());
  }

  async identity(path: string): Promise<string> {
    return localIdentity('memory', this.get(parsePath(path)).id);
  }

  private get(path: Path): FileNode | DirectoryNode {
    const node = this.find(path.names);
    if (!node) throw new FileError(Errno.ENOENT);
    if (path.directory && node.kind === 'file') throw new FileError(Errno.ENOTDIR);
    return node;
  }

  private find(names: readonly string[]): FileNode | DirectoryNode | undefined {
    let node: FileNode | DirectoryNode = this.root;
    for (const name of names) {
      if (node.kind === 'file') throw new FileError(Errno.ENOTDIR);
      const next = node.entries.get(name);
      if (!next) return undefined;
      node = next;
    }
    return node;
  }

  private parent(path: Path): { directory: DirectoryNode; name: string } {
    const name = path.names[path.names.length - 1];
    if (name === undefined) throw new FileError(Errno.EBUSY);
    const directory = this.find(path.names.slice(0, -1));
    if (!directory) throw new FileError(Errno.ENOENT);
    if (directory.kind === 'file') throw new FileError(Errno.ENOTDIR);
    return { directory, name };
  }
}

function describe(name: string, node: FileNode | DirectoryNode): FileInfo {
  if (node.kind === 'directory') return { name, kind: 'directory', size: 0 };
  const { size, blocks, modified } = node.contents;
  return { name, kind: 'file', size, allocated: blocks * BLOCK, modified };
}

function unlinkAll(node: FileNode | DirectoryNode): void {
  if (node.kind === 'file') return node.unlink();
  for (const entry of node.entries.values()) unlinkAll(entry);
}
