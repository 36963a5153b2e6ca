/** Nodes of the graph, the links between them, and what nodes have from their drivers. */
import type { KeyDerivation } from '../crypto/derivation';
import type { Engine, NodeHandle } from '../engine/contract';
import type { FileStore } from '../files/contract';
import { Permission, type ImageLocks } from '../files/locks';
import type { BlockdevAmendOptions, ImageInfoSpecific } from '../qapi/types.generated';
import type { CreateOption, CreateValues, DetectZeroes, ImageAmendment, NodeChild, NodeView } from './api';
import type { ChangeStep } from './changes/step';
import { GraphError } from './errors';
import { fullBackingName } from './stored-name';
import { CacheCleaner } from './cacheclean';
import type { Options } from './options';
import type { Secrets } from './secrets';
import type { ThrottleGroups } from './throttle';
import type { QmpObject } from '../qapi/value';

/** How a node uses a child; it decides on permissions (graph.md section 3). */
export const enum Role {
  /** Everything is passed on to it. */
  FILTERED = 1,
  /** It holds what the node has not. */
  COW = 2,
  METADATA = 4,
  DATA = 8,
  /** It is the image itself. */
  PRIMARY = 16,
}

/** A user of nodes: a node or a block backend. */
export interface LinkParent {
  /** As conflicts name it. */
  describe(): string;
}

/** One user's use of one node. */
export interface Link {
  readonly name: string;
  /** {@link Role} bits; what the header says may change them while the node opens. */
  role: number;
  readonly parent: LinkParent;
  /** Changes only by a `GraphChange`. */
  node: BlockNode;
  perm: number;
  shared: number;
  /** While a user's link is being moved: the node that its requests still go to. */
  serving?: BlockNode;
  /** A job needs this link as it is: changes of it are refused. */
  frozen?: boolean;
  /** The link is to this very node: it does not move when another node takes its place. */
  stays?: boolean;
}

/** What must follow a change of a node's permissions (image locks, the mode of an open file). */
export interface PermissionFollower {
  /** Makes the change possible, or throws and leaves all as it was. */
  prepare(perm: number, shared: number): Promise<void>;
  /** Ends a prepared change; it cannot fail. */
  commit(): Promise<void>;
  /** Takes a prepared change back; it cannot fail. */
  abort(): Promise<void>;
  /** The node is closed. */
  release(): void;
}

/** The options that every node has, after defaults and inheritance. */
export interface CommonOptions {
  readOnly: boolean;
  autoReadOnly: boolean;
  direct: boolean;
  noFlush: boolean;
  forceShare: boolean;
  discard: boolean;
  detectZeroes: DetectZeroes;
}

/** Facts that not every node has (`bdrv_get_info`). */
export interface NodeDetails {
  /** Bytes; 0: the format has no clusters. */
  clusterSize: number;
  dirty: boolean;
}

/** `Permission` bits that a user takes, and those that it lets others have. */
export interface Permissions {
  perm: number;
  shared: number;
}

/** How a driver with any number of children adds and removes them. */
export interface ChangeableChildren {
  /** Throws if no child can be added. */
  checkAdding(node: BlockNode): void;
  /** Throws if none can be removed. */
  checkRemoving(node: BlockNode): void;
  /** The name of the next link. */
  nextName(node: BlockNode): string;
  /** The link is there: the engine is to know of it. */
  added(node: BlockNode, child: BlockNode): void;
  /** The link is about to go. */
  removing(node: BlockNode, link: Link): void;
}

/** How `qemu-img amend` changes images of a format. */
export interface AmendDriver {
  /** What `-o` can say. */
  readonly options: readonly CreateOption[];
  /** Begins an amendment of a writable image; throws what is wrong with the values. */
  start(node: BlockNode, values: CreateValues, force: boolean): ImageAmendment;
}

/** What a driver works with while a node is opened or reopened. */
export interface DriverContext {
  engine: Engine;
  files: FileStore;
  locks: ImageLocks;
  throttleGroups: ThrottleGroups;
  secrets: Secrets;
  keys: KeyDerivation;
  node: BlockNode;
  /** The driver takes the options it knows from here. */
  options: Options;
  /** The plain file name, empty if there is none. */
  filename: string;
}

/** The same while it is reopened: the node has its new common options already. */
export interface ReopenContext extends DriverContext {
  /** What the node was opened with before. */
  before: { given: Options; common: CommonOptions };
  /** Something to be done when permissions have been taken, after all below the node is reopened. */
  later: (step: ChangeStep) => void;
  /** Something to be done when the change lasts; it must not fail. */
  atCommit: (end: () => void) => void;
}

/** What a node has from its driver. */
export interface NodeType {
  readonly name: string;
  /** It is at the bottom and has data itself: no `file` child is opened for it. */
  readonly protocol: boolean;
  /** It lets requests fail that would not. */
  readonly failsOnPurpose?: boolean;
  /** Everything passes it unchanged. */
  readonly filter: boolean;
  /** Its file name is that of its child, whatever it does. */
  readonly namedAsChild?: boolean;
  /** It can have a `backing` child. */
  readonly backing: boolean;
  /** Options that tell one image from another; they are part of `json:` names. A final dot means all below. */
  readonly strongOptions: readonly string[];
  /** The engine has its internal snapshots. */
  readonly internalSnapshots?: boolean;
  /** It writes clusters compressed, or passes such writes on. */
  readonly compresses?: boolean;
  /** Its images keep dirty bitmaps. */
  readonly persistentBitmaps?: boolean;
  /** Its size can be changed. */
  readonly resizable: boolean;
  /** Who asks for exactly this size is told this: nodes of the driver take other sizes, but keep their own. */
  readonly exactSize?: string;
  /** What it takes and shares on a child if that is not what the child's role says. */
  childPermissions?(
    node: BlockNode,
    link: Pick<Link, 'name' | 'role' | 'node'>,
    usual: Permissions,
    cumulative: Permissions,
  ): Permissions;
  /** Options of this driver that can be left out when a node is reopened, though they were given before. */
  readonly mutableOptions?: readonly string[];
  /**
   * Reopens a node: takes the options that can be changed, throws for bad values, and adds to the change what is to be
   * done. Absent: nodes of this driver cannot be reopened.
   */
  reopen?(context: ReopenContext): void;
  /** x-blockdev-change can add and remove children. */
  readonly changeableChildren?: ChangeableChildren;
  /** Bytes: requests on the node are widened to whole multiples of this. Absent: 1. */
  requestAlignment?(node: BlockNode): number;
  /** The plain name of a node, if a plain name can say all; null: only `json:` can. Protocol drivers. */
  plainName?(node: BlockNode): string | null;
  details(node: BlockNode): NodeDetails | null;
  specific?(node: BlockNode): ImageInfoSpecific | null;
  encrypted?(node: BlockNode): boolean;
  /** Members of `driver-specific` in BlockStats. */
  statistics?(node: BlockNode): {
    driver: 'file';
    'discard-nb-ok': number;
    'discard-nb-failed': number;
    'discard-bytes-ok': number;
  };
  /** Stores another backing file in the image; see backingname.ts. */
  changeBackingFile?(node: BlockNode, file: string | null, format: string | null): void;
  /**
   * `x-blockdev-amend`, with options of this driver, inside an exclusive change. Absent: nothing can be amended.
   * @param force allows what can make data unreadable
   */
  amend?(node: BlockNode, options: BlockdevAmendOptions, force: boolean): Promise<void>;
  /** Absent: `qemu-img amend` cannot change its images. */
  readonly imageAmend?: AmendDriver;
}

/** A block node. */
export class BlockNode implements NodeView, LinkParent {
  /** Empty until the node has its name. */
  name = '';
  /** Users of this node, newest first. */
  readonly parents: Link[] = [];
  /** Uses of other nodes, newest first. */
  readonly links: Link[] = [];
  /** Who keeps the node open: links, the monitor, and operations that are under way. */
  references = 1;
  /** Made by blockdev-add and not deleted. */
  monitorOwned = false;
  follower: PermissionFollower | null = null;
  /** Of `given`, what this node was told itself and has not inherited. */
  explicit: Options;
  /** The node in whose options this one was described: reopening that one reopens this one too. */
  inheritsFrom: BlockNode | null = null;
  backingFile = '';
  backingFormat = '';
  /** The name that an implicit backing file has, or the stored one if the backing file was overridden. */
  autoBackingFile = '';
  exactFilename = '';
  fullOpenOptions: QmpObject = {};
  filename = '';
  /** The format was guessed to be raw: writes must not make block 0 look like another format. */
  guardProbe = false;
  /** Opened to be checked. */
  forCheck = false;
  /** Completely open: before, and while it closes, nobody is shown the node. */
  ready = false;
  /** A write that ends above this many bytes is reported once; 0: none is. */
  writeThreshold = 0;
  /** Of no use any more: its image turned out to be corrupt. */
  ejected = false;
  /** A filter that a job made without being given a name for it. */
  implicit = false;
  private opened: NodeHandle | null = null;
  /** Frees unused tables of its caches from time to time. */
  readonly cacheCleaner = new CacheCleaner(this);
  /** The handle is that of a node below. */
  private lent = false;

  constructor(
    readonly engine: Engine,
    readonly type: NodeType,
    /** What the node was opened with, flattened, without defaults. */
    public given: Options,
    public common: CommonOptions,
    /** Opened for information only. */
    readonly noIo: boolean,
  ) {
    this.explicit = given;
  }

  get driver(): string {
    return this.type.name;
  }

  get handle(): NodeHandle {
    if (this.opened === null) throw new GraphError(`Node '${this.name}' is not open`);
    return this.opened;
  }

  set handle(handle: NodeHandle) {
    this.opened = handle;
  }

  /** Requests are to go to a node below, which stays open for longer than this one. */
  lend(handle: NodeHandle): void {
    this.opened = handle;
    this.lent = true;
  }

  /** Whether it is only in the graph: in the data plane it is the node below. */
  get isLent(): boolean {
    return this.lent;
  }

  /** Flushes and closes in the engine. The node is closed even if this throws. */
  async closeHandle(): Promise<void> {
    const handle = this.opened;
    this.cacheCleaner.stop();
    this.opened = null;
    if (handle === null || this.lent) return;
    const { engine } = this;
    try {
      // To be closed is no request that could be sent again, so what is elsewhere gets all there is before.
      if (engine.presence.active) await engine.presence.whenPresent(() => engine.setReadOnly(handle, true));
    } finally {
      engine.close(handle);
    }
  }

  get readOnly(): boolean {
    return this.common.readOnly;
  }

  get requestAlignment(): number {
    return this.type.requestAlignment?.(this) ?? 1;
  }

  get isFilter(): boolean {
    return this.type.filter;
  }

  get isProtocol(): boolean {
    return this.type.protocol;
  }

  get children(): readonly NodeChild[] {
    return [...this.links].reverse();
  }

  /**
   * Whether failures of it or below are made on purpose (blkdebug). They are no news when it is closed: QEMU passes over
   * them too.
   */
  get failsOnPurpose(): boolean {
    return this.type.failsOnPurpose === true || this.links.some(({ node }) => node.failsOnPurpose);
  }

  private child(role: number): BlockNode | null {
    return this.links.find((link) => link.role & role)?.node ?? null;
  }

  get backing(): BlockNode | null {
    return this.child(Role.COW);
  }

  get filtered(): BlockNode | null {
    return this.child(Role.FILTERED);
  }

  get primary(): BlockNode | null {
    return this.child(Role.PRIMARY);
  }

  get fullBackingFile(): string | null {
    return fullBackingName(this);
  }

  describe(): string {
    return `node '${this.name}'`;
  }

  length(): number {
    return this.engine.length(this.handle);
  }

  thresholdPassed(): void {
    this.writeThreshold = 0;
  }

  eject(): void {
    this.ejected = true;
  }

  /** What all users together need of this node, and what all of them share. */
  cumulative(): { perm: number; shared: number } {
    let perm = 0;
    let shared: number = Permission.ALL;
    for (const link of this.parents) {
      perm |= link.perm;
      shared &= link.shared;
    }
    return { perm, shared };
  }
}
