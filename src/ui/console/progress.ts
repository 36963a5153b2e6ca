/** The line that shows that a command is running. */
import { paint } from './paint';

const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
const BAR_COLUMNS = 24;

/** How far a command is. */
export interface ProgressState {
  /** Milliseconds since it began. */
  elapsed: number;
  done: number;
  /** 0: not known. */
  total: number;
}

/** One line for the foot of the console, coloured. */
export function progressLine({ elapsed, done, total }: ProgressState): string {
  const frame = SPINNER.charAt(Math.floor(elapsed / 100) % SPINNER.length);
  const parts = [paint('accent', frame)];
  if (total > 0) {
    const share = Math.max(0, Math.min(1, done / total));
    const full = Math.round(share * BAR_COLUMNS);
    parts.push(
      paint('accent', '━'.repeat(full)) + paint('dim', '━'.repeat(BAR_COLUMNS - full)),
      `${(share * 100).toFixed(0).padStart(3)}%`,
    );
    const seconds = elapsed / 1000;
    if (seconds > 1 && share > 0.01 && share < 1)
      parts.push(`${formatSeconds((seconds / share) * (1 - share))} left`);
  } else parts.push(formatSeconds(elapsed / 1000));
  parts.push(paint('dim', 'Ctrl-C stops'));
  return parts.join('  ');
}

function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(0)} s`;
  return `${Math.floor(seconds / 60)} min ${(seconds % 60).toFixed(0)} s`;
}
