/** Nodes of the driver nbd on a server in the same process: what is read is what was written, whatever the server can. */
import fc from 'fast-check';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RequestFlag, Status, type Engine } from '../../../src/engine/contract';
import { Permission } from '../../../src/files/locks';
import { nbdOpener, NbdServer, type ByteStream } from '../../../src/nbd';
import type { BlockGraph, BlockUser } from '../../../src/graph';
import { World } from '../../graph/support';
import { streamPair } from '../../../src/nbd/pair';

const SIZE = 256 * 1024;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A server with one writable export `e`, and a client with a graph of its own. */
class Pair {
  readonly here = new World();
  readonly there = new World();
  readonly served = this.there.graph();
  readonly graph: BlockGraph;
  /** Set: connections are refused. */
  refuses = false;
  readonly streams: ByteStream[] = [];
  private readonly server = new NbdServer(
    { engine: this.there.engine, turn, held: () => null },
    { maxConnections: 0, handshakeSeconds: 0 },
  );

  private constructor() {
    const connect = async (): Promise<ByteStream> => {
      if (this.refuses) throw new Error('refused');
      const [ours, theirs] = streamPair();
      this.streams.push(ours);
      void this.server.connect(theirs);
      return ours;
    };
    const { presence } = this.here.engine;
    this.graph = this.here.graph({ openNbd: nbdOpener({ presence, connect }) });
  }

  /** @param above options of a node above the exported file, which is `f` */
  static async open({ minBlock = 1, above = null as object | null, size = SIZE } = {}): Promise<Pair> {
    const pair = new Pair();
    await pair.there.file('disk', size);
    const file = { driver: 'file', filename: 'disk', 'node-name': 'f' };
    await pair.served.blockdevAdd(file);
    if (above) await pair.served.blockdevAdd({ ...above, 'node-name': 'top' });
    const perm = Permission.CONSISTENT_READ | Permission.WRITE;
    const target = { nodeName: above ? 'top' : 'f' };
    const device = await pair.served.attach(target, { perm, shared: Permission.ALL });
    pair.server.add({
      name: 'e',
      description: '',
      size,
      writable: true,
      writeThrough: false,
      minBlock,
      device,
      allocationDepth: false,
      bitmaps: [],
    });
    return pair;
  }

  /** A user of a node of the client: the export itself, or what is above it. */
  async use(options: object = {}, above: object | null = null): Promise<BlockUser> {
    const server = { type: 'unix', path: 's' };
    await this.graph.blockdevAdd({ driver: 'nbd', 'node-name': 'n', export: 'e', server, ...options });
    if (above) await this.graph.blockdevAdd({ ...above, 'node-name': 'a', file: 'n' });
    const perm = Permission.CONSISTENT_READ | Permission.WRITE;
    return this.graph.attach({ nodeName: above ? 'a' : 'n' }, { perm, shared: Permission.ALL });
  }

  async end(): Promise<void> {
    await this.graph.close();
    await turn();
    await this.server.close();
    await this.served.close();
  }
}

async function read(user: BlockUser, engine: Engine, at: number, bytes: number): Promise<Uint8Array> {
  const buffer = engine.alloc(bytes);
  try {
    await user.present(() => user.read(at, bytes, buffer));
    return buffer.view().slice();
  } finally {
    buffer.free();
  }
}

async function write(user: BlockUser, engine: Engine, at: number, data: Uint8Array): Promise<void> {
  const buffer = engine.alloc(data.length);
  try {
    buffer.view().set(data);
    await user.present(() => user.write(at, data.length, buffer));
  } finally {
    buffer.free();
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const range = fc
  .tuple(fc.integer({ min: 0, max: SIZE }), fc.integer({ min: 0, max: 70_000 }))
  .map(([at, length]) => [at, Math.min(length, SIZE - at)] as const);
const requests = fc.array(
  fc.record({
    what: fc.constantFrom('read', 'write', 'zero', 'unmap', 'flush', 'status'),
    range,
    byte: fc.integer({ min: 1, max: 255 }),
  }),
  { minLength: 1, maxLength: 30 },
);

describe.each([1, 512, 4096])('an export with blocks of %i bytes', (minBlock) => {
  it('is a disk like any other, also with many requests at the same time', async () => {
    await fc.assert(
      fc.asyncProperty(requests, fc.boolean(), async (list, together) => {
        const pair = await Pair.open({ minBlock });
        const user = await pair.use();
        const { engine } = pair.here;
        const model = new Uint8Array(SIZE);
        const under: { from: number; to: number; over: Promise<void> }[] = [];
        for (const {
          what,
          range: [at, bytes],
          byte,
        } of list) {
          const run = async (): Promise<void> => {
            if (what === 'read')
              expect(same(await read(user, engine, at, bytes), model.subarray(at, at + bytes))).toBe(true);
            else if (what === 'flush') await user.present(() => user.flush());
            else if (what === 'write') await write(user, engine, at, new Uint8Array(bytes).fill(byte));
            else if (what === 'status') {
              const status = await user.present(() => user.blockStatus(at, bytes));
              if (status.flags & Status.ZERO) {
                expect(model.slice(at, at + status.bytes).every((value) => value === 0)).toBe(true);
              }
            } else {
              const flags = what === 'unmap' ? RequestFlag.MAY_UNMAP : 0;
              await user.present(() => user.writeZeroes(at, bytes, flags));
            }
          };
          // What overlaps has no order unless one waits for the other.
          if (under.some(({ from, to }) => from < at + bytes && at < to) || !together) {
            await Promise.all(under.splice(0).map(({ over }) => over));
          }
          const over = run();
          under.push({ from: at, to: at + bytes, over });
          if (what === 'read' || what === 'status') await over;
          if (what === 'write') model.fill(byte, at, at + bytes);
          if (what === 'zero' || what === 'unmap') model.fill(0, at, at + bytes);
        }
        await Promise.all(under.map(({ over }) => over));
        expect(same(await read(user, engine, 0, SIZE), model)).toBe(true);
        await user.close();
        await pair.end();
        expect(same(await pair.there.content('disk'), model)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });
});

it('a request without a stage is refused', async () => {
  const pair = await Pair.open();
  const user = await pair.use();
  const buffer = pair.here.engine.alloc(512);
  expect(() => user.read(0, 512, buffer)).toThrow('Resource temporarily unavailable');
  buffer.free();
  await user.close();
  await pair.end();
});

/** The first write of the server's file that touches this sector fails, once. */
const failing = (sector: number) => ({
  driver: 'blkdebug',
  image: 'f',
  'inject-error': [{ event: 'none', iotype: 'write', errno: 28, sector, once: true }],
});

describe('a write that the server refuses', () => {
  it('fails, and the next one is another one', async () => {
    const pair = await Pair.open({ above: failing(8) });
    const user = await pair.use();
    const { engine } = pair.here;
    const first = write(user, engine, 4096, new Uint8Array(512).fill(1));
    await expect(first).rejects.toThrow('No space left on device');
    await write(user, engine, 8192, new Uint8Array(512).fill(2));
    expect((await read(user, engine, 4096, 1))[0]).toBe(0);
    await write(user, engine, 4096, new Uint8Array(512).fill(3));
    expect((await read(user, engine, 4096, 1))[0]).toBe(3);
    await user.close();
    await pair.end();
  });

  it('of a format stays until it succeeds: nothing behind it gets past', async () => {
    // The first data cluster of a new image.
    const pair = await Pair.open({ size: 4 * 1024 * 1024, above: failing((5 * 65536) / 512) });
    const { engine } = pair.here;
    const server = { type: 'unix', path: 's' };
    await pair.graph.blockdevAdd({ driver: 'nbd', 'node-name': 'n', export: 'e', server });
    await pair.graph.create({ driver: 'qcow2', file: 'n', size: 1024 * 1024 });
    await pair.graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'q', file: 'n' });
    const perm = Permission.CONSISTENT_READ | Permission.WRITE;
    const user = await pair.graph.attach({ nodeName: 'q' }, { perm, shared: Permission.ALL });
    const first = write(user, engine, 0, new Uint8Array(65536).fill(7));
    await expect(first).rejects.toThrow('No space left on device');
    // What the image believes is what is read.
    expect((await read(user, engine, 100, 1))[0]).toBe(7);
    await write(user, engine, 65536, new Uint8Array(512).fill(8));
    await user.present(() => user.flush());
    await user.close();
    await pair.graph.blockdevDel('q');
    await pair.graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'q', file: 'n', 'read-only': true });
    const readers = { perm: Permission.CONSISTENT_READ, shared: Permission.ALL };
    const again = await pair.graph.attach({ nodeName: 'q' }, readers);
    expect((await read(again, engine, 65535, 1))[0]).toBe(7);
    expect((await read(again, engine, 65536, 1))[0]).toBe(8);
    await again.close();
    await pair.end();
  });
});

describe('a connection that is lost', () => {
  it('fails requests that are under way, and is made again for the next one', async () => {
    const pair = await Pair.open();
    const user = await pair.use();
    const { engine } = pair.here;
    const pending = read(user, engine, 0, 512);
    pair.streams[0]!.destroy();
    await expect(pending).rejects.toThrow('Input/output error');
    await write(user, engine, 0, new Uint8Array(512).fill(4));
    expect((await read(user, engine, 0, 1))[0]).toBe(4);
    expect(pair.streams).toHaveLength(2);
    pair.streams[1]!.destroy();
    pair.refuses = true;
    await expect(read(user, engine, 0, 512)).rejects.toThrow('Input/output error');
    await user.close().catch(() => undefined);
    await pair.end().catch(() => undefined);
  });

  it('is waited for as long as reconnect-delay says', async () => {
    const pair = await Pair.open();
    const user = await pair.use({ 'reconnect-delay': 5 });
    const { engine } = pair.here;
    pair.refuses = true;
    pair.streams[0]!.destroy();
    let done = false;
    const pending = write(user, engine, 512, new Uint8Array(512).fill(9)).then(() => (done = true));
    await sleep(50);
    expect(done).toBe(false);
    pair.refuses = false;
    await pending;
    expect((await read(user, engine, 512, 1))[0]).toBe(9);
    await user.close();
    await pair.end();
  });
});
