/** A node of the daemon as a disk: a small NBD client for programs in the browser. */
import type { PageSocket } from './socket';

const OPTION_MAGIC = 0x49484156454f5054n;
const REPLY_MAGIC = 0x0003e889045565a9n;
const GO = 7;
const EXPORT = 0;
const MAX_BYTES = 32 * 1024 * 1024;
/** Types of requests. */
const enum Command {
  READ = 0,
  WRITE = 1,
  DISC = 2,
  FLUSH = 3,
  TRIM = 4,
  WRITE_ZEROES = 6,
}

/** A request that failed. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  constructor(
    message: string,
    /** As on the wire of NBD; 0: the connection has ended. */
    readonly errno = 0,
  ) {
    super(message);
  }
}

interface Pending {
  /** Bytes of data that a good reply brings. */
  bytes: number;
  resolve: (data: Uint8Array) => void;
  reject: (error: DiskError) => void;
}

/**
 * A disk that the daemon exports. Offsets and lengths are bytes; requests may overlap each other in time, and one takes at
 * most 32 MiB. All methods reject with {@link DiskError}.
 */
export class Disk {
  private readonly pending = new Map<number, Pending>();
  private last = 0;

  private constructor(
    private readonly socket: PageSocket,
    private readonly input: Input,
    /** Bytes. */
    readonly size: number,
    readonly readOnly: boolean,
  ) {}

  /** Begins with a fresh connection to the daemon's NBD server. */
  static async open(socket: PageSocket, name: string): Promise<Disk> {
    const input = new Input(socket);
    const greeting = view(await input.take(18));
    if (greeting.getBigUint64(8) !== OPTION_MAGIC) throw new DiskError('This is no NBD server');
    const text = new TextEncoder().encode(name);
    const go = new DataView(new ArrayBuffer(4 + 16 + 6 + text.length));
    go.setUint32(0, greeting.getUint16(16) & 3);
    go.setBigUint64(4, OPTION_MAGIC);
    go.setUint32(12, GO);
    go.setUint32(16, 6 + text.length);
    go.setUint32(20, text.length);
    const bytes = new Uint8Array(go.buffer);
    bytes.set(text, 24);
    await socket.write([bytes]);
    let size = 0;
    let flags = 0;
    for (;;) {
      const header = view(await input.take(20));
      if (header.getBigUint64(0) !== REPLY_MAGIC) throw new DiskError('This is no NBD server');
      const type = header.getUint32(12);
      const data = await input.take(header.getUint32(16));
      if (type >= 0x80000000) throw new DiskError(new TextDecoder().decode(data));
      if (type === 1) break;
      if (type === 3 && view(data).getUint16(0) === EXPORT) {
        size = Number(view(data).getBigUint64(2));
        flags = view(data).getUint16(10);
      }
    }
    const disk = new Disk(socket, input, size, (flags & 2) !== 0);
    void disk.listen();
    return disk;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.request(Command.READ, offset, length, null, length);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    await this.request(Command.WRITE, offset, data.length, data);
  }

  /** Makes a range read as zeros, and frees its space where the image can. */
  async writeZeroes(offset: number, length: number): Promise<void> {
    await this.request(Command.WRITE_ZEROES, offset, length);
  }

  /** A range is not needed any more; what it reads then is not said. */
  async discard(offset: number, length: number): Promise<void> {
    await this.request(Command.TRIM, offset, length);
  }

  /** What was written before is on stable storage when this resolves. */
  async flush(): Promise<void> {
    await this.request(Command.FLUSH, 0, 0);
  }

  /** Ends the connection; requests under way are rejected. */
  async close(): Promise<void> {
    await this.socket.write([header(Command.DISC, 0, 0, 0)]);
    this.socket.close();
  }

  private request(
    type: Command,
    offset: number,
    length: number,
    data: Uint8Array | null = null,
    bytes = 0,
  ): Promise<Uint8Array> {
    if ((data || bytes > 0) && length > MAX_BYTES)
      return Promise.reject(new DiskError('A request takes at most 32 MiB'));
    const cookie = ++this.last;
    const message = header(type, cookie, offset, length);
    const answer = new Promise<Uint8Array>((resolve, reject) =>
      this.pending.set(cookie, { bytes, resolve, reject }),
    );
    void this.socket.write(data ? [message, data] : [message]).then((taken) => {
      if (!taken) this.fail();
    });
    return answer;
  }

  private async listen(): Promise<void> {
    try {
      for (;;) {
        const reply = view(await this.input.take(16));
        const errno = reply.getUint32(4);
        const cookie = Number(reply.getBigUint64(8));
        const pending = this.pending.get(cookie);
        if (reply.getUint32(0) !== 0x67446698 || !pending) break;
        const data = await this.input.take(errno === 0 ? pending.bytes : 0);
        this.pending.delete(cookie);
        if (errno === 0) pending.resolve(data);
        else pending.reject(new DiskError(`The request failed (error ${errno})`, errno));
      }
      this.socket.close();
    } catch {
      // The connection has ended.
    }
    this.fail();
  }

  private fail(): void {
    for (const { reject } of this.pending.values()) reject(new DiskError('The connection has ended'));
    this.pending.clear();
  }
}

function header(type: Command, cookie: number, offset: number, length: number): Uint8Array {
  const request = new DataView(new ArrayBuffer(28));
  request.setUint32(0, 0x25609513);
  request.setUint16(6, type);
  request.setBigUint64(8, BigInt(cookie));
  request.setBigUint64(16, BigInt(offset));
  request.setUint32(24, length);
  return new Uint8Array(request.buffer);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Takes what comes apart into pieces of wanted sizes. */
class Input {
  private rest: Uint8Array = new Uint8Array(0);

  constructor(private readonly socket: PageSocket) {}

  async take(count: number): Promise<Uint8Array> {
    const taken = new Uint8Array(count);
    for (let at = 0; at < count;) {
      if (this.rest.length === 0) {
        const piece = await this.socket.read();
        if (piece === null) throw new DiskError('The connection has ended');
        this.rest = piece;
      }
      const length = Math.min(count - at, this.rest.length);
      taken.set(this.rest.subarray(0, length), at);
      this.rest = this.rest.subarray(length);
      at += length;
    }
    return taken;
  }
}
