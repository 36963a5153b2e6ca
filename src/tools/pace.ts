/** Lets other work run in between, and stops on Ctrl-C. */
import type { ToolContext } from './context';

/** How long a tool may work without a break, milliseconds. */
const SLICE = 10;

/** Counts the time of one long piece of work. */
export class Pace {
  private since = performance.now();

  constructor(private readonly context: ToolContext) {}

  /**
   * To be called after each short step: takes a break if one is due. Rejects with the signal's reason after Ctrl-C.
   *
   * @param done how much of `total` is done, for a console that shows it
   */
  async rest(done = 0, total = 0): Promise<void> {
    if (performance.now() - this.since < SLICE) return;
    this.context.progress?.(done, total);
    await this.context.turn();
    this.context.signal.throwIfAborted();
    this.since = performance.now();
  }
}
