/**
 * Permissions of links (graph.md section 3): what every user needs of a node and lets others have. A change is tried on
 * all nodes below it, then committed or taken back as a whole.
 */
import { Permission } from '../files/locks';
import { GraphError } from './errors';
import { Role, type BlockNode, type Link, type PermissionFollower } from './node';

const { CONSISTENT_READ, WRITE, WRITE_UNCHANGED, RESIZE, ALL } = {
  CONSISTENT_READ: Permission.CONSISTENT_READ,
  WRITE: Permission.WRITE,
  WRITE_UNCHANGED: Permission.WRITE_UNCHANGED,
  RESIZE: Permission.RESIZE,
  ALL: Permission.ALL,
} as const;

const NAMES: readonly [number, string][] = [
  [CONSISTENT_READ, 'consistent read'],
  [WRITE, 'write'],
  [WRITE_UNCHANGED, 'write unchanged'],
  [RESIZE, 'resize'],
];

/** Permissions as texts name them. */
function permissionNames(perm: number): string {
  return NAMES.filter(([bit]) => perm & bit)
    .map(([, name]) => name)
    .join(', ');
}

/** Permissions in the names and the order of x-debug-query-block-graph. */
export function permissionList(perm: number): ('resize' | 'write-unchanged' | 'write' | 'consistent-read')[] {
  const list = (['consistent-read', 'write', 'write-unchanged', 'resize'] as const).filter(
    (_, bit) => perm & (1 << bit),
  );
  return list.reverse();
}

/** What a node with these cumulative permissions takes and shares on one of its children. */
function childPermissions(
  node: BlockNode,
  link: Pick<Link, 'name' | 'role' | 'node'>,
  cumulative: { perm: number; shared: number },
): { perm: number; shared: number } {
  const { role, node: child } = link;
  let { perm, shared } = cumulative;
  if (role & Role.FILTERED) {
    // A filter is as its users are.
  } else if (role & Role.COW) {
    perm &= CONSISTENT_READ;
    const writes = shared & WRITE ? WRITE | RESIZE : 0;
    shared = CONSISTENT_READ | WRITE_UNCHANGED | writes;
  } else if (role & Role.METADATA) {
    if (!node.noIo) perm |= CONSISTENT_READ;
    if (!node.readOnly) perm |= WRITE | RESIZE;
    shared &= ~(WRITE | RESIZE);
  } else {
    if (perm & WRITE_UNCHANGED) perm |= WRITE;
    if (perm & WRITE) perm |= RESIZE;
    shared &= ~RESIZE;
  }
  const { type } = node;
  if (type.childPermissions)
    ({ perm, shared } = type.childPermissions(node, link, { perm, shared }, cumulative));
  if (child.common.forceShare) shared = ALL;
  return { perm, shared };
}

/** `nodes` and all below them, every node after all of its parents that are in the list. */
function downward(nodes: Iterable<BlockNode>): BlockNode[] {
  const done = new Set<BlockNode>();
  const order: BlockNode[] = [];
  const visit = (node: BlockNode) => {
    if (done.has(node)) return;
    done.add(node);
    for (const link of node.links) visit(link.node);
    order.push(node);
  };
  for (const node of nodes) visit(node);
  return order.reverse();
}

/** Throws if one user of the node needs what another does not share. */
function checkUsers(node: BlockNode): void {
  for (const sharer of node.parents) {
    for (const user of node.parents) {
      const missing = user.perm & ~sharer.shared;
      if (user === sharer || !missing) continue;
      const use = (link: Link) =>
        `${link.parent.describe()} (uses node '${node.name}' as '${link.name}' child)`;
      throw new GraphError(
        `Permission conflict on node '${node.name}': permissions '${permissionNames(missing)}' ` +
          `are both required by ${use(user)} and unshared by ${use(sharer)}.`,
      );
    }
  }
}

/** A change of permissions that is possible and not yet made. One of the two must be called; neither can fail. */
export interface PreparedPermissions {
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/** Throws if the last request of a node would go beyond its end. */
function checkAlignment(node: BlockNode): void {
  const alignment = node.requestAlignment;
  if (alignment > 1 && node.length() % alignment !== 0) {
    throw new GraphError(
      "Cannot get 'write' permission without 'resize': Image size is not a multiple of request alignment",
    );
  }
}

/**
 * Works out the permissions below some nodes anew, after links were added, removed or changed, and takes the image locks
 * that are needed, while none is given up. On a failure all permissions and locks are as they were; the caller takes its
 * change of the links back.
 * @param turning nodes that become read-only by the same change: their texts differ
 */
export async function preparePermissions(
  nodes: Iterable<BlockNode>,
  turning: ReadonlySet<BlockNode> = new Set(),
): Promise<PreparedPermissions> {
  const before: [Link, number, number][] = [];
  const prepared: PermissionFollower[] = [];
  const abort = async () => {
    for (const [link, perm, shared] of before.reverse()) {
      link.perm = perm;
      link.shared = shared;
    }
    for (const follower of prepared.reverse()) await follower.abort();
  };
  try {
    for (const node of downward(nodes)) {
      const cumulative = node.cumulative();
      checkUsers(node);
      if (node.readOnly && cumulative.perm & (WRITE | WRITE_UNCHANGED)) {
        throw new GraphError(
          turning.has(node)
            ? `Read-only block node '${node.name}' cannot support read-write users`
            : 'Block node is read-only',
        );
      }
      if (cumulative.perm & WRITE && !(cumulative.perm & RESIZE) && node.ready) checkAlignment(node);
      if (node.follower) {
        await node.follower.prepare(cumulative.perm, cumulative.shared);
        prepared.push(node.follower);
      }
      for (const link of node.links) {
        const { perm, shared } = childPermissions(node, link, cumulative);
        before.push([link, link.perm, link.shared]);
        link.perm = perm;
        link.shared = shared;
      }
    }
  } catch (error) {
    await abort();
    throw error;
  }
  return {
    commit: async () => {
      for (const follower of prepared) await follower.commit();
    },
    abort,
  };
}

/** {@link preparePermissions} for a change that consists of nothing else. */
export async function refreshPermissions(nodes: Iterable<BlockNode>): Promise<void> {
  await (await preparePermissions(nodes)).commit();
}

/** Adds a use of a node and takes the permissions it needs; on a conflict there is no link. */
export async function attach(link: Link, owner: BlockNode | null): Promise<void> {
  link.node.parents.unshift(link);
  owner?.links.unshift(link);
  try {
    await refreshPermissions([owner ?? link.node]);
  } catch (error) {
    unlink(link, owner);
    throw error;
  }
  link.node.references++;
}

/** Removes a use of a node; its permissions are given back. The reference stays with the caller. */
export async function detach(link: Link, owner: BlockNode | null): Promise<void> {
  unlink(link, owner);
  await refreshPermissions([link.node]);
}

function unlink(link: Link, owner: BlockNode | null): void {
  const remove = (list: Link[]) => {
    const at = list.indexOf(link);
    if (at >= 0) list.splice(at, 1);
  };
  remove(link.node.parents);
  if (owner) remove(owner.links);
}
