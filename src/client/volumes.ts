/** Partitions and files of a disk, read by a worker of their own. */
import { proxy, wrap, type Remote } from 'comlink';
import type { DiskSource } from '../inspect/contract';
import type { DiskLayout, FileListing } from '../inspect/volumes/contract';

/** Where a volume lies on a disk, and what is in it: `type` of its content. */
export interface VolumeRange {
  offset: number;
  length: number;
  type: string;
}

/** What the worker answers. Methods reject with a text for the user. */
export interface VolumesApi {
  layout(size: number, read: DiskSource['read']): Promise<DiskLayout>;
  list(volume: VolumeRange, path: string): Promise<FileListing>;
  read(volume: VolumeRange, path: string, offset: number, length: number): Promise<Uint8Array>;
}

/** How long an answer may take, milliseconds: a hostile file system can make a reader work for very long. */
const PATIENCE = 60_000;

/**
 * What lies on a disk. It runs in a worker that has nothing but a way to read this disk: neither the daemon nor the page suffer from
 * what a disk says.
 */
export class Volumes {
  private readonly remote: Remote<VolumesApi>;
  private readonly rejects = new Set<(error: Error) => void>();
  private ended = false;

  /** @param worker runs `src/worker/volumes.ts`, and belongs to this object from now on */
  constructor(
    private readonly worker: Worker,
    private readonly disk: DiskSource,
  ) {
    this.remote = wrap<VolumesApi>(worker);
    worker.addEventListener('error', () => this.stop('The reader of file systems has failed'));
  }

  /** How the disk is divided. To be called first. */
  layout(): Promise<DiskLayout> {
    const read = proxy((offset: number, length: number) => this.disk.read(offset, length));
    return this.call(this.remote.layout(this.disk.size, read));
  }

  /** Entries of a directory; the empty path is the root. */
  list(volume: VolumeRange, path: string): Promise<FileListing> {
    return this.call(this.remote.list(volume, path));
  }

  /** At most 1 MiB of a file; short only at its end. */
  read(volume: VolumeRange, path: string, offset: number, length: number): Promise<Uint8Array> {
    return this.call(this.remote.read(volume, path, offset, length));
  }

  /** Ends the worker; calls under way are rejected. */
  end(): void {
    this.stop('The disk is not shown any more');
  }

  private stop(reason: string): void {
    this.ended = true;
    this.worker.terminate();
    for (const reject of this.rejects) reject(new Error(reason));
    this.rejects.clear();
  }

  private call<T>(work: Promise<T>): Promise<T> {
    if (this.ended)
      return Promise.reject(new Error('The reader of file systems was ended: refresh the inspector'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.stop('The file system takes too long to read'), PATIENCE);
      this.rejects.add(reject);
      void work.then(resolve, reject).finally(() => {
        clearTimeout(timer);
        this.rejects.delete(reject);
      });
    });
  }
}
