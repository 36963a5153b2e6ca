/** Address translation: guest offset -> place, by the L1 and L2 tables. */
import { Err } from '../../../abi';
import { mapped, Place } from '../../../block/mapped';
import { be64 } from '../../../util/endian';
import { hash } from '../../../util/errors';
import { signalCorruption } from '../corruption';
import { checkExternalEntry } from '../data/datafile';
import { Qcow2Node } from '../image';
import { COMPRESSED, OFFSET_MASK, ZERO } from '../layout';
import { translateExtended } from './subclusters';

/** Index in the L1 table of a guest offset. */
@inline
export function l1IndexOf(image: Qcow2Node, offset: i64): i32 {
  return <i32>(offset >> (image.clusterBits + image.l2Bits));
}

/** Index in its L2 table of a guest offset. */
@inline
export function l2IndexOf(image: Qcow2Node, offset: i64): i32 {
  return (<i32>(offset >> image.clusterBits)) & ((1 << image.l2Bits) - 1);
}

/** The place that an L2 entry says. */
@inline
export function placeOf(image: Qcow2Node, entry: u64): i32 {
  if (entry & COMPRESSED) return Place.COMPRESSED;
  if (entry & ZERO) return entry & OFFSET_MASK ? Place.ZERO_AT : Place.ZERO;
  return entry & image.presentMask ? Place.DATA : Place.UNALLOCATED;
}

/** Bytes from a guest offset to the end of what its L2 table maps. */
@inline
export function bytesInTable(image: Qcow2Node, offset: i64): i64 {
  const span: i64 = (<i64>1) << (image.clusterBits + image.l2Bits);
  return span - (offset & (span - 1));
}

/** Checks the offset of an L2 table that an L1 entry gave. */
@inline
export function checkTableOffset(image: Qcow2Node, table: i64, l1Index: i32): i32 {
  if (!(table & (image.clusterSize - 1))) return 0;
  return badTableOffset(image, table, l1Index);
}

function badTableOffset(image: Qcow2Node, table: i64, l1Index: i32): i32 {
  const message = `L2 table offset ${hash(table)} unaligned (L1 index: ${hash(l1Index)})`;
  signalCorruption(image, true, -1, -1, message);
  return -Err.EIO;
}

/** Address of the slice of a table that holds entry `l2Index`; 0: see the cache's `error`. */
@inline
export function loadSlice(image: Qcow2Node, table: i64, l2Index: i32): usize {
  return image.l2.get(sliceOffset(image, table, l2Index));
}

/** Where in the file that slice is. */
@inline
export function sliceOffset(image: Qcow2Node, table: i64, l2Index: i32): i64 {
  return table + ((<i64>(l2Index >> image.sliceBits)) << (image.sliceBits + image.entryShift));
}

/** The place of a prefix of a range (block/mapped.ts), or a negative errno. */
export function translate(image: Qcow2Node, offset: i64, bytes: i64): i32 {
  const l1Index = l1IndexOf(image, offset);
  const table = l1Index < image.l1Size ? image.l2TableOffset(l1Index) : 0;
  if (!table) return mapped(Place.UNALLOCATED, 0, min(bytes, bytesInTable(image, offset)));
  let r = checkTableOffset(image, table, l1Index);
  if (r < 0) return r;

  const l2Index = l2IndexOf(image, offset);
  const slice = loadSlice(image, table, l2Index);
  if (!slice) return image.l2.error;
  let index = l2Index & ((1 << image.sliceBits) - 1);
  if (image.extended) return translateExtended(image, slice, index, table, l2Index, offset, bytes);
  const inside = offset & (image.clusterSize - 1);
  const entry = be64(slice + ((<usize>index) << 3));
  const place = placeOf(image, entry);
  const first: i64 = image.clusterSize - inside;
  if (image.external) {
    r = checkExternalEntry(image, entry, offset - inside, table, l2Index);
    if (r < 0) return r;
  }
  if (place === Place.COMPRESSED) return mapped(place, <i64>entry, min(bytes, first));

  const host = <i64>(entry & OFFSET_MASK);
  r = checkEntry(image, entry, host, table, l2Index);
  if (r < 0) return r;

  let n = first;
  const end = 1 << image.sliceBits;
  if (place === Place.DATA || place === Place.ZERO_AT) {
    let next = host + image.clusterSize;
    while (n < bytes && ++index < end) {
      const e = be64(slice + ((<usize>index) << 3));
      if (placeOf(image, e) !== place || <i64>(e & OFFSET_MASK) !== next) break;
      n += image.clusterSize;
      next += image.clusterSize;
    }
  } else {
    while (n < bytes && ++index < end) {
      if (placeOf(image, be64(slice + ((<usize>index) << 3))) !== place) break;
      n += image.clusterSize;
    }
  }
  return mapped(place, host + inside, min(bytes, n));
}

/** Signals what makes an L2 entry impossible. */
@inline
export function checkEntry(image: Qcow2Node, entry: u64, host: i64, table: i64, l2Index: i32): i32 {
  if (!(host & (image.clusterSize - 1)) && (!(entry & ZERO) || image.version >= 3)) return 0;
  return badEntry(image, entry, host, table, l2Index);
}

function badEntry(image: Qcow2Node, entry: u64, host: i64, table: i64, l2Index: i32): i32 {
  const where = `L2 offset: ${hash(table)}, L2 index: ${hash(l2Index)})`;
  if (entry & ZERO && image.version < 3) {
    signalCorruption(image, true, -1, -1, 'Zero cluster entry found in pre-v3 image (' + where);
  } else {
    signalCorruption(image, true, -1, -1, `Cluster allocation offset ${hash(host)} unaligned (` + where);
  }
  return -Err.EIO;
}
