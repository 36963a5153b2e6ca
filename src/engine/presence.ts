/**
 * Requests on data that is elsewhere. The data plane is synchronous and the network is not, so it goes as with a page
 * fault: what is not there is noted, the request fails with EAGAIN, and is sent again when the data has come. Writes are
 * taken at once, and the request ends when they have been answered.
 */
import { Errno, FileError, strerror } from '../files/contract';
import { BlockError } from './request';

/** One request from its first attempt to its end. What a disk has fetched for it is forgotten with it. */
export class Stage {
  private missing: (() => Promise<void>)[] = [];
  private answers: Promise<number>[] = [];
  private readonly ends: (() => void)[] = [];

  /**
   * Notes what the request needs and ends the attempt.
   * @param fetch gets it; does not reject: a failure is what the disk answers the next time
   */
  absent(fetch: () => Promise<void>): never {
    this.missing.push(fetch);
    throw new FileError(Errno.EAGAIN);
  }

  /** The request does not end before this; `answer` resolves to 0 or an errno, which is then the request's. */
  follow(answer: Promise<number>): void {
    this.answers.push(answer);
  }

  /** Something to be done when the request ends. */
  atEnd(action: () => void): void {
    this.ends.push(action);
  }

  /** Gets what is missing; false: nothing is. */
  async fetch(): Promise<boolean> {
    const { missing } = this;
    if (missing.length === 0) return false;
    this.missing = [];
    await Promise.all(missing.map((fetch) => fetch()));
    return true;
  }

  /** Waits for the answers; 0, or the first errno. */
  async settled(): Promise<number> {
    if (this.answers.length === 0) return 0;
    const answers = await Promise.all(this.answers);
    return answers.find((errno) => errno !== 0) ?? 0;
  }

  end(): void {
    for (const action of this.ends) action();
  }
}

/** Whose requests wait for data that is elsewhere. */
export interface Presence {
  /** The request that is running now; null: none that could wait. */
  readonly stage: Stage | null;
  /** Whether there is something elsewhere. */
  readonly active: boolean;
  /**
   * Sends a request to nodes of which some may be elsewhere, as often as it takes to have all that it needs, and answers
   * when what it wrote has been answered. Where no node is elsewhere it runs once, at once.
   * @param request is synchronous, and can be sent again
   */
  whenPresent<T>(request: () => T): Promise<T>;
  /** The same, but where no node is elsewhere its answer is there at once. */
  present<T>(request: () => T): T | Promise<T>;
  /** From now on there is something elsewhere, until the result is called. */
  expect(): () => void;
  /**
   * From now on requests go on to nodes of another instance, which wait for what those need as well, until the result is
   * called.
   */
  reach(beyond: Presence): () => void;
}

/** Whose nodes an open file shows ({@link BlockFile.shows}); null: nobody's. */
export function presenceBehind(shows: object | undefined): Presence | null {
  const presence = shows && 'presence' in shows ? shows.presence : null;
  return presence instanceof RequestPresence ? presence : null;
}

/** The only implementation. */
export class RequestPresence implements Presence {
  stage: Stage | null = null;
  /** Disks that are elsewhere. */
  private disks = 0;
  /** Of instances that requests go on to. */
  private readonly beyond: RequestPresence[] = [];

  get active(): boolean {
    return this.disks > 0 || (this.beyond.length > 0 && this.beyond.some(({ active }) => active));
  }

  async whenPresent<T>(request: () => T): Promise<T> {
    return this.active ? this.repeat(request) : request();
  }

  present<T>(request: () => T): T | Promise<T> {
    return this.active ? this.repeat(request) : request();
  }

  expect(): () => void {
    this.disks++;
    let expected = true;
    return () => {
      if (expected) this.disks--;
      expected = false;
    };
  }

  reach(beyond: Presence): () => void {
    if (!(beyond instanceof RequestPresence)) return () => undefined;
    this.beyond.push(beyond);
    let reached = true;
    return () => {
      if (reached) this.beyond.splice(this.beyond.indexOf(beyond), 1);
      reached = false;
    };
  }

  private async repeat<T>(request: () => T): Promise<T> {
    const stage = new Stage();
    try {
      for (;;) {
        const outcome = this.run(stage, request);
        // Whatever it answered: a layer may have passed over the failure.
        if (await stage.fetch()) continue;
        const errno = await stage.settled();
        if ('error' in outcome) throw outcome.error;
        if (errno !== 0) throw new BlockError(errno, strerror(errno));
        return outcome.value;
      }
    } finally {
      stage.end();
    }
  }

  private run<T>(stage: Stage, request: () => T): { value: T } | { error: unknown } {
    const leave = this.enter(stage);
    try {
      return { value: request() };
    } catch (error) {
      return { error };
    } finally {
      leave();
    }
  }

  /** A request runs, here and in the instances that it goes on to, until the result is called. */
  private enter(stage: Stage): () => void {
    const outer = this.stage;
    this.stage = stage;
    const leaves = this.beyond.map((beyond) => beyond.enter(stage));
    return () => {
      this.stage = outer;
      for (const leave of leaves.reverse()) leave();
    };
  }
}
