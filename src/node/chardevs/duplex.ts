/** A stream of bytes over two of Node: one that is read, one that is written. */
import type { Readable, Writable } from 'node:stream';
import type { ByteStream } from '../../nbd/index';

export class DuplexStream implements ByteStream {
  private readonly pieces: AsyncIterator<Uint8Array> | null;
  private isClosed = false;
  private over: () => void = () => undefined;
  /** Resolves when the output takes more; null: it does. */
  private full: Promise<void> | null = null;
  private readonly ended = new Promise<null>((resolve) => (this.over = () => resolve(null)));

  /** @param input null: nothing ever comes in */
  constructor(
    input: Readable | null,
    private readonly output: Writable,
    private readonly closed: () => void,
  ) {
    // A reader that has gone, a full disk: what is written is lost, and the daemon works on.
    output.on('error', () => undefined);
    input?.on('error', () => undefined);
    this.pieces = input ? (input[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>) : null;
  }

  async read(): Promise<Uint8Array | null> {
    const next = this.pieces?.next().then(
      (piece) => (piece.done ? null : piece.value),
      () => null,
    );
    return next ? Promise.race([next, this.ended]) : this.ended;
  }

  async write(pieces: readonly Uint8Array[]): Promise<boolean> {
    const { output } = this;
    let taken = true;
    for (const piece of pieces) taken = output.write(piece);
    // Resolves at the end, too: who waits for it must not wait for ever.
    if (!taken && output.writable) await Promise.race([(this.full ??= this.drained()), this.ended]);
    return output.writable;
  }

  private drained(): Promise<void> {
    const { output } = this;
    return new Promise((resolve) => {
      const done = (): void => {
        output.off('drain', done).off('close', done);
        this.full = null;
        resolve();
      };
      output.on('drain', done).on('close', done);
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.over();
    this.closed();
  }

  destroy(): void {
    this.close();
  }
}
