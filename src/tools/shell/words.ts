/** Splits a line of the shell into words as a POSIX shell does, and expands file name patterns. */
import type { FileStore } from '../../files/contract';

/** A word; `pattern` is set if it has an unquoted `*`, `?` or `[`. */
export interface Word {
  text: string;
  pattern?: RegExp[];
}

/** The line cannot be split; `message` is for the user. */
export class LineError extends Error {
  override readonly name = 'LineError';
}

/**
 * The words of a line. Single quotes keep all, double quotes keep all but a backslash before `"` and `\`, a backslash
 * keeps the next character, `#` at the start of a word begins a comment. There are no pipes, variables or redirections.
 */
export function splitLine(line: string): Word[] {
  const words: Word[] = [];
  let text = '';
  let source = '';
  let started = false;
  let wild = false;
  const plain = (character: string): void => {
    text += character;
    source += character === '/' ? '/' : character.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    started = true;
  };
  const end = (): void => {
    if (!started) return;
    const pattern = wild ? compile(source) : null;
    words.push(pattern ? { text, pattern } : { text });
    text = '';
    source = '';
    started = false;
    wild = false;
  };
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at);
    if (/\s/.test(character)) end();
    else if (character === '#' && !started) break;
    else if (character === '\\') {
      if (at + 1 < line.length) plain(line.charAt(++at));
    } else if (character === "'" || character === '"') {
      started = true;
      const from = at;
      for (at++; line.charAt(at) !== character; at++) {
        if (at >= line.length) throw new LineError(`Nothing closes the ${character} at column ${from + 1}`);
        if (character === '"' && line.charAt(at) === '\\' && /["\\]/.test(line.charAt(at + 1))) at++;
        plain(line.charAt(at));
      }
    } else if (character === '*' || character === '?') {
      text += character;
      source += character === '*' ? '.*' : '.';
      started = wild = true;
    } else if (character === '[') {
      const set = /^\[([!^]?)(\]?[^\]/]*)\]/.exec(line.slice(at));
      if (set?.[2]) {
        const [whole, negated, members] = set;
        text += whole;
        source += `[${negated ? '^' : ''}${members.replace(/[\\\]^[]/g, '\\$&')}]`;
        started = wild = true;
        at += whole.length - 1;
      } else plain(character);
    } else if (/[|<>;&]/.test(character)) {
      throw new LineError(
        `There are no pipes, redirections or lists of commands here; put the ${character} at column ${at + 1} into quotes if it belongs to a word`,
      );
    } else plain(character);
  }
  end();
  return words;
}

/** One expression a component of the path; null if a set in it makes no sense (`[z-a]`). */
function compile(source: string): RegExp[] | null {
  try {
    return source.split('/').map((part) => new RegExp(`^${part}$`, 'su'));
  } catch {
    return null;
  }
}

/** Replaces patterns by the names they match, in order; one that matches nothing stays as it is. */
export async function expand(words: readonly Word[], files: FileStore): Promise<string[]> {
  const expanded: string[] = [];
  for (const { text, pattern } of words) {
    const names = pattern ? await matches(text.split('/'), pattern, files) : [];
    if (names.length > 0) expanded.push(...names);
    else expanded.push(text);
  }
  return expanded;
}

async function matches(
  parts: readonly string[],
  pattern: readonly RegExp[],
  files: FileStore,
): Promise<string[]> {
  let found = [''];
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    const next: string[] = [];
    for (const prefix of found) {
      if (part === '' && !last) {
        next.push(`${prefix}/`);
        continue;
      }
      for (const { name, kind } of await listed(prefix, files)) {
        // As in a shell, a pattern does not match hidden names unless it begins with a dot.
        if (!pattern[index]?.test(name) || (name.startsWith('.') && !part.startsWith('.'))) continue;
        if (last) next.push(prefix + name);
        else if (kind === 'directory') next.push(`${prefix}${name}/`);
      }
    }
    found = next;
  }
  return found.sort();
}

async function listed(directory: string, files: FileStore): ReturnType<FileStore['list']> {
  try {
    return await files.list(directory === '' ? '.' : directory);
  } catch {
    return [];
  }
}
