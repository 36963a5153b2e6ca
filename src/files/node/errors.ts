/** Node's failures as {@link FileError}. */
import { Errno, FileError } from '../contract';

/** By name, as the numbers differ between operating systems. */
const ERRNO: Readonly<Record<string, Errno>> = {
  EPERM: Errno.EPERM,
  ENOENT: Errno.ENOENT,
  EIO: Errno.EIO,
  ENXIO: Errno.ENXIO,
  EBADF: Errno.EBADF,
  EAGAIN: Errno.EAGAIN,
  ENOMEM: Errno.ENOMEM,
  EACCES: Errno.EACCES,
  EBUSY: Errno.EBUSY,
  EEXIST: Errno.EEXIST,
  EXDEV: Errno.EXDEV,
  ENODEV: Errno.ENODEV,
  ENOTDIR: Errno.ENOTDIR,
  EISDIR: Errno.EISDIR,
  EINVAL: Errno.EINVAL,
  ENFILE: Errno.ENFILE,
  EMFILE: Errno.EMFILE,
  ETXTBSY: Errno.ETXTBSY,
  EFBIG: Errno.EFBIG,
  ENOSPC: Errno.ENOSPC,
  EROFS: Errno.EROFS,
  ERANGE: Errno.ERANGE,
  ENAMETOOLONG: Errno.ENAMETOOLONG,
  ENOSYS: Errno.ENOSYS,
  ENOTEMPTY: Errno.ENOTEMPTY,
  ELOOP: Errno.ELOOP,
  EOVERFLOW: Errno.EOVERFLOW,
  ENOTSUP: Errno.ENOTSUP,
  EOPNOTSUPP: Errno.ENOTSUP,
  EDQUOT: Errno.EDQUOT,
  // Node's own checks of arguments: a NUL in a path, a size that no file can have.
  ERR_INVALID_ARG_VALUE: Errno.EINVAL,
  ERR_OUT_OF_RANGE: Errno.EINVAL,
  ERR_FS_FILE_TOO_LARGE: Errno.EFBIG,
};

/** What a caught failure of node:fs is: its errno, EIO where there is none. A {@link FileError} stays what it is. */
export function fileError(error: unknown): FileError {
  if (error instanceof FileError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new FileError(ERRNO[code] ?? Errno.EIO);
}
