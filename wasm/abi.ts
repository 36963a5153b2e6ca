/**
 * Constants and record layouts that both sides of the WASM border use: AssemblyScript imports this file, and so does
 * src/engine. Only `const enum` and plain constants may stand here.
 *
 * Calls answer a whole number >= 0, or a negative {@link Err}; the text of a failure is kept for `errorText`.
 */

/** Linux errno values; a failed call answers the negative of one. */
export const enum Err {
  EPERM = 1,
  ENOENT = 2,
  EIO = 5,
  EAGAIN = 11,
  ENOMEM = 12,
  EACCES = 13,
  EBUSY = 16,
  EINVAL = 22,
  EFBIG = 27,
  ENOSPC = 28,
  ERANGE = 34,
  EOVERFLOW = 75,
  ENOTSUP = 95,
  ENOMEDIUM = 123,
  /** None of Linux: a breakpoint of blkdebug stopped the request, which is to be sent again. */
  ESUSPENDED = 1000,
}

/** What kind of node a handle stands for. */
export const enum Driver {
  FILE = 1,
  NULL = 2,
  RAW = 3,
  QCOW2 = 4,
  BLKDEBUG = 5,
  THROTTLE = 6,
  COPY_ON_READ = 7,
  COMPRESS = 8,
  PREALLOCATE = 9,
  BLKVERIFY = 10,
  BLKLOGWRITES = 11,
  QUORUM = 12,
  MIRROR_TOP = 13,
  COPY_BEFORE_WRITE = 14,
  SNAPSHOT_ACCESS = 15,
  LUKS = 16,
  NBD = 17,
}

/** Flags of write and write-zeroes requests. */
export const enum Request {
  FUA = 1,
  MAY_UNMAP = 2,
  NO_FALLBACK = 4,
  /** All flags a caller may give. */
  KNOWN = 7,
}

/** What a node does about written data that is all zero. */
export const enum DetectZeroes {
  OFF = 0,
  /** It becomes a zero write. */
  ON = 1,
  /** It becomes one that may give the space back. */
  UNMAP = 2,
}

/** Bits of a block status. RAW and RECURSE stay inside the data plane. */
export const enum Bits {
  DATA = 0x01,
  ZERO = 0x02,
  OFFSET_VALID = 0x04,
  RAW = 0x08,
  ALLOCATED = 0x10,
  EOF = 0x20,
  RECURSE = 0x40,
  COMPRESSED = 0x80,
}

/** Modes of preallocation. */
export const enum Preallocation {
  OFF = 0,
  METADATA = 1,
  FALLOC = 2,
  FULL = 3,
}

/** Byte offsets in the record that a block status is written to. */
export const enum StatusRecord {
  /** i32, {@link Bits}. */
  FLAGS = 0,
  /** i32, handle of the node `MAP` is an offset of, or -1. */
  FILE = 4,
  /** i32. */
  DEPTH = 8,
  /** f64. */
  BYTES = 16,
  /** f64. */
  MAP = 24,
  SIZE = 32,
}

/** Index of each f64 in the record of a node's counters. */
export const enum StatsRecord {
  READ_BYTES = 0,
  WRITTEN_BYTES = 1,
  UNMAPPED_BYTES = 2,
  READS = 3,
  WRITES = 4,
  UNMAPS = 5,
  FLUSHES = 6,
  FAILED_READS = 7,
  FAILED_WRITES = 8,
  FAILED_UNMAPS = 9,
  FAILED_FLUSHES = 10,
  READ_TIME = 11,
  WRITE_TIME = 12,
  UNMAP_TIME = 13,
  FLUSH_TIME = 14,
  HIGHEST_WRITE = 15,
  /** Discards alone, where zero writes count as UNMAPS too. */
  DISCARDS = 16,
  FAILED_DISCARDS = 17,
  DISCARDED_BYTES = 18,
  COUNT = 19,
}

/** Byte offsets in the record that describes a qcow2 image. A string is a pointer and a length (-1: absent). */
export const enum Qcow2Record {
  VERSION = 0,
  CLUSTER_SIZE = 4,
  REFCOUNT_BITS = 8,
  CRYPT_METHOD = 12,
  COMPRESSION_TYPE = 16,
  SNAPSHOTS = 20,
  L1_ENTRIES = 24,
  /** {@link Qcow2Flag}. */
  FLAGS = 28,
  BACKING_FILE = 32,
  BACKING_FILE_LENGTH = 36,
  BACKING_FORMAT = 40,
  BACKING_FORMAT_LENGTH = 44,
  DATA_FILE = 48,
  DATA_FILE_LENGTH = 52,
  /** f64. */
  SIZE_BYTES = 56,
  /** f64. */
  CACHE_BYTES = 64,
  SIZE = 72,
}

/** Byte offsets in the record that describes a snapshot. A text is a pointer and a length; all else is f64. */
export const enum SnapshotRecord {
  ID = 0,
  ID_LENGTH = 4,
  NAME = 8,
  NAME_LENGTH = 12,
  DATE_SEC = 16,
  DATE_NSEC = 24,
  CLOCK_SEC = 32,
  CLOCK_NSEC = 40,
  /** Bytes. */
  VM_STATE = 48,
  /** Bytes. */
  DISK_SIZE = 56,
  /** -1: none. */
  ICOUNT = 64,
  SIZE = 72,
}

/** Bits of {@link Qcow2Record.FLAGS}. */
export const enum Qcow2Flag {
  LAZY_REFCOUNTS = 1,
  DIRTY = 2,
  CORRUPT = 4,
  EXTENDED_L2 = 8,
  DATA_FILE_RAW = 16,
  /** Data is in another file. */
  EXTERNAL_DATA = 32,
}

/** Flags of opening a qcow2 image. */
export const enum Qcow2Open {
  READ_ONLY = 1,
  NO_IO = 2,
  PASS_DISCARD = 4,
  /** The option lazy-refcounts was given as on. */
  LAZY_ON = 8,
  PASS_DISCARD_SNAPSHOT = 16,
  PASS_DISCARD_OTHER = 32,
  /** Discards keep the clusters' places. */
  DISCARD_NO_UNREF = 64,
  /** The same as off. */
  LAZY_OFF = 1024,
  /** To be checked: an image that is corrupt, or has no refcount table, opens too. */
  CHECK = 256,
}

/** Kinds of metadata of a qcow2 image that its overlap checks look for, and the sets that have names. */
export const enum Overlap {
  HEADER = 1,
  ACTIVE_L1 = 2,
  ACTIVE_L2 = 4,
  REFTABLE = 8,
  REFBLOCK = 16,
  SNAPSHOT_TABLE = 32,
  INACTIVE_L1 = 64,
  INACTIVE_L2 = 128,
  BITMAP_DIRECTORY = 256,
  /** What is known without a look into tables. */
  CONSTANT = 299,
  /** What is in memory anyway. */
  CACHED = 383,
  ALL = 511,
  /** Flags of opening hold a set in the bits from here on. */
  SHIFT = 16,
}

/** What a check may repair. */
export const enum CheckFix {
  LEAKS = 1,
  ERRORS = 2,
}

/** Index of each f64 in the record of a check. */
export const enum CheckRecord {
  CORRUPTIONS = 0,
  LEAKS = 1,
  ERRORS = 2,
  CORRUPTIONS_FIXED = 3,
  LEAKS_FIXED = 4,
  /** Byte offset. */
  IMAGE_END = 5,
  /** Guest clusters. */
  TOTAL = 6,
  ALLOCATED = 7,
  FRAGMENTED = 8,
  COMPRESSED = 9,
  COUNT = 10,
}

/** Bytes of the block of linear memory that records are passed in. */
export const RECORD_BYTES: number = 128;

/** State of a dirty bitmap. */
export const enum BitmapFlag {
  ENABLED = 1,
  READ_ONLY = 2,
  PERSISTENT = 4,
  INCONSISTENT = 8,
}

/** Moments in the work of a node that a blkdebug node below it may be waiting for, in the order of the schema. */
export const enum DebugEvent {
  L1_UPDATE = 0,
  L1_GROW_ALLOC_TABLE = 1,
  L1_GROW_WRITE_TABLE = 2,
  L1_GROW_ACTIVATE_TABLE = 3,
  L2_LOAD = 4,
  L2_UPDATE = 5,
  L2_UPDATE_COMPRESSED = 6,
  L2_ALLOC_COW_READ = 7,
  L2_ALLOC_WRITE = 8,
  READ_AIO = 9,
  READ_BACKING_AIO = 10,
  READ_COMPRESSED = 11,
  WRITE_AIO = 12,
  WRITE_COMPRESSED = 13,
  VMSTATE_LOAD = 14,
  VMSTATE_SAVE = 15,
  COW_READ = 16,
  COW_WRITE = 17,
  REFTABLE_LOAD = 18,
  REFTABLE_GROW = 19,
  REFTABLE_UPDATE = 20,
  REFBLOCK_LOAD = 21,
  REFBLOCK_UPDATE = 22,
  REFBLOCK_UPDATE_PART = 23,
  REFBLOCK_ALLOC = 24,
  REFBLOCK_ALLOC_HOOKUP = 25,
  REFBLOCK_ALLOC_WRITE = 26,
  REFBLOCK_ALLOC_WRITE_BLOCKS = 27,
  REFBLOCK_ALLOC_WRITE_TABLE = 28,
  REFBLOCK_ALLOC_SWITCH_TABLE = 29,
  CLUSTER_ALLOC = 30,
  CLUSTER_ALLOC_BYTES = 31,
  CLUSTER_FREE = 32,
  FLUSH_TO_OS = 33,
  FLUSH_TO_DISK = 34,
  PWRITEV_RMW_HEAD = 35,
  PWRITEV_RMW_AFTER_HEAD = 36,
  PWRITEV_RMW_TAIL = 37,
  PWRITEV_RMW_AFTER_TAIL = 38,
  PWRITEV = 39,
  PWRITEV_ZERO = 40,
  PWRITEV_DONE = 41,
  EMPTY_IMAGE_PREPARE = 42,
  L1_SHRINK_WRITE_TABLE = 43,
  L1_SHRINK_FREE_L2_CLUSTERS = 44,
  COR_WRITE = 45,
  CLUSTER_ALLOC_SPACE = 46,
  NONE = 47,
}

/** Kinds of requests that a rule of blkdebug lets fail; bits. */
export const enum DebugIo {
  READ = 1,
  WRITE = 2,
  WRITE_ZEROES = 4,
  DISCARD = 8,
  FLUSH = 16,
  BLOCK_STATUS = 32,
}

/** Flags of copying from node to node. */
export const enum Copy {
  /** Only what is allocated in the source's chain. */
  ALLOCATED = 1,
  /** What is allocated in the target stays. */
  KEEP_TARGET = 2,
  /** Data that is all zero is written as zeros. */
  DETECT_ZEROES = 4,
  /** Zeros may give clusters back. */
  UNMAP = 8,
  /** What is neither data nor zeros is discarded. */
  DISCARD = 16,
  /** All flags a caller may give. */
  KNOWN = 31,
}

/** State of a bitmap in a file. */
export const enum StoredFlag {
  IN_USE = 1,
  AUTO = 2,
}

/** The leaky buckets of a throttle group; all requests, reads, writes, of bytes and of operations. */
export const enum ThrottleBucket {
  BPS_TOTAL = 0,
  BPS_READ = 1,
  BPS_WRITE = 2,
  IOPS_TOTAL = 3,
  IOPS_READ = 4,
  IOPS_WRITE = 5,
  COUNT = 6,
}

/** What a child of a quorum was asked. */
export const enum QuorumOp {
  READ = 0,
  WRITE = 1,
  FLUSH = 2,
}

/** How a copy-before-write filter copies. */
export const enum Keep {
  /** A failed copy ends the snapshot, and not the write. */
  BREAK_SNAPSHOT = 1,
}

/** Block ciphers. The size of the key tells the kinds of one apart. */
export const enum Cipher {
  AES = 1,
  SERPENT = 2,
  TWOFISH = 3,
  CAST5 = 4,
  DES = 5,
  DES3 = 6,
  SM4 = 7,
}

/** How a cipher is used on a sector. */
export const enum CipherMode {
  ECB = 1,
  CBC = 2,
  CTR = 3,
  XTS = 4,
}

/** How the initialisation vector of a sector is made of its number. */
export const enum IvGenerator {
  /** There is none: it is zero. */
  NONE = 0,
  /** The number, 32 bits. */
  PLAIN = 1,
  /** The number, 64 bits. */
  PLAIN64 = 2,
  /** The number, encrypted with a hash of the key. */
  ESSIV = 3,
}

/**
 * How far an amendment is. It has up to two operations, of which each has units of work of its own; the part that is done is
 * (BEFORE + DONE) / (BEFORE + TOTAL * LEFT).
 */
export const enum AmendPart {
  /** Units of the operations that are complete. */
  BEFORE = 0,
  /** Units that the current operation has done. */
  DONE = 1,
  /** Units of the current operation; 0: it has none, or there is none. */
  TOTAL = 2,
  /** Operations that are not complete, with the current one. */
  LEFT = 3,
}

/** What blkverify asked both of its children. */
export const enum VerifyOp {
  READ = 0,
  WRITE = 1,
}

/** What an entry of a log of writes is; none: data that was written. */
export const enum LogFlag {
  FLUSH = 1,
  /** The data is to be on the medium at once. */
  FUA = 2,
  /** It has no data. */
  DISCARD = 4,
  /** A mark, whose data is text. */
  MARK = 8,
}

/** What is asked of a disk that the host has elsewhere. */
export const enum RemoteOp {
  READ = 0,
  WRITE = 1,
  ZERO = 2,
  DISCARD = 3,
  FLUSH = 4,
  /** Answers the count of bytes that the status is true for, and below it, in STATUS_BITS, DATA and ZERO of {@link Bits}. */
  STATUS = 5,
  CLOSE = 6,
  STATUS_BITS = 2,
}
