/** Where the bytes of an image come from: a node of the daemon, or a file. */
import type { DerivationHost } from '../crypto/derivation';
import { BlockError, Status, type Engine } from '../engine/contract';
import { Errno, FileError, type FileStore } from '../files/contract';
import { MemoryLocks } from '../files/locks';
import { BlockGraph, GraphError, type BlockUser, type NodeView } from '../graph';
import { Absent, sizeText, type ByteSource } from './bytes';
import type { InspectTarget, Remark } from './contract';
import { LiveBits, liveState, type LiveNodes } from './live';
import { SECRET, unlockOptions, type Lock } from './lock';

/** What the inspection needs from outside. */
export interface InspectEnvironment {
  files: FileStore;
  /** The file is there for the inspection alone. */
  hidden: boolean;
  /** A new instance of the data plane. */
  newEngine(): Engine;
  /** Lets other work go on. */
  turn(): Promise<void>;
  /** How keys are derived from passphrases. */
  derivation?: DerivationHost;
  /** The daemon as it is now; null: there is none. */
  daemon(): { find(name: string): NodeView | null; engine: Engine } | null;
}

/** A failure to be told to the user. */
export class InspectError extends Error {
  override readonly name = 'InspectError';
}

/** An image under inspection. */
export interface Target {
  /** For people. */
  readonly name: string;
  /** The image file. */
  readonly file: ByteSource;
  /** What a format says: its driver for a node; null: look at the bytes. */
  readonly format: string | null;
  /** The disk. It is opened when it is first asked for. */
  disk(): Promise<ByteSource>;
  /** Opens the disk with a passphrase, which is the caller's to overwrite afterwards; absent: it has its key already. */
  unlock?(lock: Lock, passphrase: Uint8Array, derivation: DerivationHost): Promise<void>;
  /** Whether it was opened with a passphrase. */
  readonly unlocked?: boolean;
  /** Bitmaps in memory; null: only the image has some. */
  readonly live: LiveBits | null;
  /** A text that is another one when the image may have changed. */
  state(): Promise<string>;
  /** What the user should know of how it is looked at. */
  remarks(): Remark[];
  /** Of the image file in the sandbox; null: it is not there. */
  path(): string | null;
  /** Brings what is only in memory into the file, as far as it can be. */
  settle(): void;
  /** Does work that reads, as often as it takes until what it reads has come, where that is on a server. */
  present<T>(work: () => T): Promise<T>;
  close(): Promise<void>;
}

/** Failures of files and images are told; anything else is a fault of this program. */
export function failureText(error: unknown): string {
  if (
    error instanceof InspectError ||
    error instanceof FileError ||
    error instanceof BlockError ||
    error instanceof GraphError
  )
    return error.message;
  if (error instanceof Absent) return 'The image is on a server, and this cannot wait for its bytes';
  throw error;
}

export async function openTarget(environment: InspectEnvironment, target: InspectTarget): Promise<Target> {
  return 'node' in target
    ? new NodeTarget(environment, target.node)
    : FileTarget.open(environment, target.path);
}

/** The bytes of a node, looked up anew for each read: it may go at any time. */
class NodeBytes implements ByteSource {
  constructor(private readonly find: () => { node: NodeView; engine: Engine }) {}

  size(): number {
    return this.find().node.length();
  }

  read(into: Uint8Array, at: number): number {
    const { node, engine } = this.find();
    const bytes = Math.max(0, Math.min(into.length, node.length() - at));
    if (bytes === 0) return 0;
    const buffer = engine.alloc(bytes);
    try {
      asked(() => engine.read(node.handle, at, bytes, buffer));
      into.set(buffer.view());
    } finally {
      buffer.free();
    }
    return bytes;
  }

  extent(at: number): { data: boolean; bytes: number } {
    const { node, engine } = this.find();
    const limit = Math.min(2 ** 30, node.length() - at);
    const { flags, bytes } = asked(() => engine.blockStatus(node.handle, at, limit));
    return { data: (flags & Status.ZERO) === 0 && (flags & (Status.DATA | Status.ALLOCATED)) !== 0, bytes };
  }
}

/** A request to nodes of which some may be on a server. */
function asked<T>(request: () => T): T {
  try {
    return request();
  } catch (error) {
    throw error instanceof BlockError && error.errno === Errno.EAGAIN ? new Absent() : error;
  }
}

class NodeTarget implements Target {
  readonly file: ByteSource;
  readonly format: string | null;
  readonly live = new LiveBits(() => this.nodes());
  private readonly guest: ByteSource;

  constructor(
    private readonly environment: InspectEnvironment,
    readonly name: string,
  ) {
    const { node } = this.find();
    this.guest = new NodeBytes(() => this.find());
    const holder = image(node);
    this.format = holder.isProtocol ? 'raw' : holder.driver;
    this.file = new NodeBytes(() => {
      const { node: top, engine } = this.find();
      const inner = image(top);
      return { node: inner.isProtocol ? inner : (inner.primary ?? inner), engine };
    });
  }

  private find(): { node: NodeView; engine: Engine } {
    const daemon = this.environment.daemon();
    const node = daemon?.find(this.name);
    if (!daemon || !node) throw new InspectError(`Cannot find node '${this.name}'`);
    return { node, engine: daemon.engine };
  }

  private nodes(): LiveNodes {
    const { node, engine } = this.find();
    const holder = image(node);
    return { engine, nodes: holder === node ? [node] : [node, holder] };
  }

  state(): Promise<string> {
    return Promise.resolve(liveState(this.nodes()));
  }

  disk(): Promise<ByteSource> {
    return Promise.resolve(this.guest);
  }

  remarks(): Remark[] {
    const { node } = this.find();
    const holder = image(node);
    const remarks: Remark[] = [];
    if (holder !== node)
      remarks.push({
        kind: 'info',
        text: `${this.name} is a filter (${node.driver}); the image is that of ${holder.name}.`,
      });
    if (holder.isProtocol && !node.isFilter)
      remarks.push({
        kind: 'info',
        text: 'This node has the bytes of a file as they are. To look inside, inspect the file or the node above it.',
      });
    return remarks;
  }

  path(): string | null {
    const holder = image(this.find().node);
    const name = (holder.isProtocol ? holder : holder.primary)?.exactFilename ?? '';
    return name === '' ? null : name;
  }

  present<T>(work: () => T): Promise<T> {
    return this.find().engine.presence.whenPresent(work);
  }

  settle(): void {
    const { node, engine } = this.find();
    if (node.readOnly) return;
    try {
      engine.flush(node.handle);
    } catch (error) {
      // It is shown as it is in the file.
      if (!(error instanceof BlockError)) throw error;
    }
  }

  async close(): Promise<void> {
    // Nothing was opened.
  }
}

/** The node that has the image: below filters. */
function image(node: NodeView): NodeView {
  let at = node;
  while (at.filtered) at = at.filtered;
  return at;
}

class FileTarget implements Target {
  readonly format = null;
  readonly live = null;
  private graph: BlockGraph | null = null;
  private user: BlockUser | null = null;
  private opening: Promise<ByteSource> | null = null;
  private chain: Remark[] = [];
  unlocked = false;

  private constructor(
    private readonly environment: InspectEnvironment,
    readonly name: string,
    readonly file: ByteSource & { close(): void },
  ) {}

  static async open(environment: InspectEnvironment, path: string): Promise<FileTarget> {
    return new FileTarget(environment, path, await environment.files.open(path, { write: false }));
  }

  async state(): Promise<string> {
    const { size, modified } = await this.environment.files.info(this.name);
    return JSON.stringify([size, modified]);
  }

  disk(): Promise<ByteSource> {
    return (this.opening ??= this.openDisk());
  }

  async unlock(lock: Lock, passphrase: Uint8Array, derivation: DerivationHost): Promise<void> {
    await this.closeDisk();
    this.opening = this.openDisk({ lock, passphrase, derivation });
    try {
      await this.opening;
      this.unlocked = true;
      if (lock === 'qcow2-aes')
        this.chain.push({
          kind: 'warning',
          text: 'This old encryption cannot tell a wrong passphrase from the right one: with a wrong one the disk is noise.',
        });
    } catch (error) {
      await this.closeDisk();
      throw error;
    }
  }

  private async closeDisk(): Promise<void> {
    await this.opening?.catch(() => undefined);
    await this.user?.close();
    await this.graph?.close();
    this.user = this.graph = this.opening = null;
    this.chain = [];
    this.unlocked = false;
  }

  private async openDisk(key?: {
    lock: Lock;
    passphrase: Uint8Array;
    derivation: DerivationHost;
  }): Promise<ByteSource> {
    const engine = this.environment.newEngine();
    const graph = new BlockGraph({
      engine,
      files: this.environment.files,
      // Only to read, whatever others do with the file: what they write meanwhile is seen or not.
      locks: new MemoryLocks(),
      ...(key && { derivation: key.derivation }),
      policy: ({ filename, reason }) =>
        reason === 'json' || /^[\w+.-]+:/.test(filename) ? `An inspection opens no '${filename}'` : null,
    });
    this.graph = graph;
    const filename = this.name.includes(':') ? `./${this.name}` : this.name;
    const options = {
      ...(key ? { options: unlockOptions(key.lock, filename) } : { filename }),
      readOnly: true,
      forceShare: true,
    };
    if (key) {
      graph.secrets.source = (id) => {
        if (id !== SECRET) throw new InspectError(`An inspection knows no secret '${id}'`);
        return key.passphrase;
      };
    }
    try {
      this.user = await graph.openImage(options);
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      const reason = error.message;
      // Another passphrase would be asked for twice.
      if (key && !reason.includes('backing')) throw error;
      // An overlay whose backing file is not here can still show what it has itself.
      this.user = await graph.openImage({ ...options, noBacking: true }).catch((second: unknown) => {
        throw second instanceof GraphError ? new InspectError(second.message) : second;
      });
      this.chain = [{ kind: 'warning', text: `Shown without its backing file: ${reason}` }];
    }
    const { user } = this;
    return {
      size: () => user.length(),
      read: (into, at) => {
        const bytes = Math.max(0, Math.min(into.length, user.length() - at));
        if (bytes === 0) return 0;
        const buffer = engine.alloc(bytes);
        try {
          user.read(at, bytes, buffer);
          into.set(buffer.view());
        } finally {
          buffer.free();
        }
        return bytes;
      },
    };
  }

  remarks(): Remark[] {
    return this.chain;
  }

  path(): string | null {
    return this.environment.hidden ? null : this.name;
  }

  async present<T>(work: () => T): Promise<T> {
    return work();
  }

  settle(): void {
    // What others keep in memory is theirs.
  }

  async close(): Promise<void> {
    this.file.close();
    await this.closeDisk();
  }
}

/** The text of a size, for remarks about reads. */
export function tooLong(length: number): InspectError {
  return new InspectError(`At most 1 MiB can be read at once, not ${sizeText(length)}`);
}
