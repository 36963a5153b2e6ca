/**
 * Derivation of keys from passphrases: work of seconds that must neither keep its thread from other work nor leave the user without
 * a word. PBKDF2 and Argon2 do not tell how far they are, so a short trial tells how long they are going to take.
 */
import { argon2, trialOf, type Argon2Request } from './argon2';
import { measurePbkdf2, pbkdf2, type Pbkdf2Request } from './pbkdf2';

/** What a runtime gives to derivations. */
export interface DerivationHost {
  /** Argon2 in a thread of its own, which is ended when `signal` is aborted; absent: in this one, which does nothing else meanwhile. */
  argon2?: Argon2Thread;
  /** Aborted on Ctrl-C: the derivation rejects with its reason. */
  signal?: AbortSignal;
  /**
   * How far a derivation is: milliseconds of those that it is estimated to take; `total` 0: the speed of the machine is being
   * measured. At its end both are equal.
   */
  progress?(this: void, done: number, total: number): void;
  /** A derivation was given up that cannot be stopped: its thread works on, for nobody. */
  onAbandoned?(this: void): void;
}

/** @param estimate told once how many milliseconds it is going to take */
export type Argon2Thread = (
  request: Argon2Request,
  options: { signal: AbortSignal | undefined; estimate: (milliseconds: number) => void },
) => Promise<Uint8Array>;

/** Iterations of PBKDF2 below which there is nothing worth telling, and those of a trial. */
const QUICK = 200_000;
const TRIAL = 20_000;

/** Milliseconds between two reports. */
const REPORT = 100;

/** Of an estimate that time has caught up with, this part is told. */
const ALMOST = 0.99;

/** Tells how far something is until it ends. */
class Meter {
  private readonly start = performance.now();
  private total = 0;
  private timer: unknown = null;

  constructor(private readonly report: (done: number, total: number) => void) {}

  /** It takes an unknown time. */
  begin(): void {
    this.report(performance.now() - this.start, 0);
    this.timer = setTimeout(() => this.begin(), REPORT);
  }

  readonly estimate = (milliseconds: number): void => {
    this.total = performance.now() - this.start + milliseconds;
    this.tick();
  };

  private tick(): void {
    const done = Math.min(performance.now() - this.start, this.total * ALMOST);
    this.report(done, this.total);
    this.timer = setTimeout(() => this.tick(), REPORT);
  }

  end(): void {
    clearTimeout(this.timer);
    const reported = this.timer !== null;
    const total = Math.max(this.total, 1);
    if (reported) this.report(total, total);
  }
}

export class KeyDerivation {
  private running = 0;
  /** Called whenever the first of keys that are derived at the same time is begun. */
  onBusy: () => void = () => undefined;

  constructor(private readonly host: DerivationHost = {}) {}

  /** Whether a key is being derived now. */
  get busy(): boolean {
    return this.running > 0;
  }

  private begin(): void {
    if (this.running++ === 0) this.onBusy();
  }

  /** Derives a key with PBKDF2. The password and the result are the caller's to overwrite. */
  pbkdf2(request: Pbkdf2Request): Promise<Uint8Array> {
    return this.metered(async (estimate) => {
      if (this.host.progress && request.iterations > QUICK) {
        const start = performance.now();
        (await pbkdf2({ ...request, iterations: TRIAL }, this.host.signal)).fill(0);
        estimate(((performance.now() - start) * request.iterations) / TRIAL);
      }
      return pbkdf2(request, this.host.signal);
    });
  }

  /** How many iterations of PBKDF2 this machine does in a second. */
  async measure(request: Omit<Pbkdf2Request, 'iterations'>): Promise<number> {
    return this.attended((meter) => {
      meter?.begin();
      return measurePbkdf2(request);
    });
  }

  /** Derives a key with Argon2; rejects as {@link argon2} does. */
  argon2(request: Argon2Request): Promise<Uint8Array> {
    const { argon2: thread, signal } = this.host;
    // The thread ends with the signal.
    return this.metered(
      (estimate) => (thread ? thread(request, { signal, estimate }) : argon2(request)),
      thread !== undefined,
    );
  }

  private metered(
    work: (estimate: (milliseconds: number) => void) => Promise<Uint8Array>,
    stops = false,
  ): Promise<Uint8Array> {
    return this.attended((meter) => work((milliseconds) => meter?.estimate(milliseconds)), stops);
  }

  /**
   * Work that is shown and can be given up.
   * @param stops it ends when it is given up
   */
  private async attended<T>(work: (meter: Meter | null) => Promise<T>, stops = false): Promise<T> {
    const { signal, progress, onAbandoned } = this.host;
    signal?.throwIfAborted();
    this.begin();
    const meter = progress ? new Meter((done, total) => progress(done, total)) : null;
    const pending = work(meter);
    try {
      return await (signal ? untilAborted(pending, signal, stops ? undefined : onAbandoned) : pending);
    } finally {
      this.running--;
      meter?.end();
    }
  }
}

/** What comes too late is overwritten: WebCrypto cannot be stopped. */
async function untilAborted<T>(
  pending: Promise<T>,
  signal: AbortSignal,
  onAbandoned: (() => void) | undefined,
): Promise<T> {
  let stop: () => void = () => undefined;
  const aborted = new Promise<null>((resolve) => {
    stop = () => resolve(null);
    signal.addEventListener('abort', stop, { once: true });
  });
  const first = await Promise.race([pending, aborted]).finally(() =>
    signal.removeEventListener('abort', stop),
  );
  if (first !== null) return first;
  onAbandoned?.();
  pending.then(
    (late) => void (late instanceof Uint8Array && late.fill(0)),
    () => undefined,
  );
  throw signal.reason;
}

/**
 * What a thread for Argon2 does: a short trial, then the work.
 * @param estimate as that of {@link Argon2Thread}
 */
export async function estimatedArgon2(
  request: Argon2Request,
  estimate: (milliseconds: number) => void,
): Promise<Uint8Array> {
  const trial = trialOf(request);
  // The first one loads the library and has it compiled.
  (await argon2(trial)).fill(0);
  const start = performance.now();
  (await argon2(trial)).fill(0);
  const took = performance.now() - start;
  estimate((took * request.memory * request.time) / (trial.memory * trial.time));
  return argon2(request);
}
