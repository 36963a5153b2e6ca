/** Zero writes and discards of whole clusters: changes of L2 entries, and clusters given back. */
import { Err } from '../../../abi';
import { be64, putBe64 } from '../../../util/endian';
import { freeEntry } from '../refcounts/allocate';
import { dropData, isRaw, zeroRawData } from './datafile';
import { freeLater } from '../refcounts/deferred';
import { Qcow2Node } from '../image';
import { COMPRESSED, COPIED, OFFSET_MASK, ZERO } from '../layout';
import { checkWrite, Meta } from '../overlap';
import { ALL_ZERO, zeroSubclusters } from '../mapping/subclusters';
import { writableTable } from '../mapping/tables';
import {
  bytesInTable,
  checkTableOffset,
  l1IndexOf,
  l2IndexOf,
  loadSlice,
  sliceOffset,
} from '../mapping/translate';

/** What becomes of the entries. */
const enum Change {
  /** Zero, places are kept. */
  ZERO = 0,
  /** Zero, places are given back. */
  ZERO_UNMAP = 1,
  DISCARD = 2,
  /** As if never written: the backing node shows through. */
  FORGET = 3,
}

/** Makes clusters [start, end) read as zeros. ENOTSUP where the version knows no zero clusters. */
function zeroClusters(image: Qcow2Node, start: i64, end: i64, unmap: bool): i32 {
  if (image.version < 3) return image.backing ? -Err.ENOTSUP : discardClusters(image, start, end, false);
  return changeClusters(image, start, end, unmap ? Change.ZERO_UNMAP : Change.ZERO);
}

/** The same for a range of whole subclusters where the image has such; what reaches the end of the disk is whole. */
export function zeroRange(image: Qcow2Node, start: i64, end: i64, unmap: bool): i32 {
  const mask: i64 = image.clusterSize - 1;
  if (end >= image.length && !(start & mask)) end = (end + mask) & ~mask;
  const from = (start + mask) & ~mask;
  if (end <= from && (start & mask || end & mask)) return zeroSubclusters(image, start, end);
  let r = start < from ? zeroSubclusters(image, start, from) : 0;
  if (r === 0) r = zeroClusters(image, from, end & ~mask, unmap);
  return r === 0 && end & mask ? zeroSubclusters(image, end & ~mask, end) : r;
}

/**
 * Gives back clusters [start, end); they read as zeros then.
 * @param forget they read as if never written
 */
export function discardClusters(image: Qcow2Node, start: i64, end: i64, forget: bool): i32 {
  if (forget) return changeClusters(image, start, end, Change.FORGET);
  if (image.version < 3 && image.backing) return -Err.ENOTSUP;
  return changeClusters(image, start, end, Change.DISCARD);
}

function changeClusters(image: Qcow2Node, start: i64, end: i64, change: i32): i32 {
  while (start < end) {
    const l1Index = l1IndexOf(image, start);
    if (l1Index >= image.l1Size) return change === Change.FORGET ? 0 : -Err.EIO;
    const n = min(end - start, bytesInTable(image, start));
    const needed = change <= Change.ZERO_UNMAP || (change === Change.DISCARD && image.backing !== null);
    if (image.l2TableOffset(l1Index) || needed) {
      const r = changeInTable(image, l1Index, start, start + n, change);
      if (r < 0) return r;
    }
    start += n;
  }
  return 0;
}

/** The same within one L2 table. */
function changeInTable(image: Qcow2Node, l1Index: i32, start: i64, end: i64, change: i32): i32 {
  const old = image.l2TableOffset(l1Index);
  if (old) {
    const r = checkTableOffset(image, old, l1Index);
    if (r < 0) return r;
  }
  const table = writableTable(image, l1Index);
  if (table < 0) return <i32>table;
  while (start < end) {
    const l2Index = l2IndexOf(image, start);
    const first = l2Index & ((1 << image.sliceBits) - 1);
    const left = (end - start + image.clusterSize - 1) >> image.clusterBits;
    const n = <i32>min<i64>(left, (1 << image.sliceBits) - first);
    const r = changeInSlice(image, table, l2Index, n, change, start);
    if (r < 0) return r;
    start += (<i64>n) << image.clusterBits;
  }
  return 0;
}

function changeInSlice(image: Qcow2Node, table: i64, l2Index: i32, n: i32, change: i32, start: i64): i32 {
  const slice = loadSlice(image, table, l2Index);
  if (!slice) return image.l2.error;
  const first = l2Index & ((1 << image.sliceBits) - 1);
  const offset = sliceOffset(image, table, l2Index);
  // Where places stay, what they held may go from the file all the same.
  const kept = image.discardNoUnref && (change === Change.DISCARD || change === Change.ZERO_UNMAP);
  const external = image.external !== null;
  const raw = external && isRaw(image) && change !== Change.FORGET;
  if (raw) {
    const unmap = change === Change.DISCARD ? image.passDiscard : change === Change.ZERO_UNMAP;
    const r = zeroRawData(image, slice + ((<usize>first) << image.entryShift), n, start, unmap);
    if (r < 0) return r;
  }
  // Places that are given back and lie side by side go in one step.
  let run: i64 = 0;
  let runLength: i64 = 0;
  let code = 0;
  for (let i = first; i < first + n; i++) {
    const at = slice + ((<usize>i) << image.entryShift);
    const entry = be64(at);
    let next: u64;
    if (image.extended) {
      // The bitmap says what reads as zeros, the entry does not.
      next = changed(image, entry & ~ZERO, change) & ~ZERO;
      const bitmap = be64(at + 8);
      const nextBitmap = changedBitmap(image, entry, bitmap, change);
      if (next === entry && nextBitmap === bitmap) continue;
      putBe64(at + 8, nextBitmap);
    } else {
      next = changed(image, entry, change);
      if (next === entry) continue;
    }
    if (kept && !external && next & OFFSET_MASK) discardKept(image, entry);
    putBe64(at, next);
    image.l2.touch(offset, i << image.entryShift, (i + 1) << image.entryShift);
    const host = <i64>(entry & OFFSET_MASK);
    if (external) {
      const place = start + ((<i64>(i - first)) << image.clusterBits);
      const left = (entry & image.presentMask) !== 0 && !(entry & COMPRESSED) && host === place;
      if (left && !raw && (kept || !(next & OFFSET_MASK))) {
        if (runLength && run + (runLength << image.clusterBits) !== host) {
          dropData(image, run, runLength);
          runLength = 0;
        }
        if (!runLength) run = host;
        runLength++;
      }
    } else if (entry & COMPRESSED) {
      freeEntry(image, entry, true);
    } else if (host && !(next & OFFSET_MASK)) {
      if (host & (image.clusterSize - 1)) {
        code = -Err.EIO;
        continue;
      }
      if (runLength && run + (runLength << image.clusterBits) === host) {
        runLength++;
      } else {
        if (runLength) freeLater(image, run, runLength, true);
        run = host;
        runLength = 1;
      }
    }
  }
  if (runLength) {
    if (external) dropData(image, run, runLength);
    else freeLater(image, run, runLength, true);
  }
  return code;
}

/** The bitmap of an extended entry after the change. */
function changedBitmap(image: Qcow2Node, entry: u64, bitmap: u64, change: i32): u64 {
  if (change === Change.FORGET) return 0;
  const used = (entry & (COMPRESSED | image.presentMask)) !== 0;
  return change === Change.DISCARD && !used && !image.backing ? bitmap : ALL_ZERO;
}

/** The entry after the change. */
function changed(image: Qcow2Node, entry: u64, change: i32): u64 {
  const used = (entry & (COMPRESSED | image.presentMask)) !== 0;
  switch (change) {
    case Change.ZERO:
      return entry & COMPRESSED ? ZERO : entry | ZERO;
    case Change.ZERO_UNMAP:
      return keepsPlace(image, entry) ? entry | ZERO : ZERO;
    case Change.DISCARD:
      if (!used && (entry & ZERO || !image.backing)) return entry;
      if (keepsPlace(image, entry)) return entry | ZERO;
      return image.version >= 3 ? ZERO : 0;
    default:
      return 0;
  }
}

/** Whether an entry keeps its place although it is discarded. */
function keepsPlace(image: Qcow2Node, entry: u64): bool {
  return image.discardNoUnref && !(entry & COMPRESSED) && (entry & OFFSET_MASK) !== 0;
}

/** Passes the discard of a cluster that keeps its place on to the file, if nobody else can see what it holds. */
function discardKept(image: Qcow2Node, entry: u64): void {
  const host = <i64>(entry & OFFSET_MASK);
  if (!image.passDiscard || !(entry & COPIED) || host & (image.clusterSize - 1)) return;
  if (checkWrite(image, Meta.NONE, host, image.clusterSize) === 0)
    image.file.pdiscard(host, image.clusterSize);
}
