/**
 * What the graph offers to the layers above: QMP's command handlers and the command line tools.
 *
 * Offsets and sizes are whole numbers of bytes. Operations on the graph are asynchronous and run one after the other in
 * a {@link BlockGraph}; requests on an open node are synchronous. Failures of operations are {@link GraphError}s,
 * failures of requests are the engine's `BlockError`s.
 */
import type { DerivationHost } from '../crypto/derivation';
import type { AmendProgress } from '../engine/amend';
import type {
  BlockStatus,
  CheckFinding,
  CheckRepair,
  CheckResult,
  Engine,
  IoBuffer,
  NodeHandle,
  NodeStats,
  Prealloc,
} from '../engine/contract';
import type { FileStore } from '../files/contract';
import type { ImageLocks } from '../files/locks';
import type {
  BlockDeviceInfo,
  BlockdevDetectZeroesOptions,
  BlockGraphInfo,
  BlockNodeInfo,
  BlockStats,
  ImageInfo,
  SnapshotInfo,
  XDbgBlockGraph,
} from '../qapi/types.generated';
import type { QmpObject, QmpValue } from '../qapi/value';

import type { OpenNbd } from './nbd';

export type { NbdDevice, NbdTarget, OpenNbd } from './nbd';
export type { BlockDeviceInfo, BlockGraphInfo, BlockNodeInfo, BlockStats, ImageInfo };

/** A value of QMP or of a list of options. Integers are exact to 2^53. */
export type QValue = QmpValue;
/** A dictionary, nested or with dotted keys. Its own order is the order of insertion. */
export type QDict = QmpObject;

/** Why a node is opened that nobody named in a command. */
export type ImplicitOpenReason = 'backing' | 'data-file' | 'json' | 'probe';

/** What an implicit open is about to do. */
export interface ImplicitOpen {
  reason: ImplicitOpenReason;
  /** Name of the node whose image, or the text whose `json:`, asks for it; empty if there is none yet. */
  origin: string;
  /** The name that is going to be opened, as stored and resolved. */
  filename: string;
  /** The driver, or null while it is still to be probed. */
  driver: string | null;
}

/** Decides on implicit opens: a text refuses, and is the error; null allows. */
type OpenPolicy = (request: ImplicitOpen) => string | null;

/** What one emulated process works with. Several graphs share one engine, one store and one table of locks. */
export interface GraphEnvironment {
  engine: Engine;
  files: FileStore;
  locks: ImageLocks;
  /** A warning for the error stream: the program puts its name and `warning: ` in front. No final line feed. */
  warn?(text: string): void;
  /** Lines for the error stream that stand for themselves. No final line feed. */
  notice?(text: string): void;
  /** A line for the standard output, as QEMU writes it when a command makes an image. No final line feed. */
  output?(text: string): void;
  policy?: OpenPolicy;
  /** A blkverify node found a difference, which ends a real program at once. Called from inside the request. */
  onMismatch?(): void;
  /** Opens exports of NBD servers. Absent: nothing can be connected to from here. */
  openNbd?: OpenNbd;
  /** How keys are derived from passphrases. */
  derivation?: DerivationHost;
}

/** How a block backend may cache. The names are those of `-t` (tools.md 0.3). */
export type CacheMode = 'none' | 'off' | 'directsync' | 'writeback' | 'unsafe' | 'writethrough';

/** What a tool opens. */
export interface OpenImageRequest {
  /** A path, `json:{...}` or a name with the prefix of a protocol. */
  filename?: string;
  /** Options as of `--image-opts`: dotted keys or nested; values may all be strings. */
  options?: QDict;
  /** Driver of the top node (`-f`); without it the format is probed. */
  format?: string;
  /** Default: false. */
  readOnly?: boolean;
  /** Backing files stay closed. Default: false. */
  noBacking?: boolean;
  /** Only what is needed for information is read; no data will be. Default: false. */
  noIo?: boolean;
  /** To be checked: what a check may repair does not forbid opening. Default: false. */
  check?: boolean;
  /** `-U`: no image locks are in the way. Needs `readOnly`. Default: false. */
  forceShare?: boolean;
  /** Default: writeback. */
  cache?: CacheMode;
  /** Default: discards are passed on (`unmap`). */
  discard?: 'ignore' | 'unmap';
  detectZeroes?: DetectZeroes;
  /** Permissions to start with; default: consistent read, and write and resize if it is not read-only. */
  permissions?: { perm: number; shared: number };
}

export type DetectZeroes = BlockdevDetectZeroesOptions;

/** A child link of a node. */
export interface NodeChild {
  /** `file`, `backing`, `data-file`, ... */
  readonly name: string;
  readonly node: NodeView;
}

/** A node as the layers above may look at it. */
export interface NodeView {
  readonly name: string;
  readonly driver: string;
  /** The generated file name (graph.md section 6): plain or `json:`. */
  readonly filename: string;
  /** The plain file name, empty if there is none. */
  readonly exactFilename: string;
  /** In the engine; valid as long as the node is open. */
  readonly handle: NodeHandle;
  readonly readOnly: boolean;
  readonly isFilter: boolean;
  /** It is of a protocol: at the bottom, or with file names of its own (blkdebug). */
  readonly isProtocol: boolean;
  /** Bytes: requests on the node are widened to whole multiples of this. */
  readonly requestAlignment: number;
  readonly children: readonly NodeChild[];
  /** The child that holds what this node has not (`backing`), or null. */
  readonly backing: NodeView | null;
  /** The child a filter passes everything to, or null. */
  readonly filtered: NodeView | null;
  /** The child that holds the image (`file`, ...), or null. */
  readonly primary: NodeView | null;
  /** Name of the backing file as the image stores it, empty if none. */
  readonly backingFile: string;
  /** The same made absolute or relative to the working directory; null if it cannot be told. */
  readonly fullBackingFile: string | null;
  readonly backingFormat: string;
  /** Bytes. */
  length(): number;
  /** The engine has reported a write above the threshold: there is none any more. */
  thresholdPassed(): void;
  /** Its image turned out to be corrupt: requests fail, and there are no facts to be told. */
  eject(): void;
}

/** The internal snapshots of an image. An index is that in `list`. Failures are the engine's `BlockError`s. */
export interface ImageSnapshots {
  list(): SnapshotInfo[];
  /**
   * Takes one, dated now.
   * @param clock what is recorded of the machine's clock: this moment, or nothing
   * @param icount count of instructions; null: none
   */
  create(name: string, clock: 'now' | 'zero', icount: number | null): void;
  /** Fails with a `GraphError`. */
  delete(index: number): void;
  /** Throws a `GraphError` if no snapshot may be applied. */
  checkApply(): void;
  /** Makes the disk what it was. */
  apply(index: number): void;
  /** Shows a snapshot in place of the disk until a read-only node is closed; not through other nodes. */
  show(index: number): void;
}

/** `x-debug-query-block-graph`. */
export type DebugGraph = XDbgBlockGraph;

/** An overlay that is in its place; one of the two must be called, and neither can fail. */
export interface PlacedOverlay {
  /** The node below becomes read-only. An overlay that nobody uses is closed. */
  commit: () => Promise<void>;
  /** Everything is as before; a file that was made stays. */
  abort: () => Promise<void>;
}

/** What `blockdev-snapshot-sync` says of the overlay. */
export interface NewOverlay {
  device?: string | undefined;
  nodeName?: string | undefined;
  file: string;
  overlayName?: string | undefined;
  /** Default: qcow2. */
  format?: string | undefined;
  /** The file is there, with what it says of its backing file. */
  existing: boolean;
}

/**
 * A user of a node from outside the graph (QEMU's block backend): it holds permissions on the node and sends requests.
 * Requests are checked against its permissions, the length of the node and 2^31 bytes.
 */
export interface BlockUser {
  /** The top node. */
  readonly node: NodeView;
  /** In x-debug-query-block-graph; empty for one without a name. */
  readonly name: string;
  /** Permissions held and shared ({@link Permission} bits of src/files/locks). */
  readonly perm: number;
  readonly shared: number;
  /** Takes other permissions; on a conflict throws QEMU's text and leaves all as it was. */
  setPermissions(perm: number, shared: number): Promise<void>;
  /** Every write is on stable storage when it returns. */
  readonly writeThrough: boolean;
  /**
   * Opens the top node with other options, where it is; what is not among them stays. All or nothing: throws a `GraphError`,
   * or what a driver throws.
   */
  reopen(changes: QDict, writeThrough?: boolean): Promise<void>;
  /** Bytes. */
  length(): number;
  /**
   * Sends requests of this and other users as often as it takes for what is on other machines to be here; see the engine's
   * `Presence`. Where all is here its answer, or what it throws, is there at once.
   */
  present<T>(request: () => T): T | Promise<T>;
  read(offset: number, bytes: number, buffer: IoBuffer, at?: number): void;
  /** `flags` are `RequestFlag`s of the engine. */
  write(offset: number, bytes: number, buffer: IoBuffer, at?: number, flags?: number): void;
  /** Whole clusters, or up to the end of the disk; see the engine. 0 bytes end a series of such writes. */
  writeCompressed(offset: number, bytes: number, buffer: IoBuffer, at?: number, flags?: number): void;
  writeZeroes(offset: number, bytes: number, flags?: number): void;
  discard(offset: number, bytes: number): void;
  flush(): void;
  /** @param exact a disk of another size than this will not do; else one that cannot change may stay larger */
  truncate(size: number, preallocation?: Prealloc, exact?: boolean): void;
  /** The state of a virtual machine that the image keeps beside the disk. ENOTSUP: it keeps none. */
  readVmState(offset: number, bytes: number, buffer: IoBuffer): void;
  writeVmState(offset: number, bytes: number, buffer: IoBuffer): void;
  /** The top layer alone (filters are passed). */
  blockStatus(offset: number, bytes: number): BlockStatus;
  /** The chain down to `base` (excluded; null: all of it). */
  blockStatusAbove(base: NodeView | null, offset: number, bytes: number): BlockStatus;
  /**
   * Begins a check of the image; `report` gets each finding at once. Throws ENOTSUP if the format has no checks. Nothing
   * else may be asked of the node before its end.
   */
  check(repair: CheckRepair, report: CheckFinding): ImageCheck;
  /**
   * Makes the image name another backing file, null: none; what it reads now stays as it is. A name needs a format. The
   * node must be writable. Failures are `BlockError`s with strerror's texts, ENOSPC: the header has no room.
   */
  changeBackingFile(file: string | null, format: string | null): void;
  /**
   * Begins an amendment of the image to these values of options (`amendSupport`). A `GraphError` says what is wrong with
   * them, or that the format has none. Nothing else may be asked of the node before its end.
   * @param force allows what can make data unreadable
   */
  amend(values: CreateValues, force: boolean): ImageAmendment;
  /** The format has compressed clusters. */
  readonly compresses: boolean;
  /** The image below this one that a user calls `name` (relative to the image above it); null: there is none. */
  findBacking(name: string): Promise<NodeView | null>;
  /**
   * The complete name of a file that the image calls `name` in its header, by its own name if it has one, else by the one
   * that the user opened it by. Throws a `GraphError` where it cannot be told.
   */
  resolve(name: string, opened: string): string;
  /**
   * Makes an image below this one writable, with a user of its own; `end` lets go of it, and makes it what it was. What
   * is written shows through this image where nothing above holds data.
   */
  openBase(base: NodeView): Promise<{ user: BlockUser; end(): Promise<void> }>;
  /**
   * Empties the image: its backing file shows through. Each call of the result works for a few milliseconds and answers
   * whether there is more to do; null: the format cannot be emptied.
   */
  makeEmpty(): (() => boolean) | null;
  stats(): NodeStats;
  /** The node with this handle (`file` of a block status); null if it is not in this graph. */
  nodeOf(handle: NodeHandle): NodeView | null;
  /** Bytes of a cluster of the image; null: it has none. Nothing is read for it. */
  readonly clusterSize: number | null;
  /** All facts; what the image has of them is read, so it is a request like others ({@link present}). */
  info(): BlockNodeInfo;
  /** Facts of a node below. */
  infoOf(node: NodeView): BlockNodeInfo;
  graphInfo(): BlockGraphInfo;
  /** null: the format of the image has no snapshots. */
  snapshots(): ImageSnapshots | null;
  /** Flushes, and closes what nobody else holds. The first failure of a flush is thrown when all is closed. */
  close(): Promise<void>;
}

/** An amendment under way. */
export interface ImageAmendment {
  /** Works on for a few milliseconds; false: it is complete. It throws what is wrong with the changes. */
  step(): boolean | Promise<boolean>;
  progress(): AmendProgress;
  /** Ends it at any time; what was changed so far stays. */
  end(): void;
}

/** A check under way. */
export interface ImageCheck {
  /** Works on for a few milliseconds; false: it is complete. It throws where the check cannot go on. */
  step(): boolean | Promise<boolean>;
  /** Ends the check at any time, and answers what it counted so far. */
  end(): CheckResult;
}

/** An option of image creation, as `-o help` lists it. */
export interface CreateOption {
  name: string;
  type: 'str' | 'size' | 'num' | 'bool';
  help: string;
  /** What the Formatting line shows when the option was not given; absent: then nothing. */
  default?: string;
}

/** What a format can be told at creation, in the order of declaration. */
export interface CreateSupport {
  format: string;
  /** Options of the format, then those of the protocol, if a file name was given. */
  options: readonly CreateOption[];
}

/** Values of creation options by name. Sizes and numbers are numbers. */
export type CreateValues = Record<string, string | number | boolean>;

/** An image to be made by `qemu-img create` or `convert`. */
export interface CreateImageRequest {
  filename: string;
  format: string;
  /** Values given by the user, with `size`, `backing_file`, `backing_fmt`. */
  values: CreateValues;
  /** How the user spelled those of {@link values} that are booleans. */
  spelled?: Readonly<Record<string, string>>;
}

/** A request that passed the checks of `qemu-img create`. */
export interface PreparedCreate extends CreateImageRequest {
  /** What follows `Formatting '<filename>', `: `fmt=qcow2 cluster_size=65536 ...`. */
  line: string;
}

/** The graph of one emulated process. */
export interface BlockGraphApi {
  /** `blockdev-add`; `options` passed the schema. A node-name is needed. */
  blockdevAdd(options: QDict): Promise<void>;
  blockdevDel(nodeName: string): Promise<void>;
  /** `blockdev-reopen`; each of the options passed the schema. All or nothing. */
  blockdevReopen(list: readonly QDict[]): Promise<void>;
  blockResize(target: { device?: string; nodeName?: string; size: number }): Promise<void>;
  /** `blockdev-snapshot-internal-sync` */
  snapshotInternal(device: string, name: string): Promise<void>;
  /** `blockdev-snapshot-delete-internal-sync`; answers what was deleted. */
  snapshotDeleteInternal(target: { device: string; id?: string; name?: string }): Promise<SnapshotInfo>;
  /** `blockdev-snapshot`, in two phases. */
  placeOverlay(node: string, overlay: string): Promise<PlacedOverlay>;
  /** `blockdev-snapshot-sync`, in two phases. */
  placeNewOverlay(wanted: NewOverlay): Promise<PlacedOverlay>;
  /** `change-backing-file` */
  changeBackingName(names: { device: string; image: string; file: string }): Promise<void>;
  /** `x-blockdev-change` */
  changeChildren(names: {
    parent: string;
    child?: string | undefined;
    node?: string | undefined;
  }): Promise<void>;
  /** `block-set-write-threshold`; 0: none. */
  setWriteThreshold(nodeName: string, bytes: number): void;
  /** `query-named-block-nodes`, newest first. */
  namedBlockNodes(flat: boolean): BlockDeviceInfo[];
  /** `query-blockstats` with query-nodes. */
  blockStats(): BlockStats[];
  debugGraph(): DebugGraph;
  /**
   * The work of `blockdev-create`; `options` passed the schema.
   * @param turn lets others run; called when a new file is open, before anything is done to it
   */
  create(options: QDict, turn?: () => Promise<void>): Promise<void>;
  /** `driver` can be created with `blockdev-create` at all; throws what the command answers if not. */
  checkCreatable(driver: string): void;

  /** Opens as a tool does. Failures have the text after `Could not open '<filename>': `. */
  openImage(request: OpenImageRequest): Promise<BlockUser>;
  /** A user of a node that is there already (an export, a job). Throws on unknown names and conflicts. */
  attach(
    target: { device?: string; nodeName?: string },
    permissions: { perm: number; shared: number },
    name?: string,
  ): Promise<BlockUser>;

  /** What can be said to `qemu-img create -f format filename -o`: the format's options, then the protocol's. */
  createSupport(format: string, filename?: string): CreateSupport;
  /** What `qemu-img amend` can tell a format; a `GraphError` if there is no such format, or it has no amending. */
  amendSupport(format: string): readonly CreateOption[];
  /** The checks of `qemu-img create` up to the Formatting line; `unsafe` (`-u`): the backing file is not opened. */
  prepareCreate(request: CreateImageRequest, unsafe: boolean): Promise<PreparedCreate>;
  /** Makes the image. Failures have the text after `<filename>: `. */
  createImage(request: CreateImageRequest): Promise<void>;

  /** Node by name, or null. */
  find(nodeName: string): NodeView | null;
  /** All nodes, newest first. */
  nodes(): NodeView[];
  /** Closes all users and nodes; the first failure is thrown at the end. */
  close(): Promise<void>;
}
