/** Telling whether an image was made with preallocated metadata, so that its data may be holes in the file. */
import { Qcow2Node } from './image';
import { loadRefcount, refblockOffset, refcount } from './refcounts/refcount';

/** Counts that are looked at before the search is given up. */
export const MAX_STEPS: i64 = 1 << 24;

/**
 * True if clearly more clusters are in use than the file has storage for; then a status asks the file for holes.
 * It is found out once.
 */
export function detectPreallocation(image: Qcow2Node): bool {
  if (image.preallocated < 0) image.preallocated = detect(image) ? 1 : 0;
  return image.preallocated !== 0;
}

function detect(image: Qcow2Node): bool {
  const real = image.file.doAllocated() >> image.clusterBits;
  const threshold = max((real * 10) / 9, real + 2);
  const clusters = (image.file.size() + image.clusterSize - 1) >> image.clusterBits;
  // Size and counts are untrusted: a file may claim to be immense.
  const described = min(clusters, (<i64>image.reftableUsed) << image.refblockBits);
  let steps: i64 = 0;
  let count: i64 = 0;
  for (let i: i64 = 0; i < described && count < threshold; i++) {
    if (++steps > MAX_STEPS || loadRefcount(image, i) < 0) return false;
    if (refcount) count++;
    else if (!refblockOffset(image, i)) i |= ((<i64>1) << image.refblockBits) - 1;
  }
  return count >= threshold;
}
