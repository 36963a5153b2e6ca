/** The words of a request to the data plane: nodes by handle, buffers, flags, the status of blocks, failures, counters. */
import type { Errno } from '../files/contract';

/** A node of the data plane: a small whole number >= 0, valid until `close`. */
export type NodeHandle = number & { readonly __node: unique symbol };

/** A bitmap: a small whole number >= 0, valid until it is released or its node is closed. */
export type BitmapHandle = number & { readonly __bitmap: unique symbol };

/**
 * A failed request or open. `message` is the text for the user; it is strerror(errno) if nothing more is known. Lines behind
 * the first one are hints for a person.
 */
export class BlockError extends Error {
  override readonly name = 'BlockError';
  constructor(
    readonly errno: Errno,
    message: string,
  ) {
    super(message);
  }
}

/** A piece of linear memory that requests read into and write from. */
export interface IoBuffer {
  /** Address in linear memory. */
  readonly pointer: number;
  /** Size in bytes. */
  readonly bytes: number;
  /** The bytes, as a view made now: it goes stale when the memory grows, so make one per use and do not keep it. */
  view(offset?: number, bytes?: number): Uint8Array;
  free(): void;
}

/** Flags of a block status; the names and values are the ones of `graph.md` section 12. */
export const enum Status {
  DATA = 0x01,
  ZERO = 0x02,
  OFFSET_VALID = 0x04,
  ALLOCATED = 0x10,
  COMPRESSED = 0x80,
}

/** What is at an offset of a node. */
export interface BlockStatus {
  /** {@link Status} bits. */
  flags: number;
  /** Bytes that this is true for, from the offset asked for; 0 only at or behind the end of the node. */
  bytes: number;
  /** With OFFSET_VALID: where these bytes are, in the file of `file`. */
  map: number;
  /** With OFFSET_VALID: the node of the bottom whose offset `map` is (the protocol node). */
  file: NodeHandle | null;
  /** In `blockStatusAbove`: how many nodes were asked, 1 for the top one; 0 if none said ALLOCATED. */
  depth: number;
}

/** Flags of write, writeZeroes. */
export const enum RequestFlag {
  /** Data is on stable storage when the call returns. */
  FUA = 1,
  /** A zero write may give the clusters back. */
  MAY_UNMAP = 2,
  /** A zero write fails with ENOTSUP rather than write data. */
  NO_FALLBACK = 4,
}

/** Preallocation of qcow2's create and of truncate. */
export const enum Prealloc {
  OFF = 0,
  METADATA = 1,
  FALLOC = 2,
  FULL = 3,
}

/** Counters of a node; operations count requests that reached the node, times are milliseconds. */
export interface NodeStats {
  readBytes: number;
  writtenBytes: number;
  /** Of discards; zero writes do not count, as in QEMU. */
  unmappedBytes: number;
  reads: number;
  writes: number;
  unmaps: number;
  flushes: number;
  failedReads: number;
  failedWrites: number;
  failedUnmaps: number;
  failedFlushes: number;
  readTime: number;
  writeTime: number;
  unmapTime: number;
  flushTime: number;
  /** Highest end offset that was written, in bytes. */
  highestWrite: number;
  /** Discards alone. */
  discards: number;
  failedDiscards: number;
  discardedBytes: number;
}
