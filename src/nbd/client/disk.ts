/** An export of a server as a disk of the data plane. */
import { RequestFlag, Status } from '../../engine/contract';
import type { Presence, Stage } from '../../engine/presence';
import { Errno, FileError } from '../../files/contract';
import type { NbdDevice } from '../../graph';
import { Allocation, Command, CommandFlag, MAX_PAYLOAD, TransmissionFlag } from '../wire';
import { cover, Fetched, patch, type Gap } from './fetched';
import type { NbdSession } from './session';
import { WriteLog, type LogEntry } from './writelog';

/** Requests without data are not longer, unless headers are extended: a length has 32 bits. */
const MAX_LENGTH = 0xffff_ffff;
/** Bytes that are read ahead for a request that reads on where it read before. */
const MAX_AHEAD = 1024 * 1024;
/** Bytes of zeros that are sent at once where a server knows no other way. */
const ZERO_PIECE = 1024 * 1024;

export class NbdDisk implements NbdDevice {
  readonly size: number;
  /** Bytes: what the server takes is a multiple of this. */
  readonly minimumBlock: number;
  readonly readOnly: boolean;
  readonly hasContext: boolean;
  keepsWrites: () => boolean = () => true;
  private readonly log: WriteLog;
  /** What requests that are under way have got. */
  private readonly fetched = new Map<Stage, Fetched>();
  private readonly forget: () => void;
  private closed = false;

  constructor(
    private readonly session: NbdSession,
    private readonly presence: Presence,
  ) {
    const { size, blocks, flags, context } = session.server;
    this.hasContext = context !== null;
    this.size = size;
    this.minimumBlock = blocks?.minimum ?? 1;
    this.readOnly = this.has(TransmissionFlag.READ_ONLY, flags);
    this.log = new WriteLog(
      (entry) => this.carryOut(entry),
      () => this.keepsWrites(),
    );
    this.forget = presence.expect();
  }

  private has(flag: TransmissionFlag, flags = this.session.server.flags): boolean {
    return (flags & flag) !== 0;
  }

  /** The request that is running, and what it has got; EAGAIN: it is not one that could wait. */
  private get request(): { stage: Stage; fetched: Fetched } {
    const { stage } = this.presence;
    if (!stage || this.closed) throw new FileError(this.closed ? Errno.EIO : Errno.EAGAIN);
    let fetched = this.fetched.get(stage);
    if (!fetched) {
      this.fetched.set(stage, (fetched = new Fetched()));
      stage.atEnd(() => this.fetched.delete(stage));
    }
    return { stage, fetched };
  }

  read(into: Uint8Array, at: number): void {
    const { stage, fetched } = this.request;
    let gaps = fetched.read(into, at);
    const range = { at, end: at + into.length };
    for (const entry of this.log.unanswered()) {
      patch(range, into, entry);
      if (entry.kind === 'write' || entry.kind === 'zero') gaps = cover(gaps, entry, () => undefined);
    }
    if (gaps.length > 0) stage.absent(() => this.fetch(fetched, gaps));
  }

  private async fetch(fetched: Fetched, gaps: readonly Gap[]): Promise<void> {
    const first = this.alignDown(Math.min(...gaps.map(([at]) => at)));
    let end = this.alignUp(Math.max(...gaps.map(([, gapEnd]) => gapEnd)));
    const before = fetched.before(first);
    if (before !== undefined) end = Math.max(end, first + Math.min(2 * (first - before), MAX_AHEAD));
    end = Math.min(end, this.size);
    const arrived = fetched.reading(first, end, this.log.unanswered());
    const { data, errno } = await this.load(first, end);
    arrived(data, errno);
  }

  /** Reads from the server, in requests that it takes. */
  private async load(at: number, end: number): Promise<{ data: Uint8Array; errno: number }> {
    const step = this.maximum;
    if (end - at <= step) return this.session.request({ command: Command.READ, at, bytes: end - at });
    const data = new Uint8Array(end - at);
    for (let from = at; from < end; from += step) {
      const bytes = Math.min(step, end - from);
      const reply = await this.session.request({ command: Command.READ, at: from, bytes });
      if (reply.errno !== 0) return reply;
      data.set(reply.data, from - at);
    }
    return { data, errno: 0 };
  }

  status(at: number, bytes: number): { flags: number; bytes: number } {
    const { stage, fetched } = this.request;
    const data = { flags: Status.DATA, bytes };
    if (!this.hasContext) return data;
    let end = at + bytes;
    for (const entry of [...this.log.unanswered(), ...fetched.written]) {
      if (entry.at <= at && at < entry.end) return { ...data, bytes: Math.min(entry.end, end) - at };
      if (entry.at > at) end = Math.min(end, entry.at);
    }
    const known = fetched.status(at);
    if (!known) {
      const first = this.alignDown(at);
      return stage.absent(() => this.fetchStatus(fetched, first, Math.min(this.alignUp(end), this.size)));
    }
    if (known.errno !== 0) throw new FileError(known.errno);
    const hole = known.flags & Allocation.HOLE ? 0 : Status.DATA;
    const zero = known.flags & Allocation.ZERO ? Status.ZERO : 0;
    return { flags: hole | zero, bytes: Math.min(known.end, end) - at };
  }

  private async fetchStatus(fetched: Fetched, at: number, end: number): Promise<void> {
    const bytes = Math.min(end - at, this.alignDown(MAX_LENGTH));
    const flags = CommandFlag.REQ_ONE;
    const arrived = fetched.asking(at, end);
    const { errno, extents } = await this.session.request({
      command: Command.BLOCK_STATUS,
      flags,
      at,
      bytes,
    });
    const [extent] = extents;
    // What is shorter than a block cannot be told from its neighbours.
    const long = Math.max(this.alignDown(extent?.bytes ?? 0), this.minimumBlock);
    arrived({ at, end: at + Math.min(long, bytes), flags: extent?.flags ?? 0, errno });
  }

  write(from: Uint8Array, at: number): void {
    const first = this.alignDown(at);
    const end = Math.min(this.alignUp(at + from.length), Math.max(this.size, at + from.length));
    let data: Uint8Array;
    if (first === at && end === at + from.length) {
      data = from.slice();
    } else {
      // The server takes whole blocks only.
      data = new Uint8Array(end - first);
      this.read(data, first);
      data.set(from, at - first);
    }
    this.mayWrite();
    for (let done = 0; done < data.length; done += this.maximum) {
      const piece = data.subarray(done, done + this.maximum);
      this.append({ kind: 'write', at: first + done, end: first + done + piece.length, data: piece });
    }
  }

  zero(at: number, bytes: number, flags: number): void {
    const fast = (flags & RequestFlag.NO_FALLBACK) !== 0;
    const known = this.has(TransmissionFlag.SEND_WRITE_ZEROES);
    if (fast && !(known && this.has(TransmissionFlag.SEND_FAST_ZERO))) throw new FileError(Errno.ENOTSUP);
    const first = this.alignUp(at);
    const end = this.alignDown(at + bytes);
    if (first >= end) {
      this.write(new Uint8Array(bytes), at);
      return;
    }
    // The ends that are no whole blocks.
    if (first > at) this.write(new Uint8Array(first - at), at);
    if (end < at + bytes) this.write(new Uint8Array(at + bytes - end), end);
    this.mayWrite();
    const noHole = flags & RequestFlag.MAY_UNMAP ? 0 : CommandFlag.NO_HOLE;
    this.append({ kind: 'zero', at: first, end, flags: noHole | (fast ? CommandFlag.FAST_ZERO : 0) });
  }

  discard(at: number, bytes: number): void {
    if (!this.has(TransmissionFlag.SEND_TRIM)) return;
    const first = this.alignUp(at);
    const end = this.alignDown(at + bytes);
    this.mayWrite();
    if (first < end) this.append({ kind: 'discard', at: first, end });
  }

  flush(): void {
    this.mayWrite();
    this.append({ kind: 'flush', at: 0, end: 0 });
  }

  /** What failed before comes first; throws why it fails again. */
  private mayWrite(): void {
    const { stage, fetched } = this.request;
    const { halted } = this.log;
    if (halted === 0) return;
    if (fetched.retried) throw new FileError(halted);
    fetched.retried = true;
    stage.absent(() => this.log.retry());
  }

  private append(entry: LogEntry): void {
    const { stage, fetched } = this.request;
    for (const other of this.fetched.values()) other.update(entry);
    fetched.written.push(entry);
    stage.follow(this.log.append(entry));
  }

  /** Has the server do what an entry says. */
  private async carryOut(entry: LogEntry): Promise<number> {
    const { at, end, data, flags = 0 } = entry;
    switch (entry.kind) {
      case 'write':
        return this.answer(Command.WRITE, 0, at, end, data);
      case 'flush':
        return this.has(TransmissionFlag.SEND_FLUSH) ? this.answer(Command.FLUSH, 0, 0, 0) : 0;
      case 'discard':
        return this.inPieces(at, end, this.longest, (from, to) => this.answer(Command.TRIM, 0, from, to));
      case 'zero':
        if (this.has(TransmissionFlag.SEND_WRITE_ZEROES)) {
          return this.inPieces(at, end, this.longest, (from, to) =>
            this.answer(Command.WRITE_ZEROES, flags, from, to),
          );
        }
        return this.inPieces(at, end, Math.min(ZERO_PIECE, this.maximum), (from, to) =>
          this.answer(Command.WRITE, 0, from, to, new Uint8Array(to - from)),
        );
    }
  }

  private async answer(
    command: Command,
    flags: number,
    at: number,
    end: number,
    data?: Uint8Array,
  ): Promise<number> {
    const bytes = end - at;
    const reply = await this.session.request({ command, flags, at, bytes, ...(data && { data }) });
    return reply.errno;
  }

  private async inPieces(
    at: number,
    end: number,
    step: number,
    send: (from: number, to: number) => Promise<number>,
  ): Promise<number> {
    for (let from = at; from < end; from += step) {
      const errno = await send(from, Math.min(from + step, end));
      if (errno !== 0) return errno;
    }
    return 0;
  }

  /** The longest request without data, bytes. */
  private get longest(): number {
    return this.session.server.style === 'extended' ? Number.MAX_SAFE_INTEGER : this.alignDown(MAX_LENGTH);
  }

  /** The longest request with data. */
  private get maximum(): number {
    return this.session.server.blocks?.maximum ?? MAX_PAYLOAD;
  }

  private alignDown(at: number): number {
    return at - (at % this.minimumBlock);
  }

  private alignUp(at: number): number {
    return this.alignDown(at + this.minimumBlock - 1);
  }

  /** Requests that nobody waits for any more still go out; what failed before is given up. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.forget();
    if (this.log.empty || this.log.halted !== 0) this.session.close();
    else void this.log.retry().then(() => this.session.close());
  }
}
