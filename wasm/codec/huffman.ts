/**
 * Decoding tables for the Huffman codes of deflate (RFC 1951, sections 3.2.2 to 3.2.6).
 *
 * A table is indexed by the next `rootBits` bits of the stream. Codes that are longer lead to a second table behind the
 * first, indexed by the bits that follow. An entry is a u32:
 *
 *   bits 0-5    bits to take from the stream: the code (in a second table: its rest) and the extra bits behind it
 *   bits 8-11   how many of these are the code's
 *   bits 12-14  `LINK` only: the index bits of the second table
 *   bit 15      SPECIAL: neither a literal nor a base value
 *   bits 16-30  literal byte, base of a length or distance, or, with SPECIAL, where the second table starts
 *   bit 31      LITERAL
 *
 * What a symbol means is in a table of entries without a code ("templates"), so that building stays a loop without
 * branches on the symbol.
 */

export const LITERAL: u32 = 0x80000000;
export const SPECIAL: u32 = 0x8000;
/** The end of a block. */
export const END_OF_BLOCK: u32 = SPECIAL | (1 << 16);
/** A code, or a symbol, that no stream may have. It takes no bits. */
export const INVALID: u32 = SPECIAL | (2 << 16);

/** Longest code of literals, lengths and distances, bits. */
const MAX_BITS: i32 = 15;

// @ts-ignore: decorator
@inline
export function entryBits(entry: u32): i32 {
  return entry & 63;
}
// @ts-ignore: decorator
@inline
export function codeBits(entry: u32): u32 {
  return (entry >>> 8) & 15;
}
// @ts-ignore: decorator
@inline
export function isLiteral(entry: u32): bool {
  return <i32>entry < 0;
}
// @ts-ignore: decorator
@inline
export function isSpecial(entry: u32): bool {
  return (entry & SPECIAL) !== 0;
}
/** Index bits of the second table; 0: no LINK but END_OF_BLOCK or INVALID. */
// @ts-ignore: decorator
@inline
export function linkBits(entry: u32): u32 {
  return (entry >>> 12) & 7;
}
/** Base value, or start of the second table. */
// @ts-ignore: decorator
@inline
export function entryValue(entry: u32): u32 {
  return (entry >>> 16) & 0x7fff;
}

/** Number of codes of each length, and where the symbols of each length start in SORTED. */
const COUNTS: usize = memory.data((MAX_BITS + 1) * 4, 16);
const STARTS: usize = memory.data((MAX_BITS + 2) * 4, 16);
/** The symbols by length of code, then by number: the order in which codes are given out. */
const SORTED: usize = memory.data(288 * 2, 16);

/**
 * The next code of the same length, with its bits in the order of the stream (first bit lowest): an increment that
 * starts at the highest bit. For the last code the result is 0.
 */
// @ts-ignore: decorator
@inline
function nextReversed(code: u32, length: u32): u32 {
  const top: u32 = ((<u32>1) << length) - 1;
  const zeros = code ^ top;
  if (zeros === 0) return 0;
  const bit: u32 = (<u32>1) << (31 - clz(zeros));
  return (code & (bit - 1)) | bit;
}

/**
 * Builds a table from the lengths of the codes.
 *
 * @param table      where to; it must have room for the worst code of `symbols` symbols: 2342 entries with 11 root bits
 *                   and 288 symbols, 402 with 8 and 32, 128 with 7 and 19 (whose lengths are 7 at the most).
 * @param lengths    one byte a symbol, 0 to 15; 0: the symbol does not occur.
 * @param mayBeIncomplete  a single code of one bit, or no code at all, is allowed (RFC 1951, 3.2.7, of distances).
 * @returns false if the lengths are those of no prefix code, or leave codes unused.
 */
export function buildTable(
  table: usize,
  rootBits: u32,
  lengths: usize,
  symbols: i32,
  templates: usize,
  mayBeIncomplete: bool,
): bool {
  memory.fill(COUNTS, 0, (MAX_BITS + 1) * 4);
  for (let symbol = 0; symbol < symbols; symbol++) {
    const at = COUNTS + ((<usize>load<u8>(lengths + symbol)) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  let unused: i32 = 1;
  let used: i32 = 0;
  for (let length = 1; length <= MAX_BITS; length++) {
    const count = load<i32>(COUNTS + (length << 2));
    unused = (unused << 1) - count;
    if (unused < 0) return false;
    store<i32>(STARTS + (length << 2), used);
    used += count;
  }
  if (unused > 0) {
    if (!mayBeIncomplete || used > 1 || (used === 1 && load<u32>(COUNTS + 4) !== 1)) return false;
    for (let index: u32 = 0; index < (<u32>1) << rootBits; index++) store<u32>(table + (index << 2), INVALID);
    if (used === 0) return true;
  }
  for (let symbol = 0; symbol < symbols; symbol++) {
    const length = <usize>load<u8>(lengths + symbol);
    if (length === 0) continue;
    const at = STARTS + (length << 2);
    const position = load<u32>(at);
    store<u32>(at, position + 1);
    store<u16>(SORTED + (position << 1), symbol);
  }
  if (unused > 0) {
    const entry = load<u32>(templates + ((<usize>load<u16>(SORTED)) << 2)) + 0x101;
    for (let index: u32 = 0; index < (<u32>1) << rootBits; index += 2)
      store<u32>(table + (index << 2), entry);
    return true;
  }

  // The root: entries for all codes up to `length`, then that part of the table again for the next bit.
  let next: usize = SORTED;
  let code: u32 = 0;
  for (let length: u32 = 1; length <= rootBits; length++) {
    // Doubling a table that has no entry yet would copy what a former table left; it is overwritten all the same.
    if (length > 1) memory.copy(table + (4 << (length - 1)), table, 4 << (length - 1));
    const consumed = length * 0x101;
    for (let left = load<u32>(COUNTS + (length << 2)); left > 0; left--) {
      store<u32>(table + (code << 2), load<u32>(templates + ((<usize>load<u16>(next)) << 2)) + consumed);
      next += 2;
      code = nextReversed(code, length);
    }
  }

  // The second tables.
  const rootMask: u32 = ((<u32>1) << rootBits) - 1;
  let end: u32 = (<u32>1) << rootBits;
  let prefix: u32 = -1;
  let start: u32 = 0;
  let size: u32 = 0;
  for (let length: u32 = rootBits + 1; length <= <u32>MAX_BITS; length++) {
    const consumed = (length - rootBits) * 0x101;
    for (let left = load<u32>(COUNTS + (length << 2)); left > 0; left--) {
      if ((code & rootMask) !== prefix) {
        // As many bits as the codes need that share this prefix: they come next, shortest first.
        prefix = code & rootMask;
        let bits = length - rootBits;
        let room = ((<i32>1) << bits) - <i32>left;
        while (room > 0 && rootBits + bits < <u32>MAX_BITS) {
          bits++;
          room = (room << 1) - load<i32>(COUNTS + ((rootBits + bits) << 2));
        }
        start = end;
        size = (<u32>1) << bits;
        end += size;
        store<u32>(table + (prefix << 2), SPECIAL | (start << 16) | (bits << 12) | rootBits);
      }
      const entry = load<u32>(templates + ((<usize>load<u16>(next)) << 2)) + consumed;
      const step: u32 = (<u32>1) << (length - rootBits);
      for (let index = code >>> rootBits; index < size; index += step)
        store<u32>(table + ((start + index) << 2), entry);
      next += 2;
      code = nextReversed(code, length);
    }
  }
  return true;
}
