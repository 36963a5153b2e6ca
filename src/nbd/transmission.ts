/**
 * The transmission phase of one connection: requests are read, done and answered. Requests of the engine are synchronous
 * and small ones are answered at once; long ones give way after some milliseconds, and others may overtake them.
 */
import { BlockError, RequestFlag, Status } from '../engine/contract';
import { Errno, strerror } from '../files/contract';
import { allocationContext, extentsOf, type MetaContext } from './contexts';
import type { SessionHost } from './export';
import type { Agreement } from './agreement';
import { Disconnect } from './handshake';
import { Outbox, type Message } from './outbox';
import { Replies } from './replies';
import { breakOf, parseRequest, payloadOf, refusalOf, type Request } from './request';
import { viewOf, type ByteReader, type ByteStream } from './stream';
import {
  Allocation,
  Command,
  CommandFlag,
  EXTENDED_REQUEST_BYTES,
  MAX_PAYLOAD,
  REQUEST_BYTES,
  WireError,
} from './wire';

/** Requests that are under way, at most. */
const MAX_REQUESTS = 16;
/** Milliseconds of work after which everything else has its turn. */
const SLICE = 5;
/**
 * Bytes of replies that wait for the client to take them; no request is read while there are more. Few, so that they are
 * still in the caches of the processor when they go out.
 */
const MAX_UNSENT = 256 * 1024;
/** Bytes of requests under way and of their replies; above that only one request is under way. */
const MAX_HELD = 64 * 1024 * 1024;
/** Long zero writes and discards end their pieces at multiples of this, which is the largest cluster. */
const CLUSTER = 2 * 1024 * 1024;
/** Bytes of such pieces, at most. */
const MAX_PIECE = 1024 * 1024 * 1024;
/** Extents in a reply, at most. */
const MAX_EXTENTS = 131072;

/** What a failure is on the wire. */
function wireError(error: BlockError): WireError {
  switch (error.errno) {
    case Errno.EPERM:
    case Errno.EROFS:
      return WireError.EPERM;
    case Errno.EIO:
      return WireError.EIO;
    case Errno.ENOMEM:
      return WireError.ENOMEM;
    case Errno.ENOSPC:
    case Errno.EFBIG:
    case Errno.EDQUOT:
      return WireError.ENOSPC;
    case Errno.EOVERFLOW:
      return WireError.EOVERFLOW;
    case Errno.ENOTSUP:
      return WireError.ENOTSUP;
    default:
      return WireError.EINVAL;
  }
}

/** Requests that throttle nodes let pass freely. */
const FREE: readonly number[] = [Command.FLUSH, Command.BLOCK_STATUS];

/** What is said about requests that failed. */
const FAILURES: Readonly<Record<number, string>> = {
  [Command.READ]: 'reading from file failed',
  [Command.WRITE]: 'writing to file failed',
  [Command.WRITE_ZEROES]: 'writing to file failed',
  [Command.FLUSH]: 'flush failed',
  [Command.TRIM]: 'discard failed',
  [Command.CACHE]: 'caching data failed',
};

/** The work of a request: it yields between pieces. */
type Work = Generator<undefined, void, void>;

export class Transmission {
  private readonly replies: Replies;
  private readonly allocation: MetaContext;
  private running = 0;
  private held = 0;
  /** Replies that are to be sent together. */
  private readonly outbox: Outbox;
  private unsent = 0;
  /** When the work under way began. */
  private began = 0;
  private ended = false;
  /** Where answers are gathered while a request is attempted; null: they are sent. */
  private answers: Message[] | null = null;
  /** When all is paid for that this client was served through throttle nodes; milliseconds of the clock. */
  private due = 0;
  /** Told when a request ends or replies were taken. */
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly reader: ByteReader,
    private readonly stream: ByteStream,
    private readonly agreement: Agreement,
    private readonly host: SessionHost,
  ) {
    this.replies = new Replies(agreement.style);
    this.outbox = new Outbox(host.memory);
    this.allocation = allocationContext(agreement.target);
  }

  /** Serves until the client goes; resolves when nothing is under way any more. Throws {@link Disconnect}. */
  async run(): Promise<void> {
    const { style } = this.agreement;
    const headerBytes = style === 'extended' ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES;
    try {
      while (!this.ended) {
        if (!this.reader.has(headerBytes)) {
          if (!(await this.reader.wait(headerBytes))) return;
          this.began = performance.now();
        }
        const request = parseRequest(this.reader.take(headerBytes), style);
        const broken = breakOf(request, style);
        if (broken !== null) {
          this.send(this.replies.error(request, WireError.EINVAL, broken));
          throw new Disconnect(broken);
        }
        if ((request.type as Command) === Command.DISC) return;
        const payload = payloadOf(request, style);
        if (payload > 0 && !this.reader.has(payload) && !(await this.reader.wait(payload))) return;
        await this.serve(request, this.reader.take(payload));
      }
    } finally {
      // Replies that are complete go out first.
      await Promise.resolve();
      this.ended = true;
      this.wake();
      while (this.running > 0) await this.change();
    }
  }

  /** Begins a request; resolves when the next one may be read. */
  private async serve(request: Request, payload: Uint8Array): Promise<void> {
    for (let hold = this.host.held(); hold; hold = this.host.held()) await hold;
    this.running++;
    const work = this.work(request, payload);
    if (this.host.presence.active) {
      const bytes = Math.min(request.length, MAX_PAYLOAD);
      this.held += bytes;
      void this.workElsewhere(request, payload, bytes);
    } else if (!this.owes(request) && this.advance(request, work)) {
      this.finish(0);
    } else {
      const bytes = Math.min(request.length, MAX_PAYLOAD);
      this.held += bytes;
      void this.goOn(request, work, bytes);
    }
    if (performance.now() - this.began > SLICE) await this.breathe();
    while (
      this.running >= MAX_REQUESTS ||
      this.unsent > MAX_UNSENT ||
      (this.running > 0 && this.held > MAX_HELD)
    )
      await this.change();
  }

  private async goOn(request: Request, work: Work, bytes: number): Promise<void> {
    do {
      await this.breathe();
      for (let wait = this.obstacle(request); wait; wait = this.obstacle(request)) await wait;
    } while (!this.advance(request, work));
    this.finish(bytes);
  }

  /**
   * Does a request as a whole: it may have to be done again when what it needs is there. What it answers is sent when all of
   * it is known.
   */
  private async workElsewhere(request: Request, payload: Uint8Array, bytes: number): Promise<void> {
    for (let wait = this.obstacle(request); wait; wait = this.obstacle(request)) await wait;
    let messages: Message[] = [];
    try {
      await this.host.presence.whenPresent(() => {
        this.answers = messages = [];
        try {
          const work = this.work(request, payload);
          while (work.next().done !== true);
        } finally {
          this.answers = null;
        }
      });
    } catch (error) {
      messages = [this.failed(request, error)];
    }
    const delay = this.host.throttled();
    if (delay > 0) this.due = Math.max(this.due, performance.now() + delay);
    for (const message of messages) this.send(message);
    this.finish(bytes);
  }

  /** The answer to a request that failed. */
  private failed(request: Request, error: unknown): Message {
    if (!(error instanceof BlockError)) throw error;
    const text = FAILURES[request.type] ?? strerror(error.errno);
    return this.replies.error(request, wireError(error), text);
  }

  /** What a request has to wait for; null: nothing. */
  private obstacle(request: Request): Promise<void> | null {
    const held = this.host.held();
    if (held) return held;
    if (this.unsent > MAX_UNSENT) return this.change();
    return this.owes(request) ? this.payment() : null;
  }

  /** Whether a request has to wait until those before it are paid for. Nobody waits for a client that has gone. */
  private owes(request: Request): boolean {
    return !this.ended && !FREE.includes(request.type) && performance.now() < this.due;
  }

  /** Resolves when all is paid for, or when something else changes. */
  private payment(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiting.delete(done);
        resolve();
      };
      // Timers may be early by a part of a millisecond.
      const timer = setTimeout(done, Math.ceil(this.due - performance.now()));
      this.waiting.add(done);
    });
  }

  private finish(bytes: number): void {
    this.running--;
    this.held -= bytes;
    this.wake();
  }

  private async breathe(): Promise<void> {
    await this.host.turn();
    this.began = performance.now();
  }

  /** Works for some milliseconds; true: the request is done. */
  private advance(request: Request, work: Work): boolean {
    const done = this.workOn(request, work);
    const delay = this.host.throttled();
    if (delay > 0) this.due = Math.max(this.due, performance.now() + delay);
    return done;
  }

  private workOn(request: Request, work: Work): boolean {
    try {
      for (;;) {
        if (work.next().done === true) return true;
        if (performance.now() - this.began > SLICE || this.unsent > MAX_UNSENT) return false;
      }
    } catch (error) {
      this.send(this.failed(request, error));
      return true;
    }
  }

  // ---- sending

  /** The memory of the message may change afterwards. */
  private send(message: Message): void {
    if (this.answers) {
      // It may be made again, and is sent at another time.
      this.answers.push(message.map((piece) => piece.slice()));
      return;
    }
    if (this.outbox.isEmpty) queueMicrotask(() => void this.sendOutgoing());
    this.unsent += this.outbox.add(message);
  }

  /** Sends what several requests answered in one go. */
  private async sendOutgoing(): Promise<void> {
    const { pieces, bytes, sent } = this.outbox.take();
    // Nobody is there any more: what is still to be read of it is not done.
    if (!(await this.stream.write(pieces, sent))) this.ended = true;
    this.unsent -= bytes;
    this.wake();
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.add(resolve));
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }

  // ---- the requests

  private *work(request: Request, payload: Uint8Array): Work {
    const { agreement } = this;
    let { length } = request;
    let contexts = agreement.contexts;
    const fua = (request.flags & CommandFlag.FUA) !== 0;
    const type = request.type as Command;
    if (type === Command.BLOCK_STATUS && request.flags & CommandFlag.PAYLOAD_LEN && contexts.length > 0) {
      const chosen = contextsByPayload(contexts, payload);
      if (!chosen) {
        this.send(this.replies.error(request, WireError.EINVAL, 'CMD_BLOCK_STATUS payload not valid'));
        return;
      }
      ({ length, contexts } = chosen);
    }
    const refusal = refusalOf(request, length, agreement);
    if (refusal !== null) {
      this.send(this.replies.error(request, WireError.EINVAL, refusal));
      return;
    }
    const { device } = agreement.target;
    switch (type) {
      case Command.READ:
        if (fua) device.flush();
        yield* this.read(request);
        return;
      case Command.WRITE:
        yield* this.write(request, payload);
        break;
      case Command.FLUSH:
        device.flush();
        break;
      case Command.TRIM:
        yield* this.inPieces(request, (offset, bytes) => device.discard(offset, bytes));
        if (fua) device.flush();
        break;
      case Command.WRITE_ZEROES:
        yield* this.writeZeroes(request);
        break;
      case Command.CACHE:
        yield* this.inBuffers(request, (offset, bytes) => this.cache(offset, bytes));
        break;
      case Command.BLOCK_STATUS:
        for (const [index, context] of contexts.entries()) {
          const most = request.flags & CommandFlag.REQ_ONE ? 1 : MAX_EXTENTS;
          const extents = yield* extentsOf(context, request.offset, request.offset + length, most);
          this.send(this.replies.status(request, context, extents, index === contexts.length - 1));
        }
        return;
      default:
        return;
    }
    this.send(this.replies.done(request));
  }

  /** Calls with ranges that fit the buffer and end at multiples of its size. */
  private *inBuffers(
    { offset, length }: Request,
    use: (offset: number, bytes: number, done: number) => void,
  ): Work {
    const size = this.host.buffer.bytes;
    for (let done = 0; done < length;) {
      const at = offset + done;
      const bytes = Math.min(length - done, size - (at % size));
      use(at, bytes, done);
      done += bytes;
      if (done < length) yield;
    }
  }

  private *read(request: Request): Work {
    const { offset, length, flags } = request;
    const { device } = this.agreement.target;
    const { buffer } = this.host;
    if (this.agreement.style === 'simple' || flags & CommandFlag.DF || length === 0) {
      let data: Uint8Array;
      if (length <= buffer.bytes) {
        device.read(offset, length, buffer);
        data = buffer.view(0, length);
      } else {
        const whole = (data = new Uint8Array(length));
        yield* this.inBuffers(request, (at, bytes, done) => {
          if (this.ended) return;
          device.read(at, bytes, buffer);
          whole.set(buffer.view(0, bytes), done);
        });
      }
      if (this.agreement.style === 'simple') this.send(this.replies.simple(request, WireError.OK, data));
      else if (length === 0) this.send(this.replies.nothing(request));
      else this.send(this.replies.data(request, offset, data, true));
      return;
    }
    const end = offset + length;
    for (let at = offset; at < end && !this.ended;) {
      const { value, bytes } = this.allocation.extent(at, end);
      const stop = Math.min(end, at + bytes);
      if (value & Allocation.ZERO) {
        this.send(this.replies.hole(request, at, stop - at, stop === end));
        at = stop;
        if (at < end) yield;
      }
      while (at < stop && !this.ended) {
        const piece = Math.min(stop - at, buffer.bytes - (at % buffer.bytes));
        device.read(at, piece, buffer);
        this.send(this.replies.data(request, at, buffer.view(0, piece), at + piece === end));
        at += piece;
        if (at < end) yield;
      }
    }
  }

  /** Brings data into the top layer, if clients may change it, else it reads only. */
  private cache(offset: number, bytes: number): void {
    const { device, writable } = this.agreement.target;
    const { buffer } = this.host;
    for (let at = offset; at < offset + bytes;) {
      const status = device.blockStatusAbove(null, at, offset + bytes - at);
      const length = Math.min(status.bytes, offset + bytes - at);
      if (length <= 0) return;
      if (status.flags & Status.ZERO) {
        if (writable && status.depth !== 1) device.writeZeroes(at, length);
      } else {
        device.read(at, length, buffer);
        if (writable && status.depth !== 1) device.write(at, length, buffer);
      }
      at += length;
    }
  }

  private *write(request: Request, payload: Uint8Array): Work {
    const { device, writeThrough } = this.agreement.target;
    const { buffer } = this.host;
    const fua = writeThrough || (request.flags & CommandFlag.FUA) !== 0;
    if (request.length === 0 && fua) device.flush();
    yield* this.inBuffers(request, (at, bytes, done) => {
      buffer.view(0, bytes).set(payload.subarray(done, done + bytes));
      const last = done + bytes === request.length;
      device.write(at, bytes, buffer, 0, fua && last ? RequestFlag.FUA : 0);
    });
  }

  private *writeZeroes(request: Request): Work {
    const { device, writeThrough } = this.agreement.target;
    const { flags, offset, length } = request;
    const fua = writeThrough || (flags & CommandFlag.FUA) !== 0;
    const kind =
      (flags & CommandFlag.NO_HOLE ? 0 : RequestFlag.MAY_UNMAP) |
      (flags & CommandFlag.FAST_ZERO ? RequestFlag.NO_FALLBACK : 0);
    yield* this.inPieces(request, (at, bytes) => {
      const last = at + bytes === offset + length;
      device.writeZeroes(at, bytes, kind | (fua && last ? RequestFlag.FUA : 0));
    });
  }

  /** Calls with ranges whose ends are no ends of parts of clusters; they grow as long as that is quick. */
  private *inPieces({ offset, length }: Request, use: (offset: number, bytes: number) => void): Work {
    let size = CLUSTER;
    for (let at = offset; at < offset + length;) {
      const limit = at + size;
      const stop = Math.min(offset + length, limit - (limit % CLUSTER));
      const start = performance.now();
      use(at, stop - at);
      const took = performance.now() - start;
      if (took < SLICE / 4) size = Math.min(2 * size, MAX_PIECE);
      else if (took > SLICE) size = Math.max(CLUSTER, size / 2);
      at = stop;
      if (at < offset + length) yield;
    }
  }
}

/** What the data of a block status request chooses, or null if it makes no sense. */
function contextsByPayload(
  contexts: readonly MetaContext[],
  payload: Uint8Array,
): { length: number; contexts: MetaContext[] } | null {
  if (payload.length <= 8 || payload.length % 4 !== 0) return null;
  const view = viewOf(payload);
  const ids = new Set<number>();
  for (let at = 8; at < payload.length; at += 4) ids.add(view.getUint32(at));
  const chosen = contexts.filter(({ id }) => ids.has(id));
  if (chosen.length !== (payload.length - 8) / 4) return null;
  return { length: view.getUint32(0) * 2 ** 32 + view.getUint32(4), contexts: chosen };
}
