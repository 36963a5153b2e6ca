/**
 * L2 tables of snapshots, for the overlap check that is only made on request: the L1 tables of snapshots are not kept in
 * memory. They are read once, into a filter of the clusters that hold such a table, and again where it says `perhaps`.
 */
import { be64 } from '../../../util/endian';
import { Qcow2Node } from '../image';
import { OFFSET_MASK } from '../layout';

/** Bits of the filter, a power of two. */
const FILTER_BITS: i64 = 1 << 17;
/** Bytes of an L1 table that are read at a time. */
const PIECE: i32 = 65536;

/** What a walk through the tables does. */
const enum Walk {
  /** Notes each in the filter. */
  NOTE = 0,
  /** Looks for one that a range crosses. */
  FIND = 1,
}

/** Whether a range crosses an L2 table of a snapshot. A table that cannot be read has none. */
export function inactiveTableCrosses(image: Qcow2Node, offset: i64, bytes: i64): bool {
  if (!image.snapshots) return false;
  if (!image.inactiveFilter) {
    image.inactiveFilter = heap.alloc(<usize>(FILTER_BITS >> 3));
    memory.fill(image.inactiveFilter, 0, <usize>(FILTER_BITS >> 3));
    walk(image, Walk.NOTE, 0, 0);
  }
  const last = (offset + bytes - 1) >> image.clusterBits;
  let i = offset >> image.clusterBits;
  let perhaps = last - i >= FILTER_BITS;
  for (; i <= last && !perhaps; i++) {
    const bit = i & (FILTER_BITS - 1);
    perhaps = ((load<u8>(image.inactiveFilter + <usize>(bit >> 3)) >> (<u8>(bit & 7))) & 1) !== 0;
  }
  return perhaps && walk(image, Walk.FIND, offset, bytes);
}

/** Forgets what is known of the tables; for when there are other snapshots. */
export function forgetInactive(image: Qcow2Node): void {
  if (image.inactiveFilter) heap.free(image.inactiveFilter);
  image.inactiveFilter = 0;
}

/** Goes through the L1 tables of all snapshots. Sound ones do not overlap, so no more is read than the file is long. */
function walk(image: Qcow2Node, task: i32, offset: i64, bytes: i64): bool {
  const piece = heap.alloc(PIECE);
  let budget = image.file.size();
  let found = false;
  for (let i = 0; i < image.snapshots && !found; i++) {
    const entry = image.snapshotTables + ((<usize>i) << 4);
    let at = load<i64>(entry);
    const end = at + load<i64>(entry, 8);
    while (at < end && budget > 0 && !found) {
      const n = <i32>min<i64>(end - at, PIECE);
      if (at < 0 || image.file.pread(at, n, piece) < 0) break;
      found = scan(image, task, piece, n, offset, bytes);
      at += n;
      budget -= n;
    }
  }
  heap.free(piece);
  return found;
}

/** One piece of an L1 table; answers whether a table was found that is looked for. */
function scan(image: Qcow2Node, task: i32, piece: usize, n: i32, offset: i64, bytes: i64): bool {
  for (let at = 0; at + 8 <= n; at += 8) {
    const table = <i64>(be64(piece + at) & OFFSET_MASK);
    if (!table) continue;
    if (task === Walk.FIND) {
      if (offset < table + image.clusterSize && table < offset + bytes) return true;
      continue;
    }
    // A table that is not aligned reaches into a second cluster.
    note(image, table);
    if (table & (image.clusterSize - 1)) note(image, table + image.clusterSize);
  }
  return false;
}

function note(image: Qcow2Node, table: i64): void {
  const bit = (table >> image.clusterBits) & (FILTER_BITS - 1);
  const byte = image.inactiveFilter + <usize>(bit >> 3);
  const mask = 1 << ((<i32>bit) & 7);
  store<u8>(byte, <u8>(load<u8>(byte) | (<u8>mask)));
}
