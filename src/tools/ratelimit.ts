/** `-r`: no more bytes a second than wished, on average. */
import type { ToolContext } from './context';

/** Milliseconds of one wait at the most, so that Ctrl-C is seen soon. */
const LONGEST_WAIT = 100;

export class RateLimit {
  private readonly started = performance.now();
  private bytes = 0;

  /** @param rate bytes a second; 0: no limit */
  constructor(
    private readonly context: ToolContext,
    private readonly rate: number,
  ) {}

  /** Counts bytes that were done, and waits if that was faster than wished. Rejects after Ctrl-C. */
  async account(bytes: number): Promise<void> {
    this.bytes += bytes;
    if (this.rate === 0) return;
    for (;;) {
      const early = (this.bytes / this.rate) * 1000 - (performance.now() - this.started);
      if (early <= 0) return;
      await new Promise<void>((resolve) => setTimeout(resolve, Math.min(early, LONGEST_WAIT)));
      this.context.signal.throwIfAborted();
    }
  }
}
