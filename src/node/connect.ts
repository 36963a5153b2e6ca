/** Connecting to an address of QMP. */
import { lookup } from 'node:dns/promises';
import { connect, Socket, type NetConnectOpts } from 'node:net';
import { resolve } from 'node:path';
import type { ByteStream } from '../nbd/index';
import { QmpError, type SocketAddress } from '../qapi/index';
import { checkVsock, socketDescriptor } from './listen';
import { portOf } from './ports';
import { SocketStream } from './socketstream';
import { strerrorOf } from './strerror';

/**
 * Connects to a server. Refusals are {@link QmpError}s with the texts of QEMU.
 * @param directory where relative paths of sockets begin
 */
export async function connectTo(address: SocketAddress, directory = ''): Promise<ByteStream> {
  switch (address.type) {
    case 'unix': {
      const path = address.abstract ? `\0${address.path}` : resolve(directory, address.path);
      return open({ path }, address.path);
    }
    case 'inet': {
      const shown = `${address.host}:${address.port}`;
      const port = portOf(address.port, { ...address, shown, protocol: 'tcp' });
      const unknown = new QmpError(`address resolution failed for ${shown}: Name or service not known`);
      // No name would mean this host.
      if (address.host === '') throw unknown;
      const host = await lookup(address.host, { family: familyOf(address) }).catch(() => {
        throw unknown;
      });
      return open({ host: host.address, port }, shown);
    }
    case 'fd':
      return new SocketStream(new Socket({ fd: socketDescriptor(address.str), allowHalfOpen: true }));
    case 'vsock':
      checkVsock(address);
      throw new QmpError('Sockets of type vsock are not available: Node.js has none; use inet or unix');
  }
}

export function familyOf({ ipv4, ipv6 }: { ipv4?: boolean; ipv6?: boolean }): 0 | 4 | 6 {
  if (ipv4 === ipv6) return 0;
  if (ipv4 ?? false) return 4;
  return (ipv6 ?? false) ? 6 : ipv4 === false ? 6 : 4;
}

async function open(options: NetConnectOpts, shown: string): Promise<ByteStream> {
  const socket = connect({ ...options, allowHalfOpen: true });
  try {
    return new SocketStream(await connected(socket));
  } catch (error) {
    throw new QmpError(`Failed to connect to '${shown}': ${strerrorOf(error)}`);
  }
}

function connected(socket: Socket): Promise<Socket> {
  return new Promise((done, fail) => {
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      done(socket);
    });
  });
}
