/**
 * The only imports from outside. `file` is the number that the host gave to an open file; offsets and sizes are whole
 * numbers of bytes. No call lets an exception through: a failure is a negative errno.
 */

/** Reads into linear memory; answers the bytes read, fewer than asked for only at the end of the file. */
export declare function fileRead(file: i32, to: usize, bytes: i32, at: f64): i32;
/** Writes all bytes, growing the file if need be; answers 0. */
export declare function fileWrite(file: i32, from: usize, bytes: i32, at: f64): i32;
/** Brings all that was written to stable storage; answers 0. */
export declare function fileFlush(file: i32): i32;
/** Sets the size; answers 0. */
export declare function fileTruncate(file: i32, size: f64): i32;
/** The size in bytes. */
export declare function fileSize(file: i32): f64;
/** Bytes of storage in use. */
export declare function fileAllocated(file: i32): f64;
/** The kind of what starts at `at`: n > 0 bytes of data, n < 0: a hole of -n bytes, 0: cannot be told. */
export declare function fileExtent(file: i32, at: f64): f64;
/** Makes a hole; answers 1, or 0 if the file cannot. */
export declare function filePunch(file: i32, at: f64, bytes: f64): i32;
/** Gives the file back. */
export declare function fileClose(file: i32): void;
/**
 * Has a disk that is elsewhere do a RemoteOp with a range; `argument` is an address in linear memory, or the flags of a
 * zero write. EAGAIN: the host has not got what is needed yet, and has noted what that is.
 */
export declare function remoteRequest(disk: i32, op: i32, argument: usize, at: f64, bytes: f64): f64;
/** Compresses with zstd into `limit` bytes; answers the length, or 0 if it does not fit. EIO: zstd is not loaded. */
export declare function zstdCompress(from: usize, bytes: i32, to: usize, limit: i32): i32;
/** Decompresses exactly `size` bytes with zstd and answers `size`; EIO: the data is damaged, or zstd is not loaded. */
export declare function zstdDecompress(from: usize, bytes: i32, to: usize, size: i32): i32;
/** Makes an AES with a key of 16, 24 or 32 bytes outside of the data plane; answers its number, or -1: the host has none. */
export declare function aesNew(key: usize, keyBytes: i32): i32;
/** Encrypts or decrypts whole blocks in place, each for itself; answers 0, or a negative errno with nothing done. */
export declare function aesRun(aes: i32, encrypt: i32, at: usize, bytes: i32): i32;
/** Forgets the key. */
export declare function aesFree(aes: i32): void;
/** Milliseconds since some moment, with a fraction. */
export declare function clock(): f64;
/** A check found something; `program` 1: the program's name is to be put in front. See {@link corrupted} for the text. */
export declare function finding(node: i32, text: usize, units: i32, program: i32): void;
/** An image turned out to be corrupt. The text is UTF-16, `units` code units; offset and size are -1 if unknown. */
export declare function corrupted(
  node: i32,
  text: usize,
  units: i32,
  offset: f64,
  size: f64,
  fatal: i32,
): void;
/** A write is about to end above the threshold of a node, by this many bytes. */
export declare function thresholdPassed(node: i32, exceeded: f64, threshold: f64): void;
/** A child of a quorum failed (a {@link QuorumOp}, with this errno), or differs from the others (errno 0). */
export declare function quorumReport(child: i32, op: i32, errno: i32, offset: f64, bytes: f64): void;
/** Too few children of a quorum agree. */
export declare function quorumFailed(node: i32, offset: f64, bytes: f64): void;
/** Two nodes that must be the same differ at byte `at`, in a read of this range. */
export declare function contentsMismatch(node: i32, offset: f64, bytes: f64, at: f64): void;
/**
 * The children of a blkverify node did not do the same in a request (a {@link VerifyOp}): what was read differs at byte
 * `at`, or (`at` < 0) they answered `test` and `raw`, 0 or a negative errno each.
 */
export declare function verifyMismatch(
  node: i32,
  op: i32,
  offset: f64,
  bytes: f64,
  at: f64,
  test: i32,
  raw: i32,
): void;
