/** Requests as they come over the wire, and what is wrong with them. */
import type { Agreement, HeaderStyle } from './agreement';
import { viewOf } from './stream';
import {
  Command,
  COMMAND_NAMES,
  CommandFlag,
  EXTENDED_REQUEST_MAGIC,
  MAX_PAYLOAD,
  REQUEST_MAGIC,
} from './wire';

/** One request. */
export interface Request {
  magic: number;
  flags: number;
  /** {@link Command}, or any number that a client thinks of. */
  type: number;
  cookie: bigint;
  /** Bytes; exact only below 2^53. */
  offset: number;
  /** Bytes that it is about, or (write, and with PAYLOAD_LEN) bytes that follow; exact only below 2^53. */
  length: number;
  /** For messages. */
  exact: () => { offset: bigint; length: bigint };
}

/** Reads a header. */
export function parseRequest(header: Uint8Array, style: HeaderStyle): Request {
  const view = viewOf(header);
  const extended = style === 'extended';
  const u64 = (at: number): number => view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
  return {
    magic: view.getUint32(0),
    flags: view.getUint16(4),
    type: view.getUint16(6),
    cookie: view.getBigUint64(8),
    offset: u64(16),
    length: extended ? u64(24) : view.getUint32(24),
    exact: () => ({
      offset: view.getBigUint64(16),
      length: extended ? view.getBigUint64(24) : BigInt(view.getUint32(24)),
    }),
  };
}

/** What forbids to go on with the connection, because nobody knows where the next request begins; or null. */
export function breakOf(request: Request, style: HeaderStyle): Refused | null {
  const { magic } = request;
  const expected = style === 'extended' ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC;
  if (magic !== expected)
    return `invalid magic (got 0x${magic.toString(16)}, expected 0x${expected.toString(16)})`;
  return payloadOf(request, style) > MAX_PAYLOAD ? tooLarge(request) : null;
}

/** Bytes that follow the header. */
export function payloadOf(request: Request, style: HeaderStyle): number {
  const { type, flags, length } = request;
  const announced = style === 'extended' && (flags & CommandFlag.PAYLOAD_LEN) !== 0;
  return (type as Command) === Command.WRITE || announced ? length : 0;
}

/** A request that is refused without being tried. */
export type Refused = string;

/** Flags that each type of request may have. */
function allowedFlags(request: Request, agreement: Agreement): number {
  const { style } = agreement;
  switch (request.type as Command) {
    case Command.READ:
      return CommandFlag.FUA | (style === 'simple' ? 0 : CommandFlag.DF);
    case Command.WRITE:
      return CommandFlag.FUA | (style === 'extended' ? CommandFlag.PAYLOAD_LEN : 0);
    case Command.WRITE_ZEROES:
      return CommandFlag.FUA | CommandFlag.NO_HOLE | CommandFlag.FAST_ZERO;
    case Command.BLOCK_STATUS:
      return (
        CommandFlag.FUA |
        CommandFlag.REQ_ONE |
        (style === 'extended' && agreement.contexts.length > 0 ? CommandFlag.PAYLOAD_LEN : 0)
      );
    case Command.DISC:
    case Command.FLUSH:
    case Command.TRIM:
    case Command.CACHE:
      return CommandFlag.FUA;
    default:
      return 0;
  }
}

/** What is said about data, or a length, that is too large. */
function tooLarge(request: Request): Refused {
  return `len (${String(request.exact().length)}) is larger than max len (${MAX_PAYLOAD})`;
}

/**
 * What forbids a request, or null. `length` is that of the disk's range that it is about. The checks come in the order of
 * the real server.
 */
export function refusalOf(request: Request, length: number, agreement: Agreement): Refused | null {
  const { type, flags, offset } = request;
  const { target, contexts } = agreement;
  const command = type as Command;
  if ((command === Command.READ || command === Command.CACHE) && length > MAX_PAYLOAD)
    return tooLarge(request);
  const writes = command === Command.WRITE || command === Command.TRIM || command === Command.WRITE_ZEROES;
  if (writes && !target.writable) return 'Export is read-only';
  if (command !== Command.FLUSH && (offset > target.size || length > target.size - offset)) {
    const exact = request.exact();
    const shown = length === request.length ? String(exact.length) : String(length);
    return (
      `operation past EOF; From: ${String(exact.offset)}, Len: ${shown}, ` + `Size: ${String(target.size)}`
    );
  }
  if (flags & ~allowedFlags(request, agreement)) {
    const name = COMMAND_NAMES[type] ?? '<unknown>';
    return `unsupported flags for command ${name} (got 0x${flags.toString(16)})`;
  }
  if (command === Command.BLOCK_STATUS && contexts.length === 0) return 'CMD_BLOCK_STATUS not negotiated';
  if (command === Command.BLOCK_STATUS && length === 0) return 'need non-zero length';
  return COMMAND_NAMES[type] === undefined ? `invalid request type (${type}) received` : null;
}
