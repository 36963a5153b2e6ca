/**
 * Secrets in lines: what a line gives away is not kept, and `object-add qom-type=secret id=NAME` without it asks for it at a
 * prompt that does not show what is typed.
 */
import { firstWord, inputKind } from './input';
import { splitPair, unquote } from './qmp-shell';
import { tokenize, type Token } from './tokens';

/** A line that adds a secret, taken apart. */
interface SecretLine {
  id: string;
  /** The words that give its data away. */
  data: Token[];
  /** It says where the data is. */
  hasData: boolean;
}

function readSecretLine(line: string): SecretLine | null {
  if (inputKind(line) !== 'words' || firstWord(line) !== 'object-add') return null;
  const pairs = tokenize(line).tokens.flatMap((token) => {
    const pair = splitPair(token.text);
    return pair ? [{ token, ...pair }] : [];
  });
  const value = (key: string): string | undefined => {
    const given = pairs.find((pair) => pair.key === key)?.value;
    return given === undefined ? undefined : (unquote(given) ?? given);
  };
  if (value('qom-type') !== 'secret') return null;
  const data = pairs.filter(({ key }) => key === 'data').map(({ token }) => token);
  return { id: value('id') ?? '', data, hasData: data.length > 0 || value('file') !== undefined };
}

/** The prompt for the secret that a line leaves out; null if it leaves none out. */
export function secretPrompt(line: string): string | null {
  const secret = readSecretLine(line);
  return secret && !secret.hasData ? `Data of secret ${secret.id}: ` : null;
}

/** The line with the secret that was asked for. */
export function withSecret(line: string, data: string): string {
  return `${line} data="${data.replace(/["\\]/g, '\\$&')}"`;
}

/**
 * The line as it may be kept and shown to others: without the data of a secret, so that it asks again. Empty: what is
 * left would be of no use (JSON, and the option --object of tools).
 */
export function withoutSecret(line: string): string {
  const secret = readSecretLine(line);
  if (secret) {
    let kept = line;
    for (const { start, end } of secret.data.reverse())
      kept = kept.slice(0, start).trimEnd() + kept.slice(end);
    return kept;
  }
  const isJson = inputKind(line) === 'json';
  const gives = isJson
    ? /\bobject-add\b/.test(line) && /\bdata\b/.test(line)
    : /\bdata\s*["']?\s*[=:]/.test(line);
  return /\bsecret\b/.test(line) && gives ? '' : line;
}
