/** The commands of the chapter on block devices that all block jobs take. */
import type { Handlers } from './registry';

export const blockJobs: Handlers = {
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

  'block-job-dismiss': ({ id }, { jobs }) => {
    jobs.findBlockJob(id).dismiss();
    return {};
  },

  'block-job-change': (options, { jobs }) => {
    jobs.findBlockJob(options.id).change(options);
    return {};
  },
};
