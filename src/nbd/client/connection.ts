/** The transmission as seen from the client: requests over one connection, and their replies in whatever order they come. */
import { Errno } from '../../files/contract';
import { ByteWriter, viewOf, type ByteReader, type ByteStream } from '../stream';
import {
  Chunk,
  CHUNK_DONE,
  Command,
  CommandFlag,
  EXTENDED_REPLY_MAGIC,
  EXTENDED_REQUEST_MAGIC,
  MAX_PAYLOAD,
  MAX_STRING,
  REQUEST_MAGIC,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
  WireError,
} from '../wire';
import type { Connected } from './handshake';

/** Requests that are on their way at the same time, at most. */
const IN_FLIGHT = 16;
/** The first error type of chunks. */
const FIRST_ERROR = 0x8000;
const ERRORS: Readonly<Record<number, Errno>> = {
  [WireError.EPERM]: Errno.EPERM,
  [WireError.EIO]: Errno.EIO,
  [WireError.ENOMEM]: Errno.ENOMEM,
  [WireError.ENOSPC]: Errno.ENOSPC,
  [WireError.EOVERFLOW]: Errno.EOVERFLOW,
  [WireError.ENOTSUP]: Errno.ENOTSUP,
  [WireError.ESHUTDOWN]: Errno.ESHUTDOWN,
};

/** What is asked of the server. */
export interface NbdRequest {
  command: Command;
  /** {@link CommandFlag}s. */
  flags?: number;
  at: number;
  bytes: number;
  /** What a write writes: as many bytes. It does not change afterwards. */
  data?: Uint8Array;
}

/** A piece of the export of one kind. */
export interface NbdExtent {
  bytes: number;
  /** In the context that was chosen. */
  flags: number;
}

/** What the server answered. */
export interface NbdReply {
  /** 0, or an {@link Errno}. */
  errno: number;
  /** The connection ended before the answer came: nobody knows whether the request was carried out. */
  lost: boolean;
  /** Of a read. */
  data: Uint8Array;
  /** Of a block status. */
  extents: readonly NbdExtent[];
}

/** A request whose reply has not come yet, or not all of it. */
interface Pending {
  request: NbdRequest;
  errno: number;
  data: Uint8Array;
  /** Bytes of `data` that have come. */
  came: number;
  extents: NbdExtent[];
  done: (reply: NbdReply) => void;
}

/** What the server sent is not the protocol. */
class ProtocolError extends Error {}

const NOTHING = new Uint8Array();

/** One connection after its handshake. */
export class NbdConnection {
  private readonly pending = new Map<bigint, Pending>();
  private readonly waiting: (() => void)[] = [];
  private inFlight = 0;
  private cookie = 0n;
  private over = false;

  /** @param reader what is left of the stream after the handshake */
  constructor(
    private readonly stream: ByteStream,
    private readonly reader: ByteReader,
    readonly server: Connected,
  ) {
    void this.receive();
  }

  /** Whether it has ended: every request is answered as lost. */
  get lost(): boolean {
    return this.over;
  }

  /** Sends a request when there is room for it. */
  async request(request: NbdRequest): Promise<NbdReply> {
    if (this.inFlight >= IN_FLIGHT) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.inFlight++;
    try {
      return await this.send(request);
    } finally {
      // Whoever waits takes the place over.
      const next = this.waiting.shift();
      if (next) next();
      else this.inFlight--;
    }
  }

  private send(request: NbdRequest): Promise<NbdReply> {
    return new Promise((done) => {
      const reads = request.command === Command.READ;
      const pending: Pending = {
        request,
        errno: 0,
        data: reads && !this.over ? new Uint8Array(request.bytes) : NOTHING,
        came: 0,
        extents: [],
        done,
      };
      if (this.over) {
        done({ errno: Errno.EIO, lost: true, data: NOTHING, extents: [] });
        return;
      }
      const cookie = ++this.cookie;
      this.pending.set(cookie, pending);
      const pieces = [this.header(request, cookie)];
      if (request.data) pieces.push(request.data);
      void this.stream.write(pieces).then((taken) => {
        if (!taken) this.end();
      });
    });
  }

  private header({ command, flags = 0, at, bytes, data }: NbdRequest, cookie: bigint): Uint8Array {
    const extended = this.server.style === 'extended';
    const allFlags = extended && data ? flags | CommandFlag.PAYLOAD_LEN : flags;
    const writer = new ByteWriter()
      .u32(extended ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC)
      .u16(allFlags)
      .u16(command)
      .u64(cookie)
      .u64(at);
    return (extended ? writer.u64(bytes) : writer.u32(bytes)).done();
  }

  /** Says goodbye. */
  close(): void {
    if (this.over) return;
    void this.stream.write([this.header({ command: Command.DISC, at: 0, bytes: 0 }, 0n)]);
    this.stream.close();
    this.end();
  }

  /** The connection is over: all that waits is told. */
  private end(): void {
    if (this.over) return;
    this.over = true;
    this.stream.close();
    for (const { done } of this.pending.values())
      done({ errno: Errno.EIO, lost: true, data: NOTHING, extents: [] });
    this.pending.clear();
  }

  private async receive(): Promise<void> {
    try {
      while (!this.over) await this.reply();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.stream.destroy();
    } finally {
      this.end();
    }
  }

  private async take(count: number): Promise<Uint8Array> {
    if (!(await this.reader.wait(count))) throw new ProtocolError();
    return this.reader.take(count);
  }

  /** One reply, or one chunk of one. */
  private async reply(): Promise<void> {
    const magic = viewOf(await this.take(4)).getUint32(0);
    const { style } = this.server;
    if (magic === SIMPLE_REPLY_MAGIC && style !== 'extended') return this.simple();
    if (magic === STRUCTURED_REPLY_MAGIC && style === 'structured') {
      const view = viewOf(await this.take(16));
      return this.chunk(view, view.getUint32(12));
    }
    if (magic === EXTENDED_REPLY_MAGIC && style === 'extended') {
      const view = viewOf(await this.take(28));
      const length = view.getBigUint64(20);
      if (length > BigInt(2 * MAX_PAYLOAD)) throw new ProtocolError();
      return this.chunk(view, Number(length));
    }
    throw new ProtocolError();
  }

  private find(cookie: bigint): Pending {
    const pending = this.pending.get(cookie);
    if (!pending) throw new ProtocolError();
    return pending;
  }

  private finish(cookie: bigint, pending: Pending): void {
    this.pending.delete(cookie);
    const { request, data, came, extents, done } = pending;
    let { errno } = pending;
    if (errno === 0 && request.command === Command.READ && came !== request.bytes) errno = Errno.EIO;
    if (errno === 0 && request.command === Command.BLOCK_STATUS && extents.length === 0) errno = Errno.EIO;
    done({ errno, lost: false, data, extents });
  }

  private async simple(): Promise<void> {
    const view = viewOf(await this.take(12));
    const cookie = view.getBigUint64(4);
    const pending = this.find(cookie);
    pending.errno = errnoOf(view.getUint32(0));
    const reads = pending.request.command === Command.READ;
    if (reads && pending.errno === 0) {
      // Data without its place: only where nothing else was agreed upon.
      if (this.server.style !== 'simple') throw new ProtocolError();
      pending.data = await this.take(pending.request.bytes);
      pending.came = pending.request.bytes;
    }
    this.finish(cookie, pending);
  }

  /** A chunk, of which the magic and the rest of its header have been read. */
  private async chunk(header: DataView, length: number): Promise<void> {
    const done = (header.getUint16(0) & CHUNK_DONE) !== 0;
    const type = header.getUint16(2);
    const cookie = header.getBigUint64(4);
    const pending = this.find(cookie);
    switch (type as Chunk) {
      case Chunk.NONE:
        if (length > 0 || !done) throw new ProtocolError();
        break;
      case Chunk.OFFSET_DATA:
        await this.data(pending, length);
        break;
      case Chunk.OFFSET_HOLE:
        await this.hole(pending, length);
        break;
      case Chunk.BLOCK_STATUS:
      case Chunk.BLOCK_STATUS_EXT:
        await this.extents(pending, type, length);
        break;
      default:
        await this.error(pending, type, length);
    }
    if (done) this.finish(cookie, pending);
  }

  /** Where a piece of read data belongs; it must lie in what was asked for. */
  private place({ request, came }: Pending, at: bigint, bytes: number): number {
    const inside = at - BigInt(request.at);
    if (request.command !== Command.READ || bytes === 0) throw new ProtocolError();
    if (inside < 0n || inside + BigInt(bytes) > BigInt(request.bytes)) throw new ProtocolError();
    if (came + bytes > request.bytes) throw new ProtocolError();
    return Number(inside);
  }

  private async data(pending: Pending, length: number): Promise<void> {
    if (length <= 8) throw new ProtocolError();
    const at = viewOf(await this.take(8)).getBigUint64(0);
    const place = this.place(pending, at, length - 8);
    const bytes = await this.take(length - 8);
    // Often it is all that was asked for.
    if (bytes.length === pending.request.bytes) pending.data = bytes;
    else pending.data.set(bytes, place);
    pending.came += bytes.length;
  }

  private async hole(pending: Pending, length: number): Promise<void> {
    if (length !== 12) throw new ProtocolError();
    const view = viewOf(await this.take(12));
    const bytes = view.getUint32(8);
    this.place(pending, view.getBigUint64(0), bytes);
    pending.came += bytes;
  }

  private async extents(pending: Pending, type: number, length: number): Promise<void> {
    const wide = type === (Chunk.BLOCK_STATUS_EXT as number);
    const start = wide ? 8 : 4;
    const each = wide ? 16 : 8;
    const { request, extents } = pending;
    const expected = wide === (this.server.style === 'extended') && request.command === Command.BLOCK_STATUS;
    if (!expected || extents.length > 0) throw new ProtocolError();
    if (length < start + each || (length - start) % each !== 0 || length > MAX_PAYLOAD) {
      throw new ProtocolError();
    }
    const view = viewOf(await this.take(length));
    if (view.getUint32(0) !== this.server.context) throw new ProtocolError();
    if (wide && view.getUint32(4) !== (length - start) / each) throw new ProtocolError();
    // One is asked for; servers may say more.
    const bytes = wide ? view.getBigUint64(start) : BigInt(view.getUint32(start));
    const flags = wide ? view.getBigUint64(start + 8) : BigInt(view.getUint32(start + 4));
    if (bytes === 0n) throw new ProtocolError();
    const limit = BigInt(Number.MAX_SAFE_INTEGER);
    extents.push({ bytes: Number(bytes < limit ? bytes : limit), flags: Number(flags & 0xffffffffn) });
  }

  private async error(pending: Pending, type: number, length: number): Promise<void> {
    if (!(type & FIRST_ERROR) || length < 6 || length > 6 + MAX_STRING + 8) throw new ProtocolError();
    const errno = errnoOf(viewOf(await this.take(length)).getUint32(0));
    if (errno === 0) throw new ProtocolError();
    // The first failure is the one that is told.
    if (pending.errno === 0) pending.errno = errno;
  }
}

/** An error of the wire as an errno; 0: there is none. */
function errnoOf(error: number): number {
  return error === 0 ? 0 : (ERRORS[error] ?? Errno.EINVAL);
}
