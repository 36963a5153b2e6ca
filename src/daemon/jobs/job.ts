/**
 * One job: its status, its work, and what users ask of it.
 *
 * A driver does the work in an async function that calls {@link JobControl.pausePoint} between its pieces; everything
 * else (statuses and their events, pausing, cancelling, the end together with the other jobs of its transaction) is here
 * and the same for all types. Events and their order: docs of QEMU's job life cycle, checked with the real daemon.
 */
import { strerror, Errno } from '../../files/contract';
import { QmpError, type JobInfo, type JobStatus, type JobType } from '../../qapi/index';
import { TRANSITIONS, VERBS, type JobVerb } from './states';
import type { JobTransaction } from './transaction';

/** What a driver may do to its job. */
export interface JobControl {
  /** Sets how much there is to do in all and how much of it is done; done never goes backwards. */
  setProgress(done: number, total: number): void;
  /**
   * Lets others run; waits while the job is paused. Called between pieces of work of about 10 ms.
   * Throws {@link JobCancelled} when the job is to end.
   */
  pausePoint(): Promise<void>;
  /** Lets others run; the job is neither paused nor ended here. */
  turn(): Promise<void>;
}

/** What makes a type of job. */
export interface JobDriver {
  readonly type: JobType;
  /** The work begins at once, not at a pause point: what fails early is told before the command is answered. */
  readonly eager?: boolean;
  /** The work. A failure is thrown: its message becomes the error of the job. */
  run(control: JobControl): Promise<void>;
  /** May still fail the job, when all jobs of the transaction have done their work. */
  prepare?(): Promise<void>;
  /** The job ends well; must not fail. */
  commit?(): void;
  /** The job ends otherwise; must not fail. */
  abort?(): void;
  /** After commit or abort; must not fail. */
  clean?(): void;
  /** Asks a ready job to end. Absent: there is no such thing in this type. */
  complete?(): void;
}

/** How a job is started. */
export interface JobOptions {
  autoFinalize: boolean;
  autoDismiss: boolean;
}

/** Thrown out of a pause point of a job that is to end. */
class JobCancelled extends Error {
  override readonly name = 'JobCancelled';
  constructor() {
    super(strerror(Errno.ECANCELED));
  }
}

/** What a job needs from the daemon. */
export interface JobSurroundings {
  statusChanged(job: Job): void;
  turn(): Promise<void>;
  /** The job is gone. */
  dismissed(job: Job): void;
}

export class Job implements JobControl {
  private current: JobStatus = 'undefined';
  private done = 0;
  private total = 0;
  private userPaused = false;
  private cancelRequested = false;
  private failure: string | null = null;
  private wake: (() => void) | null = null;
  private markBegun: () => void = () => undefined;
  /** Resolves when the work lets others run for the first time, or has ended: the command may be answered. */
  readonly begun = new Promise<void>((resolve) => (this.markBegun = resolve));
  /** Resolves when the work has ended, in whichever way, and the ends that need no user are made. */
  private finished: Promise<void> = Promise.resolve();

  constructor(
    readonly id: string,
    readonly driver: JobDriver,
    readonly options: JobOptions,
    readonly transaction: JobTransaction,
    private readonly surroundings: JobSurroundings,
  ) {
    transaction.add(this);
    this.become('created');
  }

  get status(): JobStatus {
    return this.current;
  }

  get cancelled(): boolean {
    return this.cancelRequested;
  }

  /** The text of what went wrong, or null. */
  get error(): string | null {
    return this.failure;
  }

  info(): JobInfo {
    return {
      id: this.id,
      type: this.driver.type,
      status: this.current,
      'current-progress': this.done,
      'total-progress': this.total,
      ...(this.failure !== null && { error: this.failure }),
    };
  }

  /** Goes to another status; a way that the table does not have is an error of the program. */
  become(status: JobStatus): void {
    if (status === this.current && status === 'aborting') return;
    if (!TRANSITIONS[this.current].includes(status))
      throw new Error(`job '${this.id}' cannot go from ${this.current} to ${status}`);
    this.current = status;
    this.surroundings.statusChanged(this);
  }

  /** Throws QEMU's refusal if the status does not take the verb. */
  private apply(verb: JobVerb): void {
    if (!VERBS[verb].includes(this.current))
      throw new QmpError(`Job '${this.id}' in state '${this.current}' cannot accept command verb '${verb}'`);
  }

  // ---- the work

  /** Starts the work; it goes on after the command that started it has been answered. */
  start(): void {
    this.become('running');
    this.finished = this.work();
  }

  private async work(): Promise<void> {
    try {
      if (!this.driver.eager) await this.pausePoint();
      await this.driver.run(this);
    } catch (error) {
      if (!(error instanceof JobCancelled)) this.fail(error instanceof Error ? error.message : String(error));
    }
    if (this.cancelRequested) this.fail(strerror(Errno.ECANCELED));
    if (this.failure === null) {
      this.become('waiting');
      await this.transaction.workDone();
    } else {
      await this.transaction.abort(this);
    }
    this.markBegun();
  }

  /** Keeps the first failure. */
  fail(text: string): void {
    this.failure ??= text;
  }

  setProgress(done: number, total: number): void {
    this.done = Math.max(this.done, done);
    this.total = total;
  }

  turn(): Promise<void> {
    this.markBegun();
    return this.surroundings.turn();
  }

  async pausePoint(): Promise<void> {
    await this.turn();
    if (this.userPaused && !this.cancelRequested) {
      const before = this.current;
      this.become(before === 'ready' ? 'standby' : 'paused');
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = null;
      this.become(before);
    }
    if (this.cancelRequested) throw new JobCancelled();
  }

  // ---- the end, driven by the transaction

  /** The end is made: the job says so, and vanishes unless the user wants to see it first. */
  conclude(): void {
    this.become('concluded');
    if (this.options.autoDismiss) this.vanish();
  }

  private vanish(): void {
    this.become('null');
    this.surroundings.dismissed(this);
  }

  // ---- what users ask

  pause(): void {
    this.apply('pause');
    if (this.userPaused) throw new QmpError('Job is already paused');
    this.userPaused = true;
  }

  resume(): void {
    if (!this.userPaused) throw new QmpError("Can't resume a job that was not paused");
    this.apply('resume');
    this.userPaused = false;
    this.wake?.();
  }

  /** Ends the job as soon as it can, without its result. */
  cancel(): void {
    this.apply('cancel');
    this.forceCancel();
  }

  /** As {@link cancel}, for the other jobs of a transaction and the end of the daemon. */
  forceCancel(): void {
    this.cancelRequested = true;
    this.userPaused = false;
    this.wake?.();
    if (this.current === 'waiting' || this.current === 'pending') {
      this.fail(strerror(Errno.ECANCELED));
      this.finished = this.transaction.abort(this);
    }
  }

  complete(): void {
    this.apply('complete');
    if (this.cancelRequested || !this.driver.complete)
      throw new QmpError(`The active block job '${this.id}' cannot be completed`);
    this.driver.complete();
  }

  async finalize(): Promise<void> {
    this.apply('finalize');
    await this.transaction.finalize();
  }

  dismiss(): void {
    this.apply('dismiss');
    this.vanish();
  }

  /** Resolves when nothing of the work is under way any more. */
  settled(): Promise<void> {
    return this.finished;
  }
}
