/** Exports of quorum nodes. */
import { Err } from '../abi';
import { addNode, nodeAt } from '../block/table';
import { QuorumNode } from '../filter/quorum';
import { clearError } from '../util/errors';

/** A quorum without children; they are added before anything else is asked of it. */
export function openQuorum(threshold: i32, fifo: i32, verify: i32, rewrite: i32, readOnly: i32): i32 {
  clearError();
  return addNode(new QuorumNode(threshold, fifo !== 0, verify !== 0, rewrite !== 0, readOnly !== 0));
}

function quorumAt(handle: i32): QuorumNode | null {
  clearError();
  const node = nodeAt(handle);
  return node && node instanceof QuorumNode ? (node as QuorumNode) : null;
}

/** `opening`: the child's length must be that of the others (EIO). */
export function quorumAdd(handle: i32, child: i32, opening: i32): i32 {
  const node = quorumAt(handle);
  const added = nodeAt(child);
  return node && added ? node.addChild(added, opening !== 0) : -Err.EINVAL;
}

export function quorumRemove(handle: i32, child: i32): i32 {
  const node = quorumAt(handle);
  const removed = nodeAt(child);
  return node && removed ? node.removeChild(removed) : -Err.EINVAL;
}
