/** What the graph must know of a driver; there is one file for each and one table of all (table.ts). */
import type { KeyDerivation } from '../../crypto/derivation';
import type { Engine, NodeHandle } from '../../engine/contract';
import type { FileStore } from '../../files/contract';
import type { ImageLocks } from '../../files/locks';
import type { BlockdevAmendOptions, ImageInfoSpecific } from '../../qapi/types.generated';
import type { CreateOption, CreateValues, ImageAmendment } from '../api';
import type { ChangeStep } from '../changes/change';
import type { Creator } from '../images/create';
import { GraphError } from '../errors';
import type { BlockNode, CommonOptions, Link } from '../node';
import type { OpenNbd, TlsCredentials } from '../nbd';
import type { Options } from '../options';
import type { Secrets } from '../secrets';
import type { ThrottleGroups } from '../throttle';

/** The answer to something that QEMU can and this version cannot. */
export function notYet(what: string): GraphError {
  return new GraphError(`Not available yet: ${what}`);
}

/** What a driver works with while it opens a node. */
export interface OpenContext {
  engine: Engine;
  files: FileStore;
  locks: ImageLocks;
  throttleGroups: ThrottleGroups;
  secrets: Secrets;
  openNbd: OpenNbd;
  tls: TlsCredentials;
  keys: KeyDerivation;
  node: BlockNode;
  /** The driver takes the options it knows from here. */
  options: Options;
  /** A node of the graph by its name. */
  find(name: string): BlockNode | null;
  /** The plain file name, empty if there is none. */
  filename: string;
  /** A warning for the error stream, without a final line feed. */
  warn(text: string): void;
  /**
   * Opens and attaches a child from the options below `name`, a reference or nothing; `GraphError` if it must be there
   * and is not.
   * @param filename what the node's own file name says of the child
   */
  openChild(name: string, role: number, required: true, filename?: string): Promise<BlockNode>;
  openChild(name: string, role: number, required: false, filename?: string): Promise<BlockNode | null>;
  /** The same for a child that the image names and no option does: a file, whatever its name looks like. */
  openStored(name: 'data-file', role: number, filename: string): Promise<BlockNode>;
}

/** What a driver works with while a node is reopened: the node has its new common options already. */
export type ReopenContext = Omit<
  OpenContext,
  'openChild' | 'openStored' | 'openNbd' | 'tls' | 'find' | 'warn'
> & {
  /** What the node was opened with before. */
  before: { given: Options; common: CommonOptions };
  /** Something to be done when permissions have been taken, after all below the node is reopened. */
  later: (step: ChangeStep) => void;
  /** Something to be done when the change lasts; it must not fail. */
  atCommit: (end: () => void) => void;
};

/** Facts that not every node has (`bdrv_get_info`). */
interface NodeDetails {
  /** Bytes; 0: the format has no clusters. */
  clusterSize: number;
  dirty: boolean;
}

/** `Permission` bits that a user takes, and those that it lets others have. */
export interface Permissions {
  perm: number;
  shared: number;
}

/** The details of a filter: those of what it is above. */
export function filteredDetails({ filtered }: BlockNode): NodeDetails | null {
  return filtered ? filtered.type.details(filtered) : null;
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

export interface Driver {
  readonly name: string;
  /** It is at the bottom and has data itself: no `file` child is opened for it. */
  readonly protocol: boolean;
  /** File names that start with one of these and a colon are of this driver. */
  readonly prefixes: readonly string[];
  /** It lets requests fail that would not. */
  readonly failsOnPurpose?: boolean;
  /** Everything passes it unchanged. */
  readonly filter: boolean;
  /** Its file name is that of its child, whatever it does. */
  readonly namedAsChild?: boolean;
  /** It can have a `backing` child. */
  readonly backing: boolean;
  /** A file name must be given. */
  readonly needsFilename: boolean;
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
  /** Turns a file name with prefix into options. */
  parseFilename?(filename: string, options: Options): void;
  /** Opens in the engine, after children are attached. */
  open(context: OpenContext): Promise<NodeHandle>;
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
  /** What `-o` can say at creation, in the order of declaration; absent: no creation by options. */
  readonly createOptions?: readonly CreateOption[];
  /** `qemu-img create`: makes the image `filename` from the values of options. */
  createImage?(creator: Creator, filename: string, values: CreateValues): Promise<void>;
  /** Removes an image whose creation failed half-way. */
  removeImage?(creator: Creator, filename: string): Promise<void>;
}
