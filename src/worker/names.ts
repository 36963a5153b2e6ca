/** Names for files that come in from outside. */
import { Errno, FileError, type FileStore } from '../files/contract';

/**
 * A name in the root of the store that is free: the file's own without any directories, or with a number before the
 * extension (`disk-1.qcow2`). Nothing that is there is replaced.
 */
export async function freeName(files: FileStore, name: string): Promise<string> {
  const base = allowedName(name);
  const dot = base.lastIndexOf('.');
  const stem = dot > 0 ? base.slice(0, dot) : base;
  const extension = dot > 0 ? base.slice(dot) : '';
  for (let number = 0; ; number++) {
    const candidate = number === 0 ? base : `${stem}-${number}${extension}`;
    if (!(await exists(files, candidate))) return candidate;
  }
}

/** Bytes of a name: the 255 of file systems less what a number and `.part` take. */
const MAX_BYTES = 240;

/** The name without directories, with `_` for what some browser refuses in names and for control characters, not too long. */
function allowedName(name: string): string {
  const plain = name
    .slice(name.lastIndexOf('/') + 1)
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    .replace(/[\\\x00-\x1f\x7f]/g, '_')
    .trim();
  if (plain === '' || plain === '.' || plain === '..') return 'file';
  const dot = plain.lastIndexOf('.');
  const extension = dot > 0 && bytesOf(plain.slice(dot)) <= 16 ? plain.slice(dot) : '';
  const characters = [...plain.slice(0, plain.length - extension.length)];
  while (bytesOf(characters.join('') + extension) > MAX_BYTES) characters.pop();
  return characters.join('') + extension;
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

async function exists(files: FileStore, path: string): Promise<boolean> {
  try {
    await files.info(path);
    return true;
  } catch (error) {
    if (error instanceof FileError && error.errno === Errno.ENOENT) return false;
    throw error;
  }
}
