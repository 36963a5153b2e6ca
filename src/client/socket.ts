/**
 * Sockets inside the browser: bytes in both directions over a `MessagePort`, so that programs of the page, its workers and
 * other tabs reach what the daemon serves. A port can be handed on with `postMessage` like any other.
 *
 * Messages: a `Uint8Array` with bytes; a number: so many bytes were taken; `null`: the end of both directions.
 */

/** Bytes on their way that the other side has not taken; more has to wait. */
const WINDOW = 1024 * 1024;

/** One end of a connection. */
export class PageSocket {
  private readonly arrived: Uint8Array[] = [];
  private readonly readers: ((piece: Uint8Array | null) => void)[] = [];
  private readonly writers: (() => void)[] = [];
  private untaken = 0;
  private ended = false;

  constructor(private readonly port: MessagePort) {
    port.onmessage = ({ data }: MessageEvent<unknown>) => this.receive(data);
    port.onmessageerror = () => this.end();
  }

  private receive(data: unknown): void {
    if (data instanceof Uint8Array) {
      const reader = this.readers.shift();
      if (reader) this.hand(data, reader);
      else this.arrived.push(data);
    } else if (typeof data === 'number') {
      this.untaken -= data;
      if (this.untaken <= WINDOW) for (const resolve of this.writers.splice(0)) resolve();
    } else {
      this.end();
    }
  }

  private hand(piece: Uint8Array, reader: (piece: Uint8Array) => void): void {
    if (!this.ended) this.port.postMessage(piece.length);
    reader(piece);
  }

  /** The next bytes; null at the end. */
  read(): Promise<Uint8Array | null> {
    return new Promise((resolve) => {
      const piece = this.arrived.shift();
      if (piece) this.hand(piece, resolve);
      else if (this.ended) resolve(null);
      else this.readers.push(resolve);
    });
  }

  /**
   * Sends pieces in their order; resolves when the other side has taken enough, to false when it takes no more.
   * @param sent called when the memory of the pieces may change: at once
   */
  async write(pieces: readonly Uint8Array[], sent?: () => void): Promise<boolean> {
    if (this.ended) return false;
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    sent?.();
    this.untaken += bytes.length;
    this.port.postMessage(bytes, [bytes.buffer]);
    if (this.untaken > WINDOW) await new Promise<void>((resolve) => this.writers.push(resolve));
    return !this.isOver();
  }

  private isOver(): boolean {
    return this.ended;
  }

  /** Ends both directions; what was written before still arrives. */
  close(): void {
    if (!this.ended) this.port.postMessage(null);
    this.end();
  }

  /** The same: nothing that was posted can be taken back. */
  destroy(): void {
    this.arrived.length = 0;
    this.close();
  }

  private end(): void {
    this.ended = true;
    for (const resolve of this.readers.splice(0)) resolve(null);
    for (const resolve of this.writers.splice(0)) resolve();
    this.port.close();
  }
}
