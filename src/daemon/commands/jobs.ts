/** The chapter on background jobs: the verbs that all types of jobs have. */
import type { Handlers } from './registry';

export const jobs: Handlers = {
  'query-jobs': (_args, { jobs }) => jobs.list().map((job) => job.info()),

  'job-pause': ({ id }, { jobs }) => {
    jobs.find(id).pause();
    return {};
  },

  'job-resume': async ({ id }, { jobs }) => {
    await jobs.find(id).resume();
    return {};
  },

  'job-cancel': async ({ id }, { jobs }) => {
    await jobs.find(id).cancel();
    return {};
  },

  'job-complete': async ({ id }, { jobs }) => {
    await jobs.find(id).complete();
    return {};
  },

  'job-finalize': async ({ id }, { jobs }) => {
    await jobs.find(id).finalize();
    return {};
  },

  'job-dismiss': async ({ id }, { jobs }) => {
    await jobs.find(id).dismiss();
    return {};
  },
};
