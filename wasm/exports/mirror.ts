/** Exports for mirrors: the filter above the source, and the copies of its background. */
import { Copy, Err } from '../abi';
import { checkCopy } from '../block/copy';
import { bitmapAt } from '../block/dirtybitmap';
import { addNode, nodeAt } from '../block/table';
import { MirrorTopNode } from '../filter/mirrortop';
import { clearError } from '../util/errors';

function mirrorAt(handle: i32): MirrorTopNode | null {
  clearError();
  const node = nodeAt(handle);
  return node && node instanceof MirrorTopNode ? (node as MirrorTopNode) : null;
}

/** A filter above `source`; it does nothing before `mirrorStart`. */
export function openMirrorTop(source: i32): i32 {
  clearError();
  const node = nodeAt(source);
  return node ? addNode(new MirrorTopNode(node)) : -Err.EINVAL;
}

/**
 * From now on writes are marked in the bitmap, which is one of the filter's own, has no name and is not enabled.
 * @param clusterShift log2 of the size of clusters that are to be copied as a whole when one is begun; 0: none are
 * @param unmap zeros may give clusters of the target back
 */
export function mirrorStart(filter: i32, target: i32, bitmap: i32, clusterShift: i32, unmap: i32): i32 {
  const node = mirrorAt(filter);
  const to = nodeAt(target);
  const bits = bitmapAt(bitmap);
  if (!node || !to || !bits || node.target || bits.node !== node || clusterShift < 0 || clusterShift > 40)
    return -Err.EINVAL;
  if (clusterShift) {
    const r = node.trackClusters(clusterShift);
    if (r < 0) return r;
  }
  node.flags = Copy.DISCARD | (unmap ? Copy.UNMAP : 0);
  node.bitmap = bits;
  node.target = to;
  to.users++;
  return 0;
}

/** Whether writes go to the target before they return. */
export function mirrorSetActive(filter: i32, active: i32): i32 {
  const node = mirrorAt(filter);
  if (!node || !node.target) return -Err.EINVAL;
  node.active = active !== 0;
  return 0;
}

/** Copies a range whose bits are clean. For its outcome see exports/copy.ts. What is not copied is marked. */
export function mirrorCopy(filter: i32, offset: f64, bytes: f64): i32 {
  const node = mirrorAt(filter);
  const target = node ? node.target : null;
  if (!node || !target) return -Err.EINVAL;
  const r = checkCopy(target, offset, bytes, node.flags);
  return r < 0 ? r : node.background(<i64>offset, <i64>bytes);
}

/** Bytes that guests wrote to the target too, since the last time this was asked. */
export function mirrorActiveBytes(filter: i32): f64 {
  const node = mirrorAt(filter);
  if (!node) return 0;
  const bytes = node.activeBytes;
  node.activeBytes = 0;
  return <f64>bytes;
}

/** Why the last such write failed: a negative errno, forgotten with this call; 0: it did not. */
export function mirrorActiveFailure(filter: i32): i32 {
  const node = mirrorAt(filter);
  if (!node) return -Err.EINVAL;
  const failure = node.activeFailure;
  node.activeFailure = 0;
  return failure;
}

/** Frees the bitmap; from now on the filter does nothing. */
export function mirrorStop(filter: i32): i32 {
  const node = mirrorAt(filter);
  if (!node) return -Err.EINVAL;
  node.stop();
  return 0;
}
