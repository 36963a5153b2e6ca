/**
 * What a file backend is: files that are opened asynchronously and then answer synchronously.
 *
 * Every backend (OPFS, a local `File`, memory, Node's `fs`) implements {@link FileStore} and {@link BlockFile} and runs
 * the one conformance suite in `test/files/conformance.ts`. Offsets and sizes are whole numbers of bytes up to 2^53.
 */

/** Linux errno values, the only ones that cross a layer. The number goes to the data plane as its negative. */
export const enum Errno {
  EPERM = 1,
  ENOENT = 2,
  EIO = 5,
  ENXIO = 6,
  EBADF = 9,
  EAGAIN = 11,
  ENOMEM = 12,
  EACCES = 13,
  EBUSY = 16,
  EEXIST = 17,
  EXDEV = 18,
  ENODEV = 19,
  ENOTDIR = 20,
  EISDIR = 21,
  EINVAL = 22,
  ENFILE = 23,
  EMFILE = 24,
  ETXTBSY = 26,
  EFBIG = 27,
  ENOSPC = 28,
  EROFS = 30,
  ERANGE = 34,
  ENAMETOOLONG = 36,
  ENOSYS = 38,
  ENOTEMPTY = 39,
  ELOOP = 40,
  EOVERFLOW = 75,
  ENOTSUP = 95,
  ENOTCONN = 107,
  ESHUTDOWN = 108,
  EDQUOT = 122,
  ENOMEDIUM = 123,
  ECANCELED = 125,
}

/** The texts of strerror(3) for {@link Errno}; QEMU's messages end in them. */
const STRERROR: Readonly<Record<number, string>> = {
  [Errno.EPERM]: 'Operation not permitted',
  [Errno.ENOENT]: 'No such file or directory',
  [Errno.EIO]: 'Input/output error',
  [Errno.ENXIO]: 'No such device or address',
  [Errno.EBADF]: 'Bad file descriptor',
  [Errno.EAGAIN]: 'Resource temporarily unavailable',
  [Errno.ENOMEM]: 'Cannot allocate memory',
  [Errno.EACCES]: 'Permission denied',
  [Errno.EBUSY]: 'Device or resource busy',
  [Errno.EEXIST]: 'File exists',
  [Errno.EXDEV]: 'Invalid cross-device link',
  [Errno.ENODEV]: 'No such device',
  [Errno.ENOTDIR]: 'Not a directory',
  [Errno.EISDIR]: 'Is a directory',
  [Errno.EINVAL]: 'Invalid argument',
  [Errno.ENFILE]: 'Too many open files in system',
  [Errno.EMFILE]: 'Too many open files',
  [Errno.ETXTBSY]: 'Text file busy',
  [Errno.EFBIG]: 'File too large',
  [Errno.ENOSPC]: 'No space left on device',
  [Errno.EROFS]: 'Read-only file system',
  [Errno.ERANGE]: 'Numerical result out of range',
  [Errno.ENAMETOOLONG]: 'File name too long',
  [Errno.ENOSYS]: 'Function not implemented',
  [Errno.ENOTEMPTY]: 'Directory not empty',
  [Errno.ELOOP]: 'Too many levels of symbolic links',
  [Errno.EOVERFLOW]: 'Value too large for defined data type',
  [Errno.ENOTSUP]: 'Operation not supported',
  [Errno.ENOTCONN]: 'Transport endpoint is not connected',
  [Errno.ESHUTDOWN]: 'Cannot send after transport endpoint shutdown',
  [Errno.EDQUOT]: 'Disk quota exceeded',
  [Errno.ENOMEDIUM]: 'No medium found',
  [Errno.ECANCELED]: 'Operation canceled',
};

/** The text of strerror(3) for a positive errno; `Unknown error N` for one that is not in {@link Errno}. */
export function strerror(errno: number): string {
  return STRERROR[errno] ?? `Unknown error ${errno}`;
}

/** A failure of a file operation. `message` is strerror(errno) unless something more exact is known. */
export class FileError extends Error {
  override readonly name = 'FileError';
  constructor(
    readonly errno: Errno,
    message: string = strerror(errno),
  ) {
    super(message);
  }
}

/** How much of a file from an offset on is of one kind. */
export interface FileExtent {
  /** false: a hole, which reads as zeros and takes no space. */
  data: boolean;
  /** Length in bytes, > 0, ends at the end of the file at the latest. */
  bytes: number;
}

/**
 * An open file. All calls are synchronous, so that the data plane can run a request to its end; failures are thrown as
 * {@link FileError}. A failed write may have written a part of its range, nothing else.
 */
export interface BlockFile {
  /** Whether write, truncate and zero fail with EACCES. */
  readonly readOnly: boolean;
  /** The instance of the data plane whose node the file shows. It cannot wait for itself, so it must not open the file. */
  readonly shows?: object;
  /**
   * Where what the file shows may be elsewhere: calls that meet what is not there fail with EAGAIN, unless they are made
   * in a function that is given to this one, which sends it again when all has come. Absent: all is here.
   */
  present?<T>(calls: () => T): T | Promise<T>;
  /** Fills `into` from offset `at`; answers the number of bytes read, less than asked for only at the end of the file. */
  read(into: Uint8Array, at: number): number;
  /** Writes all of `from` at offset `at`, growing the file if need be (a gap reads as zeros). Out of quota: ENOSPC. */
  write(from: Uint8Array, at: number): void;
  /** Returns when all that was written before is on stable storage. */
  flush(): void;
  /**
   * Begins to bring what was written before to stable storage, in the background; only {@link flush} tells whether it came
   * there. Resolves, never rejects, when this has ended. Absent, or null: not supported.
   */
  writeBack?(): Promise<void> | null;
  /** Sets the size in bytes; what is added reads as zeros. */
  truncate(size: number): void;
  /** The size in bytes now. */
  size(): number;
  /** Bytes of storage in use; the size where the backend cannot tell. */
  allocated(): number;
  /** The kind of the range that starts at `at` < size(). Absent where holes cannot be told: all is data then. */
  extent?(at: number): FileExtent;
  /** Makes a range inside the file a hole (reads as zeros). Absent, or false when nothing was done: not supported. */
  punch?(at: number, bytes: number): boolean;
  /** Gives the file back. Never throws; a second call does nothing. */
  close(): void;
}

/** What is known of a name without opening it. */
export interface FileInfo {
  /** The last component of the path. */
  name: string;
  kind: 'file' | 'directory';
  /** Bytes; 0 for a directory. */
  size: number;
  /** Bytes of storage in use, where the store can tell. */
  allocated?: number;
  /** Milliseconds since the epoch, where the store can tell. */
  modified?: number;
  /** True if the file can only be read (a local file opened in place). */
  readOnly?: boolean;
}

/** How a file is opened. */
export interface OpenMode {
  /** false: only to read. */
  write: boolean;
  /**
   * `never` (default): ENOENT if absent; `keep`: made if absent, left as it is if present; `truncate`: made if absent,
   * emptied if present. Needs `write`. Who may meet an image that is in use opens it with `keep`, takes its lock and
   * then truncates, as QEMU does.
   */
  create?: 'never' | 'keep' | 'truncate';
}

/**
 * A name space of files. Paths use `/`; a relative one starts at the store's working directory. Opening the same file
 * several times in one store is allowed (image locks are the business of {@link ImageLocks}); what one handle wrote the
 * others read at once. Failures reject with {@link FileError}: ENOENT, EACCES, EISDIR, ENOTDIR, EINVAL (neither a file
 * nor a directory), ENOSPC, ENOTEMPTY, EEXIST, EBUSY (removal or renaming of an open file, where the store cannot).
 * Where the browser lets one tab alone open a file, open() rejects with the `LockError` of locks.ts, as a claim would.
 */
export interface FileStore {
  open(path: string, mode: OpenMode): Promise<BlockFile>;
  info(path: string): Promise<FileInfo>;
  list(directory: string): Promise<FileInfo[]>;
  remove(path: string, options?: { recursive?: boolean }): Promise<void>;
  /** Renames; an existing file at the new name is replaced. */
  rename(from: string, to: string): Promise<void>;
  makeDirectory(path: string): Promise<void>;
  /** One text for each file, the same for all names of it; {@link ImageLocks} go by it. */
  identity(path: string): Promise<string>;
  /**
   * All that comes out of something that is no file (a pipe, a terminal; open() says EINVAL), up to its end; more than
   * `limit` bytes: EFBIG. Absent where there are only files.
   */
  readStream?(path: string, limit: number): Promise<Uint8Array>;
}

/** Makes calls of a file whose bytes may be elsewhere; they may be made several times. */
export function present<T>(file: BlockFile, calls: () => T): T | Promise<T> {
  return file.present ? file.present(calls) : calls();
}
