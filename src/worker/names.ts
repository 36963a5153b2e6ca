/** Names for files that come in from outside. */
import { Errno, FileError, type FileStore } from '../files/contract';

/**
 * A name in the root of the store that is free: the file's own without any directories, or with a number before the
 * extension (`disk-1.qcow2`). Nothing that is there is replaced.
 */
export async function freeName(files: FileStore, name: string): Promise<string> {
  const plain = name.slice(name.lastIndexOf('/') + 1).trim();
  const base = plain === '' || plain === '.' || plain === '..' ? 'file' : plain;
  const dot = base.lastIndexOf('.');
  const stem = dot > 0 ? base.slice(0, dot) : base;
  const extension = dot > 0 ? base.slice(dot) : '';
  for (let number = 0; ; number++) {
    const candidate = number === 0 ? base : `${stem}-${number}${extension}`;
    if (!(await exists(files, candidate))) return candidate;
  }
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
