/** Exports of filters that lie between a format and its file, or test one: preallocate, blkverify, blklogwrites. */
import { Err } from '../abi';
import { addNode, nodeAt } from '../block/table';
import { BlklogwritesNode, isLogSector } from '../filter/blklogwrites';
import { BlkverifyNode } from '../filter/blkverify';
import { PreallocateNode } from '../filter/preallocate';
import { clearError, fail } from '../util/errors';

/** `ahead`: bytes made ready behind a write; `align`: the file's length becomes a multiple of it, 0: of 1. */
export function openPreallocate(file: i32, readOnly: i32, ahead: f64, align: f64): i32 {
  clearError();
  const child = nodeAt(file);
  if (!child) return -Err.EINVAL;
  return addNode(new PreallocateNode(child, readOnly !== 0, <i64>ahead, <i64>align));
}

function preallocateAt(handle: i32): PreallocateNode | null {
  clearError();
  const node = nodeAt(handle);
  return node && node instanceof PreallocateNode ? (node as PreallocateNode) : null;
}

export function preallocateSet(handle: i32, ahead: f64, align: f64): i32 {
  const node = preallocateAt(handle);
  if (!node) return -Err.EINVAL;
  node.setOptions(<i64>ahead, <i64>align);
  return 0;
}

/** Whether the file may be longer than its data; when it may no more it is cut. */
export function preallocateAllow(handle: i32, allowed: i32): i32 {
  const node = preallocateAt(handle);
  return node ? node.allow(allowed !== 0) : -Err.EINVAL;
}

export function openBlkverify(raw: i32, test: i32, readOnly: i32): i32 {
  clearError();
  const copy = nodeAt(raw);
  const tested = nodeAt(test);
  return copy && tested ? addNode(new BlkverifyNode(copy, tested, readOnly !== 0)) : -Err.EINVAL;
}

/** `sector`: bytes of a sector of the log; `interval`: entries after which the superblock is written. */
export function openBlklogwrites(file: i32, log: i32, readOnly: i32, sector: f64, interval: f64): i32 {
  clearError();
  const child = nodeAt(file);
  const target = nodeAt(log);
  if (!child || !target) return -Err.EINVAL;
  if (!isLogSector(<u64>sector)) return fail(Err.EINVAL, `Invalid log sector size ${<u64>sector}`);
  return addNode(new BlklogwritesNode(child, target, readOnly !== 0, <i32>sector, <u64>interval));
}

/** Goes on with the log that is there; answers the bytes of its sectors. */
export function logAppend(handle: i32): i32 {
  clearError();
  const node = nodeAt(handle);
  return node && node instanceof BlklogwritesNode ? (node as BlklogwritesNode).append() : -Err.EINVAL;
}
