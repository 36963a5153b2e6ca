/** What a person at a terminal sees while a key is derived, which takes seconds. */

/** Milliseconds that a derivation may take before anything is shown. */
const PATIENCE = 500;

/** ESC [K: erases the rest of the line. */
const ERASE = '\r\u001b[K';

/** A terminal, as far as it is needed here. */
interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/**
 * Shows in one line, which is gone at the end, how far a derivation is; see `DerivationHost.progress`. Undefined: whoever reads
 * what is printed is no person.
 */
export function keyProgress(
  terminal: Terminal,
  now: () => number = () => performance.now(),
): ((this: void, done: number, total: number) => void) | undefined {
  if (!terminal.isTTY) return undefined;
  let since: number | null = null;
  let shown = '';
  return (done, total) => {
    since ??= now();
    if (total > 0 && done === total) {
      if (shown !== '') terminal.write(ERASE);
      shown = '';
      since = null;
      return;
    }
    if (now() - since < PATIENCE && shown === '') return;
    const part = Math.floor((100 * done) / total);
    const text = total === 0 ? 'Measuring how fast keys are derived here ...' : `Deriving a key: ${part} %`;
    if (text === shown) return;
    terminal.write(ERASE + text);
    shown = text;
  };
}
