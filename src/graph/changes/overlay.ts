/** External snapshots: an overlay is put above a node, which is only read from then on (graph.md section 8). */
import { Permission } from '../../files/locks';
import type { NewOverlay, PlacedOverlay, QDict } from '../api';
import { checkNotBacking } from '../busy';
import { GraphChange } from './change';
import type { Creator } from '../images/create';
import { GraphError } from '../errors';
import { checkNoJob } from '../jobs/links';
import { Role, type BlockNode, type Link } from '../node';
import type { Opener } from '../open';
import { Options } from '../options';
import { setReadOnly } from './reopen';

/** `blockdev-snapshot`: puts a node that is there above another one. */
export async function placeOverlay(
  opener: Opener,
  name: string,
  overlayName: string,
): Promise<PlacedOverlay> {
  const node = opener.table.lookup(name, name);
  await prepareBelow(node);
  const overlay = opener.table.lookup(overlayName, overlayName);
  overlay.references++;
  return place(opener, node, overlay);
}

/** `blockdev-snapshot-sync`: makes the file of the overlay, unless it is there, and opens it. */
export async function placeNewOverlay(
  opener: Opener,
  creator: Creator,
  wanted: NewOverlay,
): Promise<PlacedOverlay> {
  const { device, nodeName, file, overlayName, format = 'qcow2', existing } = wanted;
  const node = opener.table.lookup(device, nodeName);
  await prepareBelow(node);
  if (nodeName !== undefined && overlayName === undefined)
    throw new GraphError('New overlay node-name missing');
  if (overlayName !== undefined && opener.table.find(overlayName)) {
    throw new GraphError('New overlay node-name already in use');
  }
  if (!existing) {
    const values = { size: node.length(), backing_file: node.filename, backing_fmt: node.driver };
    const prepared = await creator.prepare({ filename: file, format, values }, true);
    opener.environment.output?.(`Formatting '${file}', ${prepared.line}`);
    await creator.createImage(prepared);
  }
  const { readOnly, direct, noFlush, discard } = node.common;
  const options: QDict = {
    driver: format,
    ...(overlayName !== undefined && { 'node-name': overlayName }),
    'read-only': readOnly,
    'cache.direct': direct,
    'cache.no-flush': noFlush,
    discard: discard ? 'unmap' : 'ignore',
  };
  const overlay = await opener.open({ filename: file, options: Options.from(options), noBacking: true });
  return place(opener, node, overlay);
}

/** What is asked of a node that is to get an overlay; what was written is in its image afterwards. */
async function prepareBelow(node: BlockNode): Promise<void> {
  checkNoJob(node);
  checkNotBacking(node);
  if (node.readOnly) return;
  try {
    await node.engine.presence.whenPresent(() => node.engine.flush(node.handle));
  } catch {
    throw new GraphError(`Write to node '${node.name}' failed`);
  }
}

/** Takes over the caller's reference on the overlay. */
async function place(opener: Opener, node: BlockNode, overlay: BlockNode): Promise<PlacedOverlay> {
  const moved = new Set<Link>(node.parents);
  try {
    if (overlay.cumulative().perm & Permission.CONSISTENT_READ) {
      throw new GraphError('The overlay is already in use');
    }
    if (overlay.isFilter) throw new GraphError('Filters cannot be used as overlays');
    if (overlay.backing) throw new GraphError('The overlay already has a backing image');
    if (!overlay.type.backing) throw new GraphError('The overlay does not support backing images');
    const change = new GraphChange(opener);
    try {
      change.append(overlay, node);
    } catch (error) {
      await change.abort();
      throw error;
    }
    await change.apply();
  } catch (error) {
    await opener.unref(overlay);
    throw error;
  }
  const letGo = () => opener.unref(overlay).catch(() => undefined);
  return {
    commit: async () => {
      // As in QEMU nobody is told if it cannot be: nothing writes to it any more in any case.
      await setReadOnly(opener, node, true).catch(() => undefined);
      await letGo();
    },
    abort: async () => {
      const change = new GraphChange(opener);
      change.replaceNode(overlay, node, (link) => moved.has(link));
      change.setChild(overlay, 'backing', Role.COW, null);
      await change.apply();
      await letGo();
    },
  };
}
