/** Options of the handshake as a client sends them, and the replies to them. */
import { ByteReader, ByteWriter, decodeText, encodeText, viewOf, type ByteStream } from '../stream';
import type { Upgrade } from '../tls';
import {
  MAX_PAYLOAD,
  Option,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  optionName,
  Reply,
  REPLY_HEADER_BYTES,
  replyName,
} from '../wire';

/** A server that cannot be used, in QEMU's words. */
export class NbdFailure extends Error {
  override readonly name = 'NbdFailure';
  /** @param hints lines below the message */
  constructor(
    message: string,
    readonly hints: readonly string[] = [],
  ) {
    super(message);
  }
}

/** What is told where the server goes away, or is silent for ever. */
const END_OF_FILE = 'Unexpected end-of-file before all data were read';
/** Characters of a server's text that are shown. */
const SHOWN_TEXT = 4096;

/** A reply to an option. */
export interface OptionReply {
  type: number;
  data: Uint8Array;
}

/** One connection in its handshake, taken piece by piece. */
export class OptionChannel {
  reader: ByteReader;

  constructor(public stream: ByteStream) {
    this.reader = new ByteReader(stream);
  }

  /** Goes on over TLS, which the server has agreed to. */
  async secure(upgrade: Upgrade): Promise<void> {
    try {
      this.stream = await upgrade(this.stream, this.reader.rest());
    } catch (error) {
      throw new NbdFailure(error instanceof Error ? error.message : String(error));
    }
    this.reader = new ByteReader(this.stream);
  }

  /** The next bytes; `what` is named if they do not come. */
  async take(count: number, what: string): Promise<Uint8Array> {
    if (!(await this.reader.wait(count))) throw new NbdFailure(`Failed to read ${what}: ${END_OF_FILE}`);
    return this.reader.take(count);
  }

  /** Sends an option. */
  async send(option: Option, data: Uint8Array = new Uint8Array()): Promise<void> {
    const header = new ByteWriter().u64(OPTION_MAGIC).u32(option).u32(data.length).done();
    if (!(await this.stream.write([header, data]))) {
      throw new NbdFailure('Failed to send option request header: Unable to write to socket: Broken pipe');
    }
  }

  /** Says that nothing follows; nobody waits for an answer. */
  async abort(): Promise<void> {
    await this.stream.write([new ByteWriter().u64(OPTION_MAGIC).u32(Option.ABORT).u32(0).done()]);
  }

  /** The next reply, of any type; its data is bounded. */
  async reply(option: Option): Promise<OptionReply> {
    const header = viewOf(await this.take(REPLY_HEADER_BYTES, 'option reply'));
    if (header.getBigUint64(0) !== OPTION_REPLY_MAGIC) throw new NbdFailure('Unexpected option reply magic');
    const answered = header.getUint32(8);
    if (answered !== (option as number)) {
      throw new NbdFailure(
        `Unexpected option type ${answered} (${optionName(answered)}), expected ${option} (${optionName(option)})`,
      );
    }
    const type = header.getUint32(12);
    const length = header.getUint32(16);
    if (length > MAX_PAYLOAD) {
      throw new NbdFailure(`option reply length ${length} is larger than max len (${MAX_PAYLOAD})`);
    }
    return { type, data: await this.take(length, 'option reply') };
  }

  /**
   * An option that needs no data and is answered by yes or no.
   * @returns whether the server has it; no error is a reason to give up
   */
  async ask(option: Option): Promise<boolean> {
    await this.send(option);
    const { type, data } = await this.reply(option);
    if (isError(type)) return false;
    const shown = `option ${option} (${optionName(option)})`;
    if (type !== (Reply.ACK as number)) {
      throw new NbdFailure(`Server answered ${shown} with unexpected reply ${type} (${replyName(type)})`);
    }
    if (data.length > 0) {
      throw new NbdFailure(
        `Option ${option} ('${optionName(option)}') response length is ${data.length} (it should be zero)`,
      );
    }
    return true;
  }
}

export function isError(type: number): boolean {
  return type >= 0x80000000;
}

/** What an error that a server replies with means to the user. */
export function refusal(option: Option, { type, data }: OptionReply): NbdFailure {
  const shown = `option ${option} (${optionName(option)})`;
  const text = decodeText(data.subarray(0, SHOWN_TEXT)).split('\0', 1)[0] ?? '';
  const reported = text === '' ? [] : [`server reported: ${text}`];
  switch (type as Reply) {
    case Reply.ERR_UNSUP:
    case Reply.ERR_PLATFORM:
      return new NbdFailure(`Server lacks support for ${shown}`, reported);
    case Reply.ERR_POLICY:
      return new NbdFailure(`Denied by server for ${shown}`, reported);
    case Reply.ERR_INVALID:
      return new NbdFailure(`Invalid parameters for ${shown}`, reported);
    case Reply.ERR_TLS_REQD:
      return new NbdFailure(`TLS negotiation required before ${shown}`, [
        'Did you forget a valid tls-creds?',
        ...reported,
      ]);
    case Reply.ERR_UNKNOWN:
      return new NbdFailure('Requested export not available', reported);
    case Reply.ERR_SHUTDOWN:
      return new NbdFailure(`Server shutting down before ${shown}`, reported);
    case Reply.ERR_BLOCK_SIZE_REQD:
      return new NbdFailure(`Server requires INFO_BLOCK_SIZE for ${shown}`, reported);
    default:
      return new NbdFailure(`Unknown error code when asking for ${shown}`, reported);
  }
}

/** A text behind its length. */
export function counted(writer: ByteWriter, text: string): ByteWriter {
  const bytes = encodeText(text);
  return writer.u32(bytes.length).bytes(bytes);
}
