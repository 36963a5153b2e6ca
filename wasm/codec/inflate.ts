/**
 * A decoder for raw deflate streams (RFC 1951).
 *
 * Input is untrusted: nothing is read outside the source or written outside the destination, and bad data gives a
 * negative result, never a trap. Most of a stream is decoded by `decodeFast`, which may read and write some bytes ahead
 * and so runs only as long as both ends are far enough away; `decodeCareful` does the rest byte by byte.
 *
 * Bits are taken from a 64-bit buffer. A fast refill ORs in eight bytes and counts only the whole ones that fit. The
 * bits above the count are then already those of the bytes at `next`, so ORing them in once more does no harm.
 */
import {
  END_OF_BLOCK,
  INVALID,
  LITERAL,
  buildTable,
  codeBits,
  entryBits,
  entryValue,
  isLiteral,
  isSpecial,
  linkBits,
} from './huffman';

/** The source ended inside the stream, and the destination is not full. */
export const INFLATE_TRUNCATED: i32 = -1;
/** A block type, a stored length or a set of code lengths that RFC 1951 does not have. */
export const INFLATE_BAD_BLOCK: i32 = -2;
/** A code that stands for nothing. */
export const INFLATE_BAD_CODE: i32 = -3;
/** A distance that points before the start of the destination. */
export const INFLATE_BAD_DISTANCE: i32 = -4;

/** What a decoding loop ended with, besides the negative errors. */
const BLOCK_ENDED: i32 = 0;
const OUTPUT_FULL: i32 = 1;
const NEAR_THE_END: i32 = 2;

const LITERAL_ROOT_BITS: u32 = 11;
const DISTANCE_ROOT_BITS: u32 = 8;
const LENGTHS_ROOT_BITS: u32 = 7;
const LITERAL_MASK: u64 = (1 << LITERAL_ROOT_BITS) - 1;
const DISTANCE_MASK: u64 = (1 << DISTANCE_ROOT_BITS) - 1;

/** Sizes: see `buildTable`. */
const LITERAL_TABLE: usize = memory.data(2342 * 4, 16);
const DISTANCE_TABLE: usize = memory.data(402 * 4, 16);
const LENGTHS_TABLE: usize = memory.data(128 * 4, 16);
/** Code lengths of a block: up to 288 literals and lengths, then up to 32 distances. */
const CODE_LENGTHS: usize = memory.data(320, 16);
const LENGTH_CODE_LENGTHS: usize = memory.data(32, 16);

/** The order in which the lengths of the length codes are sent (RFC 1951, 3.2.7). */
const LENGTH_CODE_ORDER: usize = memory.data<u8>([
  16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
]);

const LITERAL_TEMPLATES: usize = memory.data(288 * 4, 16);
const DISTANCE_TEMPLATES: usize = memory.data(32 * 4, 16);
const LENGTHS_TEMPLATES: usize = memory.data(19 * 4, 16);

/** For distances below 16: sixteen indices that repeat 0 .. distance-1. */
const PATTERNS: usize = memory.data(16 * 16, 16);

/** Fills the constant tables (RFC 1951, 3.2.5); runs when the module is instantiated. */
function fillConstants(): bool {
  for (let byte: u32 = 0; byte < 256; byte++) {
    store<u32>(LITERAL_TEMPLATES + (byte << 2), LITERAL | (byte << 16));
  }
  store<u32>(LITERAL_TEMPLATES + (256 << 2), END_OF_BLOCK);
  let base: u32 = 3;
  for (let symbol: u32 = 257; symbol < 285; symbol++) {
    const extra: u32 = symbol < 261 ? 0 : (symbol - 261) >>> 2;
    store<u32>(LITERAL_TEMPLATES + (symbol << 2), (base << 16) | extra);
    base += 1 << extra;
  }
  store<u32>(LITERAL_TEMPLATES + (285 << 2), 258 << 16);
  store<u32>(LITERAL_TEMPLATES + (286 << 2), INVALID);
  store<u32>(LITERAL_TEMPLATES + (287 << 2), INVALID);
  base = 1;
  for (let symbol: u32 = 0; symbol < 30; symbol++) {
    const extra: u32 = symbol < 4 ? 0 : (symbol - 2) >>> 1;
    store<u32>(DISTANCE_TEMPLATES + (symbol << 2), (base << 16) | extra);
    base += 1 << extra;
  }
  store<u32>(DISTANCE_TEMPLATES + (30 << 2), INVALID);
  store<u32>(DISTANCE_TEMPLATES + (31 << 2), INVALID);
  for (let symbol: u32 = 0; symbol < 19; symbol++)
    store<u32>(LENGTHS_TEMPLATES + (symbol << 2), symbol << 16);
  for (let distance: u32 = 1; distance < 16; distance++) {
    for (let i: u32 = 0; i < 16; i++) store<u8>(PATTERNS + (distance << 4) + i, i % distance);
  }
  return true;
}
fillConstants();

/** Whether the tables are those of the fixed codes: then a fixed block need not build them again. */
let tablesAreFixed: bool = false;

/** State of the stream between the steps of a call; the loops keep it in locals. */
let bitBuffer: u64 = 0;
let bitCount: i32 = 0;
let next: usize = 0;
let sourceEnd: usize = 0;
let out: usize = 0;
let outStart: usize = 0;
let outEnd: usize = 0;

/** Takes bytes into the bit buffer as long as there are some and the count stays below 64. */
function refill(): void {
  while (bitCount < 56 && next < sourceEnd) {
    bitBuffer |= (<u64>load<u8>(next)) << bitCount;
    next++;
    bitCount += 8;
  }
}

/** Takes `count` <= 16 bits; the caller has seen that they are there. */
// @ts-ignore: decorator
@inline
function takeBits(count: i32): u32 {
  const bits = (<u32>bitBuffer) & ((1 << count) - 1);
  bitBuffer >>= count;
  bitCount -= count;
  return bits;
}

/** A stored block (RFC 1951, 3.2.4), behind its type. */
function copyStored(): i32 {
  // Whole bytes in the bit buffer go back; what is left of the current byte is padding.
  next -= bitCount >>> 3;
  bitBuffer = 0;
  bitCount = 0;
  if (sourceEnd - next < 4) return INFLATE_TRUNCATED;
  let bytes = <u32>load<u16>(next);
  if ((bytes ^ 0xffff) !== <u32>load<u16>(next + 2)) return INFLATE_BAD_BLOCK;
  next += 4;
  const room = <u32>(outEnd - out);
  const full = bytes >= room;
  if (full) bytes = room;
  if (sourceEnd - next < bytes) return INFLATE_TRUNCATED;
  memory.copy(out, next, bytes);
  next += bytes;
  out += bytes;
  return full ? OUTPUT_FULL : BLOCK_ENDED;
}

/** The tables of the fixed codes (RFC 1951, 3.2.6). */
function buildFixedTables(): void {
  if (tablesAreFixed) return;
  memory.fill(CODE_LENGTHS, 8, 144);
  memory.fill(CODE_LENGTHS + 144, 9, 112);
  memory.fill(CODE_LENGTHS + 256, 7, 24);
  memory.fill(CODE_LENGTHS + 280, 8, 8);
  memory.fill(CODE_LENGTHS + 288, 5, 32);
  buildTable(LITERAL_TABLE, LITERAL_ROOT_BITS, CODE_LENGTHS, 288, LITERAL_TEMPLATES, false);
  buildTable(DISTANCE_TABLE, DISTANCE_ROOT_BITS, CODE_LENGTHS + 288, 32, DISTANCE_TEMPLATES, false);
  tablesAreFixed = true;
}

/** Reads the codes of a dynamic block (RFC 1951, 3.2.7) and builds their tables. 0, or a negative error. */
function buildDynamicTables(): i32 {
  tablesAreFixed = false;
  refill();
  if (bitCount < 14) return INFLATE_TRUNCATED;
  const literals = <i32>takeBits(5) + 257;
  const distances = <i32>takeBits(5) + 1;
  const lengthCodes = <i32>takeBits(4) + 4;
  if (literals > 286 || distances > 30) return INFLATE_BAD_BLOCK;

  memory.fill(LENGTH_CODE_LENGTHS, 0, 19);
  for (let i = 0; i < lengthCodes; i++) {
    refill();
    if (bitCount < 3) return INFLATE_TRUNCATED;
    store<u8>(LENGTH_CODE_LENGTHS + load<u8>(LENGTH_CODE_ORDER + i), takeBits(3));
  }
  if (!buildTable(LENGTHS_TABLE, LENGTHS_ROOT_BITS, LENGTH_CODE_LENGTHS, 19, LENGTHS_TEMPLATES, false)) {
    return INFLATE_BAD_BLOCK;
  }

  const total = literals + distances;
  let done = 0;
  let last: u32 = 0;
  while (done < total) {
    refill();
    const entry = load<u32>(LENGTHS_TABLE + ((<usize>(bitBuffer & 127)) << 2));
    const bits = entryBits(entry);
    // 7 extra bits at the most: behind the code they are still in the buffer, or the source is out.
    if (bits > bitCount) return INFLATE_TRUNCATED;
    takeBits(bits);
    const symbol = entryValue(entry);
    if (symbol < 16) {
      store<u8>(CODE_LENGTHS + done, symbol);
      last = symbol;
      done++;
      continue;
    }
    const extra = symbol === 16 ? 2 : symbol === 17 ? 3 : 7;
    if (extra > bitCount) return INFLATE_TRUNCATED;
    const repeat = <i32>takeBits(extra) + (symbol === 18 ? 11 : 3);
    if (symbol === 16) {
      if (done === 0) return INFLATE_BAD_BLOCK;
    } else {
      last = 0;
    }
    if (repeat > total - done) return INFLATE_BAD_BLOCK;
    memory.fill(CODE_LENGTHS + done, <u8>last, repeat);
    done += repeat;
  }

  // A block without an end is none.
  if (load<u8>(CODE_LENGTHS + 256) === 0) return INFLATE_BAD_BLOCK;
  if (
    !buildTable(LITERAL_TABLE, LITERAL_ROOT_BITS, CODE_LENGTHS, literals, LITERAL_TEMPLATES, true) ||
    !buildTable(
      DISTANCE_TABLE,
      DISTANCE_ROOT_BITS,
      CODE_LENGTHS + literals,
      distances,
      DISTANCE_TEMPLATES,
      true,
    )
  ) {
    return INFLATE_BAD_BLOCK;
  }
  return 0;
}

/** How far ahead `decodeFast` may read in one round: two refills that move on by 7 bytes and load 8. */
const FAST_INPUT: usize = 16;
/** And write: three literals, a match of 258 bytes, and 31 bytes behind it by copies of 16 and 32. */
const FAST_OUTPUT: usize = 320;

/** Decodes until the block ends or an end comes near. */
function decodeFast(): i32 {
  let buffer = bitBuffer;
  let count: i32 = bitCount;
  let source = next;
  let target = out;
  const start = outStart;
  let result = NEAR_THE_END;

  if (sourceEnd - source < FAST_INPUT || outEnd - target < FAST_OUTPUT) return NEAR_THE_END;
  const lastSource = sourceEnd - FAST_INPUT;
  const lastTarget = outEnd - FAST_OUTPUT;

  while (source <= lastSource && target <= lastTarget) {
    buffer |= load<u64>(source) << count;
    source += (63 - count) >>> 3;
    count |= 56;

    // At least 56 bits: three codes of the root, or two, and a length of up to 15 + 5 bits.
    let entry = load<u32>(LITERAL_TABLE + ((<usize>(buffer & LITERAL_MASK)) << 2));
    if (isLiteral(entry)) {
      buffer >>= entry;
      count -= entryBits(entry);
      store<u8>(target, entry >>> 16);
      target++;
      entry = load<u32>(LITERAL_TABLE + ((<usize>(buffer & LITERAL_MASK)) << 2));
      if (isLiteral(entry)) {
        buffer >>= entry;
        count -= entryBits(entry);
        store<u8>(target, entry >>> 16);
        target++;
        entry = load<u32>(LITERAL_TABLE + ((<usize>(buffer & LITERAL_MASK)) << 2));
        if (isLiteral(entry)) {
          buffer >>= entry;
          count -= entryBits(entry);
          store<u8>(target, entry >>> 16);
          target++;
          continue;
        }
      }
    }

    if (isSpecial(entry)) {
      const bits = linkBits(entry);
      if (bits !== 0) {
        buffer >>= LITERAL_ROOT_BITS;
        count -= LITERAL_ROOT_BITS;
        const index = entryValue(entry) + ((<u32>buffer) & ((1 << bits) - 1));
        entry = load<u32>(LITERAL_TABLE + (index << 2));
        if (isLiteral(entry)) {
          buffer >>= entry;
          count -= entryBits(entry);
          store<u8>(target, entry >>> 16);
          target++;
          continue;
        }
      }
      if (isSpecial(entry)) {
        buffer >>= entry;
        count -= entryBits(entry);
        result = entryValue(entry) === entryValue(END_OF_BLOCK) ? BLOCK_ENDED : INFLATE_BAD_CODE;
        break;
      }
    }
    const length = entryValue(entry) + ((<u32>(buffer & ~((<u64>-1) << entry))) >>> codeBits(entry));
    buffer >>= entry;
    count -= entryBits(entry);

    buffer |= load<u64>(source) << count;
    source += (63 - count) >>> 3;
    count |= 56;

    entry = load<u32>(DISTANCE_TABLE + ((<usize>(buffer & DISTANCE_MASK)) << 2));
    if (isSpecial(entry)) {
      const bits = linkBits(entry);
      if (bits !== 0) {
        buffer >>= DISTANCE_ROOT_BITS;
        count -= DISTANCE_ROOT_BITS;
        const index = entryValue(entry) + ((<u32>buffer) & ((1 << bits) - 1));
        entry = load<u32>(DISTANCE_TABLE + (index << 2));
      }
      if (isSpecial(entry)) {
        result = INFLATE_BAD_CODE;
        break;
      }
    }
    const distance = entryValue(entry) + ((<u32>(buffer & ~((<u64>-1) << entry))) >>> codeBits(entry));
    buffer >>= entry;
    count -= entryBits(entry);

    if (distance > <u32>(target - start)) {
      result = INFLATE_BAD_DISTANCE;
      break;
    }
    const from = target - distance;
    if (distance >= 16) {
      v128.store(target, v128.load(from));
      if (length > 16) {
        v128.store(target, v128.load(from, 16), 16);
        for (let done: u32 = 32; done < length; done += 16) v128.store(target + done, v128.load(from + done));
      }
    } else {
      // A period of less than 16 bytes: sixteen bytes of it, stored as often as whole periods fit.
      const pattern = i8x16.swizzle(v128.load(from), v128.load(PATTERNS + (distance << 4)));
      const step = 16 - (16 % distance);
      v128.store(target, pattern);
      for (let done: u32 = step; done < length; done += step) v128.store(target + done, pattern);
    }
    target += length;
  }

  bitBuffer = buffer;
  bitCount = count;
  next = source;
  out = target;
  return result;
}

/** Decodes until the block ends or the destination is full, without a byte read or written ahead. */
function decodeCareful(): i32 {
  while (true) {
    refill();
    let entry = load<u32>(LITERAL_TABLE + ((<usize>(bitBuffer & LITERAL_MASK)) << 2));
    let bits = linkBits(entry);
    if (isSpecial(entry) && bits !== 0) {
      if (bitCount < <i32>LITERAL_ROOT_BITS) return INFLATE_TRUNCATED;
      takeBits(LITERAL_ROOT_BITS);
      entry = load<u32>(LITERAL_TABLE + ((entryValue(entry) + ((<u32>bitBuffer) & ((1 << bits) - 1))) << 2));
    }
    if (entryBits(entry) > bitCount) return INFLATE_TRUNCATED;
    if (isLiteral(entry)) {
      takeBits(entryBits(entry));
      store<u8>(out, entry >>> 16);
      out++;
      if (out === outEnd) return OUTPUT_FULL;
      continue;
    }
    if (isSpecial(entry)) {
      takeBits(entryBits(entry));
      return entryValue(entry) === entryValue(END_OF_BLOCK) ? BLOCK_ENDED : INFLATE_BAD_CODE;
    }
    let length = entryValue(entry) + ((<u32>(bitBuffer & ~((<u64>-1) << entry))) >>> codeBits(entry));
    bitBuffer >>= entry;
    bitCount -= entryBits(entry);

    refill();
    entry = load<u32>(DISTANCE_TABLE + ((<usize>(bitBuffer & DISTANCE_MASK)) << 2));
    bits = linkBits(entry);
    if (isSpecial(entry) && bits !== 0) {
      if (bitCount < <i32>DISTANCE_ROOT_BITS) return INFLATE_TRUNCATED;
      takeBits(DISTANCE_ROOT_BITS);
      entry = load<u32>(DISTANCE_TABLE + ((entryValue(entry) + ((<u32>bitBuffer) & ((1 << bits) - 1))) << 2));
    }
    if (isSpecial(entry)) return INFLATE_BAD_CODE;
    if (entryBits(entry) > bitCount) return INFLATE_TRUNCATED;
    const distance = entryValue(entry) + ((<u32>(bitBuffer & ~((<u64>-1) << entry))) >>> codeBits(entry));
    bitBuffer >>= entry;
    bitCount -= entryBits(entry);

    if (distance > <u32>(out - outStart)) return INFLATE_BAD_DISTANCE;
    const room = <u32>(outEnd - out);
    if (length > room) length = room;
    const end = out + length;
    if (distance >= length) {
      memory.copy(out, out - distance, length);
      out = end;
    } else {
      while (out < end) {
        store<u8>(out, load<u8>(out - distance));
        out++;
      }
    }
    if (out === outEnd) return OUTPUT_FULL;
  }
}

/**
 * Decodes a raw deflate stream until its last block ends or the destination is full; what follows in the source is not
 * looked at. The two ranges must not overlap and must lie inside the memory.
 *
 * @returns the number of bytes written, or one of the negative INFLATE_ values; then the destination holds anything.
 */
export function inflate(source: usize, sourceBytes: i32, destination: usize, destinationBytes: i32): i32 {
  if (destinationBytes <= 0) return 0;
  if (sourceBytes <= 0) return INFLATE_TRUNCATED;
  bitBuffer = 0;
  bitCount = 0;
  next = source;
  sourceEnd = source + sourceBytes;
  out = destination;
  outStart = destination;
  outEnd = destination + destinationBytes;

  let isLast = false;
  while (!isLast) {
    refill();
    if (bitCount < 3) return INFLATE_TRUNCATED;
    isLast = takeBits(1) !== 0;
    const type = takeBits(2);
    let result = BLOCK_ENDED;
    if (type === 0) {
      result = copyStored();
    } else if (type === 3) {
      return INFLATE_BAD_BLOCK;
    } else {
      if (type === 1) buildFixedTables();
      else result = buildDynamicTables();
      if (result === 0) result = decodeFast();
      if (result === NEAR_THE_END) result = decodeCareful();
    }
    if (result < 0) return result;
    if (result === OUTPUT_FULL) break;
  }
  return <i32>(out - destination);
}
