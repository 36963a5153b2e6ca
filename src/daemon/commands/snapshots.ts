/** The commands of the chapter on block devices that make and delete internal snapshots. */
import type { Handlers } from './registry';

export const snapshots: Handlers = {
  'blockdev-snapshot-internal-sync': async ({ device, name }, { graph }) => {
    await graph.snapshotInternal(device, name);
    return {};
  },

  'blockdev-snapshot-delete-internal-sync': ({ device, id, name }, { graph }) =>
    graph.snapshotDeleteInternal({
      device,
      ...(id !== undefined && { id }),
      ...(name !== undefined && { name }),
    }),
};
