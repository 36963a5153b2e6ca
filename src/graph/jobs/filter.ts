/**
 * Filters that jobs put above a node for as long as they run. One that lets requests pass without a change is the node
 * below in the data plane: only the graph knows it.
 */
import type { NodeHandle } from '../../engine/contract';
import { Permission } from '../../files/locks';
import { GraphChange } from '../changes/change';
import { refreshFilename } from '../filename';
import { BlockNode, Role, type Link, type NodeType } from '../node';
import type { Opener } from '../open';
import { Options } from '../options';
import { attach } from '../permissions';

/** What all drivers of such filters have in common. They cannot be opened by name. */
const filterDriver = {
  protocol: false,
  filter: true,
  backing: false,
  strongOptions: [],
  resizable: false,
  details: (node: BlockNode) => node.filtered?.type.details(node.filtered) ?? null,
} as const;

/** Above the image that is committed: nothing is asked of that one any more, and nothing forbidden. */
export const commitTop: NodeType = {
  ...filterDriver,
  name: 'commit_top',
  childPermissions: () => ({ perm: 0, shared: Permission.ALL }),
};

/** Above the source of a mirror. */
export const mirrorTop: NodeType = { ...filterDriver, name: 'mirror_top' };

/** The same above the active layer that is committed: what is below the base must be allowed to be inconsistent. */
export const activeCommitTop: NodeType = {
  ...filterDriver,
  name: 'mirror_top',
  childPermissions: (_node, _link, { perm, shared }) => ({
    perm: perm & ~Permission.CONSISTENT_READ,
    shared: shared | Permission.WRITE,
  }),
};

/** How a filter is put in its place. */
export interface FilterRequest {
  driver: NodeType;
  /** Of the link to the node below. */
  linkName: 'file' | 'backing';
  /** Default: a generated one, and the filter is one that users need not know of. */
  name?: string | undefined;
  readOnly: boolean;
  /** Makes the filter in the data plane too; default: there it is the node below. */
  open?: (below: NodeHandle) => NodeHandle;
}

/**
 * Puts a filter above a node, for all users of that node. The caller has a reference on it. Throws for a name that cannot
 * be, and for permissions that conflict; then nothing has changed.
 */
export async function insertFilter(
  opener: Opener,
  below: BlockNode,
  request: FilterRequest,
): Promise<BlockNode> {
  // Discards end at a job's filter, and zeros keep their space there, whatever the node below does with them.
  const common = {
    ...below.common,
    readOnly: request.readOnly,
    detectZeroes: 'off' as const,
    discard: false,
  };
  const filter = new BlockNode(below.engine, request.driver, new Options(), common, false);
  filter.implicit = request.name === undefined;
  opener.table.name(filter, request.name);
  try {
    if (request.open) {
      filter.handle = request.open(below.handle);
      below.engine.changes.setSpaceOptions(filter.handle, common);
    } else {
      filter.lend(below.handle);
    }
    const role = Role.FILTERED | Role.PRIMARY;
    const link: Link = {
      name: request.linkName,
      role,
      parent: filter,
      node: below,
      perm: 0,
      shared: Permission.ALL,
    };
    await attach(link, filter);
    refreshFilename(filter);
    filter.ready = true;
    const change = new GraphChange(opener);
    change.replaceNode(below, filter);
    await change.apply();
    return filter;
  } catch (error) {
    await opener.unref(filter);
    throw error;
  }
}

/** Lets the users of a filter use the node below again, and gives the caller's reference on the filter back. */
export async function removeFilter(opener: Opener, filter: BlockNode): Promise<void> {
  const below = filter.filtered;
  if (below) {
    const change = new GraphChange(opener);
    change.replaceNode(filter, below);
    await change.apply();
  }
  await opener.unref(filter);
}
