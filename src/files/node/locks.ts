/**
 * Image locks among processes on Linux.
 *
 * Node.js has no fcntl, so real QEMU programs cannot see our claims; docs/files.md says so. Ours see each other through
 * abstract Unix sockets, which end with their process, and see QEMU's byte-range locks in /proc/locks.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { MemoryLocks, Permission } from '../locks';
import type { Claim, ImageLocks } from '../locks';
import { SharedLocks } from '../shared-locks';
import type { NoticeBoard } from '../shared-locks';
import { fileError } from './errors';

/** First byte of the range in which QEMU says which permissions it uses: one byte a permission. */
const QEMU_USED = 100;
/** First byte of the range in which it says which ones it does not share. */
const QEMU_UNSHARED = 200;
const PERMISSIONS = 4;

/** Image locks for a process: among all processes of this network name space on Linux, within the process elsewhere. */
export function nodeLocks(): ImageLocks {
  try {
    accessSync('/proc/net/unix', constants.R_OK);
  } catch {
    return new MemoryLocks();
  }
  return new SharedLocks(socketBoard, { foreign: (identity) => Promise.resolve(qemuClaims(identity)) });
}

/** Names of listening abstract Unix sockets. */
const socketBoard: NoticeBoard = {
  put: (name) =>
    new Promise((done, fail) => {
      const server = createServer((connection) => connection.destroy());
      server.unref();
      server.once('error', (error) => fail(fileError(error)));
      server.listen({ path: `\0${name}`, exclusive: true }, () => done(() => void server.close()));
    }),
  // Tables of the kernel are read at once; a promise for them would cost a command a noticeable part of its start.
  names: () => Promise.resolve(socketNames(readFileSync('/proc/net/unix', 'utf8'))),
};

/** The names of the abstract sockets in the text of /proc/net/unix, which shows NUL as `@`. */
export function socketNames(table: string): string[] {
  const names: string[] = [];
  for (const line of table.split('\n')) {
    // Num, RefCount, Protocol, Flags, Type, St, Inode, Path; some versions of Node fill the name up with NULs.
    const path = /^[0-9a-f]+: (?:[0-9A-Fa-f]+ +){5}\d+ @(.*?)@*$/.exec(line)?.[1];
    if (path) names.push(path);
  }
  return names;
}

/** What QEMU programs claim on a file of {@link NodeStore}, as far as /proc/locks shows it. */
function qemuClaims(identity: string): Claim[] {
  const [, device, inode] = /^node:(\d+):(\d+)$/.exec(identity) ?? [];
  if (device === undefined || inode === undefined) return [];
  return parseLocks(lockTable(), BigInt(device), BigInt(inode));
}

function lockTable(): string {
  try {
    return readFileSync('/proc/locks', 'utf8');
  } catch {
    // Not there or not readable: nothing can be told, as with a file system without locks.
    return '';
  }
}

/**
 * The claims that the byte-range locks on one file stand for. Like QEMU's test, any lock that covers a byte counts,
 * whoever holds it; a waiting one (`->`) and a lock of flock(2) do not.
 */
export function parseLocks(table: string, device: bigint, inode: bigint): Claim[] {
  const claims: Claim[] = [];
  const pattern = /^\d+: (?:POSIX|OFDLCK) +\S+ +\S+ +-?\d+ ([0-9a-f]+):([0-9a-f]+):(\d+) (\d+) (\d+|EOF)$/;
  for (const line of table.split('\n')) {
    const [, major, minor, number, first, last] = pattern.exec(line) ?? [];
    if (major === undefined || minor === undefined || number === undefined || BigInt(number) !== inode)
      continue;
    if (makeDevice(BigInt(`0x${major}`), BigInt(`0x${minor}`)) !== device) continue;
    const start = Number(first);
    const end = last === 'EOF' ? Infinity : Number(last);
    const claim = { used: 0, shared: Permission.ALL as number };
    for (let i = 0; i < PERMISSIONS; i++) {
      if (start <= QEMU_USED + i && end >= QEMU_USED + i) claim.used |= 1 << i;
      if (start <= QEMU_UNSHARED + i && end >= QEMU_UNSHARED + i) claim.shared &= ~(1 << i);
    }
    claims.push(claim);
  }
  return claims;
}

/** A device number as stat(2) has it: the low 8 bits of the minor, 12 of the major, then the rest of both. */
function makeDevice(major: bigint, minor: bigint): bigint {
  return (minor & 0xffn) | ((major & 0xfffn) << 8n) | ((minor & ~0xffn) << 12n) | ((major & ~0xfffn) << 32n);
}
