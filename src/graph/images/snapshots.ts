/** Internal snapshots of images, seen through filters and raw nodes (graph.md section 8). */
import { BlockError, type Snapshot } from '../../engine/contract';
import { Errno, strerror } from '../../files/contract';
import type { SnapshotInfo } from '../../qapi/types.generated';
import type { ImageSnapshots } from '../api';
import { bitmapsOf } from '../bitmaps';
import { GraphError, toGraphError } from '../errors';
import { Role, type BlockNode } from '../node';

/** The node whose format has the snapshots of `node`: itself, or the only one below it that holds its data. */
function holderOf(node: BlockNode): BlockNode | null {
  if (node.type.internalSnapshots) return node;
  const storage = node.links.filter(({ role }) => role & (Role.FILTERED | Role.DATA | Role.METADATA));
  const [only] = storage;
  return storage.length === 1 && only ? holderOf(only.node) : null;
}

function toInfo(snapshot: Snapshot): SnapshotInfo {
  return {
    id: snapshot.id,
    name: snapshot.name,
    'vm-state-size': snapshot.vmStateSize,
    'date-sec': snapshot.dateSec,
    'date-nsec': snapshot.dateNsec,
    'vm-clock-sec': snapshot.vmClockSec,
    'vm-clock-nsec': snapshot.vmClockNsec,
    ...(snapshot.icount !== null && { icount: snapshot.icount }),
  };
}

/** The snapshots of the image of a node; null: its format has none. */
export function snapshotsOf(node: BlockNode): ImageSnapshots | null {
  const holder = holderOf(node);
  if (!holder) return null;
  const { engine } = holder;
  const checkApply = (): void => {
    // What they say is of the disk as it is now.
    if (bitmapsOf(holder).length > 0) {
      throw new GraphError('Device has active dirty bitmaps', { errno: Errno.EBUSY });
    }
  };
  return {
    list: () => {
      // Tables of snapshots point to data in the image, and there is none.
      if (holder.links.some(({ name }) => name === 'data-file')) {
        throw new BlockError(Errno.ENOTSUP, strerror(Errno.ENOTSUP));
      }
      return engine.snapshots(holder.handle).map(toInfo);
    },
    create: (name, clock, icount) => {
      const now = Date.now();
      const time = { seconds: Math.floor(now / 1000), nanoseconds: (now % 1000) * 1_000_000 };
      engine.createSnapshot(holder.handle, {
        name,
        dateSec: time.seconds,
        dateNsec: time.nanoseconds,
        vmClockSec: clock === 'now' ? time.seconds : 0,
        vmClockNsec: clock === 'now' ? time.nanoseconds : 0,
        icount,
      });
    },
    delete: (index) => {
      try {
        if (holder.readOnly) throw new BlockError(Errno.EPERM, strerror(Errno.EPERM));
        engine.deleteSnapshot(holder.handle, index);
      } catch (error) {
        const failure = toGraphError(error);
        const plain = failure.desc === strerror(failure.errno);
        throw plain ? failure.prefixed('Failed to remove snapshot from snapshot list: ') : failure;
      }
    },
    checkApply,
    apply: (index) => {
      checkApply();
      engine.revertSnapshot(holder.handle, index);
    },
    // Only the format itself can do this.
    show: (index) => engine.showSnapshot(node.handle, index),
  };
}

/** The list, or null where the image cannot have one. */
export function listSnapshots(snapshots: ImageSnapshots): SnapshotInfo[] | null {
  try {
    return snapshots.list();
  } catch (error) {
    if (error instanceof BlockError && error.errno === Errno.ENOTSUP) return null;
    throw error;
  }
}

/** The same for a command: it fails without one. */
function demandList(snapshots: ImageSnapshots): SnapshotInfo[] {
  const list = listSnapshots(snapshots);
  if (!list) throw new GraphError(`Failed to get a snapshot list: ${strerror(Errno.ENOTSUP)}`);
  return list;
}

/** What of a list of snapshots has this id, this name, or both; undefined: anything. */
function matches(id: string | undefined, name: string | undefined): (snapshot: SnapshotInfo) => boolean {
  return (snapshot) =>
    (id === undefined || snapshot.id === id) && (name === undefined || snapshot.name === name);
}

/** The node that commands on internal snapshots name by `device`: nobody may have it as a child. */
export function checkRoot(node: BlockNode): void {
  if (node.parents.some((link) => 'links' in link.parent)) throw new GraphError('Need a root block node');
}

/** blockdev-snapshot-internal-sync */
export function createInternal(node: BlockNode, device: string, name: string): void {
  checkRoot(node);
  if (node.readOnly) throw new GraphError(`Device '${device}' is read only`);
  const snapshots = snapshotsOf(node);
  if (!snapshots) {
    throw new GraphError(
      `Block format '${node.driver}' used by device '${device}' does not support internal snapshots`,
    );
  }
  if (name === '') throw new GraphError('Name is empty');
  if (demandList(snapshots).some(matches(undefined, name))) {
    throw new GraphError(`Snapshot with name '${name}' already exists on device '${device}'`);
  }
  try {
    // The clock of a daemon without a machine is that of the host.
    snapshots.create(name, 'now', null);
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    throw new GraphError(
      `Failed to create snapshot '${name}' on device '${device}': ${strerror(error.errno)}`,
    );
  }
}

/** blockdev-snapshot-delete-internal-sync; answers what was deleted. */
export function deleteInternal(
  node: BlockNode,
  device: string,
  id: string | undefined,
  name: string | undefined,
): SnapshotInfo {
  checkRoot(node);
  if (id === undefined && name === undefined) throw new GraphError('Name or id must be provided');
  const snapshots = snapshotsOf(node);
  if (!snapshots) throw new GraphError(`Failed to get a snapshot list: ${strerror(Errno.ENOTSUP)}`);
  const list = demandList(snapshots);
  const index = list.findIndex(matches(id, name));
  const found = list[index];
  if (!found) {
    throw new GraphError(
      `Snapshot with id '${id ?? 'null'}' and name '${name ?? 'null'}' does not exist on device '${device}'`,
    );
  }
  snapshots.delete(index);
  return found;
}
