/** Jobs that end together: none of them is finalized before all have done their work, and one failure fails them all. */
import { Errno, strerror } from '../../files/contract';
import type { Job } from './job';

/** A job that was started alone is a transaction of one. */
export class JobTransaction {
  private readonly jobs: Job[] = [];
  private aborting = false;

  add(job: Job): void {
    this.jobs.push(job);
  }

  /** A job has come to waiting. When all have, they are pending, and are finalized unless a user wants to do that. */
  async workDone(): Promise<void> {
    if (this.aborting || this.jobs.some((job) => job.status !== 'waiting')) return;
    for (const job of this.jobs) job.become('pending');
    if (this.jobs.every((job) => job.options.autoFinalize)) await this.finalize();
  }

  /** Makes the ends of all jobs. Needs all of them pending. */
  async finalize(): Promise<void> {
    for (const job of this.jobs) {
      try {
        await job.driver.prepare?.();
      } catch (error) {
        job.fail(error instanceof Error ? error.message : String(error));
        await this.abort(job);
        return;
      }
    }
    for (const job of this.jobs) {
      job.driver.commit?.();
      job.driver.clean?.();
      job.conclude();
    }
  }

  /** One job has failed or is cancelled: it ends, and the others are cancelled. */
  async abort(failed: Job): Promise<void> {
    if (this.aborting) {
      // Called for a job whose end another job's failure has brought about: that failure ends it below.
      return;
    }
    this.aborting = true;
    for (const job of this.jobs) {
      if (job === failed) continue;
      job.forceCancel();
      await job.settled();
    }
    for (const job of this.jobs) {
      job.fail(strerror(Errno.ECANCELED));
      job.become('aborting');
      job.driver.abort?.();
      job.driver.clean?.();
      job.conclude();
    }
  }
}
