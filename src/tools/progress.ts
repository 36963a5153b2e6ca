/** The progress line of `-p`. */
import type { ToolContext } from './context';
import { twoDecimals } from './human';

/** Redraws one line with the part that is done; prints nothing if it is switched off. */
export class Progress {
  private last = -Infinity;

  /**
   * @param step a new line is printed when the part changed by more than this many per cent
   * @param started the first line, of 0, is printed at once; else the caller reports it
   */
  constructor(
    private readonly context: ToolContext,
    private readonly enabled: boolean,
    private readonly step: number,
    started = true,
  ) {
    if (started) this.report(0);
  }

  /** @param percent 0 to 100 */
  report(percent: number): void {
    const near = Math.abs(percent - this.last) <= this.step;
    if (!this.enabled || (near && percent !== 0 && percent !== 100)) return;
    this.last = percent;
    this.context.stdout(`    (${twoDecimals(percent)}/100%)\r`);
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
