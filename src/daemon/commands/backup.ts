/** blockdev-backup and drive-backup: actions of transactions, of which the commands are those of one action. */
import type { BackupGraph, BackupOptions } from '../../graph/jobs/backup';
import type { BackupCommon, BlockdevBackup, DriveBackup } from '../../qapi/index';
import { backupJob } from '../jobs/backup';
import type { BlockJob } from '../jobs/blockjob';
import type { ActionContext, BegunAction } from '../transaction';

/** What both commands say of a backup. */
function optionsOf(args: BackupCommon): BackupOptions {
  const perf = args['x-perf'] ?? {};
  return {
    device: args.device,
    sync: args.sync,
    bitmap: args.bitmap,
    bitmapMode: args['bitmap-mode'],
    compress: args.compress ?? false,
    discardSource: args['discard-source'] ?? false,
    filterName: args['filter-node-name'],
    maxWorkers: perf['max-workers'],
    maxChunk: perf['max-chunk'],
  };
}

/** Begins `blockdev-backup`: the filter is there and the job is created; it starts with the commit. */
export async function beginBackup(args: BlockdevBackup, context: ActionContext): Promise<BegunAction> {
  const backup = await context.graph.beginBackup({ ...optionsOf(args), target: args.target });
  return beginJob(backup, args, context);
}

/** Begins `drive-backup`. */
export async function beginDriveBackup(args: DriveBackup, context: ActionContext): Promise<BegunAction> {
  const backup = await context.graph.beginDriveBackup({
    ...optionsOf(args),
    target: args.target,
    format: args.format,
    existing: args.mode === 'existing',
  });
  return beginJob(backup, args, context);
}

async function beginJob(
  backup: BackupGraph,
  args: BackupCommon,
  { graph, jobs, group }: ActionContext,
): Promise<BegunAction> {
  const exclusive = <T>(change: () => Promise<T>): Promise<T> => graph.exclusive(change);
  let job: BlockJob | null = null;
  try {
    const driver = backupJob(exclusive, backup, {
      onSourceError: args['on-source-error'] ?? 'report',
      onTargetError: args['on-target-error'] ?? 'report',
    });
    const options = {
      speed: args.speed ?? 0,
      autoFinalize: args['auto-finalize'] ?? true,
      autoDismiss: args['auto-dismiss'] ?? true,
    };
    const made = jobs.createBlockJob(args['job-id'], driver, options, group ?? undefined);
    job = made;
    await exclusive(() => backup.hold(made.id));
    return {
      commit: () => made.startHeld(),
      abort: () => made.discardUnstarted(),
      clean: () => {
        if (made.status === 'paused') made.letGo();
      },
    };
  } catch (error) {
    job?.discard();
    await exclusive(() => backup.end());
    throw error;
  }
}
