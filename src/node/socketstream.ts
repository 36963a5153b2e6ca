/** Sockets of Node as the NBD server takes them. */
import type { Socket } from 'node:net';
import type { ByteStream } from '../nbd/index';

/** Bytes that are kept for a reader; while there are more, nothing is taken from the socket. */
const MAX_KEPT = 256 * 1024;

/** A connection over a socket. */
export class SocketStream implements ByteStream {
  /** What came and was not read yet. */
  private readonly pieces: Uint8Array[] = [];
  private kept = 0;
  /** Nothing more comes. */
  private ended = false;
  private isListening = false;
  /** Who waits for the next piece. */
  private reader: ((piece: Uint8Array | null) => void) | null = null;
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
  }

  read(): Promise<Uint8Array | null> {
    const piece = this.pieces.shift();
    if (piece) {
      this.kept -= piece.length;
      if (this.socket.isPaused() && this.kept < MAX_KEPT) this.socket.resume();
      return Promise.resolve(piece);
    }
    if (this.ended || this.socket.destroyed) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.reader = resolve;
      this.listen();
    });
  }

  private listen(): void {
    if (this.isListening) return;
    this.isListening = true;
    this.socket.on('data', this.take).on('end', this.end).on('close', this.end);
  }

  private readonly take = (piece: Uint8Array): void => {
    const { reader } = this;
    if (reader) {
      this.reader = null;
      reader(piece);
      return;
    }
    this.pieces.push(piece);
    this.kept += piece.length;
    if (this.kept >= MAX_KEPT) this.socket.pause();
  };

  private readonly end = (): void => {
    this.ended = true;
    this.reader?.(null);
    this.reader = null;
  };

  /**
   * Gives the socket away: it is not read here any more. What came and was not used stands before what comes.
   * @param early what a reader of this stream had taken ahead
   */
  release(early: Uint8Array): Socket {
    const { socket } = this;
    socket.pause();
    socket.off('data', this.take).off('end', this.end).off('close', this.end);
    this.ended = true;
    const rest = [early, ...this.pieces.splice(0)].filter(({ length }) => length > 0);
    if (rest.length > 0) socket.unshift(Buffer.concat(rest));
    return socket;
  }

  async write(pieces: readonly Uint8Array[], sent?: () => void): Promise<boolean> {
    const { socket } = this;
    if (!socket.writable) return false;
    const last = pieces.length - 1;
    let taken = true;
    if (last > 0) socket.cork();
    for (const [index, piece] of pieces.entries())
      taken = index === last && sent ? socket.write(piece, sent) : socket.write(piece);
    if (last > 0) socket.uncork();
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
