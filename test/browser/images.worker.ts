/** Opens images in a worker, from the origin's files and in place from local ones, and reads them whole. */
import { createSHA256 } from 'hash-wasm';
import { loadEngine } from '../../src/engine';
import { BlobStore } from '../../src/files/browser/blob-store';
import { openBrowserFiles } from '../../src/files/browser/open';
import { importFile } from '../../src/files/browser/transfer';
import type { FileStore } from '../../src/files/contract';
import { MemoryLocks } from '../../src/files/locks';
import type { ImageLocks } from '../../src/files/locks';
import { BlockGraph } from '../../src/graph';
import { mapOf, readAll } from '../interop/content';
import type { MapEntry } from '../interop/images';

/** What is read in an image, in the terms of `MadeImage`. */
export interface ReadImage {
  sha256: string;
  bytes: number;
  map: MapEntry[];
}

async function engineBytes(): Promise<ArrayBuffer> {
  const response = await fetch(new URL('../../build/engine.wasm', import.meta.url));
  if (!response.ok) throw new Error(`build/engine.wasm: ${response.status}`);
  return response.arrayBuffer();
}

async function readImage(
  files: FileStore,
  locks: ImageLocks,
  filename: string,
  format?: string,
): Promise<ReadImage> {
  const engine = await loadEngine(await engineBytes());
  const graph = new BlockGraph({ engine, files, locks });
  const user = await graph.openImage({ filename, readOnly: true, ...(format !== undefined && { format }) });
  try {
    const hash = await createSHA256();
    readAll(engine, user, (piece) => hash.update(piece));
    return { sha256: hash.digest('hex'), bytes: user.length(), map: mapOf(engine, user) };
  } finally {
    await user.close();
    await graph.close();
  }
}

/** Reads the first of the files, which the others belong to, without copying any. */
export async function readInPlace(files: File[], format?: string): Promise<ReadImage> {
  const store = new BlobStore();
  for (const file of files) store.add(file);
  return readImage(store, new MemoryLocks(), files[0]?.name ?? '', format);
}

/** Copies the files into the origin's file system, reads the first one there, and removes them. */
export async function readFromOrigin(chosen: File[], format?: string): Promise<ReadImage> {
  const { files, locks, storage } = await openBrowserFiles();
  if (!storage) throw new Error('this browser has no file system for the origin');
  for (const file of chosen) await importFile(files, locks, file, file.name);
  try {
    return await readImage(files, locks, chosen[0]?.name ?? '', format);
  } finally {
    for (const file of chosen) await files.remove(file.name);
  }
}
