/** The handshake as seen from the client: what the server is, what it has, and one of its exports taken. */
import { ByteWriter, decodeText, viewOf, type ByteStream } from '../stream';
import type { HeaderStyle } from '../agreement';
import type { Upgrade } from '../tls';
import {
  HandshakeFlag,
  Info,
  MAX_PAYLOAD,
  MAX_STRING,
  NBD_MAGIC,
  OLDSTYLE_MAGIC,
  Option,
  OPTION_MAGIC,
  Reply,
  replyName,
  TransmissionFlag,
} from '../wire';
import { counted, isError, NbdFailure, OptionChannel, refusal, type OptionReply } from './options';

/** What is told of servers that are too old for TLS. */
const NO_STARTTLS = 'Server does not support STARTTLS';
/** Zero bytes behind the size and the flags of an export, unless both sides do without. */
const PADDING = 124;
/** A server may describe so many exports and contexts; what it says behind that is not kept. */
const MAX_LISTED = 10_000;

/** What a server says of an export. */
export interface RemoteExport {
  /** Bytes. */
  size: number;
  /** {@link TransmissionFlag}s; 0: unknown. */
  flags: number;
  /** Block sizes in bytes; null: the server does not tell. */
  blocks: { minimum: number; preferred: number; maximum: number } | null;
}

/** An export in a list. */
export interface ListedExport {
  name: string;
  description: string;
  /** Null: this server does not describe exports. */
  details: RemoteExport | null;
  /** Names of the contexts that it has. */
  contexts: string[];
}

/** What a client and a server agreed upon. */
export interface Connected extends RemoteExport {
  style: HeaderStyle;
  /** The number of the context that was asked for; null: there is none. */
  context: number | null;
}

/** What a client wants. */
export interface Wish {
  /** The export's name; at most 4096 bytes of UTF-8. */
  name: string;
  /** The context that says what is where: `base:allocation`, or another one. */
  context: string;
}

/** The handshake of one connection. */
export class ClientHandshake {
  private readonly channel: OptionChannel;
  private style: HeaderStyle = 'simple';
  private noZeroes = false;

  /** @param upgrade begins TLS, without which nothing is asked; null: there is to be none */
  constructor(
    stream: ByteStream,
    private readonly upgrade: Upgrade | null = null,
  ) {
    this.channel = new OptionChannel(stream);
  }

  /** The connection as it is now: TLS puts another one in its place. */
  get stream(): ByteStream {
    return this.channel.stream;
  }

  /** What is left of the stream, for the transmission. */
  get reader(): OptionChannel['reader'] {
    return this.channel.reader;
  }

  /** Takes an export; throws {@link NbdFailure}. */
  async connect({ name, context }: Wish): Promise<Connected> {
    const hello = await this.hello();
    if (hello !== 'fixed') {
      const found = hello === 'old' ? await this.oldExport() : await this.exportByName(name);
      return { ...checked(found), style: 'simple', context: null };
    }
    try {
      await this.chooseStyle();
      const id = this.style === 'simple' ? null : await this.chooseContext(name, context);
      const found = await this.go(name);
      return { ...checked(found), style: this.style, context: id };
    } catch (error) {
      await this.channel.abort();
      throw error;
    }
  }

  /** Lists the exports; throws {@link NbdFailure}. */
  async list(): Promise<{ exports: ListedExport[]; style: HeaderStyle }> {
    const hello = await this.hello();
    if (hello === 'old') {
      const details = await this.oldExport();
      return { exports: [{ name: '', description: '', details, contexts: [] }], style: this.style };
    }
    if (hello === 'unfixed') throw new NbdFailure('Server does not support export lists');
    await this.chooseStyle();
    const exports: ListedExport[] = [];
    let describes = true;
    for (const { name, description } of (await this.names()) ?? []) {
      const details: RemoteExport | null = describes ? await this.describe(name) : null;
      describes = details !== null;
      const contexts = details && this.style !== 'simple' ? await this.contexts(name) : [];
      exports.push({ name, description, details, contexts });
    }
    await this.channel.abort();
    return { exports, style: this.style };
  }

  /** The greetings. */
  private async hello(): Promise<'fixed' | 'unfixed' | 'old'> {
    const magic = viewOf(await this.channel.take(8, 'initial magic')).getBigUint64(0);
    if (magic !== NBD_MAGIC) throw new NbdFailure(`Bad initial magic received: ${hex(magic)}`);
    const style = viewOf(await this.channel.take(8, 'server magic')).getBigUint64(0);
    if (style === OLDSTYLE_MAGIC) {
      if (this.upgrade) throw new NbdFailure(NO_STARTTLS);
      return 'old';
    }
    if (style !== OPTION_MAGIC) throw new NbdFailure(`Bad server magic received: ${hex(style)}`);
    const flags = viewOf(await this.channel.take(2, 'server flags')).getUint16(0);
    const fixed = (flags & HandshakeFlag.FIXED_NEWSTYLE) !== 0;
    this.noZeroes = (flags & HandshakeFlag.NO_ZEROES) !== 0;
    const answer = flags & (HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES);
    await this.channel.stream.write([new ByteWriter().u32(answer).done()]);
    if (this.upgrade) {
      if (!fixed) throw new NbdFailure(NO_STARTTLS);
      await this.beginSecrecy(this.upgrade);
    }
    return fixed ? 'fixed' : 'unfixed';
  }

  private async beginSecrecy(upgrade: Upgrade): Promise<void> {
    await this.channel.send(Option.STARTTLS);
    const reply = await this.channel.reply(Option.STARTTLS);
    if (isError(reply.type)) {
      await this.channel.abort();
      throw refusal(Option.STARTTLS, reply);
    }
    expectType(reply, Reply.ACK);
    await this.channel.secure(upgrade);
  }

  private async chooseStyle(): Promise<void> {
    if (await this.channel.ask(Option.EXTENDED_HEADERS)) this.style = 'extended';
    else if (await this.channel.ask(Option.STRUCTURED_REPLY)) this.style = 'structured';
  }

  /** An export of the oldest style: there is only one. */
  private async oldExport(): Promise<RemoteExport> {
    const size = viewOf(await this.channel.take(8, 'export length')).getBigUint64(0);
    const flags = viewOf(await this.channel.take(4, 'export flags')).getUint32(0);
    if (flags > 0xffff) throw new NbdFailure(`Unexpected export flags 0x${flags.toString(16)}`);
    await this.channel.take(PADDING, 'reserved block');
    return { size: sizeOf(size), flags, blocks: null };
  }

  /** The way of servers that know nothing newer: a name that they do not have ends the connection. */
  private async exportByName(name: string): Promise<RemoteExport> {
    await this.channel.send(Option.EXPORT_NAME, new TextEncoder().encode(name));
    const size = viewOf(await this.channel.take(8, 'export length')).getBigUint64(0);
    const flags = viewOf(await this.channel.take(2, 'export flags')).getUint16(0);
    if (!this.noZeroes) await this.channel.take(PADDING, 'reserved block');
    return { size: sizeOf(size), flags, blocks: null };
  }

  private async go(name: string): Promise<RemoteExport> {
    const found = await this.information(Option.GO, name);
    if (found) return found;
    // It does not know GO. So that a name that it does not have has its text, the list comes first.
    const names = await this.names();
    if (names && !names.some((candidate) => candidate.name === name)) {
      throw new NbdFailure(`No export with name '${name}' available`);
    }
    return this.exportByName(name);
  }

  private async describe(name: string): Promise<RemoteExport | null> {
    try {
      return await this.information(Option.INFO, name);
    } catch (error) {
      if (error instanceof NbdFailure) return null;
      throw error;
    }
  }

  /** INFO and GO; null: the server does not know the option. */
  private async information(option: Option.INFO | Option.GO, name: string): Promise<RemoteExport | null> {
    const asked = counted(new ByteWriter(), name).u16(1).u16(Info.BLOCK_SIZE).done();
    await this.channel.send(option, asked);
    let size: number | null = null;
    let flags = 0;
    let blocks: RemoteExport['blocks'] = null;
    for (;;) {
      const reply = await this.channel.reply(option);
      if (reply.type === (Reply.ERR_UNSUP as number)) return null;
      if (isError(reply.type)) throw refusal(option, reply);
      if (reply.type === (Reply.ACK as number)) {
        if (reply.data.length > 0) throw new NbdFailure('server sent invalid NBD_REP_ACK');
        if (size === null || flags === 0) throw new NbdFailure('broken server omitted NBD_INFO_EXPORT');
        return { size, flags, blocks };
      }
      const { type, view } = infoOf(reply);
      if (type === (Info.EXPORT as number)) {
        expectLength(view, 10);
        size = sizeOf(view.getBigUint64(0));
        flags = view.getUint16(8);
      } else if (type === (Info.BLOCK_SIZE as number)) {
        expectLength(view, 12);
        blocks = blockSizes(view);
      }
    }
  }

  /** LIST; null: the server does not know it. */
  private async names(): Promise<{ name: string; description: string }[] | null> {
    await this.channel.send(Option.LIST);
    const names: { name: string; description: string }[] = [];
    for (;;) {
      const reply = await this.channel.reply(Option.LIST);
      if (reply.type === (Reply.ERR_UNSUP as number)) return null;
      if (isError(reply.type)) throw refusal(Option.LIST, reply);
      if (reply.type === (Reply.ACK as number)) return names;
      expectType(reply, Reply.SERVER);
      const { data } = reply;
      if (data.length < 4) throw new NbdFailure(`incorrect option length ${data.length}`);
      const length = viewOf(data).getUint32(0);
      if (length > data.length - 4) throw new NbdFailure("incorrect name length in server's list response");
      if (length > MAX_STRING) throw new NbdFailure(`export name length too long ${length}`);
      if (names.length >= MAX_LISTED) continue;
      names.push({
        name: decodeText(data.subarray(4, 4 + length)),
        description: decodeText(data.subarray(4 + length, 4 + length + MAX_STRING)),
      });
    }
  }

  /** Takes the context for the transmission; null: the server does not have it. */
  private async chooseContext(name: string, context: string): Promise<number | null> {
    await this.channel.send(
      Option.SET_META_CONTEXT,
      counted(counted(new ByteWriter(), name).u32(1), context).done(),
    );
    let id: number | null = null;
    for (;;) {
      const reply = await this.channel.reply(Option.SET_META_CONTEXT);
      // Whatever it is: there is no context then.
      if (isError(reply.type)) return null;
      if (reply.type === (Reply.ACK as number)) return id;
      if (id !== null) throw new NbdFailure('Server answered with more than one context');
      const answer = contextOf(reply);
      if (answer.name !== context) {
        throw new NbdFailure(
          `Failed to negotiate meta context '${context}', server answered with different context '${answer.name}'`,
        );
      }
      ({ id } = answer);
    }
  }

  /** All contexts of an export. Some servers tell those of QEMU only to who asks for them. */
  private async contexts(name: string): Promise<string[]> {
    const all = await this.contextsBy(name, []);
    if (all.some((context) => context.startsWith('qemu:'))) return all;
    return [...all, ...(await this.contextsBy(name, ['qemu:']))];
  }

  private async contextsBy(name: string, queries: readonly string[]): Promise<string[]> {
    const asked = counted(new ByteWriter(), name).u32(queries.length);
    for (const query of queries) counted(asked, query);
    await this.channel.send(Option.LIST_META_CONTEXT, asked.done());
    const found: string[] = [];
    for (;;) {
      const reply = await this.channel.reply(Option.LIST_META_CONTEXT);
      if (isError(reply.type) || reply.type === (Reply.ACK as number)) return found;
      if (found.length < MAX_LISTED) found.push(contextOf(reply).name);
    }
  }
}

function contextOf(reply: OptionReply): { id: number; name: string } {
  expectType(reply, Reply.META_CONTEXT);
  const { data } = reply;
  if (data.length <= 4 || data.length > 4 + MAX_STRING) {
    throw new NbdFailure(
      `Failed to negotiate meta context, server answered with unexpected length ${data.length}`,
    );
  }
  return { id: viewOf(data).getUint32(0), name: decodeText(data.subarray(4)) };
}

function infoOf(reply: OptionReply): { type: number; view: DataView } {
  expectType(reply, Reply.INFO);
  const { data } = reply;
  if (data.length < 2) throw new NbdFailure(`NBD_REP_INFO length ${data.length} is too short`);
  return { type: viewOf(data).getUint16(0), view: viewOf(data.subarray(2)) };
}

function expectType({ type }: OptionReply, expected: Reply): void {
  if (type === (expected as number)) return;
  throw new NbdFailure(
    `unexpected reply type ${type} (${replyName(type)}), expected ${expected} (${replyName(expected)})`,
  );
}

function expectLength({ byteLength }: DataView, expected: number): void {
  if (byteLength !== expected) {
    throw new NbdFailure(`remaining export info len ${byteLength} is unexpected size`);
  }
}

function blockSizes(view: DataView): RemoteExport['blocks'] {
  const [minimum, preferred, maximum] = [view.getUint32(0), view.getUint32(4), view.getUint32(8)];
  const isPower = (value: number) => value > 0 && Number.isInteger(Math.log2(value));
  if (!isPower(minimum)) {
    throw new NbdFailure(`server minimum block size ${minimum} is not a power of two`);
  }
  if (!isPower(preferred) || preferred < minimum) {
    throw new NbdFailure(`server preferred block size ${preferred} is not valid`);
  }
  // What is no multiple of the minimum is rounded down; nobody sends more than 32 MiB at once.
  const bounded = Math.min(maximum, MAX_PAYLOAD);
  return { minimum, preferred, maximum: Math.max(bounded - (bounded % minimum), minimum) };
}

/** A size that numbers hold exactly. */
function sizeOf(size: bigint): number {
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new NbdFailure(`export length is too large: ${size}`);
  return Number(size);
}

function checked(found: RemoteExport): RemoteExport {
  const minimum = found.blocks?.minimum ?? 1;
  if (found.size % minimum !== 0) {
    throw new NbdFailure(`export size ${found.size} is not multiple of minimum block size ${minimum}`);
  }
  return found;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** The flags of an export as `qemu-nbd --list` names them, lowest first. */
export function flagNames(flags: number): string[] {
  const names: [number, string][] = [
    [TransmissionFlag.READ_ONLY, 'readonly'],
    [TransmissionFlag.SEND_FLUSH, 'flush'],
    [TransmissionFlag.SEND_FUA, 'fua'],
    [TransmissionFlag.ROTATIONAL, 'rotational'],
    [TransmissionFlag.SEND_TRIM, 'trim'],
    [TransmissionFlag.SEND_WRITE_ZEROES, 'zeroes'],
    [TransmissionFlag.SEND_DF, 'df'],
    [TransmissionFlag.CAN_MULTI_CONN, 'multi'],
    [TransmissionFlag.SEND_RESIZE, 'resize'],
    [TransmissionFlag.SEND_CACHE, 'cache'],
    [TransmissionFlag.SEND_FAST_ZERO, 'fast-zero'],
    [TransmissionFlag.BLOCK_STATUS_PAYLOAD, 'block-status-payload'],
  ];
  return names.filter(([flag]) => flags & flag).map(([, name]) => name);
}
