/** TCP for a page: a browser lets it speak to a server only through a WebSocket, which a bridge passes on. */
import type { ByteStream } from '../nbd';
import { QmpError } from '../qapi';

/** As most bridges call a WebSocket of bytes. */
const PROTOCOL = 'binary';
/** Bytes that the browser may hold for the network; more has to wait. */
const MAX_UNSENT = 1024 * 1024;
/** Milliseconds between two looks at what it holds: it tells of nothing itself. */
const LOOK = 5;
/** Hosts that pages loaded over TLS may reach without it. */
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/;

/** The address of the WebSocket at a host and port: over TLS where the page itself came so and the host is another one. */
export function socketUrl(host: string, port: string, page: string): string {
  const isSafe = page === 'https:' && !LOOPBACK.test(host);
  return `${isSafe ? 'wss' : 'ws'}://${host.includes(':') ? `[${host}]` : host}:${port}/`;
}

/** Connects to a host and port. Refusals are {@link QmpError}s: a browser does not tell a page why there is no connection. */
export function dialWebSocket(host: string, port: string): Promise<ByteStream> {
  const url = socketUrl(host, port, self.location.protocol);
  const refused = new QmpError(
    `Failed to connect to '${host}:${port}': no WebSocket answers this page at ${url} (a browser reaches servers only through ` +
      `one; 'qsd-web bridge' makes it, and takes pages of other hosts with --origin=${self.location.origin})`,
  );
  return new Promise((resolve, reject) => {
    let socket: WebSocket;
    try {
      socket = new WebSocket(url, PROTOCOL);
    } catch {
      reject(refused);
      return;
    }
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => resolve(new WebSocketStream(socket));
    socket.onerror = () => reject(refused);
  });
}

/** A connection through an open WebSocket. What comes is what was asked for, so it is bounded by the requests under way. */
class WebSocketStream implements ByteStream {
  private readonly arrived: Uint8Array[] = [];
  private reader: ((piece: Uint8Array | null) => void) | null = null;
  private ended = false;

  constructor(private readonly socket: WebSocket) {
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      // Text is not for us.
      if (!(data instanceof ArrayBuffer)) {
        this.destroy();
        return;
      }
      const { reader } = this;
      this.reader = null;
      if (reader) reader(new Uint8Array(data));
      else this.arrived.push(new Uint8Array(data));
    };
    socket.onclose = socket.onerror = () => this.end();
  }

  private end(): void {
    this.ended = true;
    this.reader?.(null);
    this.reader = null;
  }

  read(): Promise<Uint8Array | null> {
    return new Promise((resolve) => {
      const piece = this.arrived.shift();
      if (piece ?? this.ended) resolve(piece ?? null);
      else this.reader = resolve;
    });
  }

  async write(pieces: readonly Uint8Array[], sent?: () => void): Promise<boolean> {
    const { socket } = this;
    for (const piece of pieces) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      // It takes a copy.
      socket.send(piece as Uint8Array<ArrayBuffer>);
    }
    sent?.();
    while (socket.readyState === WebSocket.OPEN && socket.bufferedAmount > MAX_UNSENT)
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    return socket.readyState === WebSocket.OPEN;
  }

  close(): void {
    this.socket.close();
    this.end();
  }

  /** The same: a browser ends no connection at once. */
  destroy(): void {
    this.arrived.length = 0;
    this.close();
  }
}
