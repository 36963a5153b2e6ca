/** Jobs that work on the data of nodes: speed, error policies, readiness, and the events and facts that only they have. */
import { BlockError } from '../../engine/contract';
import { Errno } from '../../files/contract';
import {
  QmpError,
  type BlockDeviceIoStatus,
  type BlockErrorAction,
  type BlockJobChangeOptions,
  type BlockJobInfo,
  type BlockdevOnError,
} from '../../qapi/index';
import { Job, type JobControl, type JobDriver, type JobOptions, type JobSurroundings } from './job';
import { RateLimit } from './ratelimit';
import type { JobTransaction } from './transaction';

/** A job gives way when it has worked for so many milliseconds. */
const PIECE = 5;

/** What the driver of a block job may do to its job. */
export interface BlockJobControl extends JobControl {
  /**
   * As in {@link JobControl}, and also waits as long as the speed demands. Called after each piece of work, however small:
   * it answers at once while the turn lasts.
   */
  pausePoint(): Promise<void>;
  /** Lets others run if the turn is over; the job is neither paused nor ended here. */
  breathe(): Promise<void>;
  /** Counts bytes that were just done against the speed. */
  account(bytes: number): void;
  /** Waits at a pause point for some milliseconds, or until the job is kicked. */
  sleep(milliseconds: number): Promise<void>;
  /** Waits at a pause point until something has happened that the job is not needed for, or until the job is kicked. */
  waitFor(event: Promise<void>): Promise<void>;
  /** Everything is done that can be: from now on the job takes `complete`. */
  becomeReady(): void;
  /** Whether users asked it to end; only a ready job with `softCancel` sees this (others are thrown out of their pause points). */
  readonly cancelRequested: boolean;
  /**
   * A request has failed: tells users, and what the policy wants done. After `stop` the next pause point lasts until the
   * job is resumed; then the request is to be tried again. Errors that are no failures of a request are thrown on.
   */
  requestFailed(policy: BlockdevOnError, operation: 'read' | 'write', error: unknown): BlockErrorAction;
}

/** What makes a type of block job. */
export interface BlockJobDriver extends JobDriver {
  readonly type: 'commit' | 'stream' | 'mirror' | 'backup';
  run(control: BlockJobControl): Promise<void>;
  /** block-job-change. Absent: nothing of this type can be changed. */
  change?(options: BlockJobChangeOptions): void;
  /** Mirror: whether all that guests write is on the target when their write returns. */
  readonly activelySynced?: boolean;
  /** The work is done, and keeps the source as it is until the end is made: that is shown as a pause. */
  readonly holdsSource?: boolean;
}

export interface BlockJobOptions extends JobOptions {
  /** Bytes a second; 0: as fast as can be. */
  speed: number;
}

export class BlockJob extends Job implements BlockJobControl {
  private readonly limit = new RateLimit();
  private ioStatus: BlockDeviceIoStatus = 'ok';
  /** Waiting for a clock, not for its turn. */
  private asleep = false;
  /** When the turn under way began. */
  private turnStart = -Infinity;

  constructor(
    id: string,
    override readonly driver: BlockJobDriver,
    options: BlockJobOptions,
    transaction: JobTransaction,
    surroundings: JobSurroundings,
  ) {
    super(id, driver, options, transaction, surroundings);
    if (options.speed < 0) {
      this.discard();
      throw negativeSpeed();
    }
    this.limit.speed = options.speed;
  }

  /** As query-block-jobs shows it. */
  blockInfo(): BlockJobInfo {
    this.updateProgress();
    const { type } = this.driver;
    const working = this.status === 'running' || this.status === 'ready';
    const info = {
      device: this.id,
      len: this.total,
      offset: this.done,
      busy: working && !this.asleep,
      paused: this.paused || (this.driver.holdsSource ?? false),
      speed: this.limit.speed,
      'io-status': this.ioStatus,
      ready: this.isReady,
      status: this.status,
      'auto-finalize': this.options.autoFinalize,
      'auto-dismiss': this.options.autoDismiss,
      ...(this.error !== null && { error: this.error }),
    };
    return type === 'mirror'
      ? { type, ...info, 'actively-synced': this.driver.activelySynced ?? false }
      : { type, ...info };
  }

  // ---- what the driver does

  override async pausePoint(): Promise<void> {
    const { surroundings, limit } = this;
    let slept = false;
    const paid = surroundings.now() + surroundings.throttled();
    const delay = () => Math.max(limit.delay(surroundings.now()), paid - surroundings.now());
    for (let wait; (wait = delay()) > 0; slept = true) await this.sleep(wait);
    // Whoever was woken by a user's command works on when the command has been answered.
    if (slept || this.paused || this.cancelled || surroundings.now() - this.turnStart >= PIECE)
      await this.rest(surroundings.turn());
  }

  async breathe(): Promise<void> {
    if (this.surroundings.now() - this.turnStart < PIECE) return;
    await this.turn();
    this.turnStart = this.surroundings.now();
  }

  account(bytes: number): void {
    this.limit.account(bytes, this.surroundings.now());
  }

  async sleep(milliseconds: number): Promise<void> {
    let timer: unknown;
    const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)));
    this.asleep = true;
    try {
      await this.rest(over);
    } finally {
      this.asleep = false;
      clearTimeout(timer);
    }
  }

  waitFor(event: Promise<void>): Promise<void> {
    return this.rest(event);
  }

  protected override async rest(over: Promise<void>): Promise<void> {
    await super.rest(over);
    for (let held; (held = this.surroundings.held()) !== null;) await super.rest(held);
    this.turnStart = this.surroundings.now();
  }

  becomeReady(): void {
    this.become('ready');
    this.surroundings.emit('BLOCK_JOB_READY', this.eventData());
  }

  requestFailed(policy: BlockdevOnError, operation: 'read' | 'write', error: unknown): BlockErrorAction {
    if (!(error instanceof BlockError)) throw error;
    const full = error.errno === Errno.ENOSPC;
    const action = actionFor(policy, full);
    this.surroundings.emit('BLOCK_JOB_ERROR', { device: this.id, operation, action });
    if (action === 'stop') {
      if (this.ioStatus === 'ok') this.ioStatus = full ? 'nospace' : 'failed';
      if (!this.paused) this.holdOn();
    }
    return action;
  }

  // ---- what users ask

  /** Refuses what `block-job-cancel` refuses and `job-cancel` does not. */
  cancelAsBlockJob(force: boolean): Promise<void> {
    if (this.paused && !force)
      throw new QmpError(`The block job for device '${this.id}' is currently paused`);
    return this.cancel(force);
  }

  override resume(): Promise<void> {
    const resumed = super.resume();
    this.ioStatus = 'ok';
    return resumed;
  }

  /** Bytes a second; 0: as fast as can be. What is faster than before takes effect at once. */
  setSpeed(speed: number): Promise<void> {
    this.apply('set-speed');
    if (speed < 0) throw negativeSpeed();
    const before = this.limit.speed;
    this.limit.speed = speed;
    const faster = before !== 0 && (speed === 0 || speed > before);
    return faster && this.asleep ? this.kick() : Promise.resolve();
  }

  change(options: BlockJobChangeOptions): void {
    this.apply('change');
    if (!this.driver.change) throw new QmpError('Job type does not support change');
    this.driver.change(options);
  }

  // ---- the end

  override becomePending(): void {
    super.becomePending();
    if (!this.options.autoFinalize)
      this.surroundings.emit('BLOCK_JOB_PENDING', { type: this.driver.type, id: this.id });
  }

  override conclude(): Promise<void> {
    if (!this.started) return super.conclude();
    if (this.cancelled) this.surroundings.emit('BLOCK_JOB_CANCELLED', this.eventData());
    else
      this.surroundings.emit('BLOCK_JOB_COMPLETED', {
        ...this.eventData(),
        ...(this.error !== null && { error: this.error }),
      });
    return super.conclude();
  }

  private eventData() {
    this.updateProgress();
    return {
      type: this.driver.type,
      device: this.id,
      len: this.total,
      offset: this.done,
      speed: this.limit.speed,
    };
  }
}

function actionFor(policy: BlockdevOnError, full: boolean): BlockErrorAction {
  if (policy === 'enospc' || policy === 'auto') return full ? 'stop' : 'report';
  return policy;
}

function negativeSpeed(): QmpError {
  return new QmpError("Parameter 'speed' expects a non-negative value");
}
