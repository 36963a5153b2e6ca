/** The worker of one tab: the files and the image locks that a page has, called by tabs.test.ts. */
import { openBrowserFiles } from '../../src/files/browser/open';
import { OpfsStore } from '../../src/files/browser/opfs-store';
import { importFile } from '../../src/files/browser/transfer';
import { FileError, strerror } from '../../src/files/contract';
import type { BlockFile } from '../../src/files/contract';
import { LockError } from '../../src/files/locks';
import type { ImageLock } from '../../src/files/locks';

const opened = openBrowserFiles();
let lock: ImageLock | undefined;
let file: BlockFile | undefined;

/** The outcome of an operation as text: `ok`, or what the user would see. */
async function outcome(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'ok';
  } catch (error) {
    if (error instanceof LockError) return error.message;
    if (error instanceof FileError) return strerror(error.errno);
    throw error;
  }
}

export async function put(path: string, bytes: number[]): Promise<void> {
  const { files } = await opened;
  const made = await files.open(path, { write: true, create: 'truncate' });
  made.write(new Uint8Array(bytes), 0);
  made.close();
}

export async function storage(): Promise<boolean> {
  return (await opened).storage;
}

/** Claims an image and keeps the claim; the one before is given up. */
export function claim(path: string, used: number, shared: number): Promise<string> {
  return outcome(async () => {
    const { files, locks } = await opened;
    lock?.release();
    lock = locks.claim(await files.identity(path));
    await lock.set(used, shared);
  });
}

/** Changes the claim that is held. */
export function change(used: number, shared: number): Promise<string> {
  return outcome(() => lock?.set(used, shared));
}

export function release(): void {
  lock?.release();
}

/** Opens a file for writing and keeps it open. */
export function open(path: string): Promise<string> {
  return outcome(async () => {
    const { files } = await opened;
    file = await files.open(path, { write: true });
  });
}

/** The same in a browser that lets one tab alone have a file. */
export function openExclusive(path: string, write: boolean): Promise<string> {
  return outcome(async () => {
    file = await (await OpfsStore.create({ shared: false })).open(path, { write });
  });
}

export function close(): void {
  file?.close();
}

export function write(bytes: number[], at: number): Promise<string> {
  return outcome(() => file?.write(new Uint8Array(bytes), at));
}

export function read(at: number, length: number): number[] {
  const into = new Uint8Array(length);
  return [...into.subarray(0, file?.read(into, at) ?? 0)];
}

export async function remove(path: string): Promise<string> {
  return outcome(async () => (await opened).files.remove(path));
}

export async function rename(from: string, to: string): Promise<string> {
  return outcome(async () => (await opened).files.rename(from, to));
}

export async function names(directory: string): Promise<string[]> {
  return (await (await opened).files.list(directory)).map((info) => `${info.name} ${info.size}`);
}

export async function makeDirectory(path: string): Promise<void> {
  await (await opened).files.makeDirectory(path);
}

/** Copies `size` bytes under a name. */
export async function importBytes(path: string, size: number): Promise<string> {
  const { files, locks } = await opened;
  return outcome(() => importFile(files, locks, new Blob([new Uint8Array(size).fill(7)]), path));
}

/** Writes mebibytes to the end of the open file until it fails; the text of the failure. */
export function fill(limit: number): Promise<string> {
  const chunk = new Uint8Array(1024 * 1024).fill(9);
  return outcome(() => {
    for (let at = file?.size() ?? 0; at < limit; at += chunk.length) file?.write(chunk, at);
  });
}

/** Grows or cuts the open file. */
export function truncate(size: number): Promise<string> {
  return outcome(() => file?.truncate(size));
}

/** Size of the open file, and whether all of it below `end` has one value. */
export function check(value: number, end: number): [number, boolean] {
  const bytes = new Uint8Array(end);
  const count = file?.read(bytes, 0) ?? 0;
  return [file?.size() ?? -1, count === end && bytes.every((byte) => byte === value)];
}
