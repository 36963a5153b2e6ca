/** Nodes over disks that are elsewhere: the numbers that the data plane knows them by, and what it asks of them. */
import { RemoteOp } from '../../wasm/abi';
import { Errno, FileError } from '../files/contract';
import type { NodeHandle } from './request';

/**
 * A disk of fixed size that is elsewhere. Its functions answer at once or throw a `FileError`; what is not there yet is
 * noted in the stage of the request ({@link Presence}), with EAGAIN.
 */
export interface RemoteDisk {
  /** Bytes. */
  readonly size: number;
  read(into: Uint8Array, at: number): void;
  /** The bytes are copied. */
  write(from: Uint8Array, at: number): void;
  /** @param flags `RequestFlag`s; ENOTSUP: data would have to be written, and may not */
  zero(at: number, bytes: number, flags: number): void;
  discard(at: number, bytes: number): void;
  flush(): void;
  /** What a prefix of a range is: `Status.DATA`, `Status.ZERO`, and how long that is true for. */
  status(at: number, bytes: number): { flags: number; bytes: number };
  close(): void;
}

/** What the data plane exports (wasm/exports/remote.ts). */
export interface RemoteExports {
  openRemote(disk: number, size: number, readOnly: number): number;
}

/** The disks of an engine by number. */
export class RemoteTable {
  private readonly disks: (RemoteDisk | null)[] = [];

  /** Gives a disk its number. */
  add(disk: RemoteDisk): number {
    const free = this.disks.indexOf(null);
    if (free < 0) return this.disks.push(disk) - 1;
    this.disks[free] = disk;
    return free;
  }

  /** Closes every disk; for when the instance is dead. */
  closeAll(): void {
    for (const disk of this.disks) disk?.close();
    this.disks.length = 0;
  }

  /** The import `remoteRequest` of wasm/host.ts; throws a `FileError`. */
  request(
    [id, op, argument, at, bytes]: readonly number[],
    view: (at: number, bytes: number) => Uint8Array,
  ): number {
    const disk = this.disks[id!];
    if (!disk) throw new FileError(Errno.EIO);
    switch (op as RemoteOp) {
      case RemoteOp.READ:
        disk.read(view(argument!, bytes!), at!);
        return 0;
      case RemoteOp.WRITE:
        disk.write(view(argument!, bytes!), at!);
        return 0;
      case RemoteOp.ZERO:
        disk.zero(at!, bytes!, argument!);
        return 0;
      case RemoteOp.DISCARD:
        disk.discard(at!, bytes!);
        return 0;
      case RemoteOp.FLUSH:
        disk.flush();
        return 0;
      case RemoteOp.STATUS: {
        const status = disk.status(at!, bytes!);
        return status.bytes * (1 << RemoteOp.STATUS_BITS) + status.flags;
      }
      case RemoteOp.CLOSE:
        this.disks[id!] = null;
        disk.close();
        return 0;
      default:
        throw new FileError(Errno.EINVAL);
    }
  }
}

/** Opens a node over a disk that is elsewhere; it owns the disk and closes it. */
export type OpenRemote = (disk: RemoteDisk, options: { readOnly: boolean }) => NodeHandle;

/** @param call runs a call of the data plane: a negative answer is thrown */
export function makeOpenRemote(
  wasm: RemoteExports,
  disks: RemoteTable,
  call: (run: () => number) => number,
): OpenRemote {
  return (disk, { readOnly }) =>
    call(() => wasm.openRemote(disks.add(disk), disk.size, Number(readOnly))) as NodeHandle;
}
