/** The handshake of a client with servers that do right and wrong in every way: it says what the real tools say. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClientHandshake, NbdFailure } from '../../../src/nbd';
import { listing } from '../../../src/node/nbd/list';
import { broken, Client, working, type FakeServer } from './servers';
import { streamPair } from '../../../src/nbd/pair';

const records = JSON.parse(readFileSync(new URL('fixtures.json', import.meta.url), 'utf8')) as Record<
  string,
  { info: string; list: string }
>;

/** Connects a client to a server; the answer, or what is told instead. */
async function meet(server: FakeServer, use: (client: ClientHandshake) => Promise<string>): Promise<string> {
  const [ours, theirs] = streamPair();
  const served = server(new Client(theirs))
    .catch(() => undefined)
    .finally(() => theirs.close());
  try {
    return await use(new ClientHandshake(ours));
  } catch (error) {
    if (!(error instanceof NbdFailure)) throw error;
    return [error.message, ...error.hints, ''].join('\n');
  } finally {
    ours.close();
    await served;
  }
}

const connect = async (client: ClientHandshake) =>
  JSON.stringify(await client.connect({ name: 'a', context: 'base:allocation' }));
const list = async (client: ClientHandshake) => listing(await client.list());

describe.each([...broken])('%s', (name, server) => {
  it('cannot be connected to', async () => {
    const real = records[name]?.info.replace("qemu-img: Could not open 'nbd+unix:///a?socket=s.sock': ", '');
    expect(await meet(server, connect)).toBe(real);
  });

  it('is listed as far as it can be', async () => {
    expect(await meet(server, list)).toBe(records[name]?.list.replace('qemu-nbd: ', ''));
  });
});

describe.each([...working])('%s', (name, server) => {
  it('is listed', async () => {
    expect(await meet(server, list)).toBe(records[name]?.list);
  });

  it('is connected to', async () => {
    expect(JSON.parse(await meet(server, connect))).toEqual(EXPECTED[name]);
  });
});

/** What must have been agreed upon. */
const EXPECTED: Record<string, object> = {
  everything: {
    size: 65536,
    flags: 0x1ded,
    blocks: { minimum: 1, preferred: 4096, maximum: 1 << 25 },
    style: 'extended',
    context: 0,
  },
  'structured replies': {
    size: 1 << 20,
    flags: 3,
    blocks: { minimum: 512, preferred: 4096, maximum: 4096 },
    style: 'structured',
    context: 0,
  },
  'no contexts': { size: 0, flags: 0xd6d, blocks: null, style: 'structured', context: null },
  'no INFO': { size: 65536, flags: 1, blocks: null, style: 'simple', context: null },
  'no list': { size: 65536, flags: 1, blocks: null, style: 'simple', context: null },
  oldest: { size: 65536, flags: 1, blocks: null, style: 'simple', context: null },
};

describe('a server that says anything', () => {
  const bytes = fc.uint8Array({ maxLength: 64 });
  const magic = new TextEncoder().encode('NBDMAGICIHAVEOPT');
  const reply = fc
    .tuple(fc.constantFrom(3, 6, 7, 8, 9, 10, 11, 1, 99), fc.constantFrom(1, 2, 3, 4, 0x80000001, 7), bytes)
    .map(([option, type, data]) => {
      const header = new DataView(new ArrayBuffer(20));
      header.setBigUint64(0, 0x0003e889045565a9n);
      header.setUint32(8, option);
      header.setUint32(12, type);
      header.setUint32(16, data.length);
      return Buffer.concat([new Uint8Array(header.buffer), data]);
    });

  it('is told off, or believed: never more', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(reply, bytes), { maxLength: 12 }),
        fc.constantFrom(connect, list),
        async (pieces, use) => {
          const server: FakeServer = (client) => client.send(magic, new Uint8Array([0, 3]), ...pieces);
          expect(await meet(server, use)).toBeTypeOf('string');
        },
      ),
      { numRuns: 2000 },
    );
  });
});
