/** Bringing an image to stable storage in the background. */
import { Role, type BlockNode } from './node';

/**
 * Begins to bring what was written to a node to stable storage, without waiting: a flush is still needed, but then has
 * little left to do. Resolves, never rejects, when what was begun has ended; null: no file below the node can do that.
 */
export function writeBack(node: BlockNode): Promise<void> | null {
  const begun: Promise<void>[] = [];
  visit(node, begun);
  return begun.length ? Promise.all(begun).then(() => undefined) : null;
}

function visit(node: BlockNode, begun: Promise<void>[]): void {
  if (node.driver === 'file') {
    const one = node.engine.writeBack(node.handle);
    if (one) begun.push(one);
  }
  // Nobody writes to what is below by writing to the node.
  for (const link of node.links) if (!(link.role & Role.COW)) visit(link.node, begun);
}
