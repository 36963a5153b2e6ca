/**
 * Clusters whose last pointer was taken from an L2 table keep their reference until that table is on stable storage.
 * Taken again before, they would show new data in an old place after a crash; and lowering each count behind its table
 * would cost two flushes a request.
 */
import { DebugEvent } from '../../../abi';
import { Qcow2Node } from '../image';
import { changeRefcounts, loadRefcount, refcount } from './refcount';

/** Ranges that wait; beyond that they are settled at once. */
const MAX_RANGES: i32 = 2048;

/** A range of host clusters. */
@unmanaged
class Range {
  first: i64;
  n: i64;
  /** The file may drop what they held. */
  discard: bool;
}

const RANGE_BYTES: usize = offsetof<Range>();


@inline
function rangeAt(image: Qcow2Node, index: i32): Range {
  return changetype<Range>(image.freed + <usize>index * RANGE_BYTES);
}

/**
 * Takes a reference from clusters at the next flush.
 * @param discard pass it on to the file as a discard, if the image is to
 */
export function freeLater(image: Qcow2Node, offset: i64, n: i64, discard: bool): void {
  const first = offset >> image.clusterBits;
  if (!image.freed) image.freed = heap.alloc(<usize>MAX_RANGES * RANGE_BYTES);
  if (image.freedRanges) {
    const last = rangeAt(image, image.freedRanges - 1);
    if (last.first + last.n === first && last.discard === discard) {
      last.n += n;
      return;
    }
  }
  if (image.freedRanges === MAX_RANGES) settleFreed(image);
  const range = rangeAt(image, image.freedRanges++);
  range.first = first;
  range.n = n;
  range.discard = discard;
}

/** Brings the tables to stable storage and takes the references that wait. A failure leaks the clusters. */
export function settleFreed(image: Qcow2Node): i32 {
  if (!image.freedRanges) return 0;
  let r = image.l2.write();
  if (r === 0) r = image.file.pflush();
  if (r === 0) takeReferences(image);
  image.freedRanges = 0;
  return r;
}

function takeReferences(image: Qcow2Node): void {
  // What was decompressed may be about to be overwritten.
  image.plainEntry = 0;
  for (let i = 0; i < image.freedRanges; i++) {
    const range = rangeAt(image, i);
    image.file.event(DebugEvent.CLUSTER_FREE);
    // A damaged image may have counts that are too low already: then cluster by cluster, as far as it goes.
    if (changeRefcounts(image, range.first, range.n, false) < 0) {
      for (let c: i64 = 0; c < range.n; c++) changeRefcounts(image, range.first + c, 1, false);
    }
    if (range.discard && image.passDiscard) discardFree(image, range.first, range.n);
  }
}

/** Passes on the runs of a range that have no reference left. */
export function discardFree(image: Qcow2Node, first: i64, n: i64): void {
  for (let i: i64 = 0; i < n; i++) {
    let run: i64 = 0;
    while (i + run < n && loadRefcount(image, first + i + run) === 0 && !refcount) run++;
    if (run) image.file.pdiscard((first + i) << image.clusterBits, run << image.clusterBits);
    i += run;
  }
}
