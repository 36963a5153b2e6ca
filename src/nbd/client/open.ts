/** Opening an export of a server for the driver `nbd`. */
import type { Presence } from '../../engine/presence';
import { GraphError, type NbdTarget, type OpenNbd } from '../../graph';
import type { SocketAddress } from '../../qapi/types.generated';
import type { ByteStream } from '../stream';
import type { Upgrade } from '../tls';
import { NbdConnection } from './connection';
import { NbdDisk } from './disk';
import { ClientHandshake } from './handshake';
import { NbdFailure } from './options';
import { NbdSession } from './session';

/** Milliseconds between attempts to open. */
const PAUSE = 1000;

/** What exports are opened with. */
export interface NbdSurroundings {
  presence: Presence;
  /** Connects to an address; rejects with what is told to the user. */
  connect: (address: SocketAddress) => Promise<ByteStream>;
}

/**
 * What {@link OpenNbd} is, where sockets can be connected to.
 * @param own the way to a server of the daemon itself, which is asked first; null: the address is somebody else's
 */
export type OpenNbdBeside = (target: NbdTarget, own?: OwnServer) => ReturnType<OpenNbd>;
export type OwnServer = (address: SocketAddress) => ByteStream | null;

export function nbdOpener({ presence, connect }: NbdSurroundings): OpenNbdBeside {
  return async (target, own) => {
    // TLS is made of real sockets.
    const reach = async (address: SocketAddress): Promise<ByteStream> =>
      (target.upgrade ? null : own?.(address)) ?? connect(address);
    const attempt = () => connectTo(target, reach);
    const connection = await patiently(attempt, target.openTimeout);
    return new NbdDisk(new NbdSession(connection, attempt, target.reconnectDelay), presence);
  };
}

async function connectTo(
  { server, name, context, upgrade }: NbdTarget,
  connect: NbdSurroundings['connect'],
): Promise<NbdConnection> {
  const stream = await connect(server);
  // Those who have credentials made it of these (src/daemon/objects).
  const handshake = new ClientHandshake(stream, upgrade as Upgrade | null);
  try {
    const agreed = await handshake.connect({ name, context });
    return new NbdConnection(handshake.stream, handshake.reader, agreed);
  } catch (error) {
    handshake.stream.close();
    throw error instanceof NbdFailure ? new GraphError(error.message, error) : error;
  }
}

/** Attempts for so many milliseconds; the last failure is the one that is told. */
async function patiently<T>(attempt: () => Promise<T>, milliseconds: number): Promise<T> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const left = deadline - performance.now();
      if (left <= 0) throw error;
      await new Promise<void>((resolve) => setTimeout(resolve, Math.min(PAUSE, left)));
    }
  }
}
