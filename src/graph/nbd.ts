/** What the driver `nbd` needs of the network: the graph knows options and nodes, the composition root how to connect. */
import type { RemoteDisk } from '../engine/remote';
import type { SocketAddress } from '../qapi/types.generated';

/** An export of a server, and how it is used. */
export interface NbdTarget {
  server: SocketAddress;
  /** The name of the export. */
  name: string;
  /** The metadata context that says what is where. */
  context: string;
  /** Id of an object with TLS credentials; undefined: no TLS. */
  tlsCreds: string | undefined;
  /** The name that the server's certificate must have, if it is not the one connected to. */
  tlsHostname: string | undefined;
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
