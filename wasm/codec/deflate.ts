/**
 * An encoder for raw deflate streams (RFC 1951) with a window of 4096 bytes, as compressed qcow2 clusters have it.
 *
 * Matches are found by hash chains over four bytes, and those of three bytes by a table of the last place of each; a
 * match is put off by one byte as long as the next one is longer (lazy matching). The result is gathered as tokens; when
 * there are enough of them, or the source ends, they become the block type that takes the least bits.
 *
 * All memory is static. Nothing is read outside the source or written outside the destination.
 */
import { assignLengths, countBits, makeCodes } from './prefixcode';

/** The stream would be longer than the destination. */
export const DEFLATE_NO_ROOM: i32 = -1;

const MIN_MATCH: i32 = 3;
const MAX_MATCH: i32 = 258;
/** The farthest distance of a match is one less: the chain of a position ends before its own slot. */
const WINDOW: i32 = 4096;

/** Candidates that are looked at for one position. */
const MAX_CHAIN: i32 = 32;
/** With a match of this length at hand, only a quarter of them are. */
const GOOD_MATCH: i32 = 8;
/** A match of this length is not put off. */
const LAZY_MATCH: i32 = 16;
/** A match of this length ends the search. */
const NICE_MATCH: i32 = 130;

const HASH4_BITS: i32 = 14;
const HASH3_BITS: i32 = 12;
/** Positions by hash, and for each position modulo the window the one before with the same hash. u32 each. */
const HEAD4: usize = memory.data((1 << HASH4_BITS) * 4, 16);
const HEAD3: usize = memory.data((1 << HASH3_BITS) * 4, 16);
const PREVIOUS: usize = memory.data(WINDOW * 4, 16);

/** Tokens of a block, u32 each: a literal, or (length - 3) | distance << 16. */
const MAX_TOKENS: i32 = 32768;
/** Tokens that one step of the search makes at most: a match, and a literal for each time it was put off. */
const STEP_TOKENS: i32 = LAZY_MATCH + 1;
const TOKENS: usize = memory.data(MAX_TOKENS * 4, 16);

const LITERALS: i32 = 286;
const DISTANCES: i32 = 30;
const LENGTH_CODES: i32 = 19;
const END_OF_BLOCK: i32 = 256;
/** How often each symbol occurs in the block, u32; its code, u32: see prefixcode.ts. */
const LITERAL_COUNTS: usize = memory.data(LITERALS * 4, 16);
const DISTANCE_COUNTS: usize = memory.data(DISTANCES * 4, 16);
const LENGTH_CODE_COUNTS: usize = memory.data(LENGTH_CODES * 4, 16);
const LITERAL_CODES: usize = memory.data(288 * 4, 16);
const DISTANCE_CODES: usize = memory.data(32 * 4, 16);
const LENGTH_CODE_CODES: usize = memory.data(LENGTH_CODES * 4, 16);
/** The code lengths: those of literals, right behind their last one those of distances. */
const CODE_LENGTHS: usize = memory.data(LITERALS + 32, 16);
const DISTANCE_LENGTHS: usize = memory.data(32, 16);
const LENGTH_CODE_LENGTHS: usize = memory.data(32, 16);
/** The code lengths as they are sent: u16, symbol | value of the extra bits << 8. */
const SENT_LENGTHS: usize = memory.data((LITERALS + DISTANCES) * 2, 16);

/** The fixed codes (RFC 1951, 3.2.6), and the lengths of them. */
const FIXED_LITERAL_CODES: usize = memory.data(288 * 4, 16);
const FIXED_DISTANCE_CODES: usize = memory.data(32 * 4, 16);
const FIXED_LENGTHS: usize = memory.data(320, 16);

/** Symbol (less 257) of each length less 3, and of each distance less 1; extra bits and first value of each symbol. */
const LENGTH_SYMBOLS: usize = memory.data(256, 16);
const LENGTH_EXTRA: usize = memory.data(32, 16);
const LENGTH_BASE: usize = memory.data(32 * 2, 16);
const DISTANCE_SYMBOLS: usize = memory.data(WINDOW, 16);
const DISTANCE_EXTRA: usize = memory.data(32, 16);
const DISTANCE_BASE: usize = memory.data(32 * 2, 16);
/** Code and extra bits of each length less 3 in the block that is written: bits << 5 | their number, u32. */
const WHOLE_LENGTHS: usize = memory.data(256 * 4, 16);

/** The order in which the lengths of the length codes are sent (RFC 1951, 3.2.7). */
const LENGTH_CODE_ORDER: usize = memory.data<u8>([
  16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
]);

/** Fills the constant tables (RFC 1951, 3.2.5 and 3.2.6); runs when the module is instantiated. */
function fillConstants(): bool {
  let value = 0;
  for (let symbol = 0; symbol < 28; symbol++) {
    const extra = symbol < 8 ? 0 : (symbol - 4) >> 2;
    store<u8>(LENGTH_EXTRA + symbol, extra);
    store<u16>(LENGTH_BASE + (symbol << 1), value);
    for (let i = 0; i < 1 << extra && value < 256; i++) store<u8>(LENGTH_SYMBOLS + value++, symbol);
  }
  store<u8>(LENGTH_SYMBOLS + 255, 28);
  store<u16>(LENGTH_BASE + (28 << 1), 255);
  value = 0;
  for (let symbol = 0; symbol < DISTANCES; symbol++) {
    const extra = symbol < 4 ? 0 : (symbol - 2) >> 1;
    store<u8>(DISTANCE_EXTRA + symbol, extra);
    store<u16>(DISTANCE_BASE + (symbol << 1), value);
    for (let i = 0; i < 1 << extra && value < WINDOW; i++) store<u8>(DISTANCE_SYMBOLS + value++, symbol);
  }
  memory.fill(FIXED_LENGTHS, 8, 144);
  memory.fill(FIXED_LENGTHS + 144, 9, 112);
  memory.fill(FIXED_LENGTHS + 256, 7, 24);
  memory.fill(FIXED_LENGTHS + 280, 8, 8);
  memory.fill(FIXED_LENGTHS + 288, 5, 32);
  makeCodes(FIXED_LENGTHS, 288, FIXED_LITERAL_CODES);
  makeCodes(FIXED_LENGTHS + 288, 32, FIXED_DISTANCE_CODES);
  return true;
}
fillConstants();

/**
 * Position of the first byte of the next source. Positions go on from call to call, so that what an earlier call left in
 * the tables is always farther away than the window.
 */
let nextPosition: u32 = WINDOW;

let tokens: usize = TOKENS;

/** State of the stream between blocks. */
let bitBuffer: u64 = 0;
let bitCount: i32 = 0;
let out: usize = 0;
let outEnd: usize = 0;


@inline
function hash4(value: u32): usize {
  return (<usize>((value * 0x9e3779b1) >>> (32 - HASH4_BITS))) << 2;
}

/** Of the low three bytes of `value`. */
@inline
function hash3(value: u32): usize {
  return (<usize>(((value << 8) * 0x9e3779b1) >>> (32 - HASH3_BITS))) << 2;
}

/** Enters a position; its four bytes are `value`. */
@inline
function insert(position: u32, value: u32): void {
  const head = HEAD4 + hash4(value);
  store<u32>(PREVIOUS + (((<usize>position) & (WINDOW - 1)) << 2), load<u32>(head));
  store<u32>(head, position);
  store<u32>(HEAD3 + hash3(value), position);
}

/** How many bytes at `a` and `b` (before it) are equal, `most` at the most; `from` of them are known to be. */
@inline
function matchLength(a: usize, b: usize, from: i32, most: i32): i32 {
  let length = from;
  while (length + 8 <= most) {
    const different = load<u64>(a + length) ^ load<u64>(b + length);
    if (different) return length + <i32>(ctz(different) >>> 3);
    length += 8;
  }
  while (length < most && load<u8>(a + length) === load<u8>(b + length)) length++;
  return length;
}

/**
 * The longest match for the bytes at `at`, whose position is `position`, and enters the position.
 *
 * @param left  bytes of the source from `at` on, at least 4
 * @param best  matches up to this length, at least 2, are of no use
 * @returns length | distance << 16; 0: none is longer than `best`
 */
@inline
function longestMatch(at: usize, position: u32, left: i32, best: i32, chain: i32): u32 {
  const value = load<u32>(at);
  const head4 = HEAD4 + hash4(value);
  const head3 = HEAD3 + hash3(value);
  const last = position - (WINDOW - 1);
  const most = min(left, MAX_MATCH);
  const nice = min(most, NICE_MATCH);
  let found: u32 = 0;

  if (best < MIN_MATCH) {
    const candidate = load<u32>(head3);
    // The three bytes below the fourth, which may differ.
    if (candidate >= last && !((load<u32>(at - (position - candidate)) ^ value) << 8)) {
      best = MIN_MATCH;
      found = MIN_MATCH | ((position - candidate) << 16);
    }
  }
  store<u32>(head3, position);

  let candidate = load<u32>(head4);
  store<u32>(PREVIOUS + (((<usize>position) & (WINDOW - 1)) << 2), candidate);
  store<u32>(head4, position);
  if (best < most) {
    while (candidate >= last) {
      const there = at - (position - candidate);
      // What is longer than the best match has these four bytes too.
      if (load<u32>(there) === value && load<u32>(there + best - 3) === load<u32>(at + best - 3)) {
        const length = matchLength(there, at, 4, most);
        if (length > best) {
          best = length;
          found = (<u32>length) | ((position - candidate) << 16);
          if (length >= nice) break;
        }
      }
      if (--chain === 0) break;
      candidate = load<u32>(PREVIOUS + (((<usize>candidate) & (WINDOW - 1)) << 2));
    }
  }
  return found;
}


@inline
function addLiteral(byte: u32): void {
  store<u32>(tokens, byte);
  tokens += 4;
  const count = LITERAL_COUNTS + ((<usize>byte) << 2);
  store<u32>(count, load<u32>(count) + 1);
}


@inline
function addMatch(length: i32, distance: u32): void {
  store<u32>(tokens, (<u32>(length - MIN_MATCH)) | (distance << 16));
  tokens += 4;
  const symbol = 257 + <usize>load<u8>(LENGTH_SYMBOLS + <usize>(length - MIN_MATCH));
  let count = LITERAL_COUNTS + (symbol << 2);
  store<u32>(count, load<u32>(count) + 1);
  count = DISTANCE_COUNTS + ((<usize>load<u8>(DISTANCE_SYMBOLS + distance - 1)) << 2);
  store<u32>(count, load<u32>(count) + 1);
}

/** Forgets the tokens of the last block. */
function startBlock(): void {
  tokens = TOKENS;
  memory.fill(LITERAL_COUNTS, 0, LITERALS * 4);
  memory.fill(DISTANCE_COUNTS, 0, DISTANCES * 4);
  store<u32>(LITERAL_COUNTS + (END_OF_BLOCK << 2), 1);
}

/**
 * Compresses `sourceBytes` bytes into one raw deflate stream of at most `destinationBytes` bytes.
 * @returns the length of the stream, or {@link DEFLATE_NO_ROOM}; then the destination holds anything.
 */
export function deflate(source: usize, sourceBytes: i32, destination: usize, destinationBytes: i32): i32 {
  const end = source + sourceBytes;
  out = destination;
  outEnd = destination + destinationBytes;
  bitBuffer = 0;
  bitCount = 0;
  if (nextPosition > 0x80000000) {
    memory.fill(HEAD4, 0, (1 << HASH4_BITS) * 4);
    memory.fill(HEAD3, 0, (1 << HASH3_BITS) * 4);
    nextPosition = WINDOW;
  }
  const base = nextPosition;
  nextPosition += sourceBytes + WINDOW;

  let at = source;
  do {
    const start = at;
    startBlock();
    at = fillBlock(source, base, at, end);
    if (!writeBlock(start, <i32>(at - start), at === end)) return DEFLATE_NO_ROOM;
  } while (at < end);
  // The last bits, up to a whole byte: `writeBlock` saw that there is room.
  if (bitCount > 0) store<u8>(out++, <u8>bitBuffer);
  return <i32>(out - destination);
}

/** Turns the source from `at` on into tokens until there are enough of them; answers where that was. */
function fillBlock(source: usize, base: u32, at: usize, end: usize): usize {
  const full = TOKENS + ((MAX_TOKENS - STEP_TOKENS) << 2);
  // Four bytes can be read up to here.
  const searchEnd = end - source < 4 ? source : end - 3;
  while (at < searchEnd) {
    if (tokens >= full) return at;
    let position = base + <u32>(at - source);
    let match = longestMatch(at, position, <i32>(end - at), MIN_MATCH - 1, MAX_CHAIN);
    if (!match) {
      addLiteral(load<u8>(at));
      at++;
      continue;
    }
    let length = <i32>(match & 0xffff);
    let entered = at + 1;
    while (length < LAZY_MATCH && at + 1 < searchEnd) {
      const chain = length >= GOOD_MATCH ? MAX_CHAIN >> 2 : MAX_CHAIN;
      const next = longestMatch(at + 1, position + 1, <i32>(end - at) - 1, length, chain);
      entered = at + 2;
      if (!next) break;
      addLiteral(load<u8>(at));
      at++;
      position++;
      match = next;
      length = <i32>(match & 0xffff);
    }
    addMatch(length, match >>> 16);
    const stop = min(at + length, searchEnd);
    for (; entered < stop; entered++) insert(base + <u32>(entered - source), load<u32>(entered));
    at += length;
  }
  if (end - at === 3 && at > source) {
    // A last match of three bytes, with the position that is nearest.
    const value = (<u32>load<u16>(at)) | ((<u32>load<u8>(at + 2)) << 16);
    const distance = base + <u32>(at - source) - load<u32>(HEAD3 + hash3(value));
    if (distance < <u32>WINDOW) {
      const there = at - distance;
      if (load<u16>(there) === load<u16>(at) && load<u8>(there + 2) === load<u8>(at + 2)) {
        addMatch(MIN_MATCH, distance);
        return end;
      }
    }
  }
  for (; at < end; at++) addLiteral(load<u8>(at));
  return at;
}

/** Adds `count` bits to the stream; together with what is in the buffer they are at most 64. */
@inline
function putBits(bits: u64, count: i32): void {
  bitBuffer |= bits << bitCount;
  bitCount += count;
}

/** Brings the whole bytes of the bit buffer to the destination; less than 8 bits stay. */
function drain(): void {
  while (bitCount >= 8) {
    store<u8>(out++, <u8>bitBuffer);
    bitBuffer >>= 8;
    bitCount -= 8;
  }
}

/** Bits that a block takes with these codes, without its head. */
function tokenBits(literals: usize, distances: usize): i32 {
  let bits = countBits(LITERAL_COUNTS, LITERALS, literals) + countBits(DISTANCE_COUNTS, DISTANCES, distances);
  for (let symbol: usize = 8; symbol < 28; symbol++) {
    const count = load<i32>(LITERAL_COUNTS + ((symbol + 257) << 2));
    bits += count * <i32>load<u8>(LENGTH_EXTRA + symbol);
  }
  for (let symbol: usize = 4; symbol < <usize>DISTANCES; symbol++) {
    bits += load<i32>(DISTANCE_COUNTS + (symbol << 2)) * <i32>load<u8>(DISTANCE_EXTRA + symbol);
  }
  return bits;
}

/**
 * Writes the tokens, which stand for `bytes` bytes at `start`, as the shortest of the three types of block.
 * @returns false if there is no room for it and for the byte that its last bits are in
 */
function writeBlock(start: usize, bytes: i32, last: bool): bool {
  assignLengths(LITERAL_COUNTS, LITERALS, 15, CODE_LENGTHS);
  assignLengths(DISTANCE_COUNTS, DISTANCES, 15, DISTANCE_LENGTHS);
  makeCodes(CODE_LENGTHS, LITERALS, LITERAL_CODES);
  makeCodes(DISTANCE_LENGTHS, DISTANCES, DISTANCE_CODES);
  const literals = max(257, usedSymbols(CODE_LENGTHS, LITERALS));
  const distances = usedSymbols(DISTANCE_LENGTHS, DISTANCES);
  memory.copy(CODE_LENGTHS + literals, DISTANCE_LENGTHS, distances);
  const sent = packLengths(literals + distances);
  assignLengths(LENGTH_CODE_COUNTS, LENGTH_CODES, 7, LENGTH_CODE_LENGTHS);
  makeCodes(LENGTH_CODE_LENGTHS, LENGTH_CODES, LENGTH_CODE_CODES);
  let lengthCodes = LENGTH_CODES;
  while (lengthCodes > 4 && !load<u8>(LENGTH_CODE_LENGTHS + load<u8>(LENGTH_CODE_ORDER + lengthCodes - 1))) {
    lengthCodes--;
  }

  const lengthBits =
    countBits(LENGTH_CODE_COUNTS, LENGTH_CODES, LENGTH_CODE_CODES) +
    2 * load<i32>(LENGTH_CODE_COUNTS + 16 * 4) +
    3 * load<i32>(LENGTH_CODE_COUNTS + 17 * 4) +
    7 * load<i32>(LENGTH_CODE_COUNTS + 18 * 4);
  const dynamicBits = 3 + 14 + 3 * lengthCodes + lengthBits + tokenBits(LITERAL_CODES, DISTANCE_CODES);
  const fixedBits = 3 + tokenBits(FIXED_LITERAL_CODES, FIXED_DISTANCE_CODES);
  const parts = max(1, (bytes + 0xfffe) / 0xffff);
  // A part starts at a whole byte.
  const storedBits = ((bitCount + 3 + 7) & ~7) - bitCount + (bytes + 5 * parts - 1) * 8;

  const bits = min(dynamicBits, min(fixedBits, storedBits));
  if (<usize>((bitCount + bits + 7) >> 3) > outEnd - out) return false;
  const final: u64 = last ? 1 : 0;
  if (bits === storedBits) {
    writeStored(start, bytes, final);
  } else if (bits === fixedBits) {
    putBits(final | (1 << 1), 3);
    writeTokens(FIXED_LITERAL_CODES, FIXED_DISTANCE_CODES);
  } else {
    putBits(final | (2 << 1), 3);
    putBits(literals - 257, 5);
    putBits(distances - 1, 5);
    putBits(lengthCodes - 4, 4);
    writeLengths(lengthCodes, sent);
    writeTokens(LITERAL_CODES, DISTANCE_CODES);
  }
  return true;
}

/** One more than the last symbol that has a code. */
function usedSymbols(lengths: usize, symbols: i32): i32 {
  while (symbols > 0 && !load<u8>(lengths + symbols - 1)) symbols--;
  return symbols;
}

/**
 * Shortens the list of code lengths (RFC 1951, 3.2.7) to SENT_LENGTHS, and counts the symbols that it is sent with;
 * answers how many these are.
 */
function packLengths(n: i32): i32 {
  memory.fill(LENGTH_CODE_COUNTS, 0, LENGTH_CODES * 4);
  let sent = 0;
  for (let i = 0; i < n;) {
    const length: i32 = load<u8>(CODE_LENGTHS + i);
    let run = 1;
    while (i + run < n && load<u8>(CODE_LENGTHS + i + run) === <u8>length) run++;
    i += run;
    if (length) {
      send(sent++, length, 0);
      run--;
      for (; run >= 3; run -= min(run, 6)) send(sent++, 16, min(run, 6) - 3);
    } else {
      for (; run >= 11; run -= min(run, 138)) send(sent++, 18, min(run, 138) - 11);
      if (run >= 3) {
        send(sent++, 17, run - 3);
        run = 0;
      }
    }
    for (; run > 0; run--) send(sent++, length, 0);
  }
  return sent;
}

function send(index: i32, symbol: i32, extra: i32): void {
  store<u16>(SENT_LENGTHS + (index << 1), symbol | (extra << 8));
  const count = LENGTH_CODE_COUNTS + (symbol << 2);
  store<u32>(count, load<u32>(count) + 1);
}

/** Writes what {@link packLengths} made, behind the lengths of its own code. */
function writeLengths(lengthCodes: i32, sent: i32): void {
  drain();
  for (let i = 0; i < lengthCodes; i++) {
    putBits(load<u8>(LENGTH_CODE_LENGTHS + load<u8>(LENGTH_CODE_ORDER + i)), 3);
    drain();
  }
  for (let i = 0; i < sent; i++) {
    const item = <u32>load<u16>(SENT_LENGTHS + (i << 1));
    const symbol = item & 255;
    const code = load<u32>(LENGTH_CODE_CODES + (symbol << 2));
    putBits(code >>> 5, code & 31);
    if (symbol >= 16) putBits(item >>> 8, symbol === 16 ? 2 : symbol === 17 ? 3 : 7);
    drain();
  }
}

/** Stored blocks (RFC 1951, 3.2.4): 65535 bytes at most in each. */
function writeStored(start: usize, bytes: i32, final: u64): void {
  do {
    const n = min(bytes, 0xffff);
    putBits(n === bytes ? final : 0, 3);
    bitCount = (bitCount + 7) & ~7;
    drain();
    store<u16>(out, <u16>n);
    store<u16>(out + 2, <u16>~n);
    memory.copy(out + 4, start, n);
    out += 4 + n;
    start += n;
    bytes -= n;
  } while (bytes > 0);
}

/** Writes the tokens and the end of the block. There is room for them; see `writeBlock`. */
function writeTokens(literalCodes: usize, distanceCodes: usize): void {
  for (let index: usize = 0; index < 256; index++) {
    const symbol = <usize>load<u8>(LENGTH_SYMBOLS + index);
    const code = load<u32>(literalCodes + ((symbol + 257) << 2));
    const bits = code & 31;
    const extra = <u32>index - load<u16>(LENGTH_BASE + (symbol << 1));
    const whole = ((code >>> 5) | (extra << bits)) << 5;
    store<u32>(WHOLE_LENGTHS + (index << 2), whole | (bits + load<u8>(LENGTH_EXTRA + symbol)));
  }
  const stop = tokens;
  const fastEnd = outEnd - 8;
  let buffer = bitBuffer;
  let count: u64 = bitCount;
  let to = out;
  for (let token = TOKENS; token < stop; token += 4) {
    const value = load<u32>(token);
    // 7 bits are left at the most; a match adds 15 + 5 + 15 + 10 to them.
    if (value < 256) {
      const code = load<u32>(literalCodes + ((<usize>value) << 2));
      buffer |= (<u64>(code >>> 5)) << count;
      count += code & 31;
    } else {
      const whole = load<u32>(WHOLE_LENGTHS + ((<usize>(value & 0xffff)) << 2));
      buffer |= (<u64>(whole >>> 5)) << count;
      count += whole & 31;
      const distance = (value >>> 16) - 1;
      const symbol = <usize>load<u8>(DISTANCE_SYMBOLS + distance);
      const code = load<u32>(distanceCodes + (symbol << 2));
      buffer |= (<u64>(code >>> 5)) << count;
      count += code & 31;
      buffer |= (<u64>(distance - load<u16>(DISTANCE_BASE + (symbol << 1)))) << count;
      count += load<u8>(DISTANCE_EXTRA + symbol);
    }
    if (to <= fastEnd) {
      store<u64>(to, buffer);
      const whole = count >> 3;
      to += <usize>whole;
      buffer >>= whole << 3;
      count &= 7;
    } else {
      for (; count >= 8; count -= 8) {
        store<u8>(to++, <u8>buffer);
        buffer >>= 8;
      }
    }
  }
  bitBuffer = buffer;
  bitCount = <i32>count;
  out = to;
  const code = load<u32>(literalCodes + (END_OF_BLOCK << 2));
  putBits(code >>> 5, code & 31);
  drain();
}
