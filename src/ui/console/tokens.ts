/** Splits a line of `command key=value ...` into words, each with its place in the line. */

/** A word of a line. */
export interface Token {
  text: string;
  /** Index of the first character. */
  start: number;
  /** Index behind the last character. */
  end: number;
}

/** The place at which a text that opens something does not close it; null when all is closed. */
export interface Unclosed {
  opener: string;
  at: number;
}

/** The words of a line: blanks separate, except inside quotes and inside braces and brackets. */
export function tokenize(line: string): { tokens: Token[]; unclosed: Unclosed | null } {
  const tokens: Token[] = [];
  const open: Unclosed[] = [];
  let quote: Unclosed | null = null;
  let start = -1;
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at);
    if (quote !== null) {
      if (character === '\\') at++;
      else if (character === quote.opener) quote = null;
      continue;
    }
    if (/\s/.test(character) && open.length === 0) {
      if (start >= 0) tokens.push({ text: line.slice(start, at), start, end: at });
      start = -1;
      continue;
    }
    if (start < 0) start = at;
    if (character === '"' || character === "'") quote = { opener: character, at };
    else if (character === '{' || character === '[') open.push({ opener: character, at });
    else if (character === '}' || character === ']') open.pop();
  }
  if (start >= 0) tokens.push({ text: line.slice(start), start, end: line.length });
  return { tokens, unclosed: quote ?? open[0] ?? null };
}
