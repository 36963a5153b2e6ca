/**
 * The syntax `command key=value key.member=value ...` as a QMP request.
 *
 * Dotted keys nest. A value is JSON if it begins with a brace or a bracket, an integer, true or false in any case, null,
 * or else a string; a value in quotes is always a string. The result is JSON text, so that a number reaches the daemon
 * with all its digits and the daemon alone judges what is in braces.
 */
import { tokenize, type Token } from './tokens';

/** The line is not in the syntax; `message` is for the user. */
export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem';
}

type Tree = Map<string, string | Tree>;

/** Translates a line into the text of one QMP request. Throws {@link SyntaxProblem}. */
export function toRequest(line: string): string {
  const { tokens, unclosed } = tokenize(line);
  if (unclosed) throw new SyntaxProblem(`Nothing closes the ${unclosed.opener} at column ${unclosed.at + 1}`);
  const [command, ...words] = tokens;
  if (!command) throw new SyntaxProblem('A command is expected');
  const tree: Tree = new Map();
  for (const word of words) place(tree, word);
  const parts = [`"execute": ${JSON.stringify(command.text)}`];
  if (words.length > 0) parts.push(`"arguments": ${toJson(tree)}`);
  return `{${parts.join(', ')}}`;
}

/** A word `key=value` taken apart; null if it is none. */
export function splitPair(word: string): { key: string; value: string } | null {
  const equals = /^[^"'{[=]+=/.exec(word)?.[0].length;
  return equals === undefined ? null : { key: word.slice(0, equals - 1), value: word.slice(equals) };
}

/** The string that a word in quotes stands for; null if it is not wholly in quotes. */
export function unquote(value: string): string | null {
  const quote = value.charAt(0);
  if ((quote !== '"' && quote !== "'") || value.length < 2 || !value.endsWith(quote)) return null;
  let text = '';
  for (let at = 1; at < value.length - 1; at++) {
    const character = value.charAt(at);
    if (character === quote) return null;
    if (character === '\\' && at + 1 < value.length - 1) {
      const next = value.charAt(++at);
      text += next === quote || next === '\\' ? next : character + next;
    } else text += character;
  }
  return text;
}

function place(tree: Tree, word: Token): void {
  const pair = splitPair(word.text);
  if (!pair) throw new SyntaxProblem(`Expected key=value, got '${word.text}'`);
  const names = pair.key.split('.');
  if (names.includes('')) throw new SyntaxProblem(`The key '${pair.key}' has an empty part`);
  const last = names.pop() ?? '';
  let level = tree;
  names.forEach((name, index) => {
    let next = level.get(name);
    if (next === undefined) level.set(name, (next = new Map()));
    if (typeof next === 'string') {
      const prefix = names.slice(0, index + 1).join('.');
      throw new SyntaxProblem(`'${prefix}' has a value already, so '${pair.key}' cannot be set`);
    }
    level = next;
  });
  const there = level.get(last);
  if (typeof there === 'string') throw new SyntaxProblem(`'${pair.key}' is given more than once`);
  if (there) throw new SyntaxProblem(`'${pair.key}' cannot have a value of its own beside its members`);
  level.set(last, valueToJson(pair.value, pair.key));
}

function valueToJson(value: string, key: string): string {
  if (/^[+-]?\d+$/.test(value)) return BigInt(value.replace(/^\+/, '')).toString();
  if (/^(true|false)$/i.test(value)) return value.toLowerCase();
  if (value === 'null') return 'null';
  if (/^[{[]/.test(value)) {
    if (!isOneValue(value)) throw new SyntaxProblem(`The value of '${key}' is not one JSON value: ${value}`);
    return value;
  }
  return JSON.stringify(unquote(value) ?? value);
}

/** Whether the brace or bracket that begins a text is closed at its very end. */
function isOneValue(value: string): boolean {
  let depth = 0;
  let quote = '';
  for (let at = 0; at < value.length; at++) {
    const character = value.charAt(at);
    if (quote !== '') {
      if (character === '\\') at++;
      else if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '{' || character === '[') depth++;
    else if ((character === '}' || character === ']') && --depth === 0) return at === value.length - 1;
  }
  return false;
}

function toJson(tree: Tree): string {
  const members = [...tree].map(
    ([name, value]) => `${JSON.stringify(name)}: ${typeof value === 'string' ? value : toJson(value)}`,
  );
  return `{${members.join(', ')}}`;
}
