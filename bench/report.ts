import { arch, cpus, platform, totalmem } from 'node:os';

/** A line of the report. */
export interface Line {
  what: string;
  /** What was measured, with its unit. */
  ours: string;
  /** What it is compared with; empty: nothing. */
  reference: string;
  /** The figure that the target is for. */
  value: number;
  /** Shows `value`. */
  unit: string;
  target?: { least: number } | { below: number };
}

/** Whether a line meets its target; `-` if it has none. */
function verdict(line: Line): 'pass' | 'short' | '-' {
  if (!line.target) return '-';
  const met = 'least' in line.target ? line.value >= line.target.least : line.value < line.target.below;
  return met ? 'pass' : 'short';
}

function cells(line: Line): string[] {
  const digits = line.unit === '' ? 2 : 1;
  let target = '';
  if (line.target) target = 'least' in line.target ? `>= ${line.target.least}` : `< ${line.target.below}`;
  const figure = `${line.value.toFixed(digits)} ${line.unit}`.trim();
  return [
    line.what,
    line.ours,
    line.reference,
    figure,
    `${target} ${target && line.unit}`.trim(),
    verdict(line),
  ];
}

/** The lines as a Markdown table, padded so that it reads well in a terminal too. */
export function table(lines: Line[]): string {
  const rows = [['measurement', 'ours', 'reference', 'figure', 'target', 'result'], ...lines.map(cells)];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const render = (row: string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [render(head), render(widths.map((width) => '-'.repeat(width))), ...body.map(render)].join('\n');
}

/** What the figures were measured on. */
export function machine(browser: string): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return (
    `${cpus().length} x ${cpu?.model.trim() ?? 'unknown CPU'}, ${memory} GiB, ${platform()} ${arch()}; ` +
    `Node.js ${process.version}; ${browser}`
  );
}

/** Operations or megabytes a second of `amount` done in `milliseconds`. */
export function rate(amount: number, milliseconds: number, unit: 'MB/s' | '/s'): string {
  const perSecond = (amount / milliseconds) * 1000;
  const value = unit === 'MB/s' ? perSecond / 1e6 : perSecond;
  return `${Math.round(value).toLocaleString('en')} ${unit}`;
}
