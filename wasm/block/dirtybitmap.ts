/**
 * Dirty bitmaps: which parts of a node were written. Each bit stands for `granularity` bytes; every write, zero write,
 * discard and compressed write that takes the request path of a node marks its range in the enabled bitmaps of the node.
 */
import { Err } from '../abi';
import { BitSet } from './bitset';
import { BlockNode } from './node';

/** log2 of the granularities there are: 512 bytes to 2 GiB. */
export const MIN_GRANULARITY: i32 = 9;
export const MAX_GRANULARITY: i32 = 31;

export class DirtyBitmap {
  handle: i32 = -1;
  /** null: it keeps what another bitmap held. */
  node: BlockNode | null = null;
  /** The bitmap of the node that was made before this one. */
  older: DirtyBitmap | null = null;
  enabled: bool = true;
  /** What it says could not be brought to the image: writes to the node fail. */
  readOnly: bool = false;
  /** Kept in the image under its name; see format/qcow2/bitmaps.ts. */
  persistent: bool = false;
  /** The image says that it was not kept up to date: it holds nothing. */
  inconsistent: bool = false;
  /** UTF-8; 0: it has no name. */
  name: usize = 0;
  nameBytes: i32 = 0;
  readonly bits: BitSet = new BitSet();

  constructor(
    /** log2 of the bytes a bit stands for. */
    readonly shift: i32,
    /** Bytes of the disk. */
    public size: i64,
  ) {}

  /** Takes the memory for its size: 0 or ENOMEM. */
  open(): i32 {
    return this.bits.resize(bitsFor(this.size, this.shift));
  }

  rename(name: usize, bytes: i32): void {
    if (this.name) heap.free(this.name);
    this.name = 0;
    this.nameBytes = bytes;
    if (!bytes) return;
    this.name = heap.alloc(bytes);
    memory.copy(this.name, name, bytes);
  }

  release(): void {
    this.bits.release();
    this.rename(0, 0);
  }

  /** Marks all that a range touches. */
  set(offset: i64, bytes: i64): void {
    if (bytes > 0) this.bits.change(offset >> this.shift, ((offset + bytes - 1) >> this.shift) + 1, true);
  }

  /** Clears what lies in a range as a whole; at the end of the disk a part counts as a whole. */
  reset(offset: i64, bytes: i64): void {
    const end = offset + bytes;
    const mask = ((<i64>1) << this.shift) - 1;
    const last = end >= this.size ? this.bits.length : end >> this.shift;
    this.bits.change((offset + mask) >> this.shift, last, false);
  }

  /** The first dirty (or clean) byte of [offset, end), or -1. */
  next(offset: i64, end: i64, dirty: bool): i64 {
    end = min(end, this.size);
    if (offset >= end) return -1;
    const found = this.bits.find(offset >> this.shift, ((end - 1) >> this.shift) + 1, dirty);
    return found < 0 ? -1 : max(offset, found << this.shift);
  }

  /** Marks all that is dirty in another bitmap of a disk of the same size. */
  merge(other: DirtyBitmap): void {
    if (other.shift === this.shift) {
      this.bits.add(other.bits);
      return;
    }
    let at = other.next(0, other.size, true);
    while (at >= 0) {
      const clean = other.next(at, other.size, false);
      const end = clean < 0 ? other.size : clean;
      this.set(at, end - at);
      at = other.next(end, other.size, true);
    }
  }

  /** Follows the size of the disk; what is new is clean. */
  resize(size: i64): i32 {
    const r = this.bits.resize(bitsFor(size, this.shift));
    if (r === 0) this.size = size;
    return r;
  }
}

/** Bits of a bitmap. */
export function bitsFor(size: i64, shift: i32): i64 {
  return (size + (((<i64>1) << shift) - 1)) >> shift;
}

const bitmaps: Array<DirtyBitmap | null> = [];

/** Enters a bitmap and answers its handle. */
export function addBitmap(bitmap: DirtyBitmap): i32 {
  let handle = bitmaps.indexOf(null);
  if (handle < 0) handle = bitmaps.push(bitmap) - 1;
  else bitmaps[handle] = bitmap;
  bitmap.handle = handle;
  return handle;
}

/** The bitmap of a handle; null: there is none. */
export function bitmapAt(handle: i32): DirtyBitmap | null {
  if (<u32>handle >= <u32>bitmaps.length) return null;
  return unchecked(bitmaps[handle]);
}

/** Makes a bitmap one of the node. */
export function attachBitmap(node: BlockNode, bitmap: DirtyBitmap): void {
  bitmap.node = node;
  bitmap.older = node.dirty;
  node.dirty = bitmap;
}

/** Takes a bitmap from its node and frees it. */
export function releaseBitmap(bitmap: DirtyBitmap): void {
  const node = bitmap.node;
  if (node) {
    let at = node.dirty;
    if (at === bitmap) {
      node.dirty = bitmap.older;
    } else {
      while (at && at.older !== bitmap) at = at.older;
      if (at) at.older = bitmap.older;
    }
  }
  bitmap.node = null;
  bitmap.older = null;
  bitmap.release();
  bitmaps[bitmap.handle] = null;
  bitmap.handle = -1;
}

/** Frees all bitmaps of a node. */
export function releaseBitmaps(node: BlockNode): void {
  for (let bitmap = node.dirty; bitmap; bitmap = node.dirty) releaseBitmap(bitmap);
}

/**
 * Before a range of a node is written: marks it. EPERM: a read-only bitmap could not follow. A range may pass the end of
 * a node that grows with it.
 */
export function touchBitmaps(node: BlockNode, offset: i64, bytes: i64): i32 {
  let bitmap = node.dirty;
  while (bitmap) {
    if (bitmap.readOnly) return -Err.EPERM;
    bitmap = bitmap.older;
  }
  bitmap = node.dirty;
  while (bitmap) {
    if (offset + bytes > bitmap.size) {
      const r = bitmap.resize(offset + bytes);
      if (r < 0) return r;
    }
    if (bitmap.enabled) bitmap.set(offset, bytes);
    bitmap = bitmap.older;
  }
  return 0;
}

/** Brings the bitmaps of a node to its size. */
export function fitBitmaps(node: BlockNode): void {
  const size = node.size();
  let bitmap = node.dirty;
  while (bitmap) {
    if (bitmap.size !== size) bitmap.resize(size);
    bitmap = bitmap.older;
  }
}

/** Whether the bitmaps of a node can follow a change of its size: 0 or a negative errno. */
export function canResizeBitmaps(node: BlockNode, size: i64): i32 {
  let bitmap = node.dirty;
  while (bitmap) {
    if (bitmap.readOnly || bitmap.inconsistent) return -Err.EPERM;
    if (!BitSet.fits(bitsFor(size, bitmap.shift))) return -Err.ENOMEM;
    bitmap = bitmap.older;
  }
  return 0;
}
