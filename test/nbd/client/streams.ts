/** Two ends of a connection in memory. */
import type { ByteStream } from '../../../src/nbd/stream';

class End implements ByteStream {
  private readonly come: Uint8Array[] = [];
  private ended = false;
  private wake: () => void = () => undefined;
  other!: End;

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const piece = this.come.shift();
      if (piece) return piece;
      if (this.ended) return null;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  async write(pieces: readonly Uint8Array[]): Promise<boolean> {
    if (this.ended || this.other.ended) return false;
    for (const piece of pieces) if (piece.length > 0) this.other.come.push(piece);
    this.other.wake();
    return true;
  }

  close(): void {
    this.ended = this.other.ended = true;
    this.wake();
    this.other.wake();
  }

  destroy(): void {
    this.close();
  }
}

/** What is written to one is read from the other. */
export function streamPair(): [ByteStream, ByteStream] {
  const [a, b] = [new End(), new End()];
  a.other = b;
  b.other = a;
  return [a, b];
}
