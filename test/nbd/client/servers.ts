/** Servers that do right and wrong in every way that a client can meet; what they say is written down byte by byte. */
import { ByteReader, ByteWriter, encodeText, viewOf, type ByteStream } from '../../../src/nbd/stream';

const NBD_MAGIC = 'NBDMAGIC';
const OPTION_MAGIC = 'IHAVEOPT';
const REPLY_MAGIC = 0x0003e889045565a9n;
const ERROR = 0x80000000;

/** Serves one connection; the connection ends with it. */
export type FakeServer = (client: Client) => Promise<void>;

/** The connection of a client, from the server's side. */
export class Client {
  private readonly reader: ByteReader;

  constructor(private readonly stream: ByteStream) {
    this.reader = new ByteReader(stream);
  }

  async send(...pieces: Uint8Array[]): Promise<void> {
    await this.stream.write(pieces);
  }

  /** Throws when the client is gone. */
  async take(count: number): Promise<Uint8Array> {
    if (!(await this.reader.wait(count))) throw new Error('the client is gone');
    return this.reader.take(count).slice();
  }

  async reply(
    option: number,
    type: number,
    data: Uint8Array = new Uint8Array(),
    magic = REPLY_MAGIC,
  ): Promise<void> {
    await this.send(new ByteWriter().u64(magic).u32(option).u32(type).u32(data.length).bytes(data).done());
  }
}

/** What a server does with one option; true: it says no more. */
type Answer = (client: Client, option: number, data: Uint8Array) => Promise<boolean | void>;

async function greet(client: Client, flags = 3, magics = NBD_MAGIC + OPTION_MAGIC): Promise<void> {
  await client.send(new ByteWriter().text(magics).u16(flags).done());
  await client.take(4);
}

/** A server that answers these options, and knows no other ones. */
function knowing(answers: Record<number, Answer>): FakeServer {
  return async (client) => {
    await greet(client);
    for (;;) {
      const header = viewOf(await client.take(16));
      const option = header.getUint32(8);
      const data = await client.take(header.getUint32(12));
      const answer = answers[option];
      if (!answer) await client.reply(option, ERROR + 1);
      else if (await answer(client, option, data)) return;
    }
  };
}

const ack: Answer = (client, option) => client.reply(option, 1);
const error =
  (number: number, text = ''): Answer =>
  (client, option) =>
    client.reply(option, ERROR + number, encodeText(text));
const leave: Answer = async () => true;

const u32s = (...values: number[]): Uint8Array => {
  const writer = new ByteWriter();
  for (const value of values) writer.u32(value);
  return writer.done();
};
const sizeAndFlags = (size: bigint | number, flags: number) => new ByteWriter().u64(size).u16(flags).done();
const info = (client: Client, option: number, type: number, data: Uint8Array) =>
  client.reply(option, 3, new ByteWriter().u16(type).bytes(data).done());

/** INFO or GO with an export of this size, and block sizes. */
function found(size: bigint | number, flags = 0xd6d, blocks?: [number, number, number]): Answer {
  return async (client, option) => {
    if (blocks) await info(client, option, 3, u32s(...blocks));
    await info(client, option, 0, sizeAndFlags(size, flags));
    await client.reply(option, 1);
  };
}

/** GO that answers with this one message, and then says yes. */
function goWith(type: number, data: Uint8Array): Answer {
  return async (client, option) => {
    await info(client, option, type, data);
    await info(client, option, 0, sizeAndFlags(65536, 1));
    await client.reply(option, 1);
  };
}

function listing(...names: [string, string?][]): Answer {
  return async (client, option) => {
    for (const [name, description = ''] of names) {
      const bytes = encodeText(name);
      await client.reply(option, 2, new ByteWriter().u32(bytes.length).bytes(bytes).text(description).done());
    }
    await client.reply(option, 1);
  };
}

function contexts(...names: string[]): Answer {
  return async (client, option) => {
    for (const [id, name] of names.entries()) {
      await client.reply(option, 4, new ByteWriter().u32(id).text(name).done());
    }
    await client.reply(option, 1);
  };
}

const byName: Answer = async (client) => {
  await client.send(sizeAndFlags(65536, 1));
  return true;
};

const cases: [string, FakeServer][] = [
  ['it goes at once', async () => undefined],
  ['half a magic', (client) => client.send(encodeText('NBD'))],
  ['another magic', (client) => greet(client, 3, 'XBDMAGIC' + OPTION_MAGIC)],
  ['another second magic', (client) => greet(client, 3, NBD_MAGIC + 'XHAVEOPT')],
  ['no flags', (client) => client.send(encodeText(NBD_MAGIC + OPTION_MAGIC))],
  ['GO and it goes', knowing({ 7: leave })],
  [
    'GO: another magic',
    knowing({ 7: (client, option) => client.reply(option, 1, undefined, REPLY_MAGIC + 1n) }),
  ],
  ['GO: another option', knowing({ 7: (client) => client.reply(6, 1) })],
  ['GO: nothing', knowing({ 7: ack })],
  [
    'GO: yes with data',
    knowing({
      7: async (client, option) => {
        await info(client, option, 0, sizeAndFlags(65536, 1));
        await client.reply(option, 1, encodeText('xx'));
      },
    }),
  ],
  ['GO: information cut off', knowing({ 7: (client, option) => client.reply(option, 3, encodeText('x')) })],
  ['GO: export cut off', knowing({ 7: goWith(0, encodeText('xxx')) })],
  ['GO: block sizes cut off', knowing({ 7: goWith(3, encodeText('xxx')) })],
  ['GO: unknown reply', knowing({ 7: (client, option) => client.reply(option, 42, encodeText('xxx')) })],
  ['GO: without flags', knowing({ 7: found(65536, 0) })],
  ['GO: export not there, with words', knowing({ 7: error(6, 'export "x" not present') })],
  ['GO: export not there', knowing({ 7: error(6) })],
  ['GO: words with a zero byte', knowing({ 7: error(6, 'one\0two') })],
  ...[2, 3, 4, 5, 7, 8, 9, 10, 99].map((number): [string, FakeServer] => [
    `GO: error ${number}`,
    knowing({ 7: error(number, 'the words of the server') }),
  ]),
  ...(
    [
      [0, 4096, 65536, 65536],
      [3, 4096, 65536, 65536],
      [131072, 131072, 1 << 20, 65536],
      [4096, 512, 65536, 65536],
      [512, 1000, 65536, 65536],
      [4096, 4096, 65536, 66048],
    ] as const
  ).map(([minimum, preferred, maximum, size]): [string, FakeServer] => [
    `blocks of ${minimum}, ${preferred}, ${maximum} in ${size}`,
    knowing({ 7: found(size, 0xd6d, [minimum, preferred, maximum]) }),
  ]),
  ['no GO; another name', knowing({ 7: error(1), 3: listing(['b']) })],
  ['no GO; a list that is refused', knowing({ 7: error(1), 3: error(2, 'not you') })],
  [
    'no GO; a name cut off',
    knowing({ 7: error(1), 3: (client, option) => client.reply(option, 2, encodeText('ab')) }),
  ],
  [
    'no GO; a name longer than the reply',
    knowing({
      7: error(1),
      3: (client, option) => client.reply(option, 2, new ByteWriter().u32(9).text('ab').done()),
    }),
  ],
  ['neither GO nor LIST, and it goes', knowing({ 7: error(1), 1: leave })],
  ['another context', knowing({ 8: ack, 10: contexts('foo:bar'), 7: found(65536) })],
  ['two contexts', knowing({ 8: ack, 10: contexts('base:allocation', 'base:allocation'), 7: found(65536) })],
  [
    'a context cut off',
    knowing({ 8: ack, 10: (client, option) => client.reply(option, 4, encodeText('ab')), 7: found(65536) }),
  ],
  [
    'structured replies: yes with data',
    knowing({ 8: (client, option) => client.reply(option, 1, encodeText('x')) }),
  ],
  [
    'structured replies: another reply',
    knowing({ 8: (client, option) => client.reply(option, 2, encodeText('x')) }),
  ],
];

/** Servers that no client can use, or not to the end; each by its name. */
export const broken: ReadonlyMap<string, FakeServer> = new Map(cases);

/** A server with everything, one without the newer options, and one of the oldest style. */
export const working: ReadonlyMap<string, FakeServer> = new Map<string, FakeServer>([
  [
    'everything',
    knowing({
      11: ack,
      10: contexts('base:allocation'),
      9: contexts('base:allocation', 'qemu:dirty-bitmap:b'),
      3: listing(['a', 'the first'], ['b']),
      6: async (client, option, data) => {
        await info(client, option, 2, encodeText('described'));
        await info(client, option, 77, encodeText('who knows'));
        await found(65536, 0x1ded, [1, 4096, 1 << 25])(client, option, data);
      },
      7: found(65536, 0x1ded, [1, 4096, 1 << 25]),
    }),
  ],
  [
    'structured replies',
    knowing({
      8: ack,
      10: contexts('base:allocation'),
      9: contexts('base:allocation'),
      3: listing(['a']),
      6: found(1 << 20, 0xffff),
      7: found(1 << 20, 0x03, [512, 4096, 4097]),
    }),
  ],
  [
    'no contexts',
    knowing({ 8: ack, 10: error(3, 'what?'), 9: error(3), 3: listing(['a']), 6: found(0), 7: found(0) }),
  ],
  ['no INFO', knowing({ 3: listing(['a', 'first'], ['b']), 7: error(1), 1: byName })],
  ['no list', knowing({ 7: error(1), 1: byName })],
  [
    'oldest',
    async (client) => {
      const header = new ByteWriter().text(NBD_MAGIC).u64(0x00420281861253n).u64(65536).u32(1);
      await client.send(header.bytes(new Uint8Array(124)).done());
      await client.take(28);
    },
  ],
]);
