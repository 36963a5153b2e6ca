/** What a daemon gets from its composition root. */
import type { GraphEnvironment } from '../graph/index';
import type { FileStore } from '../files/contract';
import type { ByteStream, Listener, OpenNbdBeside } from '../nbd/index';
import type { SocketAddress } from '../qapi/index';
import type { PlatformChardevs } from './chardevs/device';
import type { TlsSupport } from './objects/tls';

/** See `MountStore`. */
export interface FileMounts {
  mountOver(path: string, store: FileStore, source: string): Promise<void>;
  unmount(path: string): void;
}

export interface DaemonEnvironment extends GraphEnvironment {
  /** Version of this program, as in package.json. */
  readonly version: string;
  /** Wall clock, milliseconds since the epoch, with a fraction where it is known. */
  now(): number;
  /** Lets everything else run: events, other commands, the page. */
  turn(): Promise<void>;
  /**
   * Listens on a socket and hands over each connection; what a socket is, the composition root knows. Refusals are thrown
   * with the text for the user. Absent: there are no sockets here.
   */
  listen?: (address: SocketAddress, serve: (stream: ByteStream) => void) => Promise<Listener>;
  /** The tree of files can show others in the place of its own. Absent: it cannot (a kernel would have to). */
  readonly mounts?: FileMounts;
  /** Connects to a socket. Refusals are thrown with the text for the user. Absent: there are no sockets here. */
  connect?: (address: SocketAddress) => Promise<ByteStream>;
  /** As the graph has it; the daemon's own server is reached without a socket. */
  readonly openNbd?: OpenNbdBeside;
  /** Character devices of the platform. Absent: there are only those that every platform has. */
  readonly chardevs?: PlatformChardevs;
  /** A remark for the error stream: the program puts what it is about and `info: ` in front. No final line feed. */
  info?(text: string): void;
  /** Something went wrong that nobody can be told in a reply: the program puts its name in front. No final line feed. */
  complain?(text: string): void;
  /** Absent: the platform has no TLS. */
  readonly tls?: TlsSupport;
  /** Called when a `quit` has been answered: all is closed, and the process (or what stands for it) may end. */
  exit(): void;
}

/** The release of the reference whose interface this is; the greeting and query-version show it. */
export const QEMU_VERSION = { major: 9, minor: 1, micro: 0 } as const;
