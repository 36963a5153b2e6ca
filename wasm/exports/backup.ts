/** The exported ABI of copy-before-write filters, and of the nodes that read what they keep. Offsets and sizes are bytes. */
import { Err } from '../abi';
import { bitmapAt } from '../block/dirtybitmap';
import { addNode, nodeAt } from '../block/table';
import { CopyBeforeWriteNode } from '../filter/copybeforewrite';
import { SnapshotAccessNode } from '../filter/snapshotaccess';
import { clearError } from '../util/errors';

/** `shift` is log2 of the bytes of a cluster; flags are Keep bits. The filter keeps nothing before `keepSelect`. */
export function openCopyBeforeWrite(file: i32, readOnly: i32, target: i32, shift: i32, flags: i32): i32 {
  clearError();
  const child = nodeAt(file);
  const to = nodeAt(target);
  if (!child || !to || shift < 9 || shift > 30) return -Err.EINVAL;
  const node = new CopyBeforeWriteNode(child, readOnly !== 0, to, shift, flags);
  const r = node.open();
  if (r < 0) {
    child.users--;
    node.release();
    return r;
  }
  return addNode(node);
}

export function openSnapshotAccess(file: i32, readOnly: i32): i32 {
  clearError();
  const child = nodeAt(file);
  return child ? addNode(new SnapshotAccessNode(child, readOnly !== 0)) : -Err.EINVAL;
}

function keeperAt(handle: i32): CopyBeforeWriteNode | null {
  clearError();
  const node = nodeAt(handle);
  return node && node instanceof CopyBeforeWriteNode ? (node as CopyBeforeWriteNode) : null;
}

/**
 * Says what is to be copied: what is dirty in a bitmap; < 0: everything. `readable`: the same can be read as it was.
 * EINVAL: the bitmap is of a disk of another size.
 */
export function keepSelect(handle: i32, bitmap: i32, readable: i32): i32 {
  const keeper = keeperAt(handle);
  const selected = bitmapAt(bitmap);
  if (!keeper || (bitmap >= 0 && !selected)) return -Err.EINVAL;
  return keeper.select(selected, readable !== 0);
}

/** How a job copies: `topOnly`: what the file itself has. `discardSource`: what was copied is discarded there. */
export function keepMode(handle: i32, topOnly: i32, discardSource: i32, compress: i32): i32 {
  const keeper = keeperAt(handle);
  if (!keeper) return -Err.EINVAL;
  keeper.topOnly = topOnly !== 0;
  keeper.discardSource = discardSource !== 0;
  keeper.compress = compress !== 0;
  return 0;
}

/** Copies what comes first from `offset` on, about `most` bytes. `keepNext` says where to go on. */
export function keepCopy(handle: i32, offset: f64, most: f64): i32 {
  const keeper = keeperAt(handle);
  if (!keeper || !(offset >= 0) || !(most >= 0)) return -Err.EINVAL;
  return keeper.copyNext(<i64>offset, keeper.size(), <i64>most);
}

/** Where the last copy ended, or failed. */
export function keepNext(handle: i32): f64 {
  const keeper = keeperAt(handle);
  return keeper ? <f64>(keeper.copiedFrom + keeper.copiedBytes) : -(<f64>Err.EINVAL);
}

/** Whether the last copy that failed failed on the side of the target. */
export function keepTargetFailed(handle: i32): i32 {
  const keeper = keeperAt(handle);
  return keeper && keeper.targetFailed ? 1 : 0;
}

/** Bytes that were copied since the filter was made, by writes and by jobs. */
export function keepCopied(handle: i32): f64 {
  const keeper = keeperAt(handle);
  return keeper ? keeper.copied : -(<f64>Err.EINVAL);
}

/** Bytes that are to be copied yet. */
export function keepLeft(handle: i32): f64 {
  const keeper = keeperAt(handle);
  return keeper ? keeper.left() : -(<f64>Err.EINVAL);
}

/** Lets clusters be that the file itself does not have; answers how far it has come. */
export function keepSkip(handle: i32, offset: f64): f64 {
  const keeper = keeperAt(handle);
  if (!keeper || !(offset >= 0) || offset >= <f64>keeper.size()) return -(<f64>Err.EINVAL);
  return <f64>keeper.skipUnallocated(<i64>offset);
}

/** Marks in a bitmap of a disk of the same size what is to be copied yet. */
export function keepPending(handle: i32, bitmap: i32): i32 {
  const keeper = keeperAt(handle);
  const to = bitmapAt(bitmap);
  return keeper && to ? keeper.addPending(to) : -Err.EINVAL;
}
