/** A server as the driver sees it: connections to it come and go, requests do not care. */
import { Errno } from '../../files/contract';
import type { NbdConnection, NbdReply, NbdRequest } from './connection';

/** Milliseconds between attempts to connect again: this at first, then twice as much each time, up to the other. */
const FIRST_PAUSE = 1000;
const LAST_PAUSE = 16_000;

export class NbdSession {
  /** An attempt to connect again that is under way. */
  private attempt: Promise<NbdConnection | null> | null = null;
  /** When the connection was lost; null: it is there, or the delay is over. */
  private lostAt: number | null = null;
  private closed = false;
  /** Ends the pause between attempts. */
  private wake: () => void = () => undefined;

  /**
   * @param connect makes another connection, with its handshake; rejects if that cannot be
   * @param delay milliseconds that requests wait for a connection that was lost; 0: they fail at once
   */
  constructor(
    private current: NbdConnection,
    private readonly connect: () => Promise<NbdConnection>,
    private readonly delay: number,
  ) {}

  /** What the handshake told; the same as long as the session lasts. */
  get server(): NbdConnection['server'] {
    return this.current.server;
  }

  /** Sends a request, to the next connection too if this one is lost and that comes in time. */
  async request(request: NbdRequest): Promise<NbdReply> {
    for (;;) {
      const connection = await this.connection();
      if (!connection) return { errno: Errno.EIO, lost: true, data: new Uint8Array(), extents: [] };
      const reply = await connection.request(request);
      // Each request can be carried out twice.
      if (!reply.lost || this.delay === 0 || this.closed) return reply;
    }
  }

  private async connection(): Promise<NbdConnection | null> {
    if (!this.current.lost) return this.current;
    if (this.closed) return null;
    return (this.attempt ??= this.reconnect().finally(() => {
      this.attempt = null;
    }));
  }

  /** Attempts until there is a connection, or the delay is over; at least one. */
  private async reconnect(): Promise<NbdConnection | null> {
    this.lostAt ??= performance.now();
    const deadline = this.lostAt + this.delay;
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LAST_PAUSE)) {
      const connection = await this.connect().catch(() => null);
      if (this.closed) {
        connection?.close();
        return null;
      }
      if (connection && this.fits(connection)) {
        this.current = connection;
        this.lostAt = null;
        return connection;
      }
      const left = deadline - performance.now();
      if (left <= 0) return null;
      await this.pause(Math.min(pause, left));
      if (this.isClosed()) return null;
    }
  }

  private isClosed(): boolean {
    return this.closed;
  }

  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, milliseconds);
    });
  }

  /** Whether it is the same export still, as far as can be told. */
  private fits(connection: NbdConnection): boolean {
    const { size, flags, context, blocks } = this.current.server;
    const now = connection.server;
    const same =
      now.size === size &&
      (flags & ~now.flags) === 0 &&
      (now.context === null) === (context === null) &&
      (now.blocks?.minimum ?? 1) <= (blocks?.minimum ?? 1);
    if (!same) connection.close();
    return same;
  }

  close(): void {
    this.closed = true;
    this.wake();
    this.current.close();
  }
}
