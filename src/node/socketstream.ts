/** Sockets of Node as the NBD server takes them. */
import type { Socket } from 'node:net';
import type { ByteStream } from '../nbd/index';

/** A connection over a socket. */
export class SocketStream implements ByteStream {
  private readonly pieces: AsyncIterator<Buffer>;
  /** Resolves when the socket takes more; null: it does. */
  private full: Promise<void> | null = null;

  readonly ends?: { readonly local: string; readonly peer: string };

  constructor(private readonly socket: Socket) {
    const { localAddress, remoteAddress } = socket;
    if (localAddress !== undefined && remoteAddress !== undefined) {
      this.ends = {
        local: `${localAddress}:${socket.localPort}`,
        peer: `${remoteAddress}:${socket.remotePort}`,
      };
    }
    socket.setNoDelay(true);
    // What goes wrong ends the reading.
    socket.on('error', () => socket.destroy());
    this.pieces = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async read(): Promise<Uint8Array | null> {
    try {
      const piece = await this.pieces.next();
      return piece.done ? null : piece.value;
    } catch {
      return null;
    }
  }

  async write(pieces: readonly Uint8Array[]): Promise<boolean> {
    const { socket } = this;
    if (!socket.writable) return false;
    socket.cork();
    let taken = true;
    for (const piece of pieces) taken = socket.write(piece);
    socket.uncork();
    if (!taken) await (this.full ??= this.drained());
    return socket.writable;
  }

  private drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.socket.off('drain', done).off('close', done);
        this.full = null;
        resolve();
      };
      this.socket.on('drain', done).on('close', done);
    });
  }

  close(): void {
    // The other side may never read what is still to be sent, nor close its end.
    this.socket.end(() => this.socket.destroy());
  }

  destroy(): void {
    this.socket.destroy();
  }
}
