/** The text of the last failure. Functions answer a negative errno; who knows more than the errno says it here. */
import { Err } from '../abi';

let text: string = '';

/** The text of the last failure; empty: the errno says it all. */
export function errorText(): string {
  return text;
}

/** Forgets the text; done on entry to every call from outside. */
export function clearError(): void {
  text = '';
}

/** Keeps the text and answers the negative errno. */
export function fail(errno: i32, message: string): i32 {
  text = message;
  return -errno;
}

/** As {@link fail}, with the errno's own text (strerror) behind a colon. */
export function failErrno(code: i32, message: string): i32 {
  text = message + ': ' + describe(-code);
  return code;
}

/** Keeps the text of an earlier failure behind a prefix; without one, strerror's. */
export function prefixError(code: i32, prefix: string): i32 {
  text = prefix + (text.length ? text : describe(-code));
  return code;
}

/** strerror(3) of the codes that are put into texts here. */
export function describe(errno: i32): string {
  switch (errno) {
    case Err.EPERM:
      return 'Operation not permitted';
    case Err.EIO:
      return 'Input/output error';
    case Err.ENOMEM:
      return 'Cannot allocate memory';
    case Err.EACCES:
      return 'Permission denied';
    case Err.EBUSY:
      return 'Device or resource busy';
    case Err.EINVAL:
      return 'Invalid argument';
    case Err.EFBIG:
      return 'File too large';
    case Err.ENOSPC:
      return 'No space left on device';
    case Err.ERANGE:
      return 'Numerical result out of range';
    case Err.ENOTSUP:
      return 'Operation not supported';
    case Err.ENOMEDIUM:
      return 'No medium found';
    default:
      return 'Unknown error ' + errno.toString();
  }
}

/** Hexadecimal, as printf's %x of an unsigned value. */
export function hex(value: u64): string {
  return value.toString(16);
}

/** As printf's %#x: 0x in front, except of zero. */
export function hash(value: u64): string {
  return value ? '0x' + value.toString(16) : '0';
}
