/** All jobs of a daemon, by id. */
import { QmpError } from '../../qapi/index';
import { BlockJob, type BlockJobDriver, type BlockJobOptions } from './blockjob';
import { Job, type JobDriver, type JobOptions, type JobSurroundings } from './job';
import { JobTransaction } from './transaction';

const JOB_ID = /^[A-Za-z][A-Za-z0-9._-]*$/;

export class JobTable {
  private readonly jobs = new Map<string, Job>();
  private readonly surroundings: JobSurroundings;
  /** Changes under way during which block jobs do nothing. */
  private holds = 0;
  private released: Promise<void> = Promise.resolve();
  private release: () => void = () => undefined;

  constructor(surroundings: Omit<JobSurroundings, 'dismissed' | 'held'>) {
    this.surroundings = {
      ...surroundings,
      dismissed: (gone) => this.forget(gone),
      held: () => (this.holds > 0 ? this.released : null),
    };
  }

  /** Does something while no block job reads or writes. */
  async quiesced<T>(change: () => Promise<T>): Promise<T> {
    if (this.holds++ === 0) this.released = new Promise((resolve) => (this.release = resolve));
    try {
      return await change();
    } finally {
      if (--this.holds === 0) this.release();
    }
  }

  /** Throws `Invalid job ID '...'` and `Job ID '...' already in use`. */
  checkId(id: string): void {
    if (!JOB_ID.test(id)) throw new QmpError(`Invalid job ID '${id}'`);
    if (this.jobs.has(id)) throw new QmpError(`Job ID '${id}' already in use`);
  }

  /** Makes a job; `start()` begins its work. Throws as {@link checkId}. */
  create(id: string, driver: JobDriver, options: JobOptions, transaction = new JobTransaction()): Job {
    this.checkId(id);
    const job = new Job(id, driver, options, transaction, this.surroundings);
    this.jobs.set(id, job);
    return job;
  }

  /**
   * The same for a block job. Without an id it would have that of the device; but the daemon has no devices, and so that id
   * is an invalid one. A negative speed is refused when the job is there already, as events show.
   */
  createBlockJob(
    id: string | undefined,
    driver: BlockJobDriver,
    options: BlockJobOptions,
    transaction = new JobTransaction(),
  ): BlockJob {
    this.checkId(id ?? '');
    const job = new BlockJob(id ?? '', driver, options, transaction, this.surroundings);
    this.jobs.set(job.id, job);
    return job;
  }

  private forget(job: Job): void {
    if (this.jobs.get(job.id) === job) this.jobs.delete(job.id);
  }

  /** The job with this id; `Job not found`. */
  find(id: string): Job {
    const job = this.jobs.get(id);
    if (!job) throw new QmpError('Job not found');
    return job;
  }

  /** The block job with this id; of class DeviceNotActive: `Block job '...' not found`. */
  findBlockJob(id: string): BlockJob {
    const job = this.jobs.get(id);
    if (!(job instanceof BlockJob)) throw new QmpError(`Block job '${id}' not found`, 'DeviceNotActive');
    return job;
  }

  /** All jobs, the newest first. */
  list(): Job[] {
    return [...this.jobs.values()].reverse();
  }

  /** All block jobs, the newest first. */
  blockJobs(): BlockJob[] {
    return this.list().filter((job) => job instanceof BlockJob);
  }

  /**
   * The graph changes: jobs that work are paused for this moment, in the given order of ids, and go on oldest first.
   * There is nothing to wait for, because at a pause point no request is under way.
   */
  drain(order: readonly string[]): void {
    const stopped = this.stop(order);
    for (const job of this.jobs.values()) if (stopped.has(job)) job.leavePause();
  }

  private stop(order: readonly string[]): Set<Job> {
    const stopped = new Set<Job>();
    for (const id of order) {
      const job = this.jobs.get(id);
      if (!job?.betweenPieces) continue;
      job.enterPause();
      stopped.add(job);
    }
    return stopped;
  }

  /** Stops what works as for a {@link drain}, cancels it, waits for it, and dismisses everything, newest first. */
  async shutDown(order: readonly string[]): Promise<void> {
    this.stop(order);
    for (const job of this.list()) {
      if (job.status !== 'concluded' && job.status !== 'null') await job.requestCancel(true);
      await job.settled();
      if (job.status === 'concluded') await job.dismiss();
    }
  }
}
