/** Commands that change what an image or a node is made of: change-backing-file and x-blockdev-change. */
import { changeBackingFile } from './backingname';
import { refreshNames } from './change';
import { GraphError, toGraphError } from './errors';
import type { BlockNode } from './node';
import type { Opener } from './open';
import { setReadOnly } from './reopen';
import { checkRoot } from './snapshots';

/** The child that a node passes requests to, or that has what it has not. */
const below = (node: BlockNode): BlockNode | null => node.filtered ?? node.backing;

/**
 * `change-backing-file`: the image of a node in the chain of `device` names another backing file, and its own format as
 * that of the backing file, as QEMU does it. A read-only node is writable for the moment.
 */
export async function changeBackingName(
  opener: Opener,
  { device, image, file }: { device: string; image: string; file: string },
): Promise<void> {
  const root = opener.table.lookup(device, device);
  checkRoot(root);
  const node = opener.table.lookup(undefined, image);
  if (!node.backing) {
    throw new GraphError('not allowing backing file change on an image without a backing file');
  }
  if (!chainHolds(root, node)) {
    throw new GraphError(`'${device}' and image file are not in the same chain`);
  }
  const { readOnly } = node;
  if (readOnly) await setReadOnly(opener, node, false);
  try {
    changeBackingFile(node, file === '' ? null : file, file === '' ? null : node.driver);
  } catch (error) {
    throw toGraphError(error).prefixed(`Could not change backing file to '${file}': `);
  } finally {
    refreshNames([node]);
    if (readOnly) await setReadOnly(opener, node, true);
  }
}

function chainHolds(root: BlockNode, node: BlockNode): boolean {
  for (let at: BlockNode | null = root; at; at = below(at)) if (at === node) return true;
  return false;
}

/** `x-blockdev-change`: adds or removes a child of a node whose driver has any number of them. */
export function changeChildren(
  opener: Opener,
  names: { parent: string; child?: string | undefined; node?: string | undefined },
): never {
  opener.drain();
  const parent = opener.table.lookup(names.parent, names.parent);
  if (names.child !== undefined && names.node !== undefined) {
    throw new GraphError('The parameters child and node are in conflict');
  }
  if (names.child !== undefined) {
    if (!parent.links.some((link) => link.name === names.child)) {
      throw new GraphError(`Node '${parent.name}' does not have child '${names.child}'`);
    }
    throw new GraphError(`The node ${parent.name} does not support removing a child`);
  }
  if (names.node === undefined) throw new GraphError('Either child or node must be specified');
  const added = opener.table.find(names.node);
  if (!added) throw new GraphError(`Node '${names.node}' not found`);
  throw new GraphError(`The node ${parent.name} does not support adding a child`);
}
