/** The commands that mirror nodes. */
import type { MirrorGraph } from '../../graph/jobs/mirrorgraph';
import { mirrorJob, type MirrorOptions } from '../jobs/mirror';
import { exclusive, jobOptions } from './jobstart';
import type { CommandContext, Handlers } from './registry';

/** Makes the job of a mirror whose filter is in its place, and starts it. */
export async function startMirror(
  context: CommandContext,
  mirror: MirrorGraph,
  args: { 'job-id'?: string } & Parameters<typeof jobOptions>[0],
  options: MirrorOptions,
): Promise<void> {
  const { jobs, environment } = context;
  const run = exclusive(context);
  try {
    const driver = mirrorJob(environment.engine, run, mirror, options);
    const job = jobs.createBlockJob(args['job-id'], driver, jobOptions(args));
    try {
      await run(() => mirror.hold(job.id));
    } catch (error) {
      job.discard();
      throw error;
    }
    job.start();
    await job.begun;
  } catch (error) {
    await run(() => mirror.end());
    throw error;
  }
}

/** What both commands say of a mirror. */
function mirrorOptions(args: {
  'on-source-error'?: MirrorOptions['onSourceError'];
  'on-target-error'?: MirrorOptions['onTargetError'];
  'buf-size'?: number;
  'copy-mode'?: MirrorOptions['copyMode'];
}): MirrorOptions {
  return {
    onSourceError: args['on-source-error'] ?? 'report',
    onTargetError: args['on-target-error'] ?? 'report',
    bufSize: args['buf-size'] ?? 0,
    copyMode: args['copy-mode'] ?? 'background',
  };
}

export const mirrors: Handlers = {
  'blockdev-mirror': async (args, context) => {
    const mirror = await context.graph.beginMirror({
      device: args.device,
      target: args.target,
      sync: args.sync,
      granularity: args.granularity,
      bufSize: args['buf-size'],
      replaces: args.replaces,
      unmap: true,
      filterName: args['filter-node-name'],
    });
    await startMirror(context, mirror, args, mirrorOptions(args));
    return {};
  },

  'drive-mirror': async (args, context) => {
    const mirror = await context.graph.beginDriveMirror({
      device: args.device,
      target: args.target,
      format: args.format,
      nodeName: args['node-name'],
      existing: args.mode === 'existing',
      sync: args.sync,
      granularity: args.granularity,
      bufSize: args['buf-size'],
      replaces: args.replaces,
      unmap: args.unmap ?? true,
    });
    await startMirror(context, mirror, args, mirrorOptions(args));
    return {};
  },
};
