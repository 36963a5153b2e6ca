/** The exported ABI for changes of the graph of open nodes. */
import { DetectZeroes, Err, Qcow2Open } from '../abi';
import { BlockNode } from '../block/node';
import { requestFlush } from '../block/request';
import { nodeAt } from '../block/table';
import { FileNode } from '../format/file';
import { Qcow2Node } from '../format/qcow2/image';
import { reopenImage } from '../format/qcow2/reopen';
import { RawNode } from '../format/raw';
import { clearError } from '../util/errors';

function enter(handle: i32): BlockNode | null {
  clearError();
  return nodeAt(handle);
}

/** Makes `now` the child of a node where `old` is; what was written is in `old` before. Backing nodes: setBacking. */
export function replaceChild(handle: i32, old: i32, now: i32): i32 {
  const node = enter(handle);
  const before = nodeAt(old);
  const after = nodeAt(now);
  if (!node || !before || !after || after.reaches(node)) return -Err.EINVAL;
  const r = requestFlush(node);
  return r < 0 ? r : node.doReplaceChild(before, after);
}

/** The number of the host's file of a protocol node; EINVAL: it has none. */
export function fileOf(handle: i32): i32 {
  const node = enter(handle);
  return node instanceof FileNode ? (<FileNode>node).hostFile : -Err.EINVAL;
}

/** Gives a raw node another window; `size` < 0: up to the end of the child. On a failure the window is as it was. */
export function reopenRaw(handle: i32, offset: f64, size: f64): i32 {
  const node = enter(handle);
  return node instanceof RawNode ? (<RawNode>node).setWindow(<i64>offset, <i64>size) : -Err.EINVAL;
}

/** Other options for an open image; see openQcow2 (READ_ONLY, NO_IO and CHECK stay as they are). */
export function reopenQcow2(
  handle: i32,
  flags: i32,
  l2CacheSize: f64,
  refcountCacheSize: f64,
  l2CacheEntrySize: f64,
): i32 {
  const node = enter(handle);
  if (!(node instanceof Qcow2Node)) return -Err.EINVAL;
  const image = <Qcow2Node>node;
  if (flags & Qcow2Open.NO_IO || image.noIo) return -Err.EINVAL;
  return reopenImage(image, flags, l2CacheSize, refcountCacheSize, l2CacheEntrySize);
}

/** What a node does about zeros (a DetectZeroes) and discards that reach it. */
export function setSpaceOptions(handle: i32, detectZeroes: i32, discards: i32): i32 {
  const node = enter(handle);
  if (!node || detectZeroes < DetectZeroes.OFF || detectZeroes > DetectZeroes.UNMAP) return -Err.EINVAL;
  node.detectZeroes = detectZeroes;
  node.discards = discards !== 0;
  return 0;
}

/** Reports the next write that ends above `bytes`, once; <= 0: none. */
export function setWriteThreshold(handle: i32, bytes: f64): i32 {
  const node = enter(handle);
  if (!node) return -Err.EINVAL;
  node.writeThreshold = bytes > 0 ? <i64>bytes : i64.MAX_VALUE;
  return 0;
}
