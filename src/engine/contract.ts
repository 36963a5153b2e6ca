/**
 * The data plane as the control plane sees it: nodes by handle, synchronous requests, failures as {@link BlockError}.
 *
 * Offsets and lengths are whole numbers of bytes up to 2^53. A request runs to its end before the call returns, so
 * requests never overlap; whoever has a long task cuts it into calls of about 10 ms.
 */
import type { BlockFile } from '../files/contract';
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
import type { Quorum } from './quorum';
import type { StorageFilters } from './storagefilters';
import type { EngineEvent } from './events';
import type {
  CheckFinding,
  CheckRepair,
  CheckResult,
  NewSnapshot,
  Qcow2CreateOptions,
  Qcow2Info,
  Qcow2OpenOptions,
  Snapshot,
} from './qcow2';
import type { BlockStatus, IoBuffer, NodeHandle, NodeStats, Prealloc } from './request';
import type { Throttle } from './throttle';
import type { VmState } from './vmstate';

export type * from './events';
export * from './qcow2';
export * from './request';

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
