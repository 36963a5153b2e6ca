/** What drivers do; there is one file for each and one table of all (table.ts). */
import type { KeyDerivation } from '../../crypto/derivation';
import type { Engine, NodeHandle } from '../../engine/contract';
import type { QmpValue } from '../../qapi/value';
import type { CreateOption, CreateValues } from '../api';
import { GraphError } from '../errors';
import type { BlockNode, DriverContext, NodeDetails, NodeType } from '../node';
import type { OpenNbd, TlsCredentials } from '../nbd';
import type { Options } from '../options';
import type { Secrets } from '../secrets';

/** The answer to something that QEMU can and this version cannot. */
export function notYet(what: string): GraphError {
  return new GraphError(`Not available yet: ${what}`);
}

/** What a driver works with while it opens a node. */
export interface OpenContext extends DriverContext {
  openNbd: OpenNbd;
  tls: TlsCredentials;
  /** A node of the graph by its name. */
  find(name: string): BlockNode | null;
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

/** The details of a filter: those of what it is above. */
export function filteredDetails({ filtered }: BlockNode): NodeDetails | null {
  return filtered ? filtered.type.details(filtered) : null;
}

/** A file or an image that is being made, in use by its maker alone: nobody else may write. */
export interface MakerUse {
  length(): number;
  /** Sends requests to the node, as often as it takes where it is elsewhere. */
  present<T>(requests: () => T): T | Promise<T>;
  truncate(size: number): void;
  writeZeroes(offset: number, bytes: number, flags: number): void;
  /** Ends the use. */
  closeNow(): Promise<void>;
}

/** What drivers make images with, inside an exclusive change. */
export interface ImageMaker {
  readonly engine: Engine;
  readonly secrets: Secrets;
  readonly keys: KeyDerivation;
  /** The node of a `BlockdevRef`; the caller has a reference. */
  openTarget(target: QmpValue | undefined): Promise<BlockNode>;
  /** A file by its name, opened by its protocol; the caller has a reference. */
  openFile(filename: string): Promise<BlockNode>;
  /** Uses a node to write to it; gives the caller's reference on it back, also where it fails. */
  use(node: BlockNode, perm: number): Promise<MakerUse>;
  /** Makes a file, or empties the one of this name, and sets its size. */
  createFile(file: { filename: string; size: number; preallocation: string }): Promise<void>;
  /** The file that a format's image is going to be in, without content. */
  createProtocolFile(filename: string, values: CreateValues): Promise<void>;
  /** qcow2 by options of a command line. */
  createQcow2Image(filename: string, values: CreateValues): Promise<void>;
  /** The values that concern the file, not the format; it is made without content. */
  protocolValues(values: CreateValues): CreateValues;
  /** Removes what could not be completed; the failure that led here is the one to tell. */
  removeFile(filename: string): Promise<void>;
  /** The same for an image, by the protocol of its name. */
  removeImage(filename: string): Promise<void>;
}

/** A driver: what its nodes have from it, and how nodes and images of it are made. */
export interface Driver extends NodeType {
  /** File names that start with one of these and a colon are of this driver. */
  readonly prefixes: readonly string[];
  /** A file name must be given. */
  readonly needsFilename: boolean;
  /** Turns a file name with prefix into options. */
  parseFilename?(filename: string, options: Options): void;
  /** Opens in the engine, after children are attached. */
  open(context: OpenContext): Promise<NodeHandle>;
  /** What `-o` can say at creation, in the order of declaration; absent: no creation by options. */
  readonly createOptions?: readonly CreateOption[];
  /** `qemu-img create`: makes the image `filename` from the values of options. */
  createImage?(maker: ImageMaker, filename: string, values: CreateValues): Promise<void>;
  /** Removes an image whose creation failed half-way. */
  removeImage?(maker: ImageMaker, filename: string): Promise<void>;
}
