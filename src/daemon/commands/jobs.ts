/** The chapter on background jobs: the verbs that all types of jobs have. */
import type { Handlers } from './registry';

export const jobs: Handlers = {
  'query-jobs': (_args, { jobs }) => jobs.list().map((job) => job.info()),

  'job-pause': ({ id }, { jobs }) => {
    jobs.find(id).pause();
    return {};
  },

  'job-resume': ({ id }, { jobs }) => {
    jobs.find(id).resume();
    return {};
  },

  'job-cancel': ({ id }, { jobs }) => {
    jobs.find(id).cancel();
    return {};
  },

  'job-complete': ({ id }, { jobs }) => {
    jobs.find(id).complete();
    return {};
  },

  'job-finalize': async ({ id }, { jobs }) => {
    await jobs.find(id).finalize();
    return {};
  },

  'job-dismiss': ({ id }, { jobs }) => {
    jobs.find(id).dismiss();
    return {};
  },
};
