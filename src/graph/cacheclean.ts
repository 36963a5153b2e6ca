/** The option cache-clean-interval: tables of an image that nobody uses do not stay in memory. */
import type { Engine, NodeHandle } from '../engine/contract';

/** Seconds that a runtime's timers can wait at once. */
const LONGEST = 2 ** 31 / 1000 - 1;

/** Calls back for one node in intervals, as long as it is open. */
export class CacheCleaner {
  private timer: unknown = null;

  constructor(private readonly node: { readonly engine: Engine; readonly handle: NodeHandle }) {}

  /** @param seconds 0: never */
  start(seconds: number): void {
    this.stop();
    if (seconds > 0) this.wait(seconds, seconds);
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private wait(left: number, interval: number): void {
    const now = Math.min(left, LONGEST);
    this.timer = setTimeout(() => {
      if (left > now) return this.wait(left - now, interval);
      this.node.engine.changes.cleanCaches(this.node.handle);
      this.wait(interval, interval);
    }, now * 1000);
    letProcessEnd(this.timer);
  }
}

/** A timer of Node.js keeps the process running unless told not to; other runtimes' timers are numbers. */
function letProcessEnd(timer: unknown): void {
  if (typeof timer === 'object') (timer as { unref?: () => void } | null)?.unref?.();
}
