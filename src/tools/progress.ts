/** The progress line of `-p`. */
import type { ToolContext } from './context';

/** Redraws one line with the part that is done; prints nothing if it is switched off. */
export class Progress {
  private last = -Infinity;

  /** @param step a new line is printed when the part grew by at least this many per cent */
  constructor(
    private readonly context: ToolContext,
    private readonly enabled: boolean,
    private readonly step: number,
  ) {
    this.report(0);
  }

  /** @param percent 0 to 100 */
  report(percent: number): void {
    if (!this.enabled || (percent < this.last + this.step && percent !== 0 && percent !== 100)) return;
    this.last = percent;
    this.context.stdout(`    (${percent.toFixed(2)}/100%)\r`);
  }

  /** Ends the line. */
  end(): void {
    if (!this.enabled) return;
    this.report(100);
    this.context.stdout('\n');
  }

  /** Ends the line after a failure: the part stays as it was. */
  fail(): void {
    if (this.enabled) this.context.stdout('\n');
  }
}
