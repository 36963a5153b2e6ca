/** Copies between the user's disk and a store. */
import { Errno, FileError, present } from '../contract';
import type { BlockFile, FileStore } from '../contract';
import { LockError, Permission } from '../locks';
import type { ImageLock, ImageLocks } from '../locks';
import { MountStore } from '../mount';
import { fileError } from './errors';

/** Bytes that are copied between two looks at the signal. */
const CHUNK = 4 * 1024 * 1024;

/** How a copy is watched and stopped. */
export interface TransferOptions {
  /** Called after each piece, with bytes. */
  progress?: (done: number, total: number) => void;
  /** Aborted: the copy rejects with ECANCELED and leaves nothing behind. */
  signal?: AbortSignal;
}

/** What is copied: bytes in their order. */
export interface Source {
  /** Bytes; null: not known before the end. */
  readonly size: number | null;
  pieces(): AsyncIterable<Uint8Array>;
}

/**
 * Copies a local file, or what comes from elsewhere, into a store, replacing a file that is there. It is written under `PATH.part` and renamed when it
 * is whole, so that neither an abort nor ENOSPC leaves a broken image. Rejects with a `LockError` if somebody, also in
 * another tab, uses the image at `path` or copies to it.
 */
export async function importFile(
  files: FileStore,
  locks: ImageLocks,
  source: Blob | Source,
  path: string,
  options: TransferOptions = {},
): Promise<void> {
  const part = `${path}.part`;
  const held: ImageLock[] = [];
  const claim = async (name: string) => {
    const lock = locks.claim(await files.identity(name));
    held.push(lock);
    await lock.set(Permission.WRITE | Permission.RESIZE, 0);
  };
  try {
    const existing = await files.info(path).catch(absent);
    if (existing?.kind === 'directory') throw new FileError(Errno.EISDIR);
    if (existing) await claim(path);
    const target = await files.open(part, { write: true, create: 'keep' });
    try {
      await claim(part);
      target.truncate(0);
      await copy(source instanceof Blob ? blobSource(source) : source, target, options);
    } catch (error) {
      target.close();
      // Not if it is another copy's.
      if (!(error instanceof LockError)) await files.remove(part);
      throw error;
    }
    target.close();
    await files.rename(part, path).catch(async (error: unknown) => {
      await files.remove(part);
      throw error;
    });
  } finally {
    for (const lock of held) lock.release();
  }
}

async function copy(source: Source, target: BlockFile, { progress, signal }: TransferOptions): Promise<void> {
  let at = 0;
  for await (const bytes of source.pieces()) {
    if (signal?.aborted) throw new FileError(Errno.ECANCELED);
    target.write(bytes, at);
    at += bytes.length;
    progress?.(at, source.size ?? 0);
  }
  if (signal?.aborted) throw new FileError(Errno.ECANCELED);
  target.flush();
}

function blobSource(blob: Blob): Source {
  return {
    size: blob.size,
    async *pieces() {
      for (let at = 0; at < blob.size; at += CHUNK) {
        try {
          yield new Uint8Array(await blob.slice(at, at + CHUNK).arrayBuffer());
        } catch (error) {
          throw fileError(error);
        }
      }
    },
  };
}

/** A store that has its files as the browser's own. */
interface BlobSource {
  blob(path: string): Promise<Blob>;
}

/**
 * A file of a store as a Blob to be downloaded. Nothing is copied where the browser itself has the file: the Blob can
 * then no longer be read once the file is written to, so flush it before and leave it alone until the download is done.
 */
export async function exportFile(files: FileStore, path: string): Promise<Blob> {
  if (files instanceof MountStore) {
    const target = files.resolve(path);
    return exportFile(target.store, target.path);
  }
  if (isBlobSource(files)) return files.blob(path);
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of readPieces(files, path)) pieces.push(piece);
  return new Blob(pieces);
}

async function* readPieces(
  files: FileStore,
  path: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  const file = await files.open(path, { write: false });
  try {
    for (let at = 0; ;) {
      const piece = new Uint8Array(Math.min(CHUNK, Math.max(file.size() - at, 0)));
      const from = at;
      const count = await present(file, () => file.read(piece, from));
      if (count === 0) return undefined;
      yield piece.subarray(0, count);
      at += count;
    }
  } finally {
    file.close();
  }
}

function isBlobSource(files: object): files is BlobSource {
  return 'blob' in files && typeof files.blob === 'function';
}

function absent(error: unknown): undefined {
  if (error instanceof FileError && error.errno === Errno.ENOENT) return undefined;
  throw error;
}
