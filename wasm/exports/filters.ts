/** Exports that make filter nodes and ask them what only they know. */
import { Err } from '../abi';
import { BlockNode } from '../block/node';
import { addNode, nodeAt } from '../block/table';
import { BlkdebugNode } from '../filter/blkdebug';
import { CompressNode } from '../filter/compress';
import { CopyOnReadNode } from '../filter/copyonread';
import { clearError } from '../util/errors';

/** Finds a node and forgets the last failure's text. */
function enter(handle: i32): BlockNode | null {
  clearError();
  return nodeAt(handle);
}

/** Sizes are bytes; 0: no such limit. Rules are added before its first event, which `debugEvent` tells. */
export function openBlkdebug(
  image: i32,
  readOnly: i32,
  align: f64,
  maxTransfer: f64,
  optZero: f64,
  maxZero: f64,
  optDiscard: f64,
  maxDiscard: f64,
): i32 {
  const child = enter(image);
  if (!child) return -Err.EINVAL;
  const node = new BlkdebugNode(child, readOnly !== 0);
  node.align = max<i64>(<i64>align, 1);
  node.maxTransfer = <i64>maxTransfer;
  node.optZero = <i64>optZero;
  node.maxZero = <i64>maxZero;
  node.optDiscard = <i64>optDiscard;
  node.maxDiscard = <i64>maxDiscard;
  return addNode(node);
}

function blkdebugAt(handle: i32): BlkdebugNode | null {
  const node = enter(handle);
  return node && node instanceof BlkdebugNode ? (node as BlkdebugNode) : null;
}

/** Adds a rule. `value` is the new state if it `sets` one, else the errno; `sector` < 0: any; see abi.ts for the others. */
export function blkdebugRule(
  handle: i32,
  event: i32,
  state: i32,
  sets: i32,
  value: i32,
  types: i32,
  sector: f64,
  once: i32,
): i32 {
  const node = blkdebugAt(handle);
  if (!node) return -Err.EINVAL;
  const offset: i64 = sector < 0 ? -1 : (<i64>sector) << 9;
  node.addRule(event, state, sets !== 0, value, types, offset, once !== 0);
  return 0;
}

/** Tells a blkdebug node of an event (DebugEvent). */
export function debugEvent(handle: i32, event: i32): i32 {
  const node = blkdebugAt(handle);
  if (!node) return -Err.EINVAL;
  node.debugEvent(event);
  return 0;
}

/** Sets a breakpoint with a number for its tag; ENOTSUP: the node is no blkdebug. */
export function debugBreak(handle: i32, event: i32, tag: i32): i32 {
  const node = blkdebugAt(handle);
  if (!node) return -Err.ENOTSUP;
  node.addBreakpoint(event, tag);
  return 0;
}

/** Removes the breakpoints with a tag; ENOENT: there are none. */
export function debugUnbreak(handle: i32, tag: i32): i32 {
  const node = blkdebugAt(handle);
  return node ? node.removeBreakpoint(tag) : -Err.ENOTSUP;
}

/**
 * A request begins; `tag`: it is the one that stopped there, and its events up to that one do not happen again; -1: another; -2:
 * what comes now is none, and comes to no event. */
export function debugBegin(handle: i32, tag: i32): void {
  const node = blkdebugAt(handle);
  if (node) node.begin(tag);
}

/** The tag that stopped the last request, which failed with ESUSPENDED; -1: none did. */
export function debugStopped(handle: i32): i32 {
  const node = blkdebugAt(handle);
  return node ? node.takeStop() : -1;
}

/** `cluster`: bytes of a cluster of the image, 1: it has none; `bottom` < 0: all layers are copied from. */
export function openCopyOnRead(file: i32, readOnly: i32, cluster: f64, bottom: i32): i32 {
  const child = enter(file);
  const lowest: BlockNode | null = nodeAt(bottom);
  if (!child || (bottom >= 0 && !lowest)) return -Err.EINVAL;
  return addNode(new CopyOnReadNode(child, readOnly !== 0, <i64>cluster, lowest));
}

/** `cluster`: bytes of a cluster of the image. */
export function openCompress(file: i32, readOnly: i32, cluster: f64): i32 {
  const child = enter(file);
  return child ? addNode(new CompressNode(child, readOnly !== 0, <i64>cluster)) : -Err.EINVAL;
}
