/** The commands of the chapter on block devices that all block jobs take. */
import { commitJob } from '../jobs/commit';
import { streamJob } from '../jobs/stream';
import { CommitGraph } from '../../graph/jobs/commit';
import { exclusive, jobOptions } from './jobstart';
import { startMirror } from './mirror';
import type { Handlers } from './registry';

export const blockJobs: Handlers = {
  'block-stream': async (args, context) => {
    const { graph, jobs, environment } = context;
    const stream = await graph.beginStream({
      device: args.device,
      base: args.base,
      baseNode: args['base-node'],
      bottom: args.bottom,
      backingFile: args['backing-file'],
      maskProtocol: args['backing-mask-protocol'] ?? false,
      filterName: args['filter-node-name'],
    });
    const run = exclusive(context);
    try {
      const driver = streamJob(environment.engine, run, stream, args['on-error'] ?? 'report');
      const job = jobs.createBlockJob(args['job-id'], driver, jobOptions(args));
      try {
        await run(() => stream.hold(job.id));
      } catch (error) {
        job.discard();
        throw error;
      }
      job.start();
      await job.begun;
    } catch (error) {
      await run(() => stream.discard());
      throw error;
    }
    return {};
  },

  'block-commit': async (args, context) => {
    const { graph, jobs, environment } = context;
    const commit = await graph.findCommit({
      device: args.device,
      top: args.top,
      topNode: args['top-node'],
      base: args.base,
      baseNode: args['base-node'],
      backingFile: args['backing-file'],
      maskProtocol: args['backing-mask-protocol'] ?? false,
      filterName: args['filter-node-name'],
    });
    if (!(commit instanceof CommitGraph)) {
      const onError = args['on-error'] ?? 'report';
      const options = { onSourceError: onError, onTargetError: onError, bufSize: 0 };
      const mirror = await graph.beginActiveCommit(commit);
      await startMirror(context, mirror, args, { ...options, copyMode: 'background' });
      return {};
    }
    const run = exclusive(context);
    const driver = commitJob(environment.engine, run, commit, args['on-error'] ?? 'report');
    const job = jobs.createBlockJob(args['job-id'], driver, jobOptions(args));
    try {
      await run(() => commit.hold(job.id));
    } catch (error) {
      job.discard();
      throw error;
    }
    job.start();
    await job.begun;
    return {};
  },

  'query-block-jobs': (_args, { jobs }) => jobs.blockJobs().map((job) => job.blockInfo()),

  'block-job-set-speed': async ({ device, speed }, { jobs }) => {
    await jobs.findBlockJob(device).setSpeed(speed);
    return {};
  },

  'block-job-cancel': async ({ device, force }, { jobs }) => {
    await jobs.findBlockJob(device).cancelAsBlockJob(force ?? false);
    return {};
  },

  'block-job-pause': ({ device }, { jobs }) => {
    jobs.findBlockJob(device).pause();
    return {};
  },

  'block-job-resume': async ({ device }, { jobs }) => {
    await jobs.findBlockJob(device).resume();
    return {};
  },

  'block-job-complete': async ({ device }, { jobs }) => {
    await jobs.findBlockJob(device).complete();
    return {};
  },

  'block-job-finalize': async ({ id }, { jobs }) => {
    await jobs.findBlockJob(id).finalize();
    return {};
  },

  'block-job-dismiss': async ({ id }, { jobs }) => {
    await jobs.findBlockJob(id).dismiss();
    return {};
  },

  'block-job-change': (options, { jobs }) => {
    jobs.findBlockJob(options.id).change(options);
    return {};
  },
};
