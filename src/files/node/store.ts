/** The files of the host under Node.js. */
import { closeSync, constants, createReadStream, fstatSync, openSync, promises, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Errno, FileError } from '../contract';
import type { FileInfo, FileStore, OpenMode } from '../contract';
import { compareNames } from '../path';
import { fileError } from './errors';
import { NodeFile } from './file';

/** Permissions of a new file, before the umask: as QEMU makes its images. */
const NEW_FILE_MODE = 0o644;

/** The host's file system; relative paths start at `directory` (default: the working directory of the process). */
export class NodeStore implements FileStore {
  constructor(private readonly directory?: string) {}

  async open(path: string, mode: OpenMode): Promise<NodeFile> {
    const create = mode.create === 'keep' || mode.create === 'truncate';
    if (create && !mode.write) throw new FileError(Errno.EINVAL);
    const host = this.hostPath(path);
    let flags = mode.write ? constants.O_RDWR : constants.O_RDONLY;
    if (create) flags |= constants.O_CREAT;
    if (mode.create === 'truncate') flags |= constants.O_TRUNC;
    try {
      // Opening a pipe would wait for its other end, so look before.
      const before = statSync(host, { throwIfNoEntry: false });
      if (before && !before.isFile() && !before.isDirectory()) throw new FileError(Errno.EINVAL);
      const fd = openSync(host, flags, NEW_FILE_MODE);
      const opened = fstatSync(fd);
      if (!opened.isFile()) {
        closeSync(fd);
        throw new FileError(opened.isDirectory() ? Errno.EISDIR : Errno.EINVAL);
      }
      return new NodeFile(fd, !mode.write);
    } catch (error) {
      throw fileError(error);
    }
  }

  async readStream(path: string, limit: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const piece of createReadStream(this.hostPath(path)) as AsyncIterable<Uint8Array>) {
        length += piece.length;
        if (length > limit) throw new FileError(Errno.EFBIG);
        pieces.push(piece);
      }
    } catch (error) {
      throw fileError(error);
    }
    return Buffer.concat(pieces);
  }

  async info(path: string): Promise<FileInfo> {
    const host = this.hostPath(path);
    return describe(host, basename(resolve(host)) || '/');
  }

  async list(directory: string): Promise<FileInfo[]> {
    const host = this.hostPath(directory);
    try {
      const names = await promises.readdir(host);
      const infos = names.map((name) => describe(join(host, name), name).catch(() => null));
      // A name that vanished since, a dangling link, a device: nothing that could be opened.
      return (await Promise.all(infos)).filter((info) => info !== null).sort(compareNames);
    } catch (error) {
      throw fileError(error);
    }
  }

  async remove(path: string, options: { recursive?: boolean } = {}): Promise<void> {
    const host = this.hostPath(path);
    try {
      if (!(await promises.lstat(host)).isDirectory()) await promises.unlink(host);
      else if (options.recursive) await promises.rm(host, { recursive: true });
      else await promises.rmdir(host);
    } catch (error) {
      throw fileError(error);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    try {
      await promises.rename(this.hostPath(from), this.hostPath(to));
    } catch (error) {
      throw fileError(error);
    }
  }

  async makeDirectory(path: string): Promise<void> {
    try {
      await promises.mkdir(this.hostPath(path));
    } catch (error) {
      throw fileError(error);
    }
  }

  /** `node:` with the numbers of device and inode, which hard links share. */
  async identity(path: string): Promise<string> {
    try {
      const { dev, ino } = statSync(this.hostPath(path), { bigint: true });
      return `node:${dev}:${ino}`;
    } catch (error) {
      throw fileError(error);
    }
  }

  private hostPath(path: string): string {
    if (path === '') throw new FileError(Errno.ENOENT);
    // join() keeps a final slash, which only a directory may have.
    return this.directory === undefined || path.startsWith('/') ? path : join(this.directory, path);
  }
}

async function describe(host: string, name: string): Promise<FileInfo> {
  try {
    const stats = await promises.stat(host);
    if (stats.isDirectory()) return { name, kind: 'directory', size: 0, modified: stats.mtimeMs };
    if (!stats.isFile()) throw new FileError(Errno.EINVAL);
    return { name, kind: 'file', size: stats.size, allocated: stats.blocks * 512, modified: stats.mtimeMs };
  } catch (error) {
    throw fileError(error);
  }
}
