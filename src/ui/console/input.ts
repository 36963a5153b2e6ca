/** What kind of thing a line is, and whether it is whole or goes on in the next line. */

/** The syntaxes of the console: QMP's JSON, `command key=value ...`, or a command of the shell. */
export type InputKind = 'empty' | 'json' | 'words';

export function inputKind(text: string): InputKind {
  const start = text.trimStart();
  if (start === '' || start.startsWith('#')) return 'empty';
  return /^[{[]/.test(start) ? 'json' : 'words';
}

/** The first word of a line. */
export function firstWord(text: string): string {
  return /^\s*([^\s]*)/.exec(text)?.[1] ?? '';
}

/**
 * Whether Enter is to run the text: false while a brace, a bracket or (inside JSON) a string is open. Closing ones
 * without an opening one do not make it incomplete: the parser will say what is wrong with it.
 */
export function isComplete(text: string): boolean {
  const kind = inputKind(text);
  if (kind === 'empty') return true;
  const { depth, quote } = scan(text, kind === 'words');
  return depth <= 0 && quote === null;
}

/**
 * Braces open and the quote open at the end of a text. In words a quote character in the middle of a word outside
 * braces (an apostrophe in a file name) opens a string as in a shell.
 */
function scan(text: string, words: boolean): { depth: number; quote: string | null } {
  let depth = 0;
  let quote: string | null = null;
  let lineQuote = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (quote !== null) {
      if (character === '\\') at++;
      else if (character === quote) quote = null;
      // A string of JSON cannot hold a line feed: no need to wait for its end on a later line.
      else if (character === '\n' && !lineQuote) return { depth: 0, quote: null };
    } else if (character === '"' || character === "'") {
      quote = character;
      lineQuote = words && depth === 0;
    } else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') depth--;
    else if (words && character === '\\') at++;
  }
  // An open string on the last line of JSON: Enter would only put a line feed into it.
  return { depth: quote !== null && !lineQuote ? 0 : depth, quote: lineQuote ? quote : null };
}
