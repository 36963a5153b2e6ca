/** Commands that change what an image or a node is made of: change-backing-file and x-blockdev-change. */
import { changeBackingFile } from '../images/backingname';
import { Permission } from '../../files/locks';
import { CycleError, reaches, refreshNames } from './change';
import { GraphError, toGraphError } from '../errors';
import { Role, type BlockNode, type Link } from '../node';
import type { Opener } from '../open';
import { attach, detach } from '../permissions';
import { setReadOnly } from './reopen';
import { checkRoot } from '../images/snapshots';

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
    const [name, format] = file === '' ? [null, null] : [file, node.driver];
    await node.engine.presence.whenPresent(() => changeBackingFile(node, name, format));
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
export async function changeChildren(
  opener: Opener,
  names: { parent: string; child?: string | undefined; node?: string | undefined },
): Promise<void> {
  opener.drain();
  const parent = opener.table.lookup(names.parent, names.parent);
  const changeable = parent.type.changeableChildren;
  if (names.child !== undefined && names.node !== undefined) {
    throw new GraphError('The parameters child and node are in conflict');
  }
  if (names.child !== undefined) {
    const link = parent.links.find(({ name }) => name === names.child);
    if (!link) throw new GraphError(`Node '${parent.name}' does not have child '${names.child}'`);
    if (!changeable) throw new GraphError(`The node ${parent.name} does not support removing a child`);
    changeable.checkRemoving(parent);
    changeable.removing(parent, link);
    await detach(link, parent);
    await opener.unref(link.node);
  } else {
    if (names.node === undefined) throw new GraphError('Either child or node must be specified');
    const added = opener.table.find(names.node);
    if (!added) throw new GraphError(`Node '${names.node}' not found`);
    if (!changeable) throw new GraphError(`The node ${parent.name} does not support adding a child`);
    if (added.parents.length > 0) throw new GraphError(`The node ${added.name} already has a parent`);
    changeable.checkAdding(parent);
    const name = changeable.nextName(parent);
    if (reaches(added, parent)) throw new CycleError(added, name, parent);
    const link: Link = { name, role: Role.DATA, parent, node: added, perm: 0, shared: Permission.ALL };
    await attach(link, parent);
    changeable.added(parent, added);
  }
  refreshNames([parent]);
}
