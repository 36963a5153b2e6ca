/** Sockets that have a name inside this page: where the daemon listens, and how programs reach it. */
import { PageSocket } from '../client/socket';
import { Errno, strerror } from '../files/contract';
import type { ByteStream, Listener } from '../nbd';
import { QmpError, type SocketAddress } from '../qapi';
import { dialWebSocket } from './websocket';

export class PageSockets {
  private readonly listeners = new Map<string, (stream: ByteStream) => void>();

  /** Listens on a name, which is the path of a socket of type unix. */
  async listen(address: SocketAddress, serve: (stream: ByteStream) => void): Promise<Listener> {
    if (address.type !== 'unix') {
      throw new QmpError(
        `Sockets of type ${address.type} are not available: a browser lets no page listen on them; ` +
          'use type unix, whose path is a name for programs of this page',
      );
    }
    const { path } = address;
    if (this.listeners.has(path))
      throw new QmpError(`Failed to bind socket to ${path}: Address already in use`);
    this.listeners.set(path, serve);
    return { close: () => void this.listeners.delete(path) };
  }

  /** Connects to what listens on a name, or through a WebSocket to a host and port. */
  async dial(address: SocketAddress): Promise<ByteStream> {
    if (address.type === 'inet') return dialWebSocket(address.host, address.port);
    if (address.type !== 'unix') {
      throw new QmpError(
        `Sockets of type ${address.type} are not available: a browser lets no page connect to them; ` +
          'use type inet, or type unix, whose path is a name for programs of this page',
      );
    }
    const { port1, port2 } = new MessageChannel();
    const failure = this.connect(address.path, port1);
    if (failure !== null) throw new QmpError(failure);
    return new PageSocket(port2);
  }

  /** Connects the other end of a port; a text: why it cannot be. */
  connect(path: string, port: MessagePort): string | null {
    const serve = this.listeners.get(path);
    if (!serve) return `Failed to connect to '${path}': ${strerror(Errno.ENOENT)}`;
    serve(new PageSocket(port));
    return null;
  }
}
