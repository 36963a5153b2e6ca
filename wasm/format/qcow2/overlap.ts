/**
 * Overlap checks: before anything is written, its target is compared with the image's metadata. Which kinds of it is an
 * option; by default those that are known without reading the image (the set that QEMU calls `cached`).
 */
import { Err, Overlap } from '../../abi';
import { be64 } from '../../util/endian';
import { TableCache } from '../../util/cache';
import { signalCorruption } from './corruption';
import { Qcow2Node } from './image';
import { inactiveTableCrosses } from './snapshots/inactive';
import { BITMAPS, OFFSET_MASK, REFTABLE_MASK } from './layout';

/** Kinds of metadata that a write is known to be; it does not conflict with itself. */
export const enum Meta {
  NONE = 0,
  HEADER = 1,
  ACTIVE_L1 = 2,
  ACTIVE_L2 = 4,
  REFTABLE = 8,
  REFBLOCK = 16,
  BITMAP_DIRECTORY = 256,
}

/** Bits of the filter, a power of two. */
const FILTER_BITS: i64 = 1 << 17;


@inline
function crosses(offset: i64, bytes: i64, start: i64, length: i64): bool {
  return length > 0 && offset < start + length && start < offset + bytes;
}

/** Notes that a cluster holds an L2 table or a refcount block. */
export function noteMetadata(image: Qcow2Node, offset: i64): void {
  if (!image.metadataFilter) return;
  const bit = (offset >> image.clusterBits) & (FILTER_BITS - 1);
  const at = image.metadataFilter + <usize>(bit >> 3);
  const mask = 1 << ((<i32>bit) & 7);
  store<u8>(at, <u8>(load<u8>(at) | (<u8>mask)));
}

/** Tables are many and writes too: a filter tells at once that a cluster holds no table. */
function makeFilter(image: Qcow2Node): void {
  const bytes = <usize>(FILTER_BITS >> 3);
  image.metadataFilter = heap.alloc(bytes);
  memory.fill(image.metadataFilter, 0, bytes);
  for (let i = 0; i < image.l1Size; i++) {
    const table = image.l2TableOffset(i);
    if (table) noteMetadata(image, table);
  }
  for (let i = 0; i < image.reftableUsed; i++) {
    const block = <i64>(be64(image.reftable + ((<usize>i) << 3)) & REFTABLE_MASK);
    if (block) noteMetadata(image, block);
  }
}

/** Whether a range may touch an L2 table or a refcount block. */
function mayHoldTable(image: Qcow2Node, offset: i64, bytes: i64): bool {
  if (!image.metadataFilter) makeFilter(image);
  const last = (offset + bytes - 1) >> image.clusterBits;
  let i = offset >> image.clusterBits;
  if (last - i >= FILTER_BITS) return true;
  for (; i <= last; i++) {
    const bit = i & (FILTER_BITS - 1);
    if ((load<u8>(image.metadataFilter + <usize>(bit >> 3)) >> (<u8>(bit & 7))) & 1) return true;
  }
  return false;
}

/** The name of the metadata that a range overlaps, of the kinds that are asked for; empty: none. */
function overlapped(image: Qcow2Node, kinds: i32, offset: i64, bytes: i64): string {
  const cluster: i64 = image.clusterSize;
  if (kinds & Overlap.HEADER && offset < cluster) return 'qcow2_header';
  if (kinds & Overlap.ACTIVE_L1 && crosses(offset, bytes, image.l1Offset, (<i64>image.l1Size) << 3)) {
    return 'active L1 table';
  }
  const tables = (kinds & (Overlap.ACTIVE_L2 | Overlap.REFBLOCK)) !== 0 && mayHoldTable(image, offset, bytes);
  if (tables && kinds & Overlap.ACTIVE_L2) {
    for (let i = 0; i < image.l1Size; i++) {
      const table = <i64>(image.l1Entry(i) & OFFSET_MASK);
      if (table && crosses(offset, bytes, table, cluster)) return 'active L2 table';
    }
  }
  if (
    kinds & Overlap.REFTABLE &&
    crosses(offset, bytes, image.reftableOffset, (<i64>image.reftableEntries) << 3)
  ) {
    return 'refcount table';
  }
  if (tables && kinds & Overlap.REFBLOCK) {
    for (let i = 0; i < image.reftableUsed; i++) {
      const block = <i64>(be64(image.reftable + ((<usize>i) << 3)) & REFTABLE_MASK);
      if (block && crosses(offset, bytes, block, cluster)) return 'refcount block';
    }
  }
  if (kinds & Overlap.SNAPSHOT_TABLE && crosses(offset, bytes, image.snapshotsOffset, image.snapshotsBytes)) {
    return 'snapshot table';
  }
  if (kinds & Overlap.INACTIVE_L1) {
    for (let i = 0; i < image.snapshots; i++) {
      const at = image.snapshotTables + ((<usize>i) << 4);
      if (crosses(offset, bytes, load<i64>(at), load<i64>(at, 8))) return 'inactive L1 table';
    }
  }
  if (kinds & Overlap.INACTIVE_L2 && inactiveTableCrosses(image, offset, bytes)) return 'inactive L2 table';
  if (kinds & Overlap.BITMAP_DIRECTORY && directoryCrosses(image, offset, bytes)) return 'bitmap directory';
  return '';
}

function directoryCrosses(image: Qcow2Node, offset: i64, bytes: i64): bool {
  const bitmaps = image.bitmaps;
  if (!bitmaps || !(image.autoclear & BITMAPS)) return false;
  return crosses(offset, bytes, <i64>be64(bitmaps.at + 16), <i64>be64(bitmaps.at + 8));
}

/**
 * Whether a range may be written: 0, or EIO after the corruption was signaled.
 * @param ignore {@link Meta} that the range is known to be
 */
export function checkWrite(image: Qcow2Node, ignore: i32, offset: i64, bytes: i64): i32 {
  if (bytes <= 0) return 0;
  const kinds = image.overlapCheck & ~ignore;
  if (!kinds) return 0;
  const name = overlapped(image, kinds, offset, bytes);
  if (!name.length) return 0;
  const message = `Preventing invalid write on metadata (overlaps with ${name})`;
  signalCorruption(image, true, offset, bytes, message);
  return -Err.EIO;
}

/** As {@link checkWrite}, for what a cache writes back. */
export function checkMetadataWrite(image: Qcow2Node, cache: TableCache, offset: i64, bytes: i32): i32 {
  return checkWrite(image, cache === image.l2Cache ? Meta.ACTIVE_L2 : Meta.REFBLOCK, offset, bytes);
}
