/** The connection below the protocol: bytes in both directions, whatever carries them. */

/** A connection. Failures of the transport are ends: {@link read} answers null and {@link write} false. */
export interface ByteStream {
  /** The next bytes that came, at least one; null when no more come. The caller owns them. Asked one at a time. */
  read(): Promise<Uint8Array | null>;
  /**
   * Sends pieces in their order. Their memory must not change afterwards. Resolves when the other side has taken enough
   * of what was sent; to false when it takes no more.
   * @param sent called when the memory may be changed after all; a connection that cannot tell never calls it
   */
  write(pieces: readonly Uint8Array[], sent?: () => void): Promise<boolean>;
  /** Ends both directions; what was written before still goes out if the other side takes it. */
  close(): void;
  /** Ends both directions at once. */
  destroy(): void;
  /** Of a connection over TCP: host and port at its ends, joined by a colon. */
  readonly ends?: { readonly local: string; readonly peer: string };
}

/** Takes a stream apart into pieces of wanted sizes. */
export class ByteReader {
  /** Pieces that came and are not used up; the first one from `start` on. */
  private readonly pieces: Uint8Array[] = [];
  private start = 0;
  private available = 0;

  /** @param early bytes that were read before */
  constructor(
    private readonly stream: Pick<ByteStream, 'read'>,
    early: Uint8Array = new Uint8Array(0),
  ) {
    if (early.length === 0) return;
    this.pieces.push(early);
    this.available = early.length;
  }

  /** Whether `count` bytes are there already. */
  has(count: number): boolean {
    return this.available >= count;
  }

  /** Waits until `count` bytes are there; false: the stream ends before. Nothing is reserved for what does not come. */
  async wait(count: number): Promise<boolean> {
    while (this.available < count) {
      const piece = await this.stream.read();
      if (piece === null) return false;
      if (piece.length === 0) continue;
      this.pieces.push(piece);
      this.available += piece.length;
    }
    return true;
  }

  /** The next `count` bytes, which must be there. They are a view if they came in one piece. */
  take(count: number): Uint8Array {
    const first = this.pieces[0];
    if (first && first.length - this.start >= count) {
      const bytes = first.subarray(this.start, this.start + count);
      this.drop(count);
      return bytes;
    }
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const piece = this.pieces[0];
      if (!piece) throw new RangeError('more bytes are taken than there are');
      const length = Math.min(count - at, piece.length - this.start);
      bytes.set(piece.subarray(this.start, this.start + length), at);
      this.drop(length);
      at += length;
    }
    return bytes;
  }

  /** The bytes that are there, but not more than `count`. */
  some(count: number): Uint8Array {
    return this.take(Math.min(count, this.available));
  }

  /** Passes over `count` bytes, keeping none of them; false: the stream ends before. */
  async skip(count: number): Promise<boolean> {
    for (let left = count; left > 0;) {
      if (this.available === 0 && !(await this.wait(1))) return false;
      const length = Math.min(left, this.available, (this.pieces[0]?.length ?? 0) - this.start);
      this.drop(length);
      left -= length;
    }
    return true;
  }

  /** All bytes that are there already. */
  rest(): Uint8Array {
    return this.take(this.available);
  }

  /** Uses up bytes of the first piece. */
  private drop(count: number): void {
    this.start += count;
    this.available -= count;
    if (this.start === this.pieces[0]?.length) {
      this.pieces.shift();
      this.start = 0;
    }
  }
}

/** Makes messages: big endian numbers, texts and bytes, in a buffer that grows as needed. */
export class ByteWriter {
  private buffer = new Uint8Array(64);
  private view = new DataView(this.buffer.buffer);
  private length = 0;

  private reserve(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.buffer.length));
      larger.set(this.buffer);
      this.buffer = larger;
      this.view = new DataView(larger.buffer);
    }
    return at;
  }

  u16(value: number): this {
    const at = this.reserve(2);
    this.view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.reserve(4);
    this.view.setUint32(at, value);
    return this;
  }

  /** A whole number; one that is no bigint must be exact. */
  u64(value: number | bigint): this {
    const at = this.reserve(8);
    this.view.setBigUint64(at, BigInt(value));
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.reserve(value.length);
    this.buffer.set(value, at);
    return this;
  }

  /** A text as UTF-8, without its length. */
  text(value: string): this {
    return this.bytes(encodeText(value));
  }

  done(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }
}

/** A big endian view of bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Bytes that are no UTF-8 become replacement characters. */
export function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
