/** Lets other work run in between, and stops on Ctrl-C. */
import type { ToolContext } from './context';

/** How long a tool may work without a break, milliseconds. */
const SLICE = 10;

/** Counts the time of one long piece of work. */
export class Pace {
  private since = performance.now();

  constructor(private readonly context: ToolContext) {}

  /**
   * To be called after each short step: takes a break if one is due, or if throttle nodes demand it. Rejects with the signal's reason after Ctrl-C.
   *
   * @param done how much of `total` is done, for a console that shows it
   */
  async rest(done = 0, total = 0): Promise<void> {
    const owed = this.context.engine.throttle.delay();
    if (owed > 0) return this.wait(owed);
    if (performance.now() - this.since < SLICE) return;
    this.context.progress?.(done, total);
    await this.context.turn();
    this.context.signal.throwIfAborted();
    this.since = performance.now();
  }

  /** Waits for some milliseconds, or Ctrl-C. */
  async wait(milliseconds: number): Promise<void> {
    const { signal } = this.context;
    let timer: unknown;
    let wake = (): void => undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      signal.addEventListener('abort', resolve);
      timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
    signal.throwIfAborted();
    this.since = performance.now();
  }
}
