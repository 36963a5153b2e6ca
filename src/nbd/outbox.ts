/**
 * Replies on their way out. They are copied one behind the other into buffers that are used again: large buffers are dear to
 * make, and a few large writes are cheaper than many small ones.
 */

/** Pieces to send. */
export type Message = Uint8Array[];

/** Bytes of a buffer for a reply or two, and of one for more. */
const SMALL = 16 * 1024;
const LARGE = 256 * 1024;
/** Buffers of either kind that are kept for later, at most. */
const KEPT = 16;

/** The buffers that the connections of a server share. */
export class ReplyMemory {
  private readonly small: Uint8Array[] = [];
  private readonly large: Uint8Array[] = [];

  /** A buffer for what is left of a message; it may be smaller than that. What is in it is arbitrary. */
  take(bytes: number): Uint8Array {
    if (bytes <= SMALL) return this.small.pop() ?? new Uint8Array(SMALL);
    return this.large.pop() ?? new Uint8Array(LARGE);
  }

  /** Gives a whole buffer back. */
  give(buffer: Uint8Array): void {
    const kept = buffer.length === SMALL ? this.small : this.large;
    if (kept.length < KEPT) kept.push(buffer);
  }
}

/** What goes out in one write. */
export interface Shipment {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  /** To be called when the pieces may be overwritten. */
  readonly sent: () => void;
}

/** Gathers the replies of one connection. */
export class Outbox {
  /** Full buffers, and the one that is being filled up to `used`. */
  private full: Uint8Array[] = [];
  private filling: Uint8Array | null = null;
  private used = 0;
  private bytes = 0;

  constructor(private readonly memory: ReplyMemory) {}

  get isEmpty(): boolean {
    return this.bytes === 0;
  }

  /** Copies a message; answers its bytes. */
  add(message: Message): number {
    let total = 0;
    for (const piece of message) total += piece.length;
    let left = total;
    for (let piece of message) {
      while (piece.length > 0) {
        const buffer = this.room(left);
        const count = Math.min(piece.length, buffer.length - this.used);
        buffer.set(count === piece.length ? piece : piece.subarray(0, count), this.used);
        this.used += count;
        left -= count;
        if (count === piece.length) break;
        piece = piece.subarray(count);
      }
    }
    this.bytes += total;
    return total;
  }

  /** A buffer that is not full. */
  private room(bytes: number): Uint8Array {
    if (this.filling) {
      if (this.used < this.filling.length) return this.filling;
      this.full.push(this.filling);
    }
    this.used = 0;
    return (this.filling = this.memory.take(bytes));
  }

  /** Takes all that has been gathered. */
  take(): Shipment {
    const { full, filling, used, bytes, memory } = this;
    this.full = [];
    this.filling = null;
    this.used = 0;
    this.bytes = 0;
    const sent = (): void => {
      for (const buffer of full) memory.give(buffer);
      if (filling) memory.give(filling);
    };
    return { pieces: filling ? [...full, filling.subarray(0, used)] : full, bytes, sent };
  }
}
