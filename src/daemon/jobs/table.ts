/** All jobs of a daemon, by id. */
import { QmpError } from '../../qapi/index';
import { Job, type JobDriver, type JobOptions, type JobSurroundings } from './job';
import { JobTransaction } from './transaction';

const JOB_ID = /^[A-Za-z][A-Za-z0-9._-]*$/;

export class JobTable {
  private readonly jobs = new Map<string, Job>();

  constructor(private readonly surroundings: Omit<JobSurroundings, 'dismissed'>) {}

  /**
   * Makes a job; `start()` begins its work. Throws `Invalid job ID '...'` and `Job ID '...' already in use`.
   */
  create(id: string, driver: JobDriver, options: JobOptions, transaction = new JobTransaction()): Job {
    if (!JOB_ID.test(id)) throw new QmpError(`Invalid job ID '${id}'`);
    if (this.jobs.has(id)) throw new QmpError(`Job ID '${id}' already in use`);
    const job = new Job(id, driver, options, transaction, {
      ...this.surroundings,
      dismissed: (gone) => this.jobs.delete(gone.id),
    });
    this.jobs.set(id, job);
    return job;
  }

  /** The job with this id; `Job not found`. */
  find(id: string): Job {
    const job = this.jobs.get(id);
    if (!job) throw new QmpError('Job not found');
    return job;
  }

  /** All jobs, the newest first. */
  list(): Job[] {
    return [...this.jobs.values()].reverse();
  }

  /** Cancels what works, waits for it, and dismisses everything. */
  async shutDown(): Promise<void> {
    for (const job of this.list()) {
      if (job.status !== 'concluded') job.forceCancel();
      await job.settled();
      await job.transaction.settled();
      if (job.status === 'concluded') job.dismiss();
    }
  }
}
