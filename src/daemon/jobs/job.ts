/**
 * One job: its status, its work, and what users ask of it.
 *
 * A driver does the work in an async function that calls {@link JobControl.pausePoint} between its pieces; everything
 * else (statuses and their events, pausing, cancelling, the end together with the other jobs of its transaction) is here
 * and the same for all types. Events and their order: docs of QEMU's job life cycle, checked with the real daemon.
 */
import { strerror, Errno } from '../../files/contract';
import {
  QmpError,
  TRANSITIONS,
  verbRefusal,
  type EventName,
  type Events,
  type JobInfo,
  type JobStatus,
  type JobType,
  type JobVerb,
} from '../../qapi/index';
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
  /** A command that cancels the job is answered before the job ends. */
  readonly endsAfterReply?: boolean;
  /** A ready job that is cancelled without force ends well (see {@link Job.cancel}). */
  readonly softCancel?: boolean;
  /** What is done, and what of it and the rest together, if that changes without the job's doing. */
  progress?(): { done: number; total: number };
  /** The work. A failure is thrown: its message becomes the error of the job. */
  run(control: JobControl): Promise<void>;
  /** May still fail the job, when all jobs of the transaction have done their work. */
  prepare?(): Promise<void>;
  /** The job ends well; must not fail. */
  commit?(): Promise<void> | void;
  /** The job ends otherwise; must not fail. */
  abort?(): Promise<void> | void;
  /** After commit or abort; must not fail. */
  clean?(): Promise<void> | void;
  /** The job is dismissed: what it kept beyond its end is given back; must not fail. */
  dispose?(): Promise<void> | void;
  /** Asks a ready job to end; what it refuses is thrown. Absent: there is no such thing in this type. */
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
  emit<N extends EventName>(event: N, data: Events[N]): void;
  /** Resolves when the job may work again. */
  turn(): Promise<void>;
  /** A clock that never goes back, milliseconds. */
  now(): number;
  /** Milliseconds that the requests since it was last asked are to take longer (throttle nodes). */
  throttled(): number;
  /** Resolves when block jobs may read and write again; null: they may now. */
  held(): Promise<void> | null;
  /** The job is gone. */
  dismissed(job: Job): void;
}

export class Job implements JobControl {
  private current: JobStatus = 'undefined';
  protected done = 0;
  protected total = 0;
  private userPaused = false;
  private cancelAsked = false;
  private forced = false;
  private failure: string | null = null;
  /** At a pause point: what users ask takes effect at once. */
  private resting = false;
  /** While paused: the status to go back to. */
  private pausedFrom: JobStatus | null = null;
  /** Ends the rest. */
  private stir: () => void = () => undefined;
  /** Resolves what {@link kick} answered. */
  private settle: () => void = () => undefined;
  private markBegun: () => void = () => undefined;
  /** A block job that never was has no BLOCK_JOB_* events. */
  protected started = false;
  private goOn: () => void = () => undefined;
  /** Resolves when the work lets others run for the first time, or has ended: the command may be answered. */
  readonly begun = new Promise<void>((resolve) => (this.markBegun = resolve));
  /** The driver's work; resolves when it has ended, in whichever way. */
  private work: Promise<void> = Promise.resolve();
  /** Resolves when the work has ended and the ends that need no user are made. */
  private finished: Promise<void> = Promise.resolve();

  constructor(
    readonly id: string,
    readonly driver: JobDriver,
    readonly options: JobOptions,
    readonly transaction: JobTransaction,
    protected readonly surroundings: JobSurroundings,
  ) {
    transaction.add(this);
    this.become('created');
  }

  get status(): JobStatus {
    return this.current;
  }

  /** Whether it is to end without its result. */
  get cancelled(): boolean {
    return this.forced;
  }

  /** Whether it was asked to end, by force or not. */
  get cancelRequested(): boolean {
    return this.cancelAsked;
  }

  /** Whether a user, or an error policy, has paused it. */
  get paused(): boolean {
    return this.userPaused;
  }

  /** Whether all is done that can be done without the user's word. */
  get isReady(): boolean {
    return this.current === 'ready' || this.current === 'standby';
  }

  /** The text of what went wrong, or null. */
  get error(): string | null {
    return this.failure;
  }

  /** Takes up what has changed without the job's doing. */
  protected updateProgress(): void {
    const now = this.driver.progress?.();
    if (now) this.setProgress(now.done, now.total);
  }

  info(): JobInfo {
    this.updateProgress();
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
    this.surroundings.emit('JOB_STATUS_CHANGE', { id: this.id, status });
  }

  /** Throws QEMU's refusal if the status does not take the verb. */
  protected apply(verb: JobVerb): void {
    const refusal = verbRefusal(this.id, this.current, verb);
    if (refusal !== null) throw new QmpError(refusal);
  }

  // ---- the work

  /** Starts the work; it goes on after the command that started it has been answered. */
  start(): void {
    this.started = true;
    this.become('running');
    this.work = this.doWork();
    this.finished = this.finish();
  }

  /**
   * Starts the work while the nodes are held still: the job is paused at once, until {@link letGo}. It works when nothing
   * is held any more.
   */
  startHeld(): void {
    this.started = true;
    this.become('running');
    this.become('paused');
    this.work = new Promise<void>((resolve) => (this.goOn = resolve)).then(() => this.doWork());
    this.finished = this.finish();
  }

  /** Ends the pause that {@link startHeld} began. */
  letGo(): void {
    this.become('running');
    this.goOn();
  }

  private async doWork(): Promise<void> {
    try {
      if (!this.driver.eager) await this.pausePoint();
      await this.driver.run(this);
    } catch (error) {
      if (!(error instanceof JobCancelled)) this.fail(error instanceof Error ? error.message : String(error));
    }
    this.resting = false;
  }

  private async finish(): Promise<void> {
    await this.work;
    if (this.forced) this.fail(strerror(Errno.ECANCELED));
    try {
      if (this.failure !== null) {
        await this.transaction.abort(this);
      } else {
        this.become('waiting');
        await this.transaction.workDone();
      }
    } finally {
      this.markBegun();
      this.settle();
    }
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
    await this.rest(this.surroundings.turn());
  }

  /** Waits until `over`, a kick, and the end of a pause. Throws {@link JobCancelled} when the job is to end. */
  protected async rest(over: Promise<void>): Promise<void> {
    if (this.forced) throw new JobCancelled();
    this.resting = true;
    if (this.userPaused) this.enterPause();
    this.markBegun();
    this.settle();
    await Promise.race([over, this.nextKick()]);
    const paused = this.pausedFrom !== null;
    while (this.pausedFrom !== null) await this.nextKick();
    this.resting = false;
    if (this.cancelled) {
      if (this.driver.endsAfterReply) {
        this.settle();
        await this.surroundings.turn();
      }
      throw new JobCancelled();
    }
    // The command that ended the pause is answered before the work goes on.
    if (paused) await this.rest(this.surroundings.turn());
  }

  private nextKick(): Promise<void> {
    return new Promise((resolve) => (this.stir = resolve));
  }

  /** Whether it is at rest between two pieces of work and no user has paused it. */
  get betweenPieces(): boolean {
    return this.resting && this.pausedFrom === null;
  }

  /** Shows a job at rest as paused; see {@link holdOn} and `JobTable.drain`. */
  enterPause(): void {
    if (this.pausedFrom !== null) return;
    this.pausedFrom = this.current;
    this.become(this.current === 'ready' ? 'standby' : 'paused');
  }

  /** Ends {@link enterPause}. */
  leavePause(): void {
    const before = this.pausedFrom;
    this.pausedFrom = null;
    if (before !== null) this.become(before);
  }

  /** Lets a job that rests go on at once. Resolves when it rests again or has ended; at once if it did not rest. */
  kick(): Promise<void> {
    if (!this.resting || this.pausedFrom !== null) return Promise.resolve();
    this.resting = false;
    const settled = new Promise<void>((resolve) => (this.settle = resolve));
    this.stir();
    return settled;
  }

  // ---- the end, driven by the transaction

  /** All jobs of the transaction have done their work. */
  becomePending(): void {
    this.become('pending');
  }

  /** The end is made: the job says so, and vanishes unless the user wants to see it first. */
  async conclude(): Promise<void> {
    this.become('concluded');
    if (this.options.autoDismiss || !this.started) await this.vanish();
  }

  private async vanish(): Promise<void> {
    this.leave();
    await this.driver.dispose?.();
  }

  private leave(): void {
    this.become('null');
    this.surroundings.dismissed(this);
  }

  /** Ends a job that was not started, because its transaction failed. */
  async discardUnstarted(): Promise<void> {
    if (this.current === 'created') await this.requestCancel(true);
  }

  /** The job could not be made ready to start: it was never there. */
  discard(): void {
    this.transaction.remove(this);
    this.leave();
  }

  // ---- what users ask; each resolves when what it brought about at once is done

  /** Pauses the job, at once if it rests. */
  pause(): void {
    this.apply('pause');
    if (this.userPaused) throw new QmpError('Job is already paused');
    this.holdOn();
  }

  /** Pauses as users do, until they resume the job. */
  protected holdOn(): void {
    this.userPaused = true;
    if (this.resting) this.enterPause();
  }

  resume(): Promise<void> {
    if (!this.userPaused) throw new QmpError("Can't resume a job that was not paused");
    this.apply('resume');
    this.userPaused = false;
    this.leavePause();
    return this.kick();
  }

  /**
   * Ends the job as soon as it can. By force, or if the type knows nothing else, it ends without its result. Otherwise a
   * ready job ends well.
   */
  cancel(force = true): Promise<void> {
    this.apply('cancel');
    return this.requestCancel(force);
  }

  /** As {@link cancel}, for the other jobs of a transaction and the end of the daemon: it is never refused. */
  async requestCancel(force: boolean): Promise<void> {
    this.cancelAsked = true;
    this.forced ||= force || !this.driver.softCancel || !this.isReady;
    this.userPaused = false;
    this.leavePause();
    if (this.current === 'created') {
      this.fail(strerror(Errno.ECANCELED));
      await this.transaction.abort(this);
    } else if (this.current === 'waiting' || this.current === 'pending') {
      if (!this.forced) return;
      this.fail(strerror(Errno.ECANCELED));
      await this.transaction.abort(this);
    } else {
      await this.kick();
    }
  }

  complete(): Promise<void> {
    this.apply('complete');
    if (this.cancelAsked || !this.driver.complete)
      throw new QmpError(`The active block job '${this.id}' cannot be completed`);
    this.driver.complete();
    return this.kick();
  }

  async finalize(): Promise<void> {
    this.apply('finalize');
    await this.transaction.finalize();
  }

  async dismiss(): Promise<void> {
    this.apply('dismiss');
    await this.vanish();
  }

  /** Resolves when the driver works no more. */
  worked(): Promise<void> {
    return this.work;
  }

  /** Resolves when nothing of the job is under way any more. */
  async settled(): Promise<void> {
    await this.finished;
    await this.transaction.settled();
  }
}
