/** The exceptions of browsers as {@link FileError}. */
import { Errno, FileError } from '../contract';

const ERRNO: Readonly<Record<string, Errno>> = {
  NotFoundError: Errno.ENOENT,
  NotAllowedError: Errno.EACCES,
  SecurityError: Errno.EACCES,
  NoModificationAllowedError: Errno.EBUSY,
  InvalidModificationError: Errno.ENOTEMPTY,
  QuotaExceededError: Errno.ENOSPC,
  // Names that the browser does not allow, and sizes beyond 2^53.
  TypeError: Errno.EINVAL,
  AbortError: Errno.ECANCELED,
};

/** The name of a caught exception, '' if it is none. */
export function errorName(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? error.name : '';
}

/**
 * What a caught failure of a browser's file call is: its errno, EIO where there is none (`NotReadableError`: the file on
 * the disk was changed or cannot be read). A {@link FileError} stays what it is.
 */
export function fileError(error: unknown): FileError {
  if (error instanceof FileError) return error;
  return new FileError(ERRNO[errorName(error)] ?? Errno.EIO);
}
