/** Paths of the stores that keep their own name space (memory, OPFS): `/` between components, no symbolic links. */
import { Errno, FileError } from './contract';

/** The longest name of one component in bytes of UTF-8, as on Linux. */
const NAME_MAX = 255;

/** A path taken apart. */
export interface Path {
  /** The components from the root on, without `.` and `..`; empty for the root itself. */
  readonly names: readonly string[];
  /** The path ended in `/`, `/.` or `/..`: only a directory will do. */
  readonly directory: boolean;
}

/**
 * Takes a path apart; a relative one starts at `base`. `..` is resolved by name and stops at the root. Throws
 * {@link FileError}: ENOENT for an empty path, EINVAL for a NUL character, ENAMETOOLONG for a component beyond 255 bytes.
 */
export function parsePath(path: string, base: readonly string[] = []): Path {
  if (path === '') throw new FileError(Errno.ENOENT);
  if (path.includes('\0')) throw new FileError(Errno.EINVAL);
  const names = path.startsWith('/') ? [] : [...base];
  const parts = path.split('/');
  for (const part of parts) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      names.pop();
      continue;
    }
    if (utf8Length(part) > NAME_MAX) throw new FileError(Errno.ENAMETOOLONG);
    names.push(part);
  }
  const last = parts[parts.length - 1];
  return { names, directory: last === '' || last === '.' || last === '..' };
}

/** Orders names by their UTF-16 code units, the order of every directory listing. */
export function compareNames(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}
