/** file: a file of the store, with image locks. */
import type { NodeHandle } from '../../engine/contract';
import { Errno, FileError, present, strerror, type BlockFile, type FileStore } from '../../files/contract';
import { LockError, Permission, type ImageLock, type ImageLocks } from '../../files/locks';
import type { CreateValues } from '../api';
import { GraphError, toGraphError } from '../errors';
import type { CommonOptions, PermissionFollower } from '../node';
import type { Driver, OpenContext, ImageMaker } from './driver';

const WRITERS = Permission.WRITE | Permission.WRITE_UNCHANGED | Permission.RESIZE;

/**
 * Failures to open for writing after which a node with auto-read-only is opened for reading, which may tell more (of a
 * directory).
 */
const RETRIED: readonly number[] = [Errno.EACCES, Errno.EROFS, Errno.EPERM, Errno.EISDIR];

function cannotOpen(filename: string, error: unknown): GraphError {
  if (error instanceof LockError) return inUse(filename, error);
  if (!(error instanceof FileError)) return toGraphError(error);
  return new GraphError(`Could not open '${filename}': ${strerror(error.errno)}`, { errno: error.errno });
}

/** A conflict of image locks. */
function inUse(filename: string, error: LockError): GraphError {
  const hints = [`Is another process using the image [${filename}]?`];
  return new GraphError(error.message, { errno: Errno.EAGAIN, hints });
}

/** A file between the engine and the store: it can be replaced by another handle, and its flush can be left out. */
class HeldFile implements BlockFile {
  readonly flush: () => void;

  /**
   * @param readOnly as the engine is to see it
   * @param flushes false: data goes to stable storage when the system likes (`cache.no-flush`)
   */
  constructor(
    private current: BlockFile,
    readonly readOnly: boolean,
    flushes: boolean,
  ) {
    if ('extent' in current && current.extent) {
      this.extent = (at) => this.current.extent?.(at) ?? { data: true, bytes: this.size() - at };
    }
    if ('punch' in current && current.punch) {
      this.punch = (at, bytes) => this.current.punch?.(at, bytes) ?? false;
    }
    if (flushes && current.writeBack) this.writeBack = () => this.current.writeBack?.() ?? null;
    this.flush = flushes ? () => this.current.flush() : () => undefined;
  }

  writeBack?: NonNullable<BlockFile['writeBack']>;
  extent?: NonNullable<BlockFile['extent']>;
  punch?: NonNullable<BlockFile['punch']>;

  get shows(): object | undefined {
    return this.current.shows;
  }

  present<T>(calls: () => T): T | Promise<T> {
    return present(this.current, calls);
  }

  get writable(): boolean {
    return !this.current.readOnly;
  }

  replace(file: BlockFile): void {
    this.current.close();
    this.current = file;
  }

  read(into: Uint8Array, at: number): number {
    return this.current.read(into, at);
  }

  write(from: Uint8Array, at: number): void {
    this.current.write(from, at);
  }

  truncate(size: number): void {
    this.current.truncate(size);
  }

  size(): number {
    return this.current.size();
  }

  allocated(): number {
    return this.current.allocated();
  }

  close(): void {
    this.current.close();
  }
}

/** Image locks follow the permissions, and so does the mode of a {@link DynamicFile}. */
class FileFollower implements PermissionFollower {
  private used = 0;
  private shared: number = Permission.ALL;
  private wanted: { used: number; shared: number } | null = null;

  constructor(
    private readonly filename: string,
    private readonly lock: ImageLock | null,
    public becomeWritable: (() => Promise<void>) | null,
  ) {}

  async prepare(perm: number, shared: number): Promise<void> {
    if (perm & WRITERS) await this.becomeWritable?.();
    try {
      await this.lock?.set(this.used | perm, this.shared & shared);
    } catch (error) {
      throw error instanceof LockError ? inUse(this.filename, error) : error;
    }
    this.wanted = { used: perm, shared };
  }

  async commit(): Promise<void> {
    if (!this.wanted) return;
    ({ used: this.used, shared: this.shared } = this.wanted);
    this.wanted = null;
    await this.lock?.set(this.used, this.shared);
  }

  async abort(): Promise<void> {
    this.wanted = null;
    await this.lock?.set(this.used, this.shared);
  }

  release(): void {
    this.lock?.release();
  }
}

async function openStored(files: FileStore, filename: string, write: boolean): Promise<BlockFile> {
  try {
    return await files.open(filename, { write });
  } catch (error) {
    const odd =
      error instanceof FileError &&
      (error.errno === Errno.EINVAL || (!write && error.errno === Errno.EISDIR));
    if (odd) throw new GraphError(`'file' driver requires '${filename}' to be a regular file`);
    throw cannotOpen(filename, error);
  }
}

/** A file opened as the options of its node say. */
interface AcquiredFile {
  file: BlockFile;
  /** Called when a writer comes; null: nothing is to be done then. */
  becomeWritable: (() => Promise<void>) | null;
}

async function acquire(
  files: FileStore,
  filename: string,
  { readOnly, autoReadOnly, noFlush }: CommonOptions,
): Promise<AcquiredFile> {
  // With auto-read-only a file that cannot be written is opened for reading, and for writing when a writer comes.
  let dynamic: HeldFile | null = null;
  let file: BlockFile;
  if (!readOnly && autoReadOnly) {
    file = await openStored(files, filename, true).catch(async (error: unknown) => {
      if (!(error instanceof GraphError) || !RETRIED.includes(error.errno)) throw error;
      return (dynamic = new HeldFile(await openStored(files, filename, false), false, !noFlush));
    });
  } else {
    file = await openStored(files, filename, !readOnly);
  }
  if (!dynamic && noFlush) file = new HeldFile(file, file.readOnly, false);
  const becomeWritable = async () => {
    if (dynamic && !dynamic.writable) dynamic.replace(await openStored(files, filename, true));
  };
  return { file, becomeWritable: dynamic ? becomeWritable : null };
}

async function claim(files: FileStore, locks: ImageLocks, filename: string): Promise<ImageLock> {
  try {
    return locks.claim(await files.identity(filename));
  } catch (error) {
    throw cannotOpen(filename, error);
  }
}

/** The name without the prefix that says it is one of a file. */
function stripPrefix(filename: string): string {
  return filename.startsWith('file:') ? filename.slice('file:'.length) : filename;
}

export const file: Driver = {
  name: 'file',
  protocol: true,
  prefixes: ['file'],
  filter: false,
  backing: false,
  needsFilename: true,
  strongOptions: ['filename'],
  resizable: true,
  parseFilename(filename, options) {
    options.set('filename', stripPrefix(filename));
  },
  async open({ engine, files, locks, node, options, filename }: OpenContext): Promise<NodeHandle> {
    options.take('filename');
    const aio = options.takeEnum('aio', ['threads', 'native', 'io_uring'] as const) ?? 'threads';
    options.takeNumber('aio-max-batch');
    const locking = options.takeEnum('locking', ['auto', 'on', 'off'] as const) ?? 'auto';
    const manager = options.takeText('pr-manager');
    options.takeBoolean('drop-cache');
    options.takeBoolean('x-check-cache-dropped');
    if (manager !== undefined) throw new GraphError(`No persistent reservation manager with id '${manager}'`);

    const { readOnly } = node.common;
    const { file: opened, becomeWritable } = await acquire(files, filename, node.common);
    let lock: ImageLock | null = null;
    try {
      if (aio === 'native' && !node.common.direct) {
        throw new GraphError(
          'aio=native was specified, but it requires cache.direct=on, which was not specified.',
        );
      }
      if (locking !== 'off') lock = await claim(files, locks, filename);
      const handle = engine.openFile(opened, { readOnly });
      node.follower = new FileFollower(filename, lock, becomeWritable);
      return handle;
    } catch (error) {
      lock?.release();
      opened.close();
      throw error;
    }
  },
  mutableOptions: ['x-check-cache-dropped'],
  reopen({ engine, files, node, options, filename, before, later, atCommit }) {
    options.takeBoolean('x-check-cache-dropped');
    const { common } = node;
    const old = before.common;
    const same = (['readOnly', 'autoReadOnly', 'noFlush'] as const).every((key) => common[key] === old[key]);
    const { follower } = node;
    if (same || !(follower instanceof FileFollower)) return;
    later(async () => {
      const { file: opened, becomeWritable } = await acquire(files, filename, common);
      const replaced = engine.changes.replaceFile(node.handle, opened);
      const becameWritable = follower.becomeWritable;
      follower.becomeWritable = becomeWritable;
      atCommit(() => replaced.close());
      return () => {
        engine.changes.replaceFile(node.handle, replaced).close();
        follower.becomeWritable = becameWritable;
      };
    });
  },
  plainName: (node) => node.given.text('filename') ?? null,
  details: () => ({ clusterSize: 0, dirty: false }),
  specific: () => ({ type: 'file', data: {} }),
  statistics: (node) => {
    const { discards, discardedBytes, failedDiscards } = node.engine.stats(node.handle);
    return {
      driver: 'file',
      'discard-nb-ok': discards - failedDiscards,
      'discard-nb-failed': failedDiscards,
      'discard-bytes-ok': discardedBytes,
    };
  },
  createOptions: [
    { name: 'size', type: 'size', help: 'Virtual disk size' },
    { name: 'nocow', type: 'bool', help: 'Turn off copy-on-write (valid only on btrfs)' },
    { name: 'preallocation', type: 'str', help: 'Preallocation mode (allowed values: off, falloc, full)' },
    { name: 'extent_size_hint', type: 'size', help: 'Extent size hint for the image file, 0 to disable' },
  ],
  async createImage(maker: ImageMaker, filename: string, values: CreateValues) {
    await maker.createFile({
      filename: stripPrefix(filename),
      // Command lines may say any size; a file gets whole sectors.
      size: Math.ceil(Number(values.size ?? 0) / 512) * 512,
      preallocation: typeof values.preallocation === 'string' ? values.preallocation : 'off',
    });
  },
  removeImage: (maker: ImageMaker, filename: string) => maker.removeFile(stripPrefix(filename)),
};
