/** The tweaks of XTS: powers of x in GF(2^128), little-endian, times the encrypted number of a sector. */

/** Eight powers further on: one byte to the left, and what falls out at the top is 0x87 times as much at the bottom. */
@inline
function timesX8(a: v128): v128 {
  const outside: i8 = -1;
  const top = i8x16.swizzle(
    a,
    i8x16(
      15,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
      outside,
    ),
  );
  const moved = i8x16.swizzle(a, i8x16(outside, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14));
  // 0x87 is 1 + x + x^2 + x^7.
  const low = v128.xor(top, i32x4.shl(top, 1));
  const high = v128.xor(i32x4.shl(top, 2), i32x4.shl(top, 7));
  return v128.xor(moved, v128.xor(low, high));
}

/** Writes the tweaks of `blocks` blocks of 16 bytes; `vector` is the first one, and afterwards the one behind the last. */
export function tweaks(vector: usize, blocks: i32, to: usize): void {
  let low = load<u64>(vector);
  let high = load<u64>(vector, 8);
  const serial = min(blocks, 8);
  const end = to + ((<usize>blocks) << 4);
  for (let i = 0; i < serial; i++) {
    v128.store(to, i64x2.replace_lane(i64x2.splat(low), 1, high));
    to += 16;
    const carry = (<u64>((<i64>high) >> 63)) & 0x87;
    high = (high << 1) | (low >> 63);
    low = (low << 1) ^ carry;
  }
  if (to < end) {
    for (; to < end; to += 16) v128.store(to, timesX8(v128.load(to - 128)));
    low = load<u64>(to - 16);
    high = load<u64>(to - 8);
    const carry = (<u64>((<i64>high) >> 63)) & 0x87;
    high = (high << 1) | (low >> 63);
    low = (low << 1) ^ carry;
  }
  store<u64>(vector, low);
  store<u64>(vector, high, 8);
}
