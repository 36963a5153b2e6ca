/**
 * Exports of type `fuse`: a node shown as a raw file in a store of files. QEMU lets the kernel mount such a file; here it
 * stands in the tree that the tools of the sandbox see, so nothing but a store that can show it is needed.
 */
import { BlockError, RequestFlag, Status, type Engine, type IoBuffer } from '../../engine/contract';
import {
  Errno,
  FileError,
  type BlockFile,
  type FileExtent,
  type FileInfo,
  type FileStore,
  type OpenMode,
} from '../../files/contract';
import { Permission } from '../../files/locks';
import type { BlockUser } from '../../graph/index';
import { QmpError, type BlockExportOptions } from '../../qapi/index';
import type { FileMounts } from '../environment';
import type { BlockExport } from './export';

/** Bytes that go through the engine in one request, at most. */
const PIECE = 1 << 20;
/** Longest range that is looked at in one go, bytes. */
const LOOK = 2 ** 30;

/** Throws a failure of a node as one of a file. */
function rethrow(error: unknown): never {
  throw error instanceof BlockError ? new FileError(error.errno) : error;
}

/** What an export shows, and how. */
interface ShownNode {
  readonly engine: Engine;
  readonly user: BlockUser;
  readonly writable: boolean;
  /** Writes behind the end make the node longer. */
  readonly growable: boolean;
  /** The size can be changed. */
  readonly resizable: boolean;
  /** Every write is on stable storage when it returns. */
  readonly writeThrough: boolean;
  /** A change of the graph is being made: nothing may be written. */
  held(): boolean;
}

/** The store of one file, which is the node. */
class NodeStore implements FileStore {
  /** Number of the next store. */
  private static next = 0;
  private readonly name = `fuse:${NodeStore.next++}`;
  private readonly buffer: IoBuffer;
  private shown = true;

  constructor(private readonly node: ShownNode) {
    this.buffer = node.engine.alloc(PIECE);
  }

  /** Ends it: files that are open fail from then on. */
  end(): void {
    this.shown = false;
    this.buffer.free();
  }

  async open(_path: string, mode: OpenMode): Promise<BlockFile> {
    if (mode.write && !this.node.writable) throw new FileError(Errno.EACCES);
    const file = new NodeFile(this.node, this.buffer, !mode.write, () => this.shown);
    if (mode.create === 'truncate') await file.present(() => file.truncate(0));
    return file;
  }

  async info(path: string): Promise<FileInfo> {
    const { user, writable } = this.node;
    const size = user.length();
    return {
      name: path,
      kind: 'file',
      size,
      allocated: user.info()['actual-size'] ?? size,
      readOnly: !writable,
    };
  }

  async list(): Promise<FileInfo[]> {
    throw new FileError(Errno.ENOTDIR);
  }

  async remove(): Promise<void> {
    throw new FileError(Errno.EBUSY);
  }

  async rename(): Promise<void> {
    throw new FileError(Errno.EBUSY);
  }

  async makeDirectory(): Promise<void> {
    throw new FileError(Errno.EEXIST);
  }

  async identity(): Promise<string> {
    return this.name;
  }
}

/** The node as an open file. */
class NodeFile implements BlockFile {
  constructor(
    private readonly node: ShownNode,
    private readonly buffer: IoBuffer,
    readonly readOnly: boolean,
    private readonly shown: () => boolean,
  ) {}

  get shows(): Engine {
    return this.node.engine;
  }

  present<T>(calls: () => T): T | Promise<T> {
    const answer = this.node.engine.presence.present(calls);
    return answer instanceof Promise ? answer.catch(rethrow) : answer;
  }

  /** Does something with the node; its failures become those of a file. */
  private use<T>(work: (user: BlockUser) => T): T {
    if (!this.shown()) throw new FileError(Errno.ENOTCONN);
    try {
      return work(this.node.user);
    } catch (error) {
      rethrow(error);
    }
  }

  private change(work: (user: BlockUser) => void): void {
    if (this.readOnly) throw new FileError(Errno.EACCES);
    if (this.node.held()) throw new FileError(Errno.EAGAIN);
    this.use(work);
  }

  read(into: Uint8Array, at: number): number {
    return this.use((user) => {
      const end = Math.min(user.length(), at + into.length);
      for (let offset = at; offset < end; offset += PIECE) {
        const bytes = Math.min(PIECE, end - offset);
        user.read(offset, bytes, this.buffer);
        into.set(this.buffer.view(0, bytes), offset - at);
      }
      return Math.max(0, end - at);
    });
  }

  write(from: Uint8Array, at: number): void {
    this.change((user) => {
      const end = at + from.length;
      if (end > user.length()) {
        if (!this.node.growable) throw new FileError(Errno.EIO);
        user.truncate(end);
      }
      const flags = this.node.writeThrough ? RequestFlag.FUA : 0;
      for (let done = 0; done < from.length; done += PIECE) {
        const piece = from.subarray(done, done + PIECE);
        this.buffer.view(0, piece.length).set(piece);
        user.write(at + done, piece.length, this.buffer, 0, flags);
      }
    });
  }

  flush(): void {
    this.use((user) => user.flush());
  }

  truncate(size: number): void {
    this.change((user) => {
      if (size === user.length()) return;
      if (!this.node.resizable) throw new FileError(Errno.EPERM);
      user.truncate(size);
    });
  }

  size(): number {
    return this.use((user) => user.length());
  }

  allocated(): number {
    return this.use((user) => user.info()['actual-size'] ?? user.length());
  }

  extent(at: number): FileExtent {
    return this.use((user) => {
      const left = user.length() - at;
      const isHole = (flags: number) => (flags & Status.ZERO) !== 0;
      const first = user.blockStatusAbove(null, at, Math.min(left, LOOK));
      let bytes = first.bytes;
      // Neighbours that are alike are one extent.
      while (bytes < left) {
        const next = user.blockStatusAbove(null, at + bytes, Math.min(left - bytes, LOOK));
        if (isHole(next.flags) !== isHole(first.flags) || next.bytes === 0) break;
        bytes += next.bytes;
      }
      return { data: !isHole(first.flags), bytes };
    });
  }

  punch(at: number, bytes: number): boolean {
    this.change((user) => user.writeZeroes(at, bytes, RequestFlag.MAY_UNMAP));
    return true;
  }

  close(): void {
    // The node stays open: it is the export's.
  }
}

/** What is wrong with a place to show a node at. */
function misplaced(mountpoint: string, error: unknown): QmpError {
  if (!(error instanceof FileError)) throw error;
  if (error.errno === Errno.EBUSY) return new QmpError(`There already is a FUSE export on '${mountpoint}'`);
  if (error.errno === Errno.EINVAL) return new QmpError(`'${mountpoint}' is not a regular file`);
  return new QmpError(`Failed to stat '${mountpoint}': ${error.message}`);
}

/**
 * Makes an export of type `fuse`. The user of the node has the permission to write if the export is writable.
 * @param held a change of the graph is being made
 */
export async function showNode(
  options: Extract<BlockExportOptions, { type: 'fuse' }>,
  user: BlockUser,
  engine: Engine,
  mounts: FileMounts,
  held: () => boolean,
): Promise<BlockExport> {
  const { id, mountpoint, writable = false, growable = false } = options;
  let resizable = writable || growable;
  if (resizable) {
    // The real one takes this permission of one that is not growable only while it resizes.
    await user.setPermissions(user.perm | Permission.RESIZE, user.shared).catch((error: unknown) => {
      if (growable) throw error;
      resizable = false;
    });
  }
  const writeThrough = options.writethrough ?? false;
  const store = new NodeStore({ engine, user, writable, growable, resizable, writeThrough, held });
  try {
    await mounts.mountOver(mountpoint, store, mountpoint);
  } catch (error) {
    store.end();
    throw misplaced(mountpoint, error);
  }
  return {
    id,
    type: 'fuse',
    user,
    // Programs with the file open are cut off, as by the lazy unmount of the real one.
    inUse: () => false,
    inUseByOwn: () => false,
    shut: () => undefined,
    end: async () => {
      mounts.unmount(mountpoint);
      store.end();
    },
  };
}
