/** ringbuf, and memory by its older name: the last bytes that were written, for ringbuf-read. */
import { Errno, strerror } from '../../files/contract';
import { QmpError } from '../../qapi/index';
import { CharDevice, type CharFrontend } from './device';

const DEFAULT_SIZE = 65536;
/** Bytes; more would be a mistake, and memory that others need. */
const LARGEST = 256 * 1024 * 1024;

export class RingBuffer extends CharDevice {
  readonly typeName: string;
  readonly filename: string;
  private readonly bytes: Uint8Array;
  /** Bytes written and read since the beginning. */
  private written = 0;
  private taken = 0;

  constructor(kind: 'ringbuf' | 'memory', size = DEFAULT_SIZE) {
    super();
    if (size < 0 || !Number.isInteger(Math.log2(size || 1))) {
      throw new QmpError('size of ringbuf chardev must be power of two');
    }
    if (size > LARGEST) throw new QmpError(strerror(Errno.ENOMEM));
    this.typeName = `chardev-${kind}`;
    this.filename = kind;
    this.bytes = new Uint8Array(size);
  }

  override attach(frontend: CharFrontend, id: string): void {
    super.attach(frontend, id);
    frontend.opened();
  }

  protected send(bytes: Uint8Array): null {
    this.put(bytes);
    return null;
  }

  /** Writes; the oldest bytes make room. */
  put(given: Uint8Array): void {
    const size = this.bytes.length;
    if (size === 0) return;
    const last = given.subarray(Math.max(0, given.length - size));
    this.written += given.length - last.length;
    for (const byte of last) this.bytes[this.written++ % size] = byte;
    this.taken = Math.max(this.taken, this.written - size);
  }

  /** Takes the oldest bytes out, at most so many. */
  take(count: number): Uint8Array {
    const length = Math.min(count, this.written - this.taken);
    const taken = Uint8Array.from(
      { length },
      (_, i) => this.bytes[(this.taken + i) % this.bytes.length] ?? 0,
    );
    this.taken += length;
    return taken;
  }
}
