/**
 * Files of ext2, ext3 and ext4, by the kernel's documentation of their layout. Checksums are not verified, the journal is not
 * replayed: what is in it is said by the superblock's problem.
 */
import type { DiskSource } from '../../contract';
import { VolumeError, type FileNode } from '../contract';
import { Fields, readRecord } from '../source';
import { locate, type ExtMap } from './extblocks';
import { kindOf, modeText, rootNode, safeName, type FileSystem, type Item } from './tree';

const ROOT = 2;
const enum Incompat {
  COMPRESSION = 0x1,
  FILETYPE = 0x2,
  JOURNAL_DEVICE = 0x8,
  META_GROUPS = 0x10,
  WIDE = 0x80,
}
const SPARSE_SUPER = 0x1;
const SPARSE_SUPER_2 = 0x200;
const enum Flag {
  ENCRYPTED = 0x800,
  EXTENTS = 0x80000,
  INLINE = 0x10000000,
}
/** Bytes of an inode that pointers or inline data have. */
const MAP = 40;
const MAP_BYTES = 60;
/** Longest target of a symbolic link. */
const MAX_LINK = 4096;
/** Bytes of a directory that are looked at. */
const MAX_DIRECTORY = 2 ** 28;

interface ExtItem extends Item {
  inode: Fields;
}

export class Ext implements FileSystem<ExtItem> {
  private constructor(
    private readonly source: DiskSource,
    private readonly sb: Fields,
    private readonly blockSize: number,
    readonly root: ExtItem,
  ) {}

  static async open(source: DiskSource): Promise<Ext> {
    const sb = await readRecord(source, 1024, 1024);
    const shift = sb.u32(24);
    const incompat = sb.u32(96);
    if (sb.u16(56) !== 0xef53 || shift > 6 || sb.u32(40) === 0 || sb.u32(32) === 0)
      throw new VolumeError('The superblock is damaged');
    if (incompat & (Incompat.COMPRESSION | Incompat.JOURNAL_DEVICE))
      throw new VolumeError('It has a feature that is not understood');
    const size = inodeSize(sb);
    if (size < 128 || size > 1024 << shift || (size & (size - 1)) !== 0)
      throw new VolumeError('The superblock has an impossible size of inodes');
    const root: ExtItem = { node: rootNode(), inode: new Fields(new Uint8Array(size)) };
    const opened = new Ext(source, sb, 1024 << shift, root);
    root.inode = await opened.inode(ROOT);
    if (kindOf(root.inode.u16(0)) !== 'directory') throw new VolumeError('The root directory is damaged');
    return opened;
  }

  async *scan({ inode }: ExtItem): AsyncGenerator<ExtItem> {
    for await (const { number, name } of this.names(inode)) {
      if (name === '.' || name === '..') continue;
      yield await this.item(number, name);
    }
  }

  async read({ inode }: ExtItem, offset: number, length: number): Promise<Uint8Array> {
    if (inode.u32(32) & Flag.ENCRYPTED) throw new VolumeError('It is encrypted');
    return this.content(inode, offset, length);
  }

  private async item(number: number, name: string): Promise<ExtItem> {
    let inode: Fields;
    try {
      inode = await this.inode(number);
    } catch (error) {
      if (!(error instanceof VolumeError)) throw error;
      // The others of the directory can be shown nevertheless.
      inode = new Fields(new Uint8Array(inodeSize(this.sb)));
    }
    const mode = inode.u16(0);
    const kind = kindOf(mode);
    const node: FileNode = {
      name: safeName(name),
      kind,
      size: sizeOf(inode),
      modified: modified(inode),
      mode: modeText(mode),
    };
    if (kind === 'symlink') node.target = await this.target(inode);
    return { node, inode };
  }

  /** Where a symbolic link leads: in the inode if it is short. */
  private async target(inode: Fields): Promise<string> {
    const size = Math.min(sizeOf(inode), MAX_LINK);
    const flags = inode.u32(32);
    if (flags & Flag.ENCRYPTED) return '';
    if (size < MAP_BYTES && !(flags & (Flag.EXTENTS | Flag.INLINE))) return inode.text(MAP, size);
    const bytes = await this.content(inode, 0, size).catch((error: unknown) => {
      if (error instanceof VolumeError) return new Uint8Array(0);
      throw error;
    });
    return new Fields(bytes).text(0, bytes.length);
  }

  private async *names(inode: Fields): AsyncGenerator<{ number: number; name: string }> {
    if (inode.u32(32) & Flag.INLINE) {
      // Four bytes for the directory above, then entries; more of them in an attribute.
      yield* this.entries(inode.part(MAP + 4, MAP_BYTES - 4));
      yield* this.entries(new Fields(inlineRest(inode)));
      return;
    }
    const size = Math.min(sizeOf(inode), MAX_DIRECTORY);
    // Inner blocks of an indexed directory look like empty ones to those who read them in line.
    for (let at = 0; at < size; at += this.blockSize)
      yield* this.entries(new Fields(await this.content(inode, at, this.blockSize)));
  }

  private *entries(block: Fields): Generator<{ number: number; name: string }> {
    const typed = (this.sb.u32(96) & Incompat.FILETYPE) !== 0;
    for (let at = 0; at + 8 <= block.length;) {
      const told = block.u16(at + 4);
      // 64 KiB do not fit into the field.
      const length = (told === 0 || told === 0xffff) && block.length === 65536 ? 65536 : told;
      const name = typed ? block.u8(at + 6) : block.u16(at + 6);
      if (length < 8 || at + length > block.length || name + 8 > length)
        throw new VolumeError('The directory is damaged: the rest of it cannot be read');
      const number = block.u32(at);
      if (number !== 0 && name > 0) yield { number, name: block.text(at + 8, name) };
      at += length;
    }
  }

  /** Bytes of a file; holes, and space that was never written, are zeros. */
  private async content(inode: Fields, offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    if (inode.u32(32) & Flag.INLINE) {
      const inline = new Uint8Array(MAP_BYTES + inode.length);
      inline.set(inode.bytes.subarray(MAP, MAP + MAP_BYTES));
      inline.set(inlineRest(inode), MAP_BYTES);
      bytes.set(inline.subarray(offset, offset + length));
      return bytes;
    }
    const map: ExtMap = {
      blockSize: this.blockSize,
      root: inode.part(MAP, MAP_BYTES),
      extents: (inode.u32(32) & Flag.EXTENTS) !== 0,
      readBlock: (block) => this.block(block),
    };
    for (let done = 0; done < length;) {
      const block = Math.floor((offset + done) / this.blockSize);
      const within = offset + done - block * this.blockSize;
      const { physical, count } = await locate(map, block);
      const piece = Math.min(count * this.blockSize - within, length - done);
      if (physical !== null) {
        const at = physical * this.blockSize + within;
        if (at + piece > this.source.size) throw new VolumeError('It has blocks outside of the file system');
        bytes.set(await this.source.read(at, piece), done);
      }
      done += piece;
    }
    return bytes;
  }

  private async block(number: number): Promise<Fields> {
    if ((number + 1) * this.blockSize > this.source.size)
      throw new VolumeError('It has blocks outside of the file system');
    return readRecord(this.source, number * this.blockSize, this.blockSize);
  }

  private async inode(number: number): Promise<Fields> {
    const { sb, blockSize } = this;
    if (number < 1 || number > sb.u32(0)) throw new VolumeError(`There is no inode ${number}`);
    const group = Math.floor((number - 1) / sb.u32(40));
    const wide = (sb.u32(96) & Incompat.WIDE) !== 0;
    const descriptorSize = wide ? Math.max(64, Math.min(sb.u16(254), blockSize)) : 32;
    const descriptor = await readRecord(
      this.source,
      this.descriptorAt(group, descriptorSize),
      descriptorSize,
    );
    const table = descriptor.u32(8) + (wide ? descriptor.u32(40) * 2 ** 32 : 0);
    const size = inodeSize(sb);
    const at = table * blockSize + ((number - 1) % sb.u32(40)) * size;
    if (table === 0 || at + size > this.source.size) throw new VolumeError(`Inode ${number} cannot be read`);
    return readRecord(this.source, at, size);
  }

  /** The descriptors are in line behind the superblock, or those of later groups with these groups (META_BG). */
  private descriptorAt(group: number, size: number): number {
    const { sb, blockSize } = this;
    const first = sb.u32(20);
    const perBlock = Math.floor(blockSize / size);
    const meta = Math.floor(group / perBlock);
    if (!(sb.u32(96) & Incompat.META_GROUPS) || meta < sb.u32(260))
      return (first + 1 + meta) * blockSize + (group % perBlock) * size;
    const head = meta * perBlock;
    const block = first + head * sb.u32(32) + (hasSuperblock(sb, head) ? 1 : 0);
    return block * blockSize + (group % perBlock) * size;
  }
}

/** Whether a group begins with a copy of the superblock. */
function hasSuperblock(sb: Fields, group: number): boolean {
  if (group === 0) return true;
  if (sb.u32(92) & SPARSE_SUPER_2) return group === sb.u32(588) || group === sb.u32(592);
  if (!(sb.u32(100) & SPARSE_SUPER) || group === 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

function inodeSize(sb: Fields): number {
  return sb.u32(76) === 0 ? 128 : sb.u16(88);
}

function sizeOf(inode: Fields): number {
  return inode.u32(4) + (inode.u32(108) & 0x1fffff) * 2 ** 32;
}

function modified(inode: Fields): number | null {
  const seconds = inode.u32(16) | 0;
  const extra = inode.length > 140 && inode.u16(128) >= 12 ? inode.u32(136) & 3 : 0;
  return seconds === 0 && extra === 0 ? null : (seconds + extra * 2 ** 32) * 1000;
}

/** Inline data beyond the place of the pointers: the value of the attribute `system.data` in the inode. */
function inlineRest(inode: Fields): Uint8Array {
  if (inode.length <= 132) return new Uint8Array(0);
  const start = 128 + inode.u16(128);
  if (start + 4 > inode.length || inode.u32(start) !== 0xea020000) return new Uint8Array(0);
  const entries = inode.part(start + 4, inode.length - start - 4);
  for (let at = 0; at + 16 <= entries.length;) {
    const name = entries.u8(at);
    if (name === 0 && entries.u8(at + 1) === 0) break;
    if (entries.u8(at + 1) === 7 && name === 4 && entries.has(at + 16, 'data')) {
      const from = entries.u16(at + 2);
      return entries.bytes.subarray(from, from + entries.u32(at + 8));
    }
    at += 16 + ((name + 3) & ~3);
  }
  return new Uint8Array(0);
}
