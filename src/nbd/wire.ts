/** Numbers of the NBD protocol as they go over the wire, all big endian. Names are those of the protocol's document. */

/** `NBDMAGIC` and `IHAVEOPT`: what a server says first. */
export const NBD_MAGIC = 0x4e42444d41474943n;
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
/** What a server of the oldest style says second. */
export const OLDSTYLE_MAGIC = 0x00420281861253n;
export const REQUEST_MAGIC = 0x25609513;
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;
export const EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** Data of one request, bytes, at most; of an option, too. */
export const MAX_PAYLOAD = 32 * 1024 * 1024;
/** UTF-8 bytes of an export's name, a description, a query. */
export const MAX_STRING = 4096;

/** Flags of both sides' greetings. */
export const enum HandshakeFlag {
  FIXED_NEWSTYLE = 1,
  NO_ZEROES = 2,
}

/** Options of the handshake. */
export const enum Option {
  EXPORT_NAME = 1,
  ABORT = 2,
  LIST = 3,
  STARTTLS = 5,
  INFO = 6,
  GO = 7,
  STRUCTURED_REPLY = 8,
  LIST_META_CONTEXT = 9,
  SET_META_CONTEXT = 10,
  EXTENDED_HEADERS = 11,
}

const OPTION_NAMES: Readonly<Record<number, string>> = {
  1: 'export name',
  2: 'abort',
  3: 'list',
  5: 'starttls',
  6: 'info',
  7: 'go',
  8: 'structured reply',
  9: 'list meta context',
  10: 'set meta context',
  11: 'extended headers',
};

/** The name of an option in messages. */
export function optionName(option: number): string {
  return OPTION_NAMES[option] ?? '<unknown>';
}

/** Types of replies to options. Errors have the highest bit. */
export const enum Reply {
  ACK = 1,
  SERVER = 2,
  INFO = 3,
  META_CONTEXT = 4,
  ERR_UNSUP = 0x80000001,
  ERR_POLICY = 0x80000002,
  ERR_INVALID = 0x80000003,
  ERR_PLATFORM = 0x80000004,
  ERR_TLS_REQD = 0x80000005,
  ERR_UNKNOWN = 0x80000006,
  ERR_SHUTDOWN = 0x80000007,
  ERR_BLOCK_SIZE_REQD = 0x80000008,
  ERR_EXT_HEADER_REQD = 0x8000000a,
}

const REPLY_NAMES: Readonly<Record<number, string>> = {
  1: 'ack',
  2: 'server',
  3: 'info',
  4: 'meta context',
};

/** The name of a type of replies that is no error, in messages. */
export function replyName(type: number): string {
  return REPLY_NAMES[type] ?? '<unknown>';
}

/** Kinds of information in replies to INFO and GO. */
export const enum Info {
  EXPORT = 0,
  NAME = 1,
  DESCRIPTION = 2,
  BLOCK_SIZE = 3,
}

/** Flags of an export. */
export const enum TransmissionFlag {
  HAS_FLAGS = 1 << 0,
  READ_ONLY = 1 << 1,
  SEND_FLUSH = 1 << 2,
  SEND_FUA = 1 << 3,
  ROTATIONAL = 1 << 4,
  SEND_TRIM = 1 << 5,
  SEND_WRITE_ZEROES = 1 << 6,
  SEND_DF = 1 << 7,
  CAN_MULTI_CONN = 1 << 8,
  SEND_RESIZE = 1 << 9,
  SEND_CACHE = 1 << 10,
  SEND_FAST_ZERO = 1 << 11,
  BLOCK_STATUS_PAYLOAD = 1 << 12,
}

/** Types of requests. */
export const enum Command {
  READ = 0,
  WRITE = 1,
  DISC = 2,
  FLUSH = 3,
  TRIM = 4,
  CACHE = 5,
  WRITE_ZEROES = 6,
  BLOCK_STATUS = 7,
}

/** The names of the types of requests in messages, by number. */
export const COMMAND_NAMES: readonly string[] = [
  'read',
  'write',
  'disconnect',
  'flush',
  'discard',
  'cache',
  'write zeroes',
  'block status',
];

/** Flags of requests. */
export const enum CommandFlag {
  FUA = 1,
  NO_HOLE = 2,
  /** Read: one chunk of data. */
  DF = 4,
  REQ_ONE = 8,
  FAST_ZERO = 16,
  /** Extended headers: the length is that of the data behind the header. */
  PAYLOAD_LEN = 32,
}

/** Types of structured reply chunks. */
export const enum Chunk {
  NONE = 0,
  OFFSET_DATA = 1,
  OFFSET_HOLE = 2,
  BLOCK_STATUS = 5,
  BLOCK_STATUS_EXT = 6,
  ERROR = 0x8001,
}

/** The last chunk of a reply. */
export const CHUNK_DONE = 1;

/** Values of `base:allocation`. */
export const enum Allocation {
  HOLE = 1,
  ZERO = 2,
}

/** Errors as they go over the wire. */
export const enum WireError {
  OK = 0,
  EPERM = 1,
  EIO = 5,
  ENOMEM = 12,
  EINVAL = 22,
  ENOSPC = 28,
  EOVERFLOW = 75,
  ENOTSUP = 95,
  ESHUTDOWN = 108,
}

/** Sizes of headers, bytes. */
export const REQUEST_BYTES = 28;
export const EXTENDED_REQUEST_BYTES = 32;
export const OPTION_HEADER_BYTES = 16;
export const REPLY_HEADER_BYTES = 20;
