/** Whole files that objects are made of: passphrases, keys, lists. */
import { Errno, FileError, present, strerror, type FileStore } from '../../files/contract';
import { QmpError } from '../../qapi/index';

/** Bytes of a file at most: nothing that belongs here comes near. */
const LARGEST = 16 * 1024 * 1024;

/** Reads a whole file, or all that comes out of a pipe where the store has pipes. Failures have the texts of GLib. */
export async function readWhole(files: FileStore, path: string): Promise<Uint8Array> {
  try {
    return await readBytes(files, path);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    // A directory can be opened, and not be read.
    const [action, reason] =
      error.errno === Errno.EISDIR
        ? ['Error reading', strerror(Errno.EISDIR)]
        : ['Failed to open', path === '' ? strerror(Errno.ENOENT) : error.message];
    throw new QmpError(`${action} file “${path}”: ${reason}`);
  }
}

/** The same with failures as the store has them: {@link FileError}. */
export async function readBytes(files: FileStore, path: string): Promise<Uint8Array> {
  let opened;
  try {
    opened = await files.open(path, { write: false });
  } catch (error) {
    const isNoFile = error instanceof FileError && error.errno === Errno.EINVAL;
    if (isNoFile && files.readStream) return files.readStream(path, LARGEST);
    throw error;
  }
  const file = opened;
  try {
    const size = file.size();
    if (size > LARGEST) throw new FileError(Errno.EFBIG);
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, await present(opened, () => file.read(bytes, 0)));
  } finally {
    file.close();
  }
}
