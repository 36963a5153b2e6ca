/** What forbids operations on a node that others depend on. */
import { GraphError } from './errors';
import { Role, type BlockNode } from './node';

/** A backing file of somebody is not to be deleted, resized or written over. */
export function checkNotBacking(node: BlockNode): void {
  for (const link of node.parents) {
    if (link.role & Role.COW && 'name' in link.parent) {
      const reason = `node is used as backing hd of '${(link.parent as BlockNode).name}'`;
      throw new GraphError(`Node '${node.name}' is busy: ${reason}`);
    }
  }
}
