/** A terminal without a screen, xterm's own emulation, for tests of what the console draws. */
import headless from '@xterm/headless';
import type { TerminalLike } from '../../src/ui/console/screen';

export class TestTerminal implements TerminalLike {
  private readonly terminal: headless.Terminal;

  constructor(columns = 40, rows = 12) {
    this.terminal = new headless.Terminal({ cols: columns, rows, scrollback: 1000, allowProposedApi: true });
  }

  get columns(): number {
    return this.terminal.cols;
  }

  get rows(): number {
    return this.terminal.rows;
  }

  write(text: string): void {
    this.terminal.write(text);
  }

  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows);
  }

  /** Everything in the buffer, one text a row, blank rows at the end left out. */
  async lines(): Promise<string[]> {
    await this.settled();
    const buffer = this.terminal.buffer.active;
    const lines: string[] = [];
    for (let row = 0; row < buffer.length; row++)
      lines.push((buffer.getLine(row)?.translateToString(true) ?? '').trimEnd());
    while (lines.at(-1) === '') lines.pop();
    return lines;
  }

  /** Row (from the top of the buffer) and column of the cursor. */
  async cursor(): Promise<[number, number]> {
    await this.settled();
    const buffer = this.terminal.buffer.active;
    return [buffer.baseY + buffer.cursorY, buffer.cursorX];
  }

  private settled(): Promise<void> {
    return new Promise((resolve) => this.terminal.write('', resolve));
  }
}
