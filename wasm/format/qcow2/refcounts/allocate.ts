/** Host clusters: finding free ones, taking them, giving them back. */
import { DebugEvent, Err } from '../../../abi';
import { Qcow2Node } from '../image';
import { COMPRESSED, MAX_HOST, OFFSET_MASK } from '../layout';
import { discardFree, freeLater } from './deferred';
import { changeRefcounts, loadRefcount, refcount } from './refcount';

/** Used clusters behind the end of the file that a search passes before it gives up. */
const MAX_BEYOND: i64 = 1 << 24;

/**
 * Offset of `n` contiguous free clusters (first fit), or a negative errno. They are not taken yet, but the next search
 * starts behind them.
 */
export function findFree(image: Qcow2Node, n: i64): i64 {
  const bits = image.clusterBits;
  let run: i64 = 0;
  let i = image.freeIndex;
  const end = image.file.size() >> bits;
  let beyond: i64 = 0;
  while (run < n) {
    if (i >= MAX_HOST >> bits) return -Err.EFBIG;
    const r = loadRefcount(image, i);
    if (r < 0) return r;
    if (refcount) {
      run = 0;
      // Counts are untrusted: a search must end, though they claim that all of the address space is in use.
      if (i > end && ++beyond > MAX_BEYOND) return -Err.EIO;
    } else {
      run++;
    }
    i++;
  }
  image.freeIndex = i;
  return (i - n) << bits;
}

/** Takes `n` contiguous clusters; answers their offset, or a negative errno. */
export function allocateClusters(image: Qcow2Node, n: i64): i64 {
  image.file.event(DebugEvent.CLUSTER_ALLOC);
  while (true) {
    const before = image.freeIndex;
    const offset = findFree(image, n);
    if (offset < 0) return offset;
    const r = changeRefcounts(image, offset >> image.clusterBits, n, true);
    if (r === 0) return offset;
    if (r !== -Err.EAGAIN) return r;
    image.freeIndex = min(before, image.freeIndex);
  }
}

/** Takes up to `n` clusters from `offset` on, as far as they are free; answers how many, or a negative errno. */
export function allocateAt(image: Qcow2Node, offset: i64, n: i64): i64 {
  const first = offset >> image.clusterBits;
  if (offset + (n << image.clusterBits) > MAX_HOST) return 0;
  let r = -Err.EAGAIN;
  let count: i64 = 0;
  while (r === -Err.EAGAIN) {
    count = freeRun(image, first, n);
    if (count <= 0) return count;
    r = changeRefcounts(image, first, count, true);
  }
  return r < 0 ? r : count;
}

/** How many clusters from `first` on are free, up to `n`; or a negative errno. */
function freeRun(image: Qcow2Node, first: i64, n: i64): i64 {
  for (let count: i64 = 0; count < n; count++) {
    const r = loadRefcount(image, first + count);
    if (r < 0) return r;
    if (refcount) return count;
  }
  return n;
}

/**
 * Gives clusters back at once; for those that no table on disk points to. A failure leaks them and is no failure of the
 * request.
 */
export function freeClusters(image: Qcow2Node, offset: i64, n: i64): void {
  // What was decompressed may be about to be overwritten.
  image.plainEntry = 0;
  image.file.event(DebugEvent.CLUSTER_FREE);
  const first = offset >> image.clusterBits;
  if (changeRefcounts(image, first, n, false) === 0 && image.passDiscardOther) discardFree(image, first, n);
}

/** Gives back what an old L2 entry pointed to. */
export function freeEntry(image: Qcow2Node, entry: u64, discard: bool): void {
  if (entry & COMPRESSED) {
    const first = compressedOffset(image, entry) >> image.clusterBits;
    const last = (compressedOffset(image, entry) + compressedBytes(image, entry) - 1) >> image.clusterBits;
    freeLater(image, first << image.clusterBits, last - first + 1, discard);
    return;
  }
  const host = <i64>(entry & OFFSET_MASK);
  if (host && !(host & (image.clusterSize - 1))) freeLater(image, host, 1, discard);
}

/** Where the compressed data of an L2 entry starts. */
export function compressedOffset(image: Qcow2Node, entry: u64): i64 {
  const bits: u64 = 62 - (image.clusterBits - 8);
  return <i64>(entry & (((<u64>1) << bits) - 1));
}

/** Its length: up to the end of its last 512-byte sector. */
export function compressedBytes(image: Qcow2Node, entry: u64): i32 {
  const bits: u64 = 62 - (image.clusterBits - 8);
  const sectors = <i32>((entry & ~(COMPRESSED | ((<u64>1) << 63))) >> bits) + 1;
  return (sectors << 9) - <i32>(compressedOffset(image, entry) & 511);
}
