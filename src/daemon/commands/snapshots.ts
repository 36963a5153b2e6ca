/** The commands of the chapter on block devices that delete internal snapshots (making them is a transaction). */
import type { Handlers } from './registry';

export const snapshots: Handlers = {
  'blockdev-snapshot-delete-internal-sync': ({ device, id, name }, { graph }) =>
    graph.snapshotDeleteInternal({
      device,
      ...(id !== undefined && { id }),
      ...(name !== undefined && { name }),
    }),
};
