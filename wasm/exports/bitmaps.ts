/** The exports about dirty bitmaps; handles of bitmaps are small integers of their own. Offsets and sizes are bytes. */
import { BitmapFlag, Err, StoredFlag } from '../abi';
import {
  addBitmap,
  attachBitmap,
  bitmapAt,
  DirtyBitmap,
  MAX_GRANULARITY,
  MIN_GRANULARITY,
  releaseBitmap,
} from '../block/dirtybitmap';
import { BlockNode } from '../block/node';
import { nodeAt } from '../block/table';
import { AUTO, IN_USE } from '../format/qcow2/bitmaps/directory';
import { checkStorable, removeStored } from '../format/qcow2/bitmaps/persistent';
import { Qcow2Node } from '../format/qcow2/image';
import { clearError } from '../util/errors';

function enter(handle: i32): DirtyBitmap | null {
  clearError();
  return bitmapAt(handle);
}

/** Makes an empty bitmap of a node, enabled; `shift` is log2 of the granularity. `name` is UTF-8; no bytes: none. */
export function bitmapCreate(handle: i32, shift: i32, name: usize, nameBytes: i32): i32 {
  clearError();
  const node = nodeAt(handle);
  if (!node || shift < MIN_GRANULARITY || shift > MAX_GRANULARITY) return -Err.EINVAL;
  const bitmap = new DirtyBitmap(shift, node.size());
  const r = bitmap.open();
  if (r < 0) return r;
  bitmap.rename(name, nameBytes);
  attachBitmap(node, bitmap);
  return addBitmap(bitmap);
}

/** A bitmap of no node that holds what this one does; with `move` this one is empty afterwards. */
export function bitmapSave(handle: i32, move: i32): i32 {
  const bitmap = enter(handle);
  if (!bitmap) return -Err.EINVAL;
  const saved = new DirtyBitmap(bitmap.shift, bitmap.size);
  const r = saved.open();
  if (r < 0) return r;
  if (move) saved.bits.exchange(bitmap.bits);
  else saved.bits.add(bitmap.bits);
  return addBitmap(saved);
}

/** Lets two bitmaps of one granularity change what they hold. */
export function bitmapExchange(a: i32, b: i32): i32 {
  const one = enter(a);
  const other = bitmapAt(b);
  if (!one || !other || one.shift !== other.shift || one.size !== other.size) return -Err.EINVAL;
  one.bits.exchange(other.bits);
  return 0;
}

export function bitmapRelease(handle: i32): i32 {
  const bitmap = enter(handle);
  if (!bitmap) return -Err.EINVAL;
  releaseBitmap(bitmap);
  return 0;
}

/** The newest bitmap of a node; -1: it has none. */
export function bitmapFirst(handle: i32): i32 {
  clearError();
  const node = nodeAt(handle);
  const bitmap: DirtyBitmap | null = node ? node.dirty : null;
  return bitmap ? bitmap.handle : -1;
}

/** The next older one of the same node; -1: there is none. */
export function bitmapNext(handle: i32): i32 {
  const bitmap = bitmapAt(handle);
  const older: DirtyBitmap | null = bitmap ? bitmap.older : null;
  return older ? older.handle : -1;
}

/** {@link BitmapFlag}s. */
export function bitmapFlags(handle: i32): i32 {
  const bitmap = enter(handle);
  if (!bitmap) return -Err.EINVAL;
  let flags = 0;
  if (bitmap.enabled) flags |= BitmapFlag.ENABLED;
  if (bitmap.readOnly) flags |= BitmapFlag.READ_ONLY;
  if (bitmap.persistent) flags |= BitmapFlag.PERSISTENT;
  if (bitmap.inconsistent) flags |= BitmapFlag.INCONSISTENT;
  return flags;
}

/** Sets the {@link BitmapFlag}s of `mask` as `flags` says. */
export function bitmapSetFlags(handle: i32, mask: i32, flags: i32): i32 {
  const bitmap = enter(handle);
  if (!bitmap) return -Err.EINVAL;
  if (mask & BitmapFlag.ENABLED) bitmap.enabled = (flags & BitmapFlag.ENABLED) !== 0;
  if (mask & BitmapFlag.READ_ONLY) bitmap.readOnly = (flags & BitmapFlag.READ_ONLY) !== 0;
  if (mask & BitmapFlag.PERSISTENT) bitmap.persistent = (flags & BitmapFlag.PERSISTENT) !== 0;
  return 0;
}

export function bitmapShift(handle: i32): i32 {
  const bitmap = enter(handle);
  return bitmap ? bitmap.shift : -Err.EINVAL;
}

/** Address of the name, and its length; 0: it has none. */
export function bitmapName(handle: i32): usize {
  const bitmap = bitmapAt(handle);
  return bitmap ? bitmap.name : 0;
}

export function bitmapNameBytes(handle: i32): i32 {
  const bitmap = bitmapAt(handle);
  return bitmap ? bitmap.nameBytes : 0;
}

export function bitmapRename(handle: i32, name: usize, bytes: i32): i32 {
  const bitmap = enter(handle);
  if (!bitmap) return -Err.EINVAL;
  bitmap.rename(name, bytes);
  return 0;
}

/** The size of the disk. */
export function bitmapSize(handle: i32): f64 {
  const bitmap = enter(handle);
  return bitmap ? <f64>bitmap.size : -(<f64>Err.EINVAL);
}

/** How many bits are set. */
export function bitmapCount(handle: i32): f64 {
  const bitmap = enter(handle);
  return bitmap ? <f64>bitmap.bits.count : -(<f64>Err.EINVAL);
}

export function bitmapSet(handle: i32, offset: f64, bytes: f64): i32 {
  const bitmap = enter(handle);
  if (!bitmap || !(offset >= 0) || !(bytes >= 0)) return -Err.EINVAL;
  bitmap.set(<i64>offset, <i64>bytes);
  return 0;
}

export function bitmapReset(handle: i32, offset: f64, bytes: f64): i32 {
  const bitmap = enter(handle);
  if (!bitmap || !(offset >= 0) || !(bytes >= 0)) return -Err.EINVAL;
  bitmap.reset(<i64>offset, <i64>bytes);
  return 0;
}

/** The first dirty (or clean) byte of [offset, end); -1: there is none. */
export function bitmapFind(handle: i32, offset: f64, end: f64, dirty: i32): f64 {
  const bitmap = enter(handle);
  if (!bitmap || !(offset >= 0) || !(end >= 0)) return -(<f64>Err.EINVAL);
  return <f64>bitmap.next(<i64>offset, <i64>end, dirty !== 0);
}

export function bitmapMerge(target: i32, source: i32): i32 {
  const into = enter(target);
  const from = bitmapAt(source);
  if (!into || !from || into.size !== from.size) return -Err.EINVAL;
  into.merge(from);
  return 0;
}

/** Bytes that all bits take. */
export function bitmapBytes(handle: i32): f64 {
  const bitmap = enter(handle);
  return bitmap ? <f64>((bitmap.bits.length + 7) >> 3) : -(<f64>Err.EINVAL);
}

/** Writes a piece of the bits to memory: `first` is a byte of them. */
export function bitmapStore(handle: i32, first: f64, bytes: i32, to: usize): i32 {
  const bitmap = enter(handle);
  if (!bitmap || !(first >= 0) || bytes < 0) return -Err.EINVAL;
  bitmap.bits.store(<i64>first, bytes, to);
  return 0;
}

/** Takes a piece of the bits from memory. EINVAL: bits behind the end are set. */
export function bitmapLoad(handle: i32, first: f64, bytes: i32, from: usize): i32 {
  const bitmap = enter(handle);
  if (!bitmap || !(first >= 0) || bytes < 0) return -Err.EINVAL;
  return bitmap.bits.load(<i64>first, bytes, from);
}

function imageAt(handle: i32): Qcow2Node | null {
  clearError();
  const node = nodeAt(handle);
  return node && node instanceof Qcow2Node ? (node as Qcow2Node) : null;
}

/** Whether an image can keep one more bitmap; `shift` is log2 of the granularity. */
export function bitmapCheckStorable(handle: i32, shift: i32, nameBytes: i32): i32 {
  const image = imageAt(handle);
  return image ? checkStorable(image, shift, nameBytes) : -Err.ENOTSUP;
}

/** Takes a bitmap out of its image. */
export function bitmapRemoveStored(handle: i32): i32 {
  const bitmap = enter(handle);
  const node: BlockNode | null = bitmap ? bitmap.node : null;
  if (!bitmap || !node || !(node instanceof Qcow2Node)) return -Err.EINVAL;
  return removeStored(node as Qcow2Node, bitmap);
}

/** How many bitmaps the file of an image holds; -1: when it was opened it named some that did not count any more. */
export function storedBitmaps(handle: i32): i32 {
  const image = imageAt(handle);
  if (!image) return -Err.EINVAL;
  return image.staleBitmaps ? -1 : image.storedBitmaps.length;
}

/** Of one of them: {@link StoredFlag}s, and log2 of its granularity from bit 8 on. */
export function storedBitmap(handle: i32, index: i32): i32 {
  const image = imageAt(handle);
  if (!image || <u32>index >= <u32>image.storedBitmaps.length) return -Err.EINVAL;
  const stored = image.storedBitmaps[index];
  let flags = stored.shift << 8;
  if (stored.flags & IN_USE) flags |= StoredFlag.IN_USE;
  if (stored.flags & AUTO) flags |= StoredFlag.AUTO;
  return flags;
}

/** Address of its name, good until the next call about the image, and its length. */
export function storedName(handle: i32, index: i32): usize {
  const image = imageAt(handle);
  return image ? changetype<usize>(image.storedBitmaps[index].name) : 0;
}

export function storedNameBytes(handle: i32, index: i32): i32 {
  const image = imageAt(handle);
  return image ? image.storedBitmaps[index].name.length : 0;
}
