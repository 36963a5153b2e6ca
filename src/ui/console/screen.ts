/**
 * The terminal as two parts: what was printed, which scrolls, and below it a footer that is drawn anew when it
 * changes (the line being edited with its hints, or the state of a running command).
 */
import { layOut } from './layout';
import { stripEscapes, textWidth } from './width';

/** What the console needs of a terminal; xterm's `Terminal` is one. */
export interface TerminalLike {
  readonly columns: number;
  readonly rows: number;
  write(text: string): void;
}

/** An edited text with its prompt. `prompt` may hold colours but no line feed. */
export interface EditLine {
  prompt: string;
  text: string;
  /** Index into text, UTF-16 units. */
  cursor: number;
  /** Lines below the text, each shown in one row and cut at the edge. */
  hints?: readonly string[];
}

const MINIMUM_COLUMNS = 12;
/** Nothing can be typed beside a status, so no cursor blinks there. */
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';

/** Draws on a terminal. It is the only one that writes to it. */
export class Screen {
  private edit: EditLine | null = null;
  private status: string | null = null;
  /** Printed text since the last line feed. */
  private partial = '';
  /** The row of the cursor within the footer as it is drawn now; null: no footer is drawn. */
  private drawnCursorRow: number | null = null;

  constructor(private readonly terminal: TerminalLike) {}

  /** Prints above the footer. Line feeds are \n; a carriage return goes back to the start of the line. */
  print(text: string): void {
    if (text === '') return;
    let output = this.erase();
    output += text.replace(/\n/g, '\r\n');
    this.partial = (this.partial + text).slice((this.partial + text).lastIndexOf('\n') + 1);
    output += this.draw();
    this.terminal.write(output);
  }

  /** Ends a line that was begun, so that what follows starts in the first column. */
  finishLine(): void {
    if (this.partial !== '') this.print('\n');
  }

  /** The text on the last, unfinished line; a tool that reads input has printed its prompt there. */
  takePartial(): string {
    const text = this.partial.slice(this.partial.lastIndexOf('\r') + 1);
    if (this.partial !== '') {
      this.partial = '';
      this.terminal.write('\r\x1b[K');
    }
    return text;
  }

  /** Shows a line being edited; null takes it away. */
  setEdit(edit: EditLine | null): void {
    const output = this.erase();
    this.edit = edit;
    this.status = null;
    this.terminal.write(output + this.draw());
  }

  /** Shows one line of state under what is printed; null takes it away. Not shown beside an edit line. */
  setStatus(status: string | null): void {
    if (this.status === status) return;
    const output = this.erase();
    this.status = status;
    this.terminal.write(output + this.draw());
  }

  /** Makes the edit line part of what was printed, as on Enter. `mark` is put behind it. */
  commitEdit(mark = ''): void {
    if (!this.edit) return;
    const { prompt, text } = this.edit;
    const output = this.erase();
    this.edit = null;
    const indent = '\r\n' + ' '.repeat(textWidth(prompt));
    this.terminal.write(output + prompt + text.replace(/\n/g, indent) + mark + '\r\n');
  }

  /** Clears all; the footer goes to the top. */
  clear(): void {
    this.drawnCursorRow = null;
    this.partial = '';
    this.terminal.write('\x1b[2J\x1b[3J\x1b[H' + this.draw());
  }

  /** Draws the footer again after the terminal has got another size. */
  resized(): void {
    this.terminal.write(this.erase() + this.draw());
  }

  private erase(): string {
    if (this.drawnCursorRow === null) return '';
    const up = this.drawnCursorRow > 0 ? `\x1b[${this.drawnCursorRow}A` : '';
    this.drawnCursorRow = null;
    return `\r${up}\x1b[J`;
  }

  private draw(): string {
    // A footer needs a line of its own; a command that prints a line piece by piece shows its progress itself.
    if (this.partial !== '') return '';
    if (this.edit) return SHOW_CURSOR + this.drawEdit(this.edit);
    if (this.status === null) return '';
    this.drawnCursorRow = 0;
    return HIDE_CURSOR + cut(this.status, this.columns - 1);
  }

  private get columns(): number {
    return Math.max(MINIMUM_COLUMNS, this.terminal.columns);
  }

  private drawEdit(edit: EditLine): string {
    const { columns } = this;
    const height = Math.max(2, this.terminal.rows);
    const layout = layOut(textWidth(edit.prompt), edit.text, edit.cursor, columns);
    // An edit taller than the screen shows the part around the cursor: rows above the screen cannot be redrawn.
    const first = Math.max(0, Math.min(layout.cursorRow - (height >> 1), layout.rows.length - height));
    const rows = layout.rows.slice(first, first + height);
    let output = first === 0 ? edit.prompt : '';
    rows.forEach((row, index) => {
      output += row.text;
      const last = index === rows.length - 1;
      if (!last && (row.hard || rows[index + 1]?.text === '')) output += '\r\n';
    });
    const hints = (edit.hints ?? []).slice(0, height - rows.length);
    for (const hint of hints) output += '\r\n' + cut(hint, columns - 1);
    const cursorRow = layout.cursorRow - first;
    const below = rows.length + hints.length - 1 - cursorRow;
    output += '\r';
    if (below > 0) output += `\x1b[${below}A`;
    if (layout.cursorColumn > 0) output += `\x1b[${layout.cursorColumn}C`;
    this.drawnCursorRow = cursorRow;
    return output;
  }
}

/** Cuts a coloured text at so many columns and ends the colours. */
function cut(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text + '\x1b[0m';
  let output = '';
  let width = 0;
  let rest = text;
  while (rest !== '' && width < columns - 1) {
    // eslint-disable-next-line no-control-regex -- escape sequences begin with a control character
    const escape = /^\x1b\[[0-9;?]*[ -/]*[@-~]/.exec(rest)?.[0];
    if (escape !== undefined) {
      output += escape;
      rest = rest.slice(escape.length);
      continue;
    }
    const character = String.fromCodePoint(rest.codePointAt(0) ?? 0);
    width += textWidth(stripEscapes(character));
    output += character;
    rest = rest.slice(character.length);
  }
  return `${output}…\x1b[0m`;
}
