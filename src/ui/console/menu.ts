/** The list of candidates that Tab shows under the line. */
import type { Candidate } from './completion';
import { paint } from './paint';
import { textWidth } from './width';

const GAP = 2;
const INDENT = '  ';

/**
 * Candidates in rows: one a row with its note if they fit, else in columns without notes.
 *
 * @param columns width of the screen.
 * @param limit number of rows at the most; what does not fit is counted in the last one.
 */
export function candidateRows(candidates: readonly Candidate[], columns: number, limit: number): string[] {
  const widest = Math.max(...candidates.map(({ label }) => textWidth(label)));
  if (candidates.length <= limit && candidates.some(({ note }) => note !== undefined)) {
    return candidates.map(({ label, note = '' }) => `${INDENT}${pad(label, widest)}  ${paint('dim', note)}`);
  }
  const perRow = Math.max(1, Math.floor((columns - INDENT.length) / (widest + GAP)));
  const height = Math.ceil(candidates.length / perRow);
  const rows = Math.min(height, limit);
  // Down the columns, as ls lists.
  const shown = height <= limit ? candidates : candidates.slice(0, rows * perRow - perRow);
  const step = height <= limit ? height : rows - 1;
  const lines: string[] = [];
  for (let row = 0; row < step; row++) {
    let line = INDENT;
    for (let at = row; at < shown.length; at += step) line += pad(shown[at]?.label ?? '', widest + GAP);
    lines.push(line.trimEnd());
  }
  if (height > limit)
    lines.push(paint('dim', `${INDENT}and ${candidates.length - shown.length} more; Tab again shows them`));
  return lines;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}
