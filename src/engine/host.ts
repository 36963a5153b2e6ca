/** The host side of the data plane's imports: open files by number. No exception passes a frame of the WASM. */
import { Errno, FileError, strerror } from '../files/contract';
import type { BlockFile } from '../files/contract';
import { acceleratorImports, type Accelerator } from './accelerator';
import { CodecTable } from './codecs';
import { presenceBehind, type Presence } from './presence';
import { BlockError } from './request';
import { RemoteTable } from './remote';
import { quorumImports, type QuorumEvent } from './quorum';
import { mismatchImports, type VerifyEvent } from './storagefilters';
import type { Zstd } from './zstd';

/** What the data plane reports while a request runs. */
export type ThresholdReport = (node: number, exceeded: number, threshold: number) => void;
export type CorruptionReport = (
  node: number,
  message: string,
  offset: number,
  size: number,
  fatal: boolean,
) => void;

/** The files that nodes hold, and the functions that the data plane calls on them. */
export class Host {
  readonly #engine: { readonly presence: Presence };
  readonly #files: (BlockFile | null)[] = [];
  /** What ends when a file is forgotten that shows a node of another instance, by number. */
  readonly #reached = new Map<number, () => void>();
  readonly codecs = new CodecTable();
  readonly disks = new RemoteTable();
  /** Set as soon as the instance exists. */
  memory!: WebAssembly.Memory;
  onCorruption: CorruptionReport | null = null;
  onThreshold: ThresholdReport | null = null;
  onQuorum: ((event: QuorumEvent) => void) | null = null;
  onMismatch: ((event: VerifyEvent) => void) | null = null;
  onFinding: ((message: string, program: boolean) => void) | null = null;
  /** What {@link view} answered last. */
  #view = new Uint8Array(0);

  readonly #accelerator: Accelerator | undefined;

  /** @param engine whose host this is */
  constructor(engine: { readonly presence: Presence }, accelerator?: Accelerator) {
    this.#engine = engine;
    this.#accelerator = accelerator;
  }

  /** Gives a file its number; ELOOP for one that shows a node of the same instance. */
  add(file: BlockFile): number {
    this.#refuseOwn(file);
    const free = this.#files.indexOf(null);
    const id = free < 0 ? this.#files.length : free;
    this.#hold(id, file);
    return id;
  }

  /** Puts a file at a number; null: none. */
  #hold(id: number, file: BlockFile | null): void {
    this.#reached.get(id)?.();
    this.#reached.delete(id);
    this.#files[id] = file;
    const beyond = presenceBehind(file?.shows);
    if (beyond) this.#reached.set(id, this.#engine.presence.reach(beyond));
  }

  /** Forgets a file that did not become a node; it stays open. */
  drop(id: number): void {
    this.#hold(id, null);
  }

  #refuseOwn(file: BlockFile): void {
    if (file.shows === this.#engine) throw new BlockError(Errno.ELOOP, strerror(Errno.ELOOP));
  }

  /** Puts another file in the place of one; answers the one before, still open. */
  replace(id: number, file: BlockFile): BlockFile {
    this.#refuseOwn(file);
    const before = this.file(id);
    this.#hold(id, file);
    return before;
  }

  /** The file with this number; EIO: there is none (any more). */
  file(id: number): BlockFile {
    const file = this.#files[id];
    if (!file) throw new FileError(Errno.EIO);
    return file;
  }

  /**
   * A piece of linear memory. Requests often come with the buffer of the one before, and making a view costs a tenth of
   * a small read, so the last one is kept. Its length is 0 once the memory has grown.
   */
  view(at: number, bytes: number): Uint8Array {
    const last = this.#view;
    if (last.length === bytes && last.byteOffset === at && bytes > 0) return last;
    return (this.#view = new Uint8Array(this.memory.buffer, at, bytes));
  }

  /** Closes every file; for when the instance is dead. */
  closeAll(): void {
    for (const [id, file] of this.#files.entries()) {
      file?.close();
      this.#hold(id, null);
    }
    this.#files.length = 0;
    this.disks.closeAll();
  }

  /** Has zstd work on pieces of linear memory; EIO if it is not loaded, or if it traps. */
  #zstd(work: (zstd: Zstd, piece: (at: number, bytes: number) => Uint8Array) => number): number {
    const { zstd } = this.codecs;
    if (!zstd) return -Errno.EIO;
    try {
      return work(zstd, (at, bytes) => new Uint8Array(this.memory.buffer, at, bytes));
    } catch {
      return -Errno.EIO;
    }
  }

  /** The functions of wasm/host.ts. */
  imports(): Record<string, (...args: number[]) => number | void> {
    return {
      fileRead: (id: number, to: number, bytes: number, at: number) => {
        try {
          return this.file(id).read(this.view(to, bytes), at);
        } catch (error) {
          return failure(error);
        }
      },
      fileWrite: (id: number, from: number, bytes: number, at: number) => {
        try {
          this.file(id).write(this.view(from, bytes), at);
          return 0;
        } catch (error) {
          return failure(error);
        }
      },
      fileFlush: (id: number) => attempt(() => this.file(id).flush()),
      fileTruncate: (id: number, size: number) => attempt(() => this.file(id).truncate(size)),
      fileSize: (id: number) => value(() => this.file(id).size()),
      fileAllocated: (id: number) => value(() => this.file(id).allocated()),
      fileExtent: (id: number, at: number) => {
        const file = this.file(id);
        if (!file.extent) return 0;
        try {
          const extent = file.extent(at);
          return extent.data ? extent.bytes : -extent.bytes;
        } catch {
          return 0;
        }
      },
      filePunch: (id: number, at: number, bytes: number) => {
        const file = this.file(id);
        if (!file.punch) return 0;
        return value(() => (file.punch!(at, bytes) ? 1 : 0));
      },
      fileClose: (id: number) => {
        this.#files[id]?.close();
        this.#hold(id, null);
      },
      remoteRequest: (...request: number[]) =>
        value(() => this.disks.request(request, (at, bytes) => this.view(at, bytes))),
      clock: () => performance.now(),
      zstdCompress: (from, bytes, to, limit) =>
        this.#zstd((zstd, piece) => zstd.compress(piece(from, bytes), piece(to, limit))),
      zstdDecompress: (from, bytes, to, size) =>
        this.#zstd((zstd, piece) =>
          zstd.decompress(piece(from, bytes), piece(to, size)) ? size : -Errno.EIO,
        ),
      finding: (_node, text, units, program) => {
        const message = readUtf16(this.memory, text, units);
        try {
          this.onFinding?.(message, program !== 0);
        } catch {
          // As below.
        }
      },
      ...acceleratorImports(this.#accelerator, (at, bytes) => this.view(at, bytes)),
      ...quorumImports((event) => this.onQuorum?.(event)),
      ...mismatchImports((event) => this.onMismatch?.(event)),
      thresholdPassed: (node, exceeded, threshold) => {
        try {
          this.onThreshold?.(node, exceeded, threshold);
        } catch {
          // As below.
        }
      },
      corrupted: (node, text, units, offset, size, fatal) => {
        const message = readUtf16(this.memory, text, units);
        try {
          this.onCorruption?.(node, message, offset, size, fatal !== 0);
        } catch {
          // The report is news, not part of the request: whoever takes it may fail without spoiling the request.
        }
      },
    };
  }
}

/** A string of the data plane. */
export function readUtf16(memory: WebAssembly.Memory, address: number, units: number): string {
  return String.fromCharCode(...new Uint16Array(memory.buffer, address, units));
}

/** The negative errno of what a file threw. */
function failure(error: unknown): number {
  return error instanceof FileError ? -error.errno : -Errno.EIO;
}

function attempt(action: () => void): number {
  try {
    action();
    return 0;
  } catch (error) {
    return failure(error);
  }
}

function value(action: () => number): number {
  try {
    return action();
  } catch (error) {
    return failure(error);
  }
}
