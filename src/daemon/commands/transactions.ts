/** The chapter on transactions: the actions, and those commands that are transactions of one action. */
import { QmpError } from '../../qapi/index';
import type { TransactionAction, TransactionProperties } from '../../qapi/types.generated';
import { beginBackup, beginDriveBackup } from './backup';
import { runTransaction, type Actions } from '../transaction';
import type { CommandContext, Handlers } from './registry';

/** How each type of action is begun and ended. */
const ACTIONS: Actions = {
  abort: async () => {
    throw new QmpError('Transaction aborted using Abort action');
  },

  'blockdev-backup': beginBackup,

  'drive-backup': beginDriveBackup,

  'blockdev-snapshot': ({ node, overlay }, { graph }) => graph.placeOverlay(node, overlay),

  'blockdev-snapshot-sync': (data, { graph }) =>
    graph.placeNewOverlay({
      device: data.device,
      nodeName: data['node-name'],
      file: data['snapshot-file'],
      overlayName: data['snapshot-node-name'],
      format: data.format,
      existing: data.mode === 'existing',
    }),

  'blockdev-snapshot-internal-sync': async ({ device, name }, { graph }) => {
    await graph.snapshotInternal(device, name);
    return { abort: () => graph.snapshotDeleteInternal({ device, name }).then(() => undefined) };
  },

  'block-dirty-bitmap-add': (data, { graph }) => graph.bitmaps.add(data),

  'block-dirty-bitmap-remove': async ({ node, name }, { graph }) => graph.bitmaps.remove(node, name),

  'block-dirty-bitmap-clear': async ({ node, name }, { graph }) => graph.bitmaps.clear(node, name),

  'block-dirty-bitmap-enable': async ({ node, name }, { graph }) =>
    graph.bitmaps.setEnabled(node, name, true),

  'block-dirty-bitmap-disable': async ({ node, name }, { graph }) =>
    graph.bitmaps.setEnabled(node, name, false),

  'block-dirty-bitmap-merge': async ({ node, target, bitmaps }, { graph }) =>
    graph.bitmaps.merge(node, target, bitmaps),
};

/** A transaction that is one moment for the clients of exports. */
function atOnce(
  list: readonly TransactionAction[],
  properties: TransactionProperties,
  context: CommandContext,
): Promise<void> {
  return context.exports.quiesced(() =>
    context.jobs.quiesced(() => runTransaction(ACTIONS, list, properties, context)),
  );
}

export const transactions: Handlers = {
  transaction: async ({ actions, properties }, context) => {
    await atOnce(actions, properties ?? {}, context);
    return {};
  },

  'blockdev-snapshot': async (data, context) => {
    await atOnce([{ type: 'blockdev-snapshot', data }], {}, context);
    return {};
  },

  'blockdev-snapshot-sync': async (data, context) => {
    await atOnce([{ type: 'blockdev-snapshot-sync', data }], {}, context);
    return {};
  },

  'blockdev-snapshot-internal-sync': async (data, context) => {
    await atOnce([{ type: 'blockdev-snapshot-internal-sync', data }], {}, context);
    return {};
  },

  'blockdev-backup': async (data, context) => {
    await atOnce([{ type: 'blockdev-backup', data }], {}, context);
    return {};
  },

  'drive-backup': async (data, context) => {
    await atOnce([{ type: 'drive-backup', data }], {}, context);
    return {};
  },
};
