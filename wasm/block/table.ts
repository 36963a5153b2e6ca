/** The node table: small integers to nodes. */
import { BlockNode } from './node';

const nodes: Array<BlockNode | null> = [];

/** Enters a node and answers its handle. */
export function addNode(node: BlockNode): i32 {
  let handle = nodes.indexOf(null);
  if (handle < 0) handle = nodes.push(node) - 1;
  else nodes[handle] = node;
  node.handle = handle;
  return handle;
}

/** The node of a handle; null: there is none (a negative handle stands for no node). */
export function nodeAt(handle: i32): BlockNode | null {
  if (<u32>handle >= <u32>nodes.length) return null;
  return unchecked(nodes[handle]);
}

/** Takes a node out of the table. */
export function removeNode(node: BlockNode): void {
  nodes[node.handle] = null;
  node.handle = -1;
}
