/** copy-before-write: what is about to be overwritten goes to another node first; and snapshot-access, which reads it. */
import type { NodeHandle } from '../../engine/contract';
import { Permission } from '../../files/locks';
import { checkUsable, findBitmap, type NodeBitmap } from '../bitmaps';
import { GraphError, toGraphError } from '../errors';
import { Role, type BlockNode } from '../node';
import type { Driver, OpenContext } from './driver';

/** Bytes of a cluster of such a filter, at least. */
const MIN_CLUSTER = 65536;

/**
 * Bytes that are copied at once, at least: whole clusters of the target, so that nothing of its own is lost that is only
 * partly written.
 */
export function keepCluster(target: BlockNode, warn: (text: string) => void): number {
  const details = target.type.details(target);
  if (details) return Math.max(MIN_CLUSTER, details.clusterSize);
  if (!target.backing) {
    warn(
      "The target block device doesn't provide information about the block size and it doesn't have a backing file. " +
        `The (default) block size of ${MIN_CLUSTER} bytes is used. ` +
        'If the actual block size of the target exceeds this value, the backup may be unusable',
    );
  }
  return MIN_CLUSTER;
}

/** Filters of jobs that discard in the source what they have copied. */
const discarding = new WeakSet<BlockNode>();

/** Lets a filter take what it needs to discard in its file; before it has users. */
export function discardsSource(filter: BlockNode): void {
  discarding.add(filter);
}

/** Opens the filter in the engine, when its children are attached. */
function openFilter(context: OpenContext, target: BlockNode, file: BlockNode): NodeHandle {
  const { engine, node, options } = context;
  const bitmap = takeBitmap(context);
  const onError = options.takeEnum('on-cbw-error', ['break-guest-write', 'break-snapshot']);
  // No copy takes any time here that could be up.
  options.takeNumber('cbw-timeout');
  const handle = engine.backup.open(file.handle, target.handle, {
    readOnly: node.readOnly,
    cluster: keepCluster(target, (text) => context.warn(text)),
    breakSnapshot: onError === 'break-snapshot',
  });
  try {
    if (bitmap) checkMergeable(bitmap, file.length());
    engine.backup.select(handle, bitmap?.handle ?? null);
  } catch (error) {
    engine.close(handle);
    throw error;
  }
  return handle;
}

function takeBitmap(context: OpenContext): NodeBitmap | null {
  const { options } = context;
  const nodeName = options.takeText('bitmap.node');
  const name = options.takeText('bitmap.name');
  if (nodeName === undefined || name === undefined) return null;
  const node = context.find(nodeName);
  if (!node) throw new GraphError(`Node '${nodeName}' not found`);
  const bitmap = findBitmap(node, name);
  if (!bitmap) throw new GraphError(`Dirty bitmap '${name}' not found`);
  return bitmap;
}

function checkMergeable(bitmap: NodeBitmap, size: number): void {
  const { name, size: other } = bitmap.state;
  const prefix = `Cannot create block-copy-state: Failed to merge bitmap '${name}' to internal copy-bitmap: `;
  try {
    checkUsable(bitmap, { readOnly: 'allowed' });
  } catch (error) {
    throw toGraphError(error).prefixed(prefix);
  }
  if (other !== size) {
    const sizes = `(destination size is ${size}, source size is ${other})`;
    throw new GraphError(`${prefix}Bitmaps are of different sizes ${sizes} and can't be merged`);
  }
}

export const copyBeforeWrite: Driver = {
  name: 'copy-before-write',
  protocol: false,
  prefixes: [],
  filter: true,
  namedAsChild: true,
  backing: false,
  needsFilename: false,
  strongOptions: [],
  resizable: true,
  async open(context: OpenContext): Promise<NodeHandle> {
    const file = await context.openChild('file', Role.FILTERED | Role.PRIMARY, true);
    const target = await context.openChild('target', Role.DATA, true);
    return openFilter(context, target, file);
  },
  childPermissions(node, link, { perm, shared }, cumulative) {
    if (link.name === 'target') {
      return { perm: Permission.WRITE, shared: Permission.ALL & ~Permission.RESIZE };
    }
    if (node.parents.length === 0) return { perm, shared };
    const discards = discarding.has(node) ? Permission.WRITE : 0;
    return {
      perm: cumulative.perm | Permission.CONSISTENT_READ | discards,
      shared: shared & ~(Permission.WRITE | Permission.RESIZE),
    };
  },
  details: (node) => (node.filtered ? node.filtered.type.details(node.filtered) : null),
};

export const snapshotAccess: Driver = {
  name: 'snapshot-access',
  protocol: false,
  prefixes: [],
  filter: false,
  namedAsChild: true,
  backing: false,
  needsFilename: false,
  strongOptions: [],
  resizable: false,
  async open(context: OpenContext): Promise<NodeHandle> {
    const file = await context.openChild('file', Role.DATA | Role.PRIMARY, true);
    return context.engine.backup.openReader(file.handle, context.node.readOnly);
  },
  // What it reads is kept for it, whatever others do.
  childPermissions: () => ({ perm: 0, shared: Permission.ALL }),
  details: () => null,
};
