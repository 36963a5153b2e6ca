/** The server: its exports and its connections. Where connections come from is not its business. */
import type { Engine, IoBuffer } from '../engine/contract';
import type { NbdExport, SessionHost } from './export';
import type { Agreement } from './agreement';
import { Disconnect, Handshake, type HandshakeHost } from './handshake';
import { ReplyMemory } from './outbox';
import { streamPair } from './pair';
import type { ByteReader, ByteStream } from './stream';
import type { Upgrade } from './tls';
import { Transmission } from './transmission';

/** Bytes of data that go to the engine, or come from it, at once. */
const BUFFER_BYTES = 2 * 1024 * 1024;
/** Clients that wait for others to go, at most. */
const MAX_WAITING = 1024;

/** How a server works. */
export interface NbdServerOptions {
  /** Connections at the same time; 0: any number. 1 also means that clients are told not to share. */
  maxConnections: number;
  /** Seconds in which a client has to choose an export; 0: any time. */
  handshakeSeconds: number;
  /** Clients have to begin TLS, which this does. Absent: there is none. */
  upgrade?: Upgrade;
}

/** What a server works with. */
export interface NbdServerHost {
  readonly engine: Engine;
  turn(): Promise<void>;
  held(): Promise<void> | null;
  /** At which stage a connection was given up, and why. */
  log?(text: string): void;
}

/** Where clients come from. */
export interface Listener {
  /** Takes no more of them. */
  close(): void;
  /** Where they come over TCP: the system may have chosen the port. */
  readonly place?: { readonly host: string; readonly port: number };
  /** The path that was made up for a Unix socket without one. */
  readonly path?: string;
}

/** One client. */
interface Connection {
  /** TLS puts another one in its place. */
  stream: ByteStream;
  /** What it has chosen. */
  target: NbdExport | null;
  /** The client is a node of the daemon that serves it: a change of the graph may wait for its requests. */
  readonly own: boolean;
  /** Resolves when nothing of it is under way. */
  over: Promise<void>;
}

export class NbdServer implements HandshakeHost {
  private readonly list: NbdExport[] = [];
  private readonly connections = new Set<Connection>();
  /** Clients above the limit: they are not greeted before others have gone. */
  private readonly waiting: ByteStream[] = [];
  private readonly host: SessionHost;
  private readonly buffer: IoBuffer;
  private listener: Listener | null = null;
  private closed = false;

  constructor(
    private readonly surroundings: NbdServerHost,
    private readonly options: NbdServerOptions,
  ) {
    this.buffer = surroundings.engine.alloc(BUFFER_BYTES);
    this.host = {
      buffer: this.buffer,
      memory: new ReplyMemory(),
      presence: surroundings.engine.presence,
      turn: () => surroundings.turn(),
      held: () => surroundings.held(),
      throttled: () => surroundings.engine.throttle.delay(),
    };
  }

  /** Where it listens, over TCP. */
  get place(): Listener['place'] {
    return this.listener?.place;
  }

  get exports(): readonly NbdExport[] {
    return this.list;
  }

  get multiConn(): boolean {
    return this.options.maxConnections !== 1;
  }

  get upgrade(): Upgrade | null {
    return this.options.upgrade ?? null;
  }

  /** Takes the place that clients come from; it is closed with the server. */
  listenOn(listener: Listener): void {
    this.listener = listener;
  }

  add(target: NbdExport): void {
    this.list.push(target);
  }

  /** Clients find it no more; those that have it stay. */
  remove(target: NbdExport): void {
    const at = this.list.indexOf(target);
    if (at >= 0) this.list.splice(at, 1);
  }

  /** Whether a client uses it. */
  inUse(target: NbdExport): boolean {
    return [...this.connections].some((connection) => connection.target === target);
  }

  /** Whether a node of this daemon uses it. */
  inUseByOwn(target: NbdExport): boolean {
    return [...this.connections].some((connection) => connection.own && connection.target === target);
  }

  /** Ends the connections to an export; resolves when none of their requests is under way. */
  async drop(target: NbdExport): Promise<void> {
    await this.end([...this.connections].filter((connection) => connection.target === target));
  }

  /** Ends everything; exports are removed before. */
  async close(): Promise<void> {
    this.closed = true;
    this.listener?.close();
    for (const stream of this.waiting.splice(0)) stream.destroy();
    await this.end([...this.connections]);
    this.buffer.free();
  }

  private async end(connections: readonly Connection[]): Promise<void> {
    for (const { stream } of connections) stream.destroy();
    await Promise.all(connections.map(({ over }) => over));
  }

  /** Serves a client, now or when others have gone; resolves when it has gone itself, or has to wait. */
  async connect(stream: ByteStream): Promise<void> {
    const { maxConnections } = this.options;
    if (this.closed || this.waiting.length >= MAX_WAITING) stream.destroy();
    else if (maxConnections > 0 && this.connections.size >= maxConnections) this.waiting.push(stream);
    else await this.begin(stream);
  }

  /** A connection for a node of the same daemon; null: there are too many already, and it could not wait for others to go. */
  connectOwn(): ByteStream | null {
    const { maxConnections } = this.options;
    if (this.closed || (maxConnections > 0 && this.connections.size >= maxConnections)) return null;
    const [ours, theirs] = streamPair();
    void this.begin(ours, true);
    return theirs;
  }

  private begin(stream: ByteStream, own = false): Promise<void> {
    const connection: Connection = { stream, target: null, own, over: Promise.resolve() };
    this.connections.add(connection);
    connection.over = this.serve(connection).finally(() => {
      connection.stream.close();
      this.connections.delete(connection);
      const next = this.waiting.shift();
      if (next) void this.connect(next);
    });
    return connection.over;
  }

  private async serve(connection: Connection): Promise<void> {
    let stage = 'option negotiation failed';
    try {
      const { reader, agreement } = await this.negotiate(connection);
      // It may have been removed while the last reply was on its way.
      if (!agreement || !this.list.includes(agreement.target)) return;
      stage = 'Disconnect client, due to';
      connection.target = agreement.target;
      const host = connection.own ? { ...this.host, held: () => null } : this.host;
      await new Transmission(reader, connection.stream, agreement, host).run();
    } catch (error) {
      if (!(error instanceof Disconnect)) throw error;
      this.surroundings.log?.(`${stage}: ${error.message}`);
    }
  }

  private async negotiate(
    connection: Connection,
  ): Promise<{ reader: ByteReader; agreement: Agreement | null }> {
    const { handshakeSeconds } = this.options;
    const timer =
      handshakeSeconds > 0
        ? setTimeout(() => connection.stream.destroy(), handshakeSeconds * 1000)
        : undefined;
    const handshake = new Handshake(connection.stream, this, () => this.host.turn());
    try {
      return { agreement: await handshake.run(), reader: handshake.reader };
    } finally {
      connection.stream = handshake.stream;
      if (timer !== undefined) clearTimeout(timer);
    }
  }
}
