/** Lines of an input, one at a time. */

/** Opens the input when the first line is asked for, so that who reads nothing leaves it alone. */
export class LineReader {
  private lines: AsyncIterator<string> | null = null;

  constructor(
    private readonly input: () => NodeJS.ReadableStream,
    private readonly signal: AbortSignal,
  ) {}

  /** The next line without its line feed; null at the end, and after the signal. */
  async next(): Promise<string | null> {
    // Most commands read no line and start sooner without.
    const { createInterface } = await import('node:readline');
    this.lines ??= createInterface({ input: this.input(), terminal: false })[Symbol.asyncIterator]();
    const aborted = new Promise<null>((resolve) => {
      if (this.signal.aborted) resolve(null);
      else this.signal.addEventListener('abort', () => resolve(null), { once: true });
    });
    const line = await Promise.race([this.lines.next(), aborted]);
    return line === null || line.done ? null : line.value;
  }
}
