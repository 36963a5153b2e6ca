/** Jobs that end together: none of them is finalized before all have done their work, and one failure fails them all. */
import { Errno, strerror } from '../../files/contract';
import type { JobStatus } from '../../qapi/index';

/** A job as its transaction sees it. */
export interface TransactionJob {
  readonly status: JobStatus;
  readonly cancelled: boolean;
  readonly options: { readonly autoFinalize: boolean };
  readonly driver: {
    /** May still fail the job, when all jobs of the transaction have done their work. */
    prepare?(): Promise<void> | void;
    commit?(): Promise<void> | void;
    abort?(): Promise<void> | void;
    clean?(): Promise<void> | void;
  };
  become(status: JobStatus): void;
  becomePending(): void;
  fail(text: string): void;
  /** As a user cancels it, and it is never refused. */
  requestCancel(force: boolean): Promise<void>;
  /** Resolves when the driver works no more. */
  worked(): Promise<void>;
  conclude(): Promise<void>;
}

/** A job that was started alone is a transaction of one. */
export class JobTransaction {
  /** The newest first: in this order things are done to all of them. */
  private readonly jobs: TransactionJob[] = [];
  /** Whether the end has begun: there is one, good or bad. */
  private ending = false;
  /** Resolves when the end that has begun is made. */
  private ended: Promise<void> = Promise.resolve();

  add(job: TransactionJob): void {
    this.jobs.unshift(job);
  }

  /** A job that never started leaves. */
  remove(job: TransactionJob): void {
    const at = this.jobs.indexOf(job);
    if (at >= 0) this.jobs.splice(at, 1);
  }

  /** A job has come to waiting. When all have, they are pending, and are finalized unless a user wants to do that. */
  async workDone(): Promise<void> {
    if (this.ending || this.jobs.some((job) => job.status !== 'waiting')) return;
    for (const job of this.jobs) job.becomePending();
    if (this.jobs.every((job) => job.options.autoFinalize)) await this.finalize();
  }

  /** Makes the ends of all jobs. Needs all of them pending. */
  async finalize(): Promise<void> {
    await this.begin(null);
  }

  /** One job has failed or is cancelled: it ends, and the others are cancelled. Nothing is new to an end under way. */
  async abort(failed: TransactionJob): Promise<void> {
    if (!this.ending) await this.begin(failed);
  }

  /** Resolves when an end that has begun has been made; at once if none has. */
  settled(): Promise<void> {
    return this.ended;
  }

  private begin(failed: TransactionJob | null): Promise<void> {
    if (!this.ending) {
      this.ending = true;
      this.ended = this.end(failed);
    }
    return this.ended;
  }

  private async end(failed: TransactionJob | null): Promise<void> {
    const cause = failed ?? (await this.prepare());
    if (cause) await this.endBadly(cause, failed !== null && workIsDone(failed));
    else await this.endWell();
  }

  /** The last steps that may fail; answers the job that did, or that was cancelled meanwhile. */
  private async prepare(): Promise<TransactionJob | null> {
    for (const job of this.jobs) {
      try {
        await job.driver.prepare?.();
      } catch (error) {
        job.fail(error instanceof Error ? error.message : String(error));
        return job;
      }
    }
    return this.jobs.find((job) => job.cancelled) ?? null;
  }

  private async endWell(): Promise<void> {
    for (const job of this.jobs) {
      await job.driver.commit?.();
      await job.driver.clean?.();
      await job.conclude();
    }
  }

  /**
   * The one that caused it aborts first, then the others as they come to their end; then all conclude.
   * @param afterwards the work of the cause was done, and a user has cancelled it: that is told in its turn
   */
  private async endBadly(cause: TransactionJob, afterwards: boolean): Promise<void> {
    const abort = (job: TransactionJob) => {
      job.fail(strerror(Errno.ECANCELED));
      job.become('aborting');
    };
    if (!afterwards) abort(cause);
    for (const job of this.jobs) {
      if (job === cause) continue;
      const done = workIsDone(job);
      await job.requestCancel(true);
      await job.worked();
      if (!done) abort(job);
    }
    for (const job of this.jobs) {
      // Those whose work was done already are told one by one.
      abort(job);
      await job.driver.abort?.();
      await job.driver.clean?.();
      await job.conclude();
    }
  }
}

/** Whether a job waits for its end alone. */
function workIsDone(job: TransactionJob): boolean {
  return job.status === 'waiting' || job.status === 'pending';
}
