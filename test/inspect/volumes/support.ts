/** What the tests of partitions and file systems share: disks made by the real tools. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { DiskSource } from '../../../src/inspect/contract';

const env = {
  ...process.env,
  PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  MTOOLS_SKIP_CHECK: '1',
};

/** Runs a tool; throws with what it said if it fails. */
export function tool(command: string, args: readonly string[], input = ''): string {
  return execFileSync(command, args, { env, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
}

/** A sparse file of zeros. */
export function blank(path: string, bytes: number): string {
  writeFileSync(path, '');
  truncateSync(path, bytes);
  return path;
}

/** Copies a file into another one, which keeps its length. */
export function place(path: string, offset: number, from: string | Uint8Array): void {
  const bytes = typeof from === 'string' ? readFileSync(from) : from;
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
}

/** A file as a disk; counts what is read of it. */
export function diskOf(path: string): DiskSource & { bytesRead: number } {
  const fd = openSync(path, 'r');
  const size = fstatSync(fd).size;
  closeSync(fd);
  return {
    size,
    bytesRead: 0,
    async read(offset, length) {
      if (length > 2 ** 20 || offset < 0) throw new Error(`a read of ${length} at ${offset}`);
      const handle = openSync(path, 'r');
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      readSync(handle, bytes, 0, bytes.length, offset);
      closeSync(handle);
      this.bytesRead += bytes.length;
      return bytes;
    },
  };
}

/** Bytes as a disk. */
export function memoryDisk(bytes: Uint8Array): DiskSource {
  return { size: bytes.length, read: async (offset, length) => bytes.slice(offset, offset + length) };
}
