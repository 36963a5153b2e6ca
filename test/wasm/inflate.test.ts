import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { compileWasm } from './compile';

const TRUNCATED = -1;
const BAD_BLOCK = -2;
const BAD_CODE = -3;
const BAD_DISTANCE = -4;

/** Bytes that may not change, around the destination and behind the source. */
const GUARD = 64;
const GUARD_BYTE = 0xa5;
const MAX_BYTES = 1 << 20;

interface Decoder {
  memory: WebAssembly.Memory;
  inflate(source: number, sourceBytes: number, destination: number, destinationBytes: number): number;
}

let decoder: Decoder;
/** The first address that the module does not use. */
let scratch: number;

beforeAll(async () => {
  const module = await compileWasm('wasm/codec/inflate.ts');
  const abort = (): never => {
    throw new Error('abort');
  };
  decoder = new WebAssembly.Instance(module, { env: { abort } }).exports as unknown as Decoder;
  scratch = decoder.memory.grow(Math.ceil((2 * MAX_BYTES + 4 * GUARD) / 65536)) * 65536;
}, 60_000);

/** Decodes in a memory full of guard bytes and sees to it that nothing but the destination changed. */
function decode(stream: Uint8Array, bytes: number): { result: number; output: Uint8Array } {
  const memory = new Uint8Array(decoder.memory.buffer);
  const source = scratch + GUARD;
  const destination = source + stream.length + GUARD;
  memory.fill(GUARD_BYTE, scratch, destination + bytes + GUARD);
  memory.set(stream, source);
  const result = decoder.inflate(source, stream.length, destination, bytes);
  expect(Buffer.compare(memory.subarray(source, source + stream.length), stream)).toBe(0);
  for (const start of [scratch, source + stream.length, destination + bytes]) {
    const guard = memory.subarray(start, start + GUARD);
    expect(guard.every((byte) => byte === GUARD_BYTE)).toBe(true);
  }
  return { result, output: memory.slice(destination, destination + Math.max(result, 0)) };
}

function expectContent(stream: Uint8Array, content: Uint8Array, bytes = content.length): void {
  const { result, output } = decode(stream, bytes);
  expect(result).toBe(Math.min(content.length, bytes));
  expect(Buffer.compare(output, content.subarray(0, bytes))).toBe(0);
}

/**
 * A decoder whose source lies at the very end of the memory: reading on past it traps.
 * The destination ends right before the source.
 */
function decodeAtTheEnd(stream: Uint8Array, bytes: number): number {
  const end = decoder.memory.buffer.byteLength;
  const memory = new Uint8Array(decoder.memory.buffer);
  memory.set(stream, end - stream.length);
  return decoder.inflate(end - stream.length, stream.length, end - stream.length - bytes, bytes);
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

/** Contents of the kinds a disk has. */
function samples(): Record<string, Buffer> {
  const random = noise(70_000, 1);
  const words = ['cluster', 'refcount', ' ', '\n', 'the ', 'of a table', 'snapshot', '0x1000', 'é'];
  let text = '';
  for (let i = 0; text.length < 200_000; i++) text += words[(random[i % 70_000] ?? 0) % words.length];
  // Few values of very different frequency give codes longer than the root tables.
  const skewed = Buffer.alloc(150_000);
  for (let i = 0; i < skewed.length; i++) {
    const bits = Math.clz32(random.readUInt32LE((i * 4) % 69_996) | 1);
    skewed[i] = bits * 9 + (i % 5);
  }
  const mixed = Buffer.concat([
    random.subarray(0, 30_000),
    Buffer.alloc(40_000),
    Buffer.from(text.slice(0, 60_000)),
    random,
  ]);
  return {
    empty: Buffer.alloc(0),
    'one byte': Buffer.from('a'),
    random,
    zeros: Buffer.alloc(300_000),
    text: Buffer.from(text),
    skewed,
    mixed,
    'all bytes': Buffer.from(Array.from({ length: 65536 }, (_, i) => (i * (i >>> 8)) & 255)),
  };
}

describe('streams of zlib', () => {
  const strategies = {
    default: constants.Z_DEFAULT_STRATEGY,
    filtered: constants.Z_FILTERED,
    'Huffman only': constants.Z_HUFFMAN_ONLY,
    RLE: constants.Z_RLE,
    fixed: constants.Z_FIXED,
  };
  for (const [name, content] of Object.entries(samples())) {
    for (const [strategyName, strategy] of Object.entries(strategies)) {
      test(`${name}, strategy ${strategyName}, all levels`, () => {
        for (let level = 0; level <= 9; level++) {
          expectContent(deflateRawSync(content, { level, strategy }), content);
        }
      });
    }
    test(`${name}, all window sizes and memory levels`, () => {
      for (let windowBits = 9; windowBits <= 15; windowBits++) {
        for (const memLevel of [1, 5, 9]) {
          expectContent(deflateRawSync(content, { windowBits, memLevel }), content);
        }
      }
    });
  }

  test('distances of 1 to 40 and all lengths of a match, in the fast and the careful loop', () => {
    for (let distance = 1; distance <= 40; distance++) {
      const period = noise(distance, distance);
      const parts: Buffer[] = [];
      for (let length = 3; length <= 258; length += distance > 17 ? 51 : 1) {
        parts.push(noise(20, length * 64 + distance), period, Buffer.alloc(length, period));
      }
      const content = Buffer.concat(parts);
      expectContent(deflateRawSync(content, { level: 9 }), content);
      expectContent(deflateRawSync(Buffer.alloc(200, period)), Buffer.alloc(200, period));
    }
  });

  test('the farthest distance, 32768', () => {
    const unique = noise(32768, 77);
    const content = Buffer.concat([unique, unique.subarray(0, 3000), unique.subarray(20_000, 22_000)]);
    const stream = deflateRawSync(content, { level: 9, windowBits: 15, memLevel: 9 });
    expectContent(stream, content);
  });

  test('blocks of all three types in one stream', () => {
    const parts = [
      deflateRawSync(noise(1000, 3), { level: 0, finishFlush: constants.Z_SYNC_FLUSH }),
      deflateRawSync('fixed, fixed, fixed', {
        strategy: constants.Z_FIXED,
        finishFlush: constants.Z_FULL_FLUSH,
      }),
      deflateRawSync(Buffer.from('dynamic block'.repeat(300)), { finishFlush: constants.Z_FULL_FLUSH }),
      deflateRawSync('fixed again', { strategy: constants.Z_FIXED }),
    ];
    const stream = Buffer.concat(parts);
    expectContent(stream, inflateRawSync(stream));
  });

  test('stops when the destination is full, wherever that is', () => {
    const content = samples().mixed?.subarray(29_000, 72_000) ?? Buffer.alloc(0);
    const stream = deflateRawSync(content, { level: 6 });
    for (let bytes = 0; bytes < content.length; bytes += bytes < 700 ? 1 : 997)
      expectContent(stream, content, bytes);
    const stored = deflateRawSync(content, { level: 0 });
    for (const bytes of [0, 1, 511, 40_000]) expectContent(stored, content, bytes);
  });

  test('leaves what follows the stream alone', () => {
    const content = Buffer.from('a cluster '.repeat(1000));
    const stream = deflateRawSync(content);
    expectContent(Buffer.concat([stream, noise(500, 5)]), content);
    const { result } = decode(Buffer.concat([stream, noise(500, 5)]), content.length + 1000);
    expect(result).toBe(content.length);
  });
});

/** A field of a stream: its value, lowest bit first, and its size in bits. */
type Bits = [value: number, bits: number];

/** Packs [value, bits] pairs, first bit lowest. */
function pack(...fields: Bits[]): Buffer {
  const bits = fields.flatMap(([value, count]) => Array.from({ length: count }, (_, i) => (value >>> i) & 1));
  const bytes = Buffer.alloc(Math.ceil(bits.length / 8));
  bits.forEach((bit, i) => (bytes[i >>> 3] = (bytes[i >>> 3] ?? 0) | (bit << (i & 7))));
  return bytes;
}
/** A Huffman code, whose bits come highest first. */
function code(value: number, bits: number): Bits {
  let reversed = 0;
  for (let i = 0; i < bits; i++) reversed |= ((value >>> i) & 1) << (bits - 1 - i);
  return [reversed, bits];
}

/** The codes of RFC 1951, 3.2.2, for the given lengths. */
function codesOf(lengths: number[]): Bits[] {
  const codes: Bits[] = lengths.map(() => [0, 0]);
  let next = 0;
  for (let bits = 1; bits <= 15; bits++) {
    lengths.forEach((length, symbol) => {
      if (length === bits) codes[symbol] = code(next++, bits);
    });
    next <<= 1;
  }
  return codes;
}

/** The fields of a last, dynamic block, up to its first symbol; all code lengths are sent as they are, in four bits. */
function dynamicHeader(literals: number[], distances: number[]): Bits[] {
  const plain = codesOf(Array.from({ length: 16 }, () => 4));
  const order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
  return [
    [1, 1],
    [2, 2],
    [literals.length - 257, 5],
    [distances.length - 1, 5],
    [15, 4],
    ...order.map((symbol): Bits => [symbol < 16 ? 4 : 0, 3]),
    ...[...literals, ...distances].map((length): Bits => plain[length] ?? [0, 0]),
  ];
}

describe('bad streams', () => {
  test('an empty source', () => expect(decode(Buffer.alloc(0), 10).result).toBe(TRUNCATED));
  test('block type 3', () => expect(decode(Buffer.from([7, 0, 0, 0, 0, 0]), 10).result).toBe(BAD_BLOCK));
  test('a stored length that does not match its complement', () =>
    expect(decode(Buffer.from([1, 4, 0, 4, 0, 1, 2, 3, 4]), 4).result).toBe(BAD_BLOCK));
  test('a stored block that is cut off', () => {
    expect(decode(Buffer.from([1, 4, 0, 0xfb]), 4).result).toBe(TRUNCATED);
    expect(decode(Buffer.from([1, 4, 0, 0xfb, 0xff, 1, 2, 3]), 4).result).toBe(TRUNCATED);
    // Only as much of it is needed as there is room.
    expect(decode(Buffer.from([1, 4, 0, 0xfb, 0xff, 1, 2, 3]), 3).result).toBe(3);
  });
  test('a distance before the start', () => {
    // Fixed block: literal 'a', length 3 (257), distance 2 (symbol 1).
    const stream = pack([1, 1], [1, 2], code(0x30 + 97, 8), code(1, 7), code(1, 5), code(0, 7));
    expect(decode(stream, 10).result).toBe(BAD_DISTANCE);
    const long = Buffer.concat([stream, Buffer.alloc(100)]);
    expect(decode(long, 1000).result).toBe(BAD_DISTANCE);
  });
  test('symbols of the fixed codes that stand for nothing', () => {
    for (const room of [10, 1000]) {
      const tail: Bits[] = Array.from({ length: 40 }, () => [0, 8]);
      expect(decode(pack([1, 1], [1, 2], code(0xc6, 8), ...tail), room).result).toBe(BAD_CODE);
      expect(decode(pack([1, 1], [1, 2], code(0xc7, 8), ...tail), room).result).toBe(BAD_CODE);
      for (const distance of [30, 31]) {
        const stream = pack([1, 1], [1, 2], code(0x30, 8), code(1, 7), code(distance, 5), ...tail);
        expect(decode(stream, room).result).toBe(BAD_CODE);
      }
    }
  });
  test('counts and lengths of codes that no block may have', () => {
    const padding: Bits[] = Array.from({ length: 80 }, () => [0, 8]);
    // 287 literals; 31 distances; over-subscribed, then incomplete, code of the lengths; no code at all.
    expect(decode(pack([1, 1], [2, 2], [30, 5], [0, 5], [0, 4], ...padding), 100).result).toBe(BAD_BLOCK);
    expect(decode(pack([1, 1], [2, 2], [0, 5], [30, 5], [0, 4], ...padding), 100).result).toBe(BAD_BLOCK);
    const lengths = (...values: number[]): Bits[] => values.map((value) => [value, 3]);
    const block = (...rest: Bits[]): number =>
      decode(pack([1, 1], [2, 2], [0, 5], [0, 5], [0, 4], ...rest, ...padding), 100).result;
    expect(block(...lengths(1, 1, 1, 0))).toBe(BAD_BLOCK);
    expect(block(...lengths(1, 2, 0, 0))).toBe(BAD_BLOCK);
    expect(block(...lengths(0, 0, 0, 0))).toBe(BAD_BLOCK);
    // A repetition of nothing: 16 as the first code (of 16 and 17, one bit each).
    expect(block(...lengths(1, 1, 0, 0), [0, 1], [0, 2])).toBe(BAD_BLOCK);
    // Zeros beyond the last length, and no code for the end of the block.
    expect(block(...lengths(0, 1, 1, 0), [1, 1], [127, 7], [1, 1], [127, 7])).toBe(BAD_BLOCK);
    expect(block(...lengths(0, 1, 1, 0), [1, 1], [127, 7], [1, 1], [109, 7])).toBe(BAD_BLOCK);
  });
});

describe('properties', () => {
  const bytes = fc.uint8Array({ maxLength: 3000 });
  const runs = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 700 })), { maxLength: 30 })
    .map((list) => Buffer.concat(list.map(([value, count]) => Buffer.alloc(count, value))));
  const text = fc
    .array(fc.constantFrom('qcow2', 'a', 'table ', 'of', '\0\0\0\0', 'QFI\xfb', '\n', 'file.qcow2'), {
      maxLength: 1500,
    })
    .map((words) => Buffer.from(words.join('')));
  const repeats = fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.integer({ min: 1, max: 60 }))
    .map(([period, count]) => Buffer.concat(Array.from({ length: count }, () => period)));
  const content = fc.oneof(bytes, runs, text, repeats);
  const options = fc.record({
    level: fc.integer({ min: 0, max: 9 }),
    strategy: fc.constantFrom(0, 1, 2, 3, 4),
    windowBits: fc.integer({ min: 9, max: 15 }),
    memLevel: fc.integer({ min: 1, max: 9 }),
  });
  /** What zlib makes of a stream; null: it refuses it, or the stream goes on. */
  function reference(stream: Uint8Array): Buffer | null {
    try {
      return inflateRawSync(stream, { maxOutputLength: MAX_BYTES });
    } catch {
      return null;
    }
  }
  /** Ours and zlib take the same streams and read the same in them. */
  function expectAsReference(stream: Uint8Array): void {
    const expected = reference(stream);
    const room = (expected?.length ?? 20_000) + 400;
    const { result, output } = decode(stream, room);
    if (expected) {
      expect(result).toBe(expected.length);
      expect(Buffer.compare(output, expected)).toBe(0);
    } else if (result !== room) {
      expect(result).toBeLessThan(0);
    }
    expect(decodeAtTheEnd(stream, room)).toBe(result);
  }

  test('what zlib deflates is inflated', () => {
    fc.assert(
      fc.property(content, options, (data, how) => {
        const stream = deflateRawSync(data, how);
        expectContent(stream, data);
        expect(decodeAtTheEnd(stream, data.length)).toBe(data.length);
      }),
      { numRuns: 400 },
    );
  });
  test('any Huffman codes, up to 15 bits long, are decoded', () => {
    /** Lengths of a complete code: leaves of a tree that grew by splitting leaves, the depth at most 15. */
    const lengthsOf = (splits: number[], symbols: number): number[] => {
      const leaves = [1, 1];
      for (const split of splits) {
        // Often the deepest leaf, so that codes get long.
        const at = split % 3 === 0 ? split % leaves.length : leaves.length - 1;
        const depth = leaves[at] ?? 15;
        if (depth < 15) leaves.splice(at, 1, depth + 1, depth + 1);
      }
      const lengths = Array.from({ length: symbols }, (_, i) => leaves[i] ?? 0);
      // Spread over the symbols; 7 is prime to all the numbers of symbols used here.
      return lengths.map((_, i) => lengths[(i * 7) % symbols] ?? 0);
    };
    const splits = (max: number): fc.Arbitrary<number[]> =>
      fc.array(fc.nat(1 << 20), { minLength: 5, maxLength: max, size: 'max' });
    fc.assert(
      fc.property(
        splits(250),
        splits(28),
        fc.array(fc.nat(1 << 20), { maxLength: 4000, size: 'max' }),
        (a, b, picks) => {
          const literals = lengthsOf(a, 286);
          const distances = lengthsOf(b, 30);
          // The end of the block must have a code.
          if (!literals[256]) {
            const other = literals.findIndex((length) => length > 0);
            literals[256] = literals[other] ?? 0;
            literals[other] = 0;
          }
          const symbols = literals.flatMap((length, symbol) =>
            length > 0 && symbol !== 256 ? [symbol] : [],
          );
          const used = distances.flatMap((length, symbol) => (length > 0 ? [symbol] : []));
          const literalCodes = codesOf(literals);
          const distanceCodes = codesOf(distances);
          const fields = dynamicHeader(literals, distances);
          let written = 0;
          for (const pick of picks) {
            const symbol = symbols[pick % symbols.length] ?? 0;
            if (symbol < 256) {
              fields.push(literalCodes[symbol] ?? [0, 0]);
              written++;
              continue;
            }
            // The largest distance that what has been written allows; its extra bits are zeros, the smallest.
            const base = (d: number): number => (d < 4 ? d + 1 : ((2 + (d & 1)) << ((d - 2) >> 1)) + 1);
            const fitting = used.filter((d) => base(d) <= written);
            const distance = fitting[pick % 13 === 0 ? pick % fitting.length : fitting.length - 1];
            if (distance === undefined) continue;
            const extra = symbol < 261 || symbol === 285 ? 0 : (symbol - 261) >> 2;
            fields.push(literalCodes[symbol] ?? [0, 0], [pick & ((1 << extra) - 1), extra]);
            fields.push(distanceCodes[distance] ?? [0, 0], [0, distance < 4 ? 0 : (distance - 2) >> 1]);
            written += 3;
          }
          fields.push(literalCodes[256] ?? [0, 0]);
          const stream = pack(...fields);
          const content = inflateRawSync(stream);
          expectContent(stream, content);
          expectContent(Buffer.concat([stream, Buffer.alloc(40)]), content);
          expect(decode(stream, content.length + 500).result).toBe(content.length);
        },
      ),
      { numRuns: 150 },
    );
  }, 30_000);
  test('truncated streams are refused, and what lies before the cut is right', () => {
    fc.assert(
      fc.property(content, options, fc.double({ min: 0, max: 1, noNaN: true }), (data, how, part) => {
        const stream = deflateRawSync(data, how);
        const cut = stream.subarray(0, Math.floor(part * (stream.length - 1)));
        const { result, output } = decode(cut, data.length);
        // The content may be complete before the end of the last block is.
        if (result >= 0) expect(Buffer.compare(output, data)).toBe(0);
        else expect(result).toBe(TRUNCATED);
        expect(decode(cut, data.length + 1).result).toBe(TRUNCATED);
        decodeAtTheEnd(cut, data.length);
      }),
      { numRuns: 400 },
    );
  });
  test('changed streams are taken or refused as by zlib', () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 7 }));
    fc.assert(
      fc.property(
        content,
        options,
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (data, how, changes) => {
          const stream = deflateRawSync(data, how);
          for (const [at, bit] of changes) {
            const index = at % Math.min(stream.length, 200);
            stream[index] = (stream[index] ?? 0) ^ (1 << bit);
          }
          expectAsReference(stream);
        },
      ),
      { numRuns: 1000 },
    );
  });
  test('noise is taken or refused as by zlib', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), expectAsReference), { numRuns: 1000 });
    // Dynamic blocks, so that the code lengths are noise.
    const dynamic = fc.uint8Array({ minLength: 20, maxLength: 400 }).map((data) => {
      data[0] = ((data[0] ?? 0) & 0xf8) | 5;
      return data;
    });
    fc.assert(fc.property(dynamic, expectAsReference), { numRuns: 2000 });
  });
});
