/**
 * Files that nobody else sees and that are gone with the process, however it ends: they have no name any more as soon as they
 * are open. They lie on a disk, for they can be larger than the memory.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Errno, FileError, type BlockFile, type FileInfo, type OpenMode } from '../files/contract';
import type { NodeFile } from '../files/node/file';
import { NodeStore } from '../files/node/store';
import type { TemporaryFiles } from '../tools/context';
import { ToolFailure } from '../tools/failure';
import { strerrorOf } from './strerror';

/** Where they are made unless TMPDIR says otherwise: they can be large, and /tmp is often in memory. */
const DIRECTORY = '/var/tmp';

/** Makes a directory for a temporary file; the caller removes it. Throws what the real tools say. */
export function temporaryDirectory(): string {
  const parent = process.env.TMPDIR ?? DIRECTORY;
  try {
    return mkdtempSync(join(parent, 'vl.'));
  } catch (error) {
    throw new ToolFailure(
      `Could not open temporary file '${join(parent, 'vl.XXXXXX')}': ${strerrorOf(error)}`,
    );
  }
}

/** Temporary files by the names that their maker gives them, which are no names in the file system. */
export class NodeTemporaryFiles implements TemporaryFiles {
  private readonly files = new Map<string, NodeFile>();

  async make(name: string): Promise<void> {
    const directory = temporaryDirectory();
    try {
      const store = new NodeStore(directory);
      this.files.set(name, await store.open('file', { write: true, create: 'truncate' }));
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  private find(name: string): NodeFile {
    const file = this.files.get(name);
    if (!file) throw new FileError(Errno.ENOENT);
    return file;
  }

  async open(name: string, mode: OpenMode): Promise<BlockFile> {
    const file = this.find(name);
    if (mode.create === 'truncate') file.truncate(0);
    return new SharedFile(file, !mode.write);
  }

  async info(name: string): Promise<FileInfo> {
    const file = this.find(name);
    return { name, kind: 'file', size: file.size(), allocated: file.allocated() };
  }

  async remove(name: string): Promise<void> {
    this.find(name).close();
    this.files.delete(name);
  }

  async identity(name: string): Promise<string> {
    this.find(name);
    return `temporary:${name}`;
  }
}

/** One of those who have the file open; it stays open for the others. */
class SharedFile implements BlockFile {
  private closed = false;

  constructor(
    private readonly file: NodeFile,
    readonly readOnly: boolean,
  ) {}

  private get open(): NodeFile {
    if (this.closed) throw new FileError(Errno.EBADF);
    return this.file;
  }

  private get writable(): NodeFile {
    if (this.readOnly) throw new FileError(Errno.EACCES);
    return this.open;
  }

  read(into: Uint8Array, at: number): number {
    return this.open.read(into, at);
  }

  write(from: Uint8Array, at: number): void {
    this.writable.write(from, at);
  }

  flush(): void {
    // Nothing of it is to outlive the process.
  }

  truncate(size: number): void {
    this.writable.truncate(size);
  }

  size(): number {
    return this.open.size();
  }

  allocated(): number {
    return this.open.allocated();
  }

  close(): void {
    this.closed = true;
  }
}
