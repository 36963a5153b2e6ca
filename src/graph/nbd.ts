/** What the driver `nbd` needs of the network: the graph knows options and nodes, the composition root how to connect. */
import type { RemoteDisk } from '../engine/remote';
import { GraphError } from './errors';
import type { SocketAddress } from '../qapi/types.generated';

/** How a connection becomes a secret one. The graph only hands it on: who makes it and who uses it know what it is. */
export type TlsUpgrade = object;

/** TLS credentials by id: objects of the daemon or of a tool, which the driver `nbd` names. */
export class TlsCredentials {
  /**
   * Who has the credentials; null: there are none. Throws the text for the user.
   * `hostname`: what the server's certificate has to name; null: unknown
   */
  source: ((id: string, hostname: string | null) => TlsUpgrade) | null = null;

  lookup(id: string, hostname: string | null): TlsUpgrade {
    if (!this.source) throw new GraphError(`No TLS credentials with id '${id}'`);
    return this.source(id, hostname);
  }
}

/** An export of a server, and how it is used. */
export interface NbdTarget {
  server: SocketAddress;
  /** The name of the export. */
  name: string;
  /** The metadata context that says what is where. */
  context: string;
  /** How TLS begins; null: there is to be none. */
  upgrade: TlsUpgrade | null;
  /** Milliseconds that requests wait for a connection that was lost. */
  reconnectDelay: number;
  /** Milliseconds in which connecting is attempted again. */
  openTimeout: number;
}

/** An export that is open. */
export interface NbdDevice extends RemoteDisk {
  /** The server takes no writes. */
  readonly readOnly: boolean;
  /** Bytes; a power of two. */
  readonly minimumBlock: number;
  /** The server has the context that was asked for. */
  readonly hasContext: boolean;
  /** Whether a format above believes that what it wrote is written: then a write that failed stays until it succeeds. */
  keepsWrites: () => boolean;
}

/** Opens an export; a failure is a `GraphError` with the text for the user. */
export type OpenNbd = (target: NbdTarget) => Promise<NbdDevice>;
