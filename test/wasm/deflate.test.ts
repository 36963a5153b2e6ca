import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { compileWasm } from './compile';

const NO_ROOM = -1;
const WINDOW_BITS = 12;
const CLUSTER = 65536;
/** Bytes that may not change, around the destination and behind the source. */
const GUARD = 64;
const GUARD_BYTE = 0xa5;
const MAX_BYTES = 1 << 21;

interface Encoder {
  memory: WebAssembly.Memory;
  deflate(source: number, sourceBytes: number, destination: number, destinationBytes: number): number;
}

interface Decoder {
  memory: WebAssembly.Memory;
  inflate(source: number, sourceBytes: number, destination: number, destinationBytes: number): number;
}

let encoder: Encoder;
let decoder: Decoder;
/** The first addresses that the modules do not use. */
let scratch: number;
let decoderScratch: number;

async function instantiate<T>(entry: string): Promise<T> {
  const module = await compileWasm(entry);
  const abort = (): never => {
    throw new Error('abort');
  };
  return new WebAssembly.Instance(module, { env: { abort } }).exports as unknown as T;
}

beforeAll(async () => {
  const pages = Math.ceil((2 * MAX_BYTES + 4096) / 65536);
  encoder = await instantiate<Encoder>('wasm/codec/deflate.ts');
  scratch = encoder.memory.grow(pages) * 65536;
  decoder = await instantiate<Decoder>('wasm/codec/inflate.ts');
  decoderScratch = decoder.memory.grow(pages) * 65536;
}, 60_000);

/** The longest stream that content of this length can need: stored blocks, one for each 32 KiB of it at the least. */
function roomFor(bytes: number): number {
  return bytes + 5 * (Math.ceil(bytes / 32_000) + 1);
}

/** Encodes in a memory full of guard bytes and sees to it that nothing but the destination changed; null: no room. */
function encode(content: Uint8Array, room = roomFor(content.length)): Uint8Array | null {
  const memory = new Uint8Array(encoder.memory.buffer);
  const source = scratch + GUARD;
  const destination = source + content.length + GUARD;
  memory.fill(GUARD_BYTE, scratch, destination + room + GUARD);
  memory.set(content, source);
  const result = encoder.deflate(source, content.length, destination, room);
  expect(Buffer.compare(memory.subarray(source, source + content.length), content)).toBe(0);
  for (const start of [scratch, source + content.length, destination + room]) {
    const guard = memory.subarray(start, start + GUARD);
    expect(guard.every((byte) => byte === GUARD_BYTE)).toBe(true);
  }
  if (result < 0) {
    expect(result).toBe(NO_ROOM);
    return null;
  }
  expect(result).toBeLessThanOrEqual(room);
  return memory.slice(destination, destination + result);
}

/** Encodes, and decodes with zlib and with our own decoder. */
function expectRoundTrip(content: Uint8Array): number {
  const stream = encode(content);
  if (!stream) throw new Error('no room');
  expect(Buffer.compare(inflateRawSync(stream, { windowBits: WINDOW_BITS }), content)).toBe(0);
  const memory = new Uint8Array(decoder.memory.buffer);
  memory.set(stream, decoderScratch);
  const to = decoderScratch + stream.length;
  expect(decoder.inflate(decoderScratch, stream.length, to, content.length)).toBe(content.length);
  expect(Buffer.compare(memory.subarray(to, to + content.length), content)).toBe(0);
  return stream.length;
}

/** Deterministic bytes (xorshift). */
function noise(bytes: number, seed: number): Buffer {
  const out = Buffer.alloc(bytes);
  let state = seed | 1;
  for (let i = 0; i < bytes; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state;
  }
  return out;
}

function zlibLength(content: Uint8Array): number {
  return deflateRawSync(content, { level: 6, windowBits: WINDOW_BITS, memLevel: 9 }).length;
}

describe('streams that are decoded again', () => {
  test('sizes from nothing to 600 bytes, of every kind of content', () => {
    const text = Buffer.from('one two three two one; '.repeat(40));
    for (let bytes = 0; bytes <= 600; bytes++) {
      expectRoundTrip(text.subarray(0, bytes));
      expectRoundTrip(Buffer.alloc(bytes, 0x41));
      expectRoundTrip(noise(bytes, bytes));
    }
  });

  test('runs and repetitions of all distances around the window', () => {
    for (let distance = 1; distance <= 40; distance++)
      expectRoundTrip(Buffer.alloc(3000, noise(distance, distance)));
    for (let distance = 4080; distance <= 4100; distance++) {
      const unique = noise(distance, distance);
      const bytes = expectRoundTrip(Buffer.concat([unique, unique.subarray(0, 2000)]));
      // Farther away than the window, nothing is found again.
      if (distance < 4096) expect(bytes).toBeLessThan(distance + 100);
      else expect(bytes).toBeGreaterThan(distance + 1900);
    }
  });

  test('matches of all lengths', () => {
    const parts: Buffer[] = [];
    for (let length = 3; length <= 300; length++) {
      const piece = noise(length, length + 7);
      parts.push(piece, noise(9, length), piece);
    }
    expectRoundTrip(Buffer.concat(parts));
  });

  test('more tokens than a block takes, with codes of the greatest length', () => {
    // Frequencies like Fibonacci numbers make a tree as deep as it can be.
    const skewed: number[] = [];
    for (let symbol = 0, a = 1, b = 1; skewed.length < 190_000; symbol++, [a, b] = [b, a + b]) {
      for (let i = 0; i < a; i++) skewed.push((symbol * 37) & 255);
    }
    const shuffled = Buffer.from(skewed);
    const random = noise(4 * shuffled.length, 3);
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = random.readUInt32LE(4 * i - 4) % (i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j] ?? 0, shuffled[i] ?? 0];
    }
    expectRoundTrip(shuffled);
    for (let start = 0; start < shuffled.length; start += 13_000)
      expectRoundTrip(shuffled.subarray(start, start + 30_000));
  });

  test('the largest cluster: noise, zeros, and both in turn', () => {
    expect(expectRoundTrip(noise(MAX_BYTES, 5))).toBeLessThanOrEqual(roomFor(MAX_BYTES));
    expect(expectRoundTrip(Buffer.alloc(MAX_BYTES))).toBeLessThan(MAX_BYTES / 500);
    const mixed = Buffer.alloc(MAX_BYTES);
    for (let at = 0; at < MAX_BYTES; at += 9000) noise(4500, at).copy(mixed, at);
    expectRoundTrip(mixed);
  });

  test('any bytes, with repetitions', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat(2000))
        .map(([unit, bytes]) => Buffer.alloc(bytes, unit)),
      fc.tuple(fc.nat(5000), fc.nat(30)).map(([bytes, seed]) => noise(bytes, seed)),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.array(fc.nat(11), { maxLength: 20 }),
        (pieces, order) => {
          expectRoundTrip(
            Buffer.concat(
              order.map((index) => pieces[index % Math.max(pieces.length, 1)] ?? Buffer.alloc(0)),
            ),
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('bounds', () => {
  test('the length of the stream is room enough, and one byte less is not', () => {
    const samples = [
      Buffer.alloc(0),
      Buffer.alloc(CLUSTER, 0x41),
      noise(CLUSTER, 1),
      Buffer.from('a few words '.repeat(1000)),
      Buffer.concat([noise(40_000, 2), Buffer.alloc(40_000), noise(40_000, 3)]),
    ];
    for (const content of samples) {
      const length = expectRoundTrip(content);
      expect(encode(content, length)?.length).toBe(length);
      expect(encode(content, length - 1)).toBeNull();
      expect(encode(content, length >> 1)).toBeNull();
      expect(encode(content, 0)).toBeNull();
    }
  });

  test('noise does not fit into less than its own length', () => {
    for (const bytes of [512, 4096, CLUSTER, MAX_BYTES])
      expect(encode(noise(bytes, bytes), bytes - 1)).toBeNull();
  });

  test('a source at the very end of the memory', () => {
    const end = encoder.memory.buffer.byteLength;
    for (const content of [
      Buffer.alloc(5000, 0x41),
      noise(5000, 9),
      Buffer.from('abcabcabcabc'),
      Buffer.from('abc'),
    ]) {
      for (let bytes = Math.max(0, content.length - 20); bytes <= content.length; bytes++) {
        const memory = new Uint8Array(encoder.memory.buffer);
        memory.set(content.subarray(0, bytes), end - bytes);
        const room = roomFor(bytes);
        const to = end - bytes - room;
        const length = encoder.deflate(end - bytes, bytes, to, room);
        const stream = memory.slice(to, to + length);
        expect(Buffer.compare(inflateRawSync(stream), content.subarray(0, bytes))).toBe(0);
      }
    }
  });

  test('a destination at the very end of the memory', () => {
    const end = encoder.memory.buffer.byteLength;
    const memory = new Uint8Array(encoder.memory.buffer);
    const content = Buffer.from('the end of the memory '.repeat(99));
    const length = expectRoundTrip(content);
    memory.set(content, scratch);
    expect(encoder.deflate(scratch, content.length, end - length, length)).toBe(length);
    expect(Buffer.compare(inflateRawSync(memory.slice(end - length, end)), content)).toBe(0);
  });

  test('what was compressed before changes nothing', () => {
    const content = Buffer.concat([noise(3000, 1), Buffer.from('words and words '.repeat(500))]);
    const first = encode(content);
    for (let i = 0; i < 50; i++) encode(noise(8192, i));
    expect(encode(content)).toEqual(first);
    encode(content.subarray(1));
    expect(encode(content)).toEqual(first);
  });
});

describe('sizes against zlib, level 6', () => {
  function clusters(path: string, from: number): Buffer[] {
    const bytes = readFileSync(path).subarray(from, from + 24 * CLUSTER);
    return Array.from({ length: Math.floor(bytes.length / CLUSTER) }, (_, i) =>
      bytes.subarray(i * CLUSTER, (i + 1) * CLUSTER),
    );
  }

  const contents = {
    'program text': () => clusters(createRequire(import.meta.url).resolve('typescript'), 0),
    'machine code': () => clusters(process.execPath, 20 << 20),
    zeros: () => [Buffer.alloc(CLUSTER)],
    noise: () => [noise(CLUSTER, 1)],
  };
  for (const [name, make] of Object.entries(contents)) {
    test(name, () => {
      const all = make();
      const ours = all.reduce((sum, cluster) => sum + expectRoundTrip(cluster), 0);
      const zlib = all.reduce((sum, cluster) => sum + zlibLength(cluster), 0);
      expect(ours).toBeLessThan(zlib * 1.03);
    });
  }

  test('small clusters, and the block types', () => {
    const text = readFileSync(createRequire(import.meta.url).resolve('typescript')).subarray(0, 8 * CLUSTER);
    for (const bytes of [512, 1024, 4096]) {
      let [ours, zlib] = [0, 0];
      for (let at = 0; at < text.length; at += bytes) {
        const piece = text.subarray(at, at + bytes);
        ours += encode(piece)?.length ?? Infinity;
        zlib += zlibLength(piece);
      }
      expect(ours).toBeLessThan(zlib * 1.03);
    }
    const type = (content: Buffer): number => ((encode(content)?.[0] ?? 0) >> 1) & 3;
    expect(type(noise(512, 4))).toBe(0);
    expect(type(Buffer.from('a word'))).toBe(1);
    expect(type(text.subarray(0, 4096))).toBe(2);
    expect(deflateRawSync('a word', { strategy: constants.Z_FIXED }).length).toBe(
      encode(Buffer.from('a word'))?.length,
    );
  });
});
