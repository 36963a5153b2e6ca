/** A connection inside the program: what one end writes the other one reads. */
import type { ByteStream } from './stream';

/** Bytes that were written and not read; more has to wait. */
const WINDOW = 1024 * 1024;

class End implements ByteStream {
  private readonly come: Uint8Array[] = [];
  private untaken = 0;
  private ended = false;
  private reader: ((piece: Uint8Array | null) => void) | null = null;
  private readonly writers: (() => void)[] = [];
  other: End | null = null;

  read(): Promise<Uint8Array | null> {
    const piece = this.come.shift();
    if (piece) this.took(piece.length);
    if (piece || this.ended) return Promise.resolve(piece ?? null);
    return new Promise((resolve) => (this.reader = resolve));
  }

  private took(bytes: number): void {
    this.untaken -= bytes;
    if (this.untaken <= WINDOW) for (const resolve of this.writers.splice(0)) resolve();
  }

  async write(pieces: readonly Uint8Array[]): Promise<boolean> {
    const { other } = this;
    if (this.ended || !other) return false;
    for (const piece of pieces) if (piece.length > 0) other.receive(piece);
    if (other.untaken > WINDOW) await new Promise<void>((resolve) => other.writers.push(resolve));
    return !this.isOver();
  }

  private isOver(): boolean {
    return this.ended;
  }

  private receive(piece: Uint8Array): void {
    const { reader } = this;
    this.reader = null;
    if (reader) {
      reader(piece);
      return;
    }
    this.come.push(piece);
    this.untaken += piece.length;
  }

  close(): void {
    this.end();
    this.other?.end();
  }

  private end(): void {
    this.ended = true;
    this.reader?.(null);
    this.reader = null;
    for (const resolve of this.writers.splice(0)) resolve();
  }

  destroy(): void {
    this.come.length = 0;
    this.close();
  }
}

/** The two ends. */
export function streamPair(): [ByteStream, ByteStream] {
  const [a, b] = [new End(), new End()];
  a.other = b;
  b.other = a;
  return [a, b];
}
