/** The fixed newstyle handshake, as seen from the server: options until one of them begins the transmission. */
import { chooseContexts, contextsOf, type MetaContext } from './contexts';
import type { Agreement, HeaderStyle } from './agreement';
import type { NbdExport } from './export';
import { ByteReader, ByteWriter, decodeText, encodeText, viewOf, type ByteStream } from './stream';
import type { Upgrade } from './tls';
import {
  HandshakeFlag,
  Info,
  MAX_PAYLOAD,
  MAX_STRING,
  NBD_MAGIC,
  Option,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  optionName,
  Reply,
  TransmissionFlag,
} from './wire';

/** What a handshake has to know of the server. */
export interface HandshakeHost {
  /** In the order in which they were made. */
  readonly exports: readonly NbdExport[];
  /** More than one client may write at the same time. */
  readonly multiConn: boolean;
  /** Clients have to begin TLS; null: there is none. */
  readonly upgrade: Upgrade | null;
}

/** Thrown where a connection cannot go on; the text is for the log. */
export class Disconnect extends Error {
  override readonly name = 'Disconnect';
}

/** An option that is refused: the client is told, and may go on. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  constructor(
    readonly type: Reply,
    message: string,
  ) {
    super(message);
  }
}

/** What is told where a client goes away. */
const END_OF_FILE = 'Unexpected end-of-file before all data were read';
/** Characters of a name in a message, at most. */
const SHOWN_NAME = 80;
/** So many queries are looked at in one go. */
const QUERIES = 1000;

/** The data of one option, taken piece by piece: nothing of it is kept that was not asked for. */
class OptionData {
  constructor(
    private readonly reader: ByteReader,
    readonly option: number,
    public left: number,
  ) {}

  async take(count: number): Promise<Uint8Array> {
    if (count > this.left) throw this.cutOff();
    if (!(await this.reader.wait(count))) throw new Disconnect(END_OF_FILE);
    this.left -= count;
    return this.reader.take(count);
  }

  async u16(): Promise<number> {
    return viewOf(await this.take(2)).getUint16(0);
  }

  async u32(): Promise<number> {
    return viewOf(await this.take(4)).getUint32(0);
  }

  async skip(count: number): Promise<void> {
    if (count > this.left) throw this.cutOff();
    this.left -= count;
    if (!(await this.reader.skip(count))) throw new Disconnect(END_OF_FILE);
  }

  /** The name of an export, behind its length. */
  async name(): Promise<string> {
    const length = await this.u32();
    if (length > MAX_STRING) throw new Refusal(Reply.ERR_INVALID, 'Invalid name length: ' + String(length));
    return decodeText(await this.take(length));
  }

  /** Refuses data that nobody has asked for. */
  end(): void {
    if (this.left > 0) throw this.unexpected();
  }

  private cutOff(): Refusal {
    return new Refusal(Reply.ERR_INVALID, `Inconsistent lengths in option ${optionName(this.option)}`);
  }

  unexpected(): Refusal {
    return new Refusal(Reply.ERR_INVALID, `option '${optionName(this.option)}' has unexpected length`);
  }
}

/** One handshake. */
export class Handshake {
  private style: HeaderStyle = 'simple';
  /** What SET_META_CONTEXT chose, and for which export. */
  private chosen: { target: NbdExport; contexts: MetaContext[] } | null = null;
  private fixed = false;
  private noZeroes = false;
  /** The connection is one of TLS. */
  private isSecret = false;
  /** What is read, for whatever follows the handshake. */
  reader: ByteReader;

  /** @param stream the connection; TLS puts another one in its place */
  constructor(
    public stream: ByteStream,
    private readonly host: HandshakeHost,
    private readonly turn: () => Promise<void>,
  ) {
    this.reader = new ByteReader(stream);
  }

  /** null: the client has ended the connection in the orderly way. Throws {@link Disconnect}. */
  async run(): Promise<Agreement | null> {
    const greeting = new ByteWriter().u64(NBD_MAGIC).u64(OPTION_MAGIC);
    await this.stream.write([greeting.u16(HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES).done()]);
    // Somebody only wanted to know whether a server is there.
    if (!(await this.reader.wait(4))) return null;
    const flags = viewOf(this.reader.take(4)).getUint32(0);
    if (flags & ~(HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES))
      throw new Disconnect(`Unknown client flags 0x${flags.toString(16)} received`);
    this.fixed = (flags & HandshakeFlag.FIXED_NEWSTYLE) !== 0;
    this.noZeroes = (flags & HandshakeFlag.NO_ZEROES) !== 0;
    for (;;) {
      if (!(await this.reader.wait(OPTION_HEADER_BYTES))) {
        const part = this.reader.has(12) ? 'option length' : this.reader.has(8) ? 'option' : 'opts magic';
        throw new Disconnect(`Failed to read ${part}: ${END_OF_FILE}`);
      }
      const header = viewOf(this.reader.take(OPTION_HEADER_BYTES));
      if (header.getBigUint64(0) !== OPTION_MAGIC) throw new Disconnect('Bad magic received');
      const option = header.getUint32(8);
      const length = header.getUint32(12);
      if (length > MAX_PAYLOAD) {
        throw new Disconnect(
          `len (${length}) is larger than max len (${MAX_PAYLOAD}) for option '${optionName(option)}'`,
        );
      }
      const data = new OptionData(this.reader, option, length);
      try {
        if (this.host.upgrade && !this.isSecret) {
          if (await this.beginSecrecy(data, this.host.upgrade)) continue;
          return null;
        }
        if (!this.fixed && (option as Option) !== Option.EXPORT_NAME)
          throw new Disconnect(`Unsupported option ${option} (${optionName(option)})`);
        const agreement = await this.answer(data);
        if (agreement !== undefined) return agreement;
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        await data.skip(data.left);
        await this.reply(option, error.type, encodeText(error.message));
      }
    }
  }

  private async reply(option: number, type: Reply, data: Uint8Array = new Uint8Array(0)): Promise<void> {
    const header = new ByteWriter().u64(OPTION_REPLY_MAGIC).u32(option).u32(type).u32(data.length);
    await this.stream.write([header.bytes(data).done()]);
  }

  /** An option of a client that has to begin TLS; whether the handshake goes on. */
  private async beginSecrecy(data: OptionData, upgrade: Upgrade): Promise<boolean> {
    const forbidden = `Option 0x${data.option.toString(16)} not permitted before TLS`;
    switch (data.option as Option) {
      case Option.STARTTLS: {
        if (data.left > 0) {
          const refusal = data.unexpected();
          await data.skip(data.left);
          await this.reply(data.option, refusal.type, encodeText(refusal.message));
          throw new Disconnect(refusal.message);
        }
        await this.reply(data.option, Reply.ACK);
        this.stream = await upgrade(this.stream, this.reader.rest()).catch((error: unknown) => {
          throw new Disconnect(error instanceof Error ? error.message : String(error));
        });
        // What was agreed upon in the open does not count: somebody may have changed it on the way.
        this.reader = new ByteReader(this.stream);
        this.isSecret = true;
        return true;
      }
      case Option.EXPORT_NAME:
        throw new Disconnect(forbidden);
      case Option.ABORT:
        await data.skip(data.left);
        await this.reply(data.option, Reply.ERR_TLS_REQD, encodeText(forbidden));
        return false;
      default:
        throw new Refusal(Reply.ERR_TLS_REQD, forbidden);
    }
  }

  /** undefined: the handshake goes on; null: the client wants no more. */
  private async answer(data: OptionData): Promise<Agreement | null | undefined> {
    switch (data.option as Option) {
      case Option.EXPORT_NAME:
        return this.exportName(data);
      case Option.ABORT:
        await data.skip(data.left);
        await this.reply(data.option, Reply.ACK);
        return null;
      case Option.LIST:
        data.end();
        for (const { name, description } of this.host.exports) {
          const text = encodeText(name);
          const server = new ByteWriter().u32(text.length).bytes(text).text(description);
          await this.reply(data.option, Reply.SERVER, server.done());
        }
        return this.acknowledge(data);
      case Option.STARTTLS:
        data.end();
        if (this.isSecret) throw new Refusal(Reply.ERR_INVALID, 'TLS already enabled');
        throw new Refusal(Reply.ERR_POLICY, 'TLS not configured');
      case Option.INFO:
      case Option.GO:
        return this.info(data);
      case Option.STRUCTURED_REPLY:
        data.end();
        if (this.style === 'extended')
          throw new Refusal(Reply.ERR_EXT_HEADER_REQD, 'extended headers already negotiated');
        if (this.style === 'structured')
          throw new Refusal(Reply.ERR_INVALID, 'structured reply already negotiated');
        this.style = 'structured';
        return this.acknowledge(data);
      case Option.EXTENDED_HEADERS:
        data.end();
        if (this.style === 'extended')
          throw new Refusal(Reply.ERR_INVALID, 'extended headers already negotiated');
        this.style = 'extended';
        return this.acknowledge(data);
      case Option.LIST_META_CONTEXT:
      case Option.SET_META_CONTEXT:
        return this.metaContext(data);
      default:
        throw new Refusal(Reply.ERR_UNSUP, `Unsupported option ${data.option} (${optionName(data.option)})`);
    }
  }

  private async acknowledge(data: OptionData): Promise<undefined> {
    await this.reply(data.option, Reply.ACK);
    return undefined;
  }

  private find(name: string): NbdExport | undefined {
    return this.host.exports.find((target) => target.name === name);
  }

  /** The export that an option names, or a refusal. */
  private async known(data: OptionData): Promise<{ name: string; target: () => NbdExport }> {
    const name = await data.name();
    return {
      name,
      target: () => {
        const found = this.find(name);
        if (found) return found;
        const shown = name.length > SHOWN_NAME ? `${name.slice(0, SHOWN_NAME)}...` : name;
        throw new Refusal(Reply.ERR_UNKNOWN, `export '${shown}' not present`);
      },
    };
  }

  private flags(target: NbdExport, informing: boolean): number {
    const contexts = this.chosen?.target === target && this.chosen.contexts.length > 0;
    return (
      TransmissionFlag.HAS_FLAGS |
      TransmissionFlag.SEND_FLUSH |
      TransmissionFlag.SEND_FUA |
      TransmissionFlag.SEND_CACHE |
      (target.writable
        ? TransmissionFlag.SEND_TRIM | TransmissionFlag.SEND_WRITE_ZEROES | TransmissionFlag.SEND_FAST_ZERO
        : TransmissionFlag.READ_ONLY) |
      (this.host.multiConn ? TransmissionFlag.CAN_MULTI_CONN : 0) |
      (this.style === 'simple' ? 0 : TransmissionFlag.SEND_DF) |
      (this.style === 'extended' && (contexts || informing) ? TransmissionFlag.BLOCK_STATUS_PAYLOAD : 0)
    );
  }

  private agree(target: NbdExport): Agreement {
    const contexts = this.chosen?.target === target ? this.chosen.contexts : [];
    return { target, style: this.style, contexts };
  }

  /** The old way to begin: a refusal can only be the end. */
  private async exportName(data: OptionData): Promise<Agreement> {
    if (data.left > MAX_STRING) throw new Disconnect('Bad length received');
    if (!(await this.reader.wait(data.left)))
      throw new Disconnect(`Failed to read export name: ${END_OF_FILE}`);
    const name = decodeText(await data.take(data.left));
    const target = this.find(name);
    if (!target) throw new Disconnect('export not found');
    const reply = new ByteWriter().u64(target.size).u16(this.flags(target, false));
    if (!this.noZeroes) reply.bytes(new Uint8Array(124));
    await this.stream.write([reply.done()]);
    return this.agree(target);
  }

  private async info(data: OptionData): Promise<Agreement | undefined> {
    const { name, target: find } = await this.known(data);
    const count = await data.u16();
    const wanted = new Set<number>();
    for (let i = 0; i < count; i++) wanted.add(await data.u16());
    data.end();
    const target = find();
    const informing = (data.option as Option) === Option.INFO;
    const { minBlock } = target;
    const tell = (info: Info, fill: (writer: ByteWriter) => ByteWriter) =>
      this.reply(data.option, Reply.INFO, fill(new ByteWriter().u16(info)).done());
    if (wanted.has(Info.NAME)) await tell(Info.NAME, (writer) => writer.text(name));
    if (target.description !== '') await tell(Info.DESCRIPTION, (writer) => writer.text(target.description));
    const knowsBlocks = wanted.has(Info.BLOCK_SIZE);
    const least = informing || knowsBlocks ? minBlock : 1;
    await tell(Info.BLOCK_SIZE, (writer) => writer.u32(least).u32(Math.max(4096, least)).u32(MAX_PAYLOAD));
    await tell(Info.EXPORT, (writer) => writer.u64(target.size).u16(this.flags(target, informing)));
    if (informing && !knowsBlocks && minBlock > 1) {
      throw new Refusal(Reply.ERR_BLOCK_SIZE_REQD, 'request NBD_INFO_BLOCK_SIZE to use this export');
    }
    await this.reply(data.option, Reply.ACK);
    return informing ? undefined : this.agree(target);
  }

  private async metaContext(data: OptionData): Promise<undefined> {
    const setting = (data.option as Option) === Option.SET_META_CONTEXT;
    if (setting && this.style === 'simple') {
      throw new Refusal(
        Reply.ERR_INVALID,
        `request option '${optionName(data.option)}' when structured reply is not negotiated`,
      );
    }
    if (setting) this.chosen = null;
    const { target: find } = await this.known(data);
    const target = find();
    const contexts = contextsOf(target);
    const count = await data.u32();
    // Only queries that can choose something are kept: there may be millions.
    const useful = new Set<string>();
    for (let i = 0; i < count; i++) {
      if (i % QUERIES === QUERIES - 1) await this.turn();
      const length = await data.u32();
      if (length > MAX_STRING) {
        await data.skip(length);
        continue;
      }
      const query = decodeText(await data.take(length));
      if (chooseContexts(contexts, [query], !setting).length > 0) useful.add(query);
    }
    data.end();
    const chosen = count === 0 && !setting ? contexts : chooseContexts(contexts, [...useful], !setting);
    for (const { id, name } of chosen) {
      await this.reply(
        data.option,
        Reply.META_CONTEXT,
        new ByteWriter()
          .u32(setting ? id : 0)
          .text(name)
          .done(),
      );
    }
    if (setting) this.chosen = { target, contexts: chosen };
    return this.acknowledge(data);
  }
}
