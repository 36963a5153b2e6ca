/** Clients of an export above a throttle node keep its limits. Time is virtual. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Daemon } from '../../src/daemon';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import type { ByteStream } from '../../src/nbd';
import type { QmpValue } from '../../src/qapi';
import { hello, option, request } from './messages';

const MODULE = new WebAssembly.Module(readFileSync('build/engine.wasm'));
const MIB = 2 ** 20;
const [READ, WRITE, FLUSH, EXPORT_NAME] = [0, 1, 3, 1];
const SIMPLE_REPLY = 16;

/** One end of a connection, by hand. */
class Wire implements ByteStream {
  /** Bytes that the server sent. */
  received = 0;
  gone = false;
  private readonly sent: Uint8Array[] = [];
  private wake: () => void = () => undefined;

  send(...pieces: Uint8Array[]): void {
    this.sent.push(...pieces);
    this.wake();
  }
  hangUp(): void {
    this.gone = true;
    this.wake();
  }
  async read(): Promise<Uint8Array | null> {
    while (this.sent.length === 0 && !this.gone) await new Promise<void>((resolve) => (this.wake = resolve));
    return this.sent.shift() ?? null;
  }
  write(pieces: readonly Uint8Array[]): Promise<boolean> {
    for (const piece of pieces) this.received += piece.length;
    return Promise.resolve(!this.gone);
  }
  close(): void {
    this.hangUp();
  }
  destroy(): void {
    this.hangUp();
  }
}

let daemon: Daemon;
let serve: (stream: ByteStream) => void;

const must = async (name: string, args: QmpValue): Promise<void> =>
  expect(await daemon.execute(name, args)).toEqual({ return: {} });

/** Everything that can happen now. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Time goes by, a millisecond after the other. */
async function pass(milliseconds: number): Promise<void> {
  for (let i = 0; i < milliseconds; i++) {
    vi.advanceTimersByTime(1);
    for (let j = 0; j < 3; j++) await new Promise((resolve) => setImmediate(resolve));
  }
  await settle();
}

/** A client in the transmission phase. */
async function open(): Promise<Wire> {
  const wire = new Wire();
  serve(wire);
  wire.send(hello(), option(EXPORT_NAME, new TextEncoder().encode('slow')));
  await settle();
  wire.received = 0;
  return wire;
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  daemon = new Daemon({
    engine: createEngine(MODULE),
    files: new MemoryStore(),
    locks: new MemoryLocks(),
    version: 'test',
    now: () => Date.now(),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    listen: (_address, taken) => {
      serve = taken;
      return Promise.resolve({ close: () => undefined });
    },
    exit: () => undefined,
  });
  await must('object-add', { 'qom-type': 'throttle-group', id: 'g', limits: { 'bps-total': MIB } });
  await must('blockdev-add', {
    driver: 'throttle',
    'node-name': 'slow',
    'throttle-group': 'g',
    file: { driver: 'null-co', size: 64 * MIB, 'read-zeroes': true },
  });
  await must('nbd-server-start', { addr: { type: 'unix', data: { path: 'n' } } });
  await must('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'slow', writable: true });
});

afterEach(async () => {
  await daemon.end();
  vi.useRealTimers();
});

const PIECE = 65536;
const write = (): Uint8Array => request({ type: WRITE, length: PIECE, data: new Uint8Array(PIECE).fill(1) });
const read = (): Uint8Array => request({ type: READ, length: PIECE });

it('serves as many bytes a second as the limits say, whether few or many requests wait', async () => {
  for (const atOnce of [1, 12]) {
    const wire = await open();
    let sent = 0;
    const replies = (): number => wire.received / SIMPLE_REPLY;
    for (let time = 0; time < 3000; time++) {
      while (sent - replies() < atOnce) {
        wire.send(write());
        sent++;
      }
      await pass(1);
    }
    const bytes = replies() * PIECE;
    // A tenth of a second passes at once, and the request that fills the bucket.
    expect(bytes).toBeLessThanOrEqual(3.1 * MIB * 1.05 + PIECE);
    expect(bytes).toBeGreaterThan(3 * MIB * 0.95 - PIECE);
    wire.hangUp();
    await pass(2000);
  }
});

it('shares the limits among clients', async () => {
  const wires = [await open(), await open()];
  const served = (): number[] => wires.map(({ received }) => received / (SIMPLE_REPLY + PIECE));
  const sent = [0, 0];
  for (let time = 0; time < 2000; time++) {
    for (const [i, wire] of wires.entries()) {
      if (sent[i] !== served()[i]) continue;
      wire.send(read());
      sent[i] = (sent[i] ?? 0) + 1;
    }
    await pass(1);
  }
  const [a = 0, b = 0] = served();
  expect((a + b) * PIECE).toBeLessThanOrEqual(2.1 * MIB * 1.05 + 2 * PIECE);
  expect((a + b) * PIECE).toBeGreaterThan(2 * MIB * 0.9);
  expect(Math.abs(a - b)).toBeLessThanOrEqual(2);
});

it('lets a flush pass, and does not wait for a client that has gone', async () => {
  const wire = await open();
  for (let i = 0; i < 10; i++) wire.send(write());
  await settle();
  const before = wire.received;
  expect(before).toBeLessThan(4 * SIMPLE_REPLY);
  wire.send(request({ type: FLUSH }));
  await settle();
  expect(wire.received).toBe(before + SIMPLE_REPLY);
  wire.hangUp();
  await settle();
  // Nothing of the client is left that would keep the export.
  expect(vi.getTimerCount()).toBe(0);
  await must('block-export-del', { id: 'e' });
  await settle();
  expect(await daemon.execute('query-block-exports', {})).toEqual({ return: [] });
});
