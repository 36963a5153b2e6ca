/** Messages that make no sense, more than half a million: the server neither fails nor grows, and others are served. */
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import { BlockGraph } from '../../src/graph';
import { NbdServer, type ByteStream } from '../../src/nbd';
import { Sequence } from '../sequence';
import { contextData, hello, infoData, longRequest, option, request } from './messages';

const MODULE = new WebAssembly.Module(readFileSync('build/engine.wasm'));
const SIZE = 1024 * 1024;

/** A client that has sent all that it ever will, and counts what it gets. */
class Sent implements ByteStream {
  received = 0;
  last = new Uint8Array(0);
  private at = 0;
  constructor(private readonly pieces: readonly Uint8Array[]) {}

  async read(): Promise<Uint8Array | null> {
    return this.pieces[this.at++] ?? null;
  }

  async write(pieces: readonly Uint8Array[]): Promise<boolean> {
    for (const piece of pieces) {
      this.received += piece.length;
      this.last = piece.slice();
    }
    return true;
  }

  close(): void {
    this.destroy();
  }

  destroy(): void {
    this.at = this.pieces.length;
  }
}

async function open() {
  const engine = createEngine(MODULE);
  const graph = new BlockGraph({ engine, files: new MemoryStore(), locks: new MemoryLocks() });
  await graph.blockdevAdd({ driver: 'null-co', 'node-name': 'n', size: SIZE, 'read-zeroes': true });
  const device = await graph.attach({ nodeName: 'n' }, { perm: 3, shared: 15 });
  const server = new NbdServer(
    { engine, turn: () => new Promise((resolve) => setImmediate(resolve)), held: () => null },
    { maxConnections: 0, handshakeSeconds: 0 },
  );
  server.add({
    name: 'q',
    description: '',
    size: SIZE,
    writable: true,
    writeThrough: false,
    minBlock: 1,
    device,
    allocationDepth: true,
    bitmaps: [],
  });
  /** Serves a client to its end. */
  const serve = async (pieces: readonly Uint8Array[]): Promise<Sent> => {
    const client = new Sent(pieces);
    await server.connect(client);
    return client;
  };
  return { server, engine, serve, graph };
}

/** Cuts bytes at random places, as a network does. */
const cut = (bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] => {
  const pieces: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  return pieces;
};

const number = fc.oneof(
  fc.nat(20),
  fc.nat(0xffff),
  fc.constantFrom(0, 0xffffffff, 0x80000000, SIZE, SIZE - 1),
);
const data = fc.uint8Array({ maxLength: 64 });
const anyOption = fc.oneof(
  fc.tuple(fc.nat(12), data).map(([code, bytes]) => option(code, bytes)),
  fc.tuple(fc.nat(12), data, number).map(([code, bytes, length]) => option(code, bytes, length)),
  fc
    .tuple(fc.constantFrom('q', '', 'no'), fc.array(fc.nat(5)), fc.nat(9))
    .map(([name, infos, count]) => option(6, infoData(name, infos, count))),
  fc
    .tuple(
      fc.constantFrom(9, 10),
      fc.constantFrom('q', 'no'),
      fc.array(fc.constantFrom('base:', 'qemu:', 'x')),
      fc.nat(9),
    )
    .map(([code, name, queries, count]) => option(code, contextData(name, queries, count))),
);
const fields = fc
  .record({
    type: fc.oneof(fc.nat(9), fc.nat(0xffff)),
    flags: fc.oneof(fc.constant(0), fc.nat(63), fc.nat(0xffff)),
    offset: number,
    length: fc.oneof(fc.nat(4096), number),
    data,
  })
  // Else most streams would end at the first write or farewell.
  .map((each) => (each.type === 2 && each.length % 16 ? { ...each, type: 3 } : each))
  .map((each) => (each.type === 1 && each.flags % 16 ? { ...each, length: each.data.length } : each));
const starts: Record<string, Uint8Array[]> = {
  simple: [hello(), option(7, infoData('q'))],
  structured: [
    hello(),
    option(8),
    option(10, contextData('q', ['base:allocation'])),
    option(7, infoData('q')),
  ],
  extended: [
    hello(),
    option(11),
    option(10, contextData('q', ['base:allocation', 'qemu:allocation-depth'])),
    option(7, infoData('q')),
  ],
};

describe('any bytes', () => {
  it('in the handshake', async () => {
    const { serve } = await open();
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyOption, { maxLength: 60 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 9 }),
        async (options, sizes) => {
          const client = await serve(cut(Buffer.concat([hello(), ...options]), sizes));
          expect(client.received).toBeLessThan(200_000);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each(Object.keys(starts))('in the transmission, %s', async (style) => {
    const { serve, engine } = await open();
    const make = style === 'extended' ? longRequest : request;
    const memory: number[] = [];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fields, { maxLength: 100 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 9 }),
        async (requests, sizes) => {
          const bytes = Buffer.concat([...(starts[style] ?? []), ...requests.map((each) => make(each))]);
          await serve(cut(bytes, sizes));
          memory.push(engine.memoryBytes());
        },
      ),
      { numRuns: 1500 },
    );
    expect(memory.at(-1)).toBe(memory[0]);
  });

  it('in very many requests of one connection, without growing', async () => {
    const { serve, engine } = await open();
    const sequence = new Sequence();
    const limits = [16, 4096, SIZE, 2 ** 32 - 1];
    const any = (): Uint8Array => {
      const type = sequence.next(10) || 3;
      const number = (): number => sequence.next(limits[sequence.next(4)] ?? 1);
      // Neither farewells nor writes, whose data would have to follow.
      return request({
        type: type < 3 ? 0 : type,
        flags: sequence.next(64),
        offset: number(),
        length: type === 3 ? 0 : sequence.next(512),
      });
    };
    const piece = (): Uint8Array => Buffer.concat(Array.from({ length: 1000 }, any));
    const round = async (pieces: number): Promise<number> => {
      const client = await serve([...(starts.simple ?? []), ...Array.from({ length: pieces }, piece)]);
      return client.received;
    };
    await round(10);
    const before = engine.memoryBytes();
    expect(await round(600)).toBeGreaterThan(600_000 * 16);
    expect(engine.memoryBytes()).toBe(before);
  });

  it('a request among garbage that is whole is answered', async () => {
    const { serve } = await open();
    const wrong = Array.from({ length: 20_000 }, (_, i) =>
      request({ type: i % 300, flags: i % 64, offset: i, length: 1 }),
    );
    const whole = request({ type: 3, cookie: 0x1122334455667788n });
    const writes = wrong.map((bytes, i) => (i % 300 === 1 || i % 300 === 2 ? request({ type: 3 }) : bytes));
    const client = await serve([...(starts.simple ?? []), Buffer.concat([...writes, whole])]);
    expect(Buffer.from(client.last).toString('hex')).toBe('67446698000000001122334455667788');
  });
});
