/**
 * Extended L2 entries: 16 bytes for each cluster, the second half of which says of each of its 32 subclusters whether
 * it is allocated and whether it reads as zeros. Bitmaps are handled as a whole; there is no loop over subclusters.
 */
import { Err } from '../../../abi';
import { mapped, Place } from '../../../block/mapped';
import { be64, putBe64 } from '../../../util/endian';
import { hash } from '../../../util/errors';
import { signalCorruption } from '../corruption';
import { checkExternalEntry, isRaw } from '../data/datafile';
import { Qcow2Node } from '../image';
import { COMPRESSED, OFFSET_MASK } from '../layout';
import { writableTable } from './tables';
import { checkEntry, l1IndexOf, l2IndexOf, loadSlice, sliceOffset } from './translate';

/** Subclusters of a cluster, and log2 of that. */
const SUBCLUSTERS: i32 = 32;
export const SUBCLUSTER_BITS: i32 = 5;
/** The bitmap of a cluster that reads as zeros. */
export const ALL_ZERO: u64 = 0xffffffff00000000;

/** Low half of a bitmap: is allocated. */
@inline
function allocated(bitmap: u64): u32 {
  return <u32>bitmap;
}

/** High half: reads as zeros. */
@inline
function zeroed(bitmap: u64): u32 {
  return <u32>(bitmap >> 32);
}

/** Bits [from, to) of a half of a bitmap, as far as there are such. */
@inline
function bits(from: i32, to: i32): u32 {
  from = max(from, 0);
  to = min(to, SUBCLUSTERS);
  return from >= to ? 0 : <u32>((((<u64>1) << to) - 1) & ~(((<u64>1) << from) - 1));
}

/** Whether a bitmap can be: nothing is allocated and zero at once, or allocated without a cluster. */
@inline
export function validBitmap(image: Qcow2Node, entry: u64, bitmap: u64): bool {
  if (entry & COMPRESSED) return true;
  return !(allocated(bitmap) & (entry & image.presentMask ? zeroed(bitmap) : u32.MAX_VALUE));
}

/** Signals an impossible bitmap; `gap` is what stands before the bracket. */
export function badBitmap(image: Qcow2Node, table: i64, l2Index: i32, gap: string): i32 {
  const where = `(L2 offset: ${hash(table)}, L2 index: ${hash(l2Index)})`;
  signalCorruption(image, true, -1, -1, `Invalid cluster entry found${gap}${where}`);
  return -Err.EIO;
}

/** The place of subcluster `index` by a valid entry that is not compressed. */
@inline
function placeAt(there: bool, bitmap: u64, index: i32): i32 {
  if ((zeroed(bitmap) >> index) & 1) return there ? Place.ZERO_AT : Place.ZERO;
  if ((allocated(bitmap) >> index) & 1) return Place.DATA;
  return there ? Place.UNALLOCATED_AT : Place.UNALLOCATED;
}

/** How many subclusters from `index` on are at such a place. */
@inline
function runAt(place: i32, bitmap: u64, index: i32): i32 {
  const zero = zeroed(bitmap);
  const data = allocated(bitmap);
  let same: u32;
  if (place === Place.DATA) same = data;
  else if (place === Place.ZERO || place === Place.ZERO_AT) same = zero;
  else same = ~(zero | data);
  return min<i32>(<i32>ctz<u32>(~(same >> index)), SUBCLUSTERS - index);
}

/**
 * The place of a prefix of a range (block/mapped.ts) by the entries of a slice, or a negative errno.
 * @param index of the first entry, in the slice
 */
export function translateExtended(
  image: Qcow2Node,
  slice: usize,
  index: i32,
  table: i64,
  l2Index: i32,
  offset: i64,
  bytes: i64,
): i32 {
  let at = slice + ((<usize>index) << 4);
  const size: i64 = image.clusterSize;
  const inside = offset & (size - 1);
  const entry = be64(at);
  if (image.external) {
    const r = checkExternalEntry(image, entry, offset - inside, table, l2Index);
    if (r < 0) return r;
  }
  if (entry & COMPRESSED) return mapped(Place.COMPRESSED, <i64>entry, min(bytes, size - inside));
  const bitmap = be64(at + 8);
  const host = <i64>(entry & OFFSET_MASK);
  if (!validBitmap(image, entry, bitmap)) return badBitmap(image, table, l2Index, '  ');
  const r = checkEntry(image, entry, host, table, l2Index);
  if (r < 0) return r;
  const there = (entry & image.presentMask) !== 0;
  const first = <i32>(inside >> image.subclusterBits);
  const place = placeAt(there, bitmap, first);
  let run = first + runAt(place, bitmap, first);
  let n = ((<i64>run) << image.subclusterBits) - inside;
  const end = 1 << image.sliceBits;
  let next = there ? host + size : 0;
  // Into the clusters behind, as long as one goes on in the next.
  while (run === SUBCLUSTERS && n < bytes && ++index < end) {
    at += 16;
    const e = be64(at);
    const b = be64(at + 8);
    l2Index++;
    if (!validBitmap(image, e, b)) return badBitmap(image, table, l2Index, '  ');
    if (e & COMPRESSED || <i64>(e & OFFSET_MASK) !== next || ((e & image.presentMask) !== 0) !== there) break;
    if (placeAt(there, b, 0) !== place) break;
    run = runAt(place, b, 0);
    n += (<i64>run) << image.subclusterBits;
    if (there) next += size;
  }
  return mapped(place, host + inside, min(bytes, n));
}

/** Whether all of the subclusters that bytes [from, to) of a run of clusters touch are allocated. */
export function allAllocated(image: Qcow2Node, at: usize, n: i32, from: i64, to: i64): bool {
  const first = <i32>(from >> image.subclusterBits);
  const end = <i32>((to - 1) >> image.subclusterBits) + 1;
  for (let i = 0; i < n; i++) {
    const wanted = bits(first - (i << SUBCLUSTER_BITS), end - (i << SUBCLUSTER_BITS));
    if (wanted & ~allocated(be64(at + ((<usize>i) << 4) + 8))) return false;
  }
  return true;
}

/**
 * Where in its cluster what is copied on a write begins, in bytes: at the subcluster that the write begins in; before
 * that in a cluster that becomes a new one.
 * @param inside where the write begins
 */
export function copyStart(image: Qcow2Node, at: usize, inside: i32, own: bool): i32 {
  const entry = be64(at);
  const first = inside >> image.subclusterBits;
  if (own && (allocated(be64(at + 8)) >> first) & 1) return inside;
  if (!own && entry & COMPRESSED) return 0;
  const oldest = own ? first : <i32>ctz<u32>(allocated(be64(at + 8)));
  return min(first, oldest) << image.subclusterBits;
}

/** Where it ends; `inside` is the end of the write, > 0. */
export function copyEnd(image: Qcow2Node, at: usize, inside: i32, own: bool): i32 {
  const entry = be64(at);
  const last = (inside - 1) >> image.subclusterBits;
  if (own && (allocated(be64(at + 8)) >> last) & 1) return inside;
  if (!own && entry & COMPRESSED) return image.clusterSize;
  const newest = own ? last : SUBCLUSTERS - 1 - <i32>clz<u32>(allocated(be64(at + 8)));
  return (max(last, newest) + 1) << image.subclusterBits;
}

/** The bitmap of an entry after subclusters [from, to) were written. */
@inline
export function bitmapWith(entry: u64, bitmap: u64, from: i32, to: i32): u64 {
  // That of a compressed cluster means nothing.
  if (entry & COMPRESSED) bitmap = 0;
  const mask: u64 = bits(from, to);
  return (bitmap | mask) & ~(mask << 32);
}

/**
 * Makes subclusters of one cluster read as zeros; its place is kept. ENOTSUP: it is compressed.
 * @param start bytes, as `end` a multiple of a subcluster
 */
export function zeroSubclusters(image: Qcow2Node, start: i64, end: i64): i32 {
  const l1Index = l1IndexOf(image, start);
  if (l1Index >= image.l1Size) return -Err.EIO;
  const table = writableTable(image, l1Index);
  if (table < 0) return <i32>table;
  const l2Index = l2IndexOf(image, start);
  const slice = loadSlice(image, table, l2Index);
  if (!slice) return image.l2.error;
  const index = l2Index & ((1 << image.sliceBits) - 1);
  const at = slice + ((<usize>index) << 4);
  const entry = be64(at);
  if (entry & COMPRESSED) return -Err.ENOTSUP;
  const bitmap = be64(at + 8);
  const inside = start & (image.clusterSize - 1);
  const first = <i32>(inside >> image.subclusterBits);
  const mask: u64 = bits(first, first + <i32>((end - start) >> image.subclusterBits));
  const next = (bitmap | (mask << 32)) & ~mask;
  if (next === bitmap) return 0;
  if (image.external && isRaw(image) && entry & image.presentMask) {
    // Behind the end of the disk only what is there.
    const stop = min(end, max(image.length, image.external!.size()));
    const r = image.external!.pzero(start, stop - start, 0);
    if (r < 0) return r;
  }
  putBe64(at + 8, next);
  image.l2.touch(sliceOffset(image, table, l2Index), index << 4, (index + 1) << 4);
  return 0;
}
