/**
 * The data plane as the control plane sees it: nodes by handle, synchronous requests, failures as {@link BlockError}.
 *
 * Offsets and lengths are whole numbers of bytes up to 2^53. A request runs to its end before the call returns, so
 * requests never overlap; whoever has a long task cuts it into calls of about 10 ms.
 */
import type { BlockFile, Errno } from '../files/contract';
import type { ImageAmend } from './amend';
import type { NodeChanges } from './changes';
import type { EngineBackup } from './backup';
import type { CompareRun } from './compare';
import type { CopyRange } from './copy';
import type { EngineCrypto } from './crypto';
import type { Codecs } from './codecs';
import type { EngineBitmaps } from './bitmaps';
import type { Filters } from './filters';
import type { EngineMirror } from './mirror';
import type { Presence } from './presence';
import type { OpenRemote } from './remote';
import type { Quorum, QuorumEvent } from './quorum';
import type { StorageFilters, VerifyEvent } from './storagefilters';
import type { Throttle } from './throttle';
import type { VmState } from './vmstate';

/** A node of the data plane: a small whole number >= 0, valid until `close`. */
export type NodeHandle = number & { readonly __node: unique symbol };

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
  EOF = 0x20,
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
  /** In {@link Engine.blockStatusAbove}: how many nodes were asked, 1 for the top one; 0 if none said ALLOCATED. */
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

/** The header of a qcow2 image. Big fields are exact to 2^53. */
export interface Qcow2Info {
  version: 2 | 3;
  clusterSize: number;
  /** Bits of a refcount entry: 1, 2, 4 .. 64. */
  refcountBits: number;
  size: number;
  lazyRefcounts: boolean;
  dirty: boolean;
  corrupt: boolean;
  extendedL2: boolean;
  compressionType: 'zlib' | 'zstd';
  /** 0 none, 1 AES, 2 LUKS. */
  cryptMethod: number;
  /** As stored, undecoded bytes read as UTF-8; null: none. */
  backingFile: string | null;
  backingFormat: string | null;
  /** Data is in another file; its name as stored, null: none is. */
  externalData: boolean;
  dataFile: string | null;
  dataFileRaw: boolean;
  snapshots: number;
  l1Entries: number;
  /** The image's own cost in the linear memory (tables and caches), bytes. */
  cacheBytes: number;
}

/** Kinds of metadata that overlap checks look for, and the sets that have names (`qcow2.md` section 12). */
export const enum OverlapKind {
  HEADER = 1,
  ACTIVE_L1 = 2,
  ACTIVE_L2 = 4,
  REFTABLE = 8,
  REFBLOCK = 16,
  SNAPSHOT_TABLE = 32,
  INACTIVE_L1 = 64,
  INACTIVE_L2 = 128,
  BITMAP_DIRECTORY = 256,
  NONE = 0,
  CONSTANT = 299,
  CACHED = 383,
  ALL = 511,
}

/** How a qcow2 image is opened. */
export interface Qcow2OpenOptions {
  readOnly: boolean;
  /** Only the header is to be read (qemu-img info): features that forbid reading data do not forbid opening. */
  noIo?: boolean;
  /** Bytes; default as in `qcow2.md` section 10. */
  l2CacheSize?: number;
  refcountCacheSize?: number;
  /** Bytes, a power of two from 512 to the cluster size. */
  l2CacheEntrySize?: number;
  /** Counts may be written late. Default: as the header says. */
  lazyRefcounts?: boolean;
  /** Pass guest discards of freed clusters on to the file. Default: false. */
  passDiscard?: boolean;
  /** To be checked: an image that is corrupt or has no refcount table opens too, and a dirty one is left as it is. */
  check?: boolean;
  /** Discard clusters in the file that a snapshot gives back. Default: false. */
  passDiscardSnapshot?: boolean;
  /** Discard clusters in the file that tables give back. Default: false. */
  passDiscardOther?: boolean;
  /** Discarded clusters keep their places in the file. Version 3 only. Default: false. */
  discardNoUnref?: boolean;
  /** {@link OverlapKind}s of metadata that no other write may touch. Default: CACHED. */
  overlapCheck?: number;
  /** The node that holds the data of an image with an external data file. It may not be `child`. */
  dataFile?: NodeHandle;
}

/** What a new qcow2 image is to be. Values are checked by the data plane too, with the texts of `qcow2.md` section 14. */
export interface Qcow2CreateOptions {
  size: number;
  version: 2 | 3;
  clusterSize: number;
  refcountBits: number;
  lazyRefcounts: boolean;
  preallocation: Prealloc;
  /** Default: zlib. */
  compressionType?: 'zlib' | 'zstd';
  /** Subclusters. Default: false. */
  extendedL2?: boolean;
  backingFile: string | null;
  backingFormat: string | null;
  /** Data is to be in another node. */
  dataFile?: NewDataFile;
}

/** The data file of a new qcow2 image. */
export interface NewDataFile {
  /** Writable, not the image's own file. */
  node: NodeHandle;
  /** As the image stores it. */
  name: string;
  /** It must stay readable as the disk. */
  raw: boolean;
}

/** What a check may repair: clusters that nobody uses, and all else that can be repaired. */
export interface CheckRepair {
  leaks: boolean;
  errors: boolean;
}

/** What a check counted (`qcow2.md` section 13). */
export interface CheckResult {
  corruptions: number;
  leaks: number;
  /** What could not be checked. */
  checkErrors: number;
  corruptionsFixed: number;
  leaksFixed: number;
  /** Bytes: where the last cluster of the file that is in use ends. */
  imageEnd: number;
  /** Clusters of the disk; the next three are about those that the active tables allocate. */
  totalClusters: number;
  allocatedClusters: number;
  fragmentedClusters: number;
  compressedClusters: number;
}

/**
 * A line about something that a check found, without a line feed.
 * @param program the name of the program is to be put in front
 */
export type CheckFinding = (text: string, program: boolean) => void;

/** What is recorded of an internal snapshot that is being taken. Seconds and nanoseconds are whole numbers. */
export interface NewSnapshot {
  /** UTF-8, cut to 255 bytes. */
  name: string;
  dateSec: number;
  dateNsec: number;
  /** The clock of the virtual machine. */
  vmClockSec: number;
  vmClockNsec: number;
  /** Count of instructions; null: none. */
  icount: number | null;
}

/** An internal snapshot of a qcow2 image. Big numbers are exact to 2^53. */
export interface Snapshot extends NewSnapshot {
  id: string;
  /** Bytes. */
  vmStateSize: number;
  /** Bytes. */
  diskSize: number;
}

/** Something that happened inside a request and that the user is to be told. */
export type EngineEvent = CorruptionEvent | ThresholdEvent | QuorumEvent | VerifyEvent;

/** A write is about to end above the threshold that was set; there is none any more. Bytes. */
export interface ThresholdEvent {
  kind: 'write-threshold';
  node: NodeHandle;
  threshold: number;
  /** By how much. */
  exceeded: number;
}

/** An image turned out to be corrupt. */
export interface CorruptionEvent {
  kind: 'image-corrupted';
  node: NodeHandle;
  message: string;
  /** Bytes in the image file; -1: unknown. */
  offset: number;
  size: number;
  fatal: boolean;
}

/**
 * One instance of the data plane. All methods throw {@link BlockError}; after a trap every call does, with EIO.
 * A node holds its children open: close parents first.
 */
export interface Engine {
  /** Changes of open nodes. */
  readonly changes: NodeChanges;
  readonly amend: ImageAmend;
  /** Compares buffers. */
  readonly compareRun: CompareRun;
  /** Copies a range from node to node. */
  readonly copy: CopyRange;
  /** Ciphers of sectors. */
  readonly crypto: EngineCrypto;
  readonly mirror: EngineMirror;
  /** Filters that keep what is overwritten. */
  readonly backup: EngineBackup;
  /** Dirty bitmaps of nodes. */
  readonly bitmaps: EngineBitmaps;
  readonly filters: Filters;
  /** Requests on nodes that are elsewhere. */
  readonly presence: Presence;
  /** A node over a disk that is elsewhere. The node owns the disk and closes it. */
  readonly openRemote: OpenRemote;
  readonly quorum: Quorum;
  readonly storageFilters: StorageFilters;
  /** Limits of throughput. */
  readonly throttle: Throttle;
  readonly vmState: VmState;
  alloc(bytes: number): IoBuffer;
  /** Codecs of images that are loaded when they are needed. */
  readonly codecs: Codecs;
  /** Size of the linear memory now, bytes. */
  memoryBytes(): number;
  /** Called for each event, at once, from inside the request: it must not call back into the engine. */
  onEvent: ((event: EngineEvent) => void) | null;

  /** A protocol node over an open file. The node owns the file and closes it. */
  openFile(file: BlockFile, options: { readOnly: boolean }): NodeHandle;
  /** @param readZeroes reads give zeros (else the buffer is left as it is). */
  openNull(options: { size: number; readZeroes: boolean; readOnly?: boolean }): NodeHandle;
  /** Throws with the texts of `graph.md` (raw) if the window does not fit the file. */
  openRaw(child: NodeHandle, options: { offset?: number; size?: number; readOnly: boolean }): NodeHandle;
  openQcow2(child: NodeHandle, options: Qcow2OpenOptions): NodeHandle;
  qcow2Info(node: NodeHandle): Qcow2Info;
  /**
   * Begins a check of a qcow2 image; ENOTSUP for other nodes. Nothing else may be asked of the node before the check's
   * end. Repairing needs a writable node.
   */
  checkStart(node: NodeHandle, repair: CheckRepair): void;
  /** Works on for a few milliseconds; false: the check is complete. It throws where the check cannot go on. */
  checkStep(node: NodeHandle): boolean;
  /** Ends the check at any time, and answers what it counted so far. */
  checkEnd(node: NodeHandle): CheckResult;
  /** Called for each line about a finding, at once; it must not call back into the engine. */
  onFinding: CheckFinding | null;
  /** The internal snapshots of a qcow2 node, oldest first. */
  snapshots(node: NodeHandle): Snapshot[];
  /** Takes an internal snapshot; its id is one more than the largest one. EINVAL: a reference count would be too large. */
  createSnapshot(node: NodeHandle, snapshot: NewSnapshot): void;
  /** `index` is that in {@link snapshots}, also of the next two. */
  deleteSnapshot(node: NodeHandle, index: number): void;
  /** Makes the disk what it was, its size too. */
  revertSnapshot(node: NodeHandle, index: number): void;
  /** Lets a read-only node show the data of a snapshot until it is closed; its length stays. */
  showSnapshot(node: NodeHandle, index: number): void;
  /** Formats the file of `child` (a writable protocol node); it holds an empty qcow2 image afterwards. */
  createQcow2(child: NodeHandle, options: Qcow2CreateOptions): void;
  /** The backing node of a format node; null: none. */
  setBacking(node: NodeHandle, backing: NodeHandle | null): void;
  /** A change to read-only flushes first. */
  setReadOnly(node: NodeHandle, readOnly: boolean): void;
  /** Flushes and frees the node. It is gone even if this throws. The children stay open. */
  close(node: NodeHandle): void;

  /** Bytes, a multiple of 512 for protocol nodes over files of odd size (rounded up). */
  length(node: NodeHandle): number;
  /** Bytes of storage in use below the node, 0 if it cannot be told. */
  allocated(node: NodeHandle): number;
  read(node: NodeHandle, offset: number, bytes: number, buffer: IoBuffer, at?: number): void;
  write(node: NodeHandle, offset: number, bytes: number, buffer: IoBuffer, at?: number, flags?: number): void;
  /**
   * Writes clusters compressed (qcow2): they must be whole, but for the one at the end of the disk (else EINVAL),
   * and nothing may be allocated there (EIO). What does not get smaller is written as it is. 0 bytes: ends a series of
   * such writes. ENOTSUP: the node has no compression.
   */
  writeCompressed(
    node: NodeHandle,
    offset: number,
    bytes: number,
    buffer: IoBuffer,
    at?: number,
    flags?: number,
  ): void;
  writeZeroes(node: NodeHandle, offset: number, bytes: number, flags?: number): void;
  discard(node: NodeHandle, offset: number, bytes: number): void;
  flush(node: NodeHandle): void;
  /**
   * Begins to bring what was written to the file of a protocol node to stable storage, in the background: a flush is still
   * needed. Resolves, never rejects, when this has ended; null: the file cannot do that.
   */
  readonly writeBack: (node: NodeHandle) => Promise<void> | null;
  truncate(node: NodeHandle, size: number, preallocation?: Prealloc): void;
  /** One node (and, to tell zeros, the file below it). `bytes` bounds the answer. */
  blockStatus(node: NodeHandle, offset: number, bytes: number): BlockStatus;
  /** The chain from `node` down to `base` (excluded; null: all of it). */
  blockStatusAbove(node: NodeHandle, base: NodeHandle | null, offset: number, bytes: number): BlockStatus;
  /** Whether `bytes` of a buffer from `at` on are all zero: how many of them are (data run: negative count). */
  zeroRun(buffer: IoBuffer, at: number, bytes: number): number;
  stats(node: NodeHandle): NodeStats;
}
