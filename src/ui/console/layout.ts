/** Where the characters of an edited text stand on a screen of so many columns. */
import { codePointWidth } from './width';

/** One row of the screen. */
interface LayoutRow {
  text: string;
  /** Ends with a line feed of the text (or the end of it); otherwise the terminal goes on in the next row by itself. */
  hard: boolean;
}

export interface Layout {
  rows: LayoutRow[];
  cursorRow: number;
  cursorColumn: number;
}

/**
 * Lays text out as a terminal does: a character that does not fit goes to the next row.
 *
 * @param promptWidth columns that the prompt takes before the first line; further lines are indented as much.
 * @param cursor index into text, UTF-16 units.
 * @param columns width of the screen, at least 4.
 */
export function layOut(promptWidth: number, text: string, cursor: number, columns: number): Layout {
  const indent = ' '.repeat(promptWidth);
  const rows: LayoutRow[] = [];
  let row = '';
  let column = promptWidth;
  let cursorRow = 0;
  let cursorColumn = promptWidth;
  let at = 0;
  const place = (): void => {
    if (at !== cursor) return;
    cursorRow = rows.length;
    cursorColumn = column;
  };
  const end = (hard: boolean): void => {
    rows.push({ text: row, hard });
    row = '';
    column = 0;
  };
  for (const character of text) {
    if (character === '\n') {
      place();
      end(true);
      row = indent;
      column = promptWidth;
    } else {
      const width = codePointWidth(character.codePointAt(0) ?? 0);
      if (column + width > columns) end(false);
      place();
      row += character;
      column += width;
    }
    at += character.length;
  }
  // A full last row: the cursor stands at the start of the next one, which must exist.
  if (column >= columns) end(false);
  place();
  end(true);
  return { rows, cursorRow, cursorColumn };
}
