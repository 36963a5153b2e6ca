/**
 * Bit planes: eight blocks of 16 bytes become eight vectors, one for each bit of a byte. Byte i of plane b holds bit b of the
 * bytes i of all eight blocks (Kaesper and Schwabe, "Faster and timing-attack resistant AES-GCM", 2009).
 */

/** Bytes of a state: eight planes, or eight blocks. */
export const STATE_BYTES: i32 = 128;

/** The bits that change when those of `x` that `mask` << n selects are swapped with those of `y` that `mask` does. */
@inline
function moved(x: v128, y: v128, n: i32, mask: v128): v128 {
  return v128.and(v128.xor(i64x2.shr_u(x, n), y), mask);
}

/**
 * Turns eight blocks into planes, or planes into blocks: it is its own inverse.
 * @param before 128 bytes that are added to what is at `from`
 * @param after 128 bytes that are added to the result
 */
export function transpose(from: usize, before: usize, to: usize, after: usize): void {
  let t: v128;
  let p0 = v128.xor(v128.load(from, 0), v128.load(before, 0));
  let p1 = v128.xor(v128.load(from, 16), v128.load(before, 16));
  let p2 = v128.xor(v128.load(from, 32), v128.load(before, 32));
  let p3 = v128.xor(v128.load(from, 48), v128.load(before, 48));
  let p4 = v128.xor(v128.load(from, 64), v128.load(before, 64));
  let p5 = v128.xor(v128.load(from, 80), v128.load(before, 80));
  let p6 = v128.xor(v128.load(from, 96), v128.load(before, 96));
  let p7 = v128.xor(v128.load(from, 112), v128.load(before, 112));
  const ones = i8x16.splat(0x55);
  t = moved(p0, p1, 1, ones);
  p1 = v128.xor(p1, t);
  p0 = v128.xor(p0, i64x2.shl(t, 1));
  t = moved(p2, p3, 1, ones);
  p3 = v128.xor(p3, t);
  p2 = v128.xor(p2, i64x2.shl(t, 1));
  t = moved(p4, p5, 1, ones);
  p5 = v128.xor(p5, t);
  p4 = v128.xor(p4, i64x2.shl(t, 1));
  t = moved(p6, p7, 1, ones);
  p7 = v128.xor(p7, t);
  p6 = v128.xor(p6, i64x2.shl(t, 1));
  const twos = i8x16.splat(0x33);
  t = moved(p0, p2, 2, twos);
  p2 = v128.xor(p2, t);
  p0 = v128.xor(p0, i64x2.shl(t, 2));
  t = moved(p1, p3, 2, twos);
  p3 = v128.xor(p3, t);
  p1 = v128.xor(p1, i64x2.shl(t, 2));
  t = moved(p4, p6, 2, twos);
  p6 = v128.xor(p6, t);
  p4 = v128.xor(p4, i64x2.shl(t, 2));
  t = moved(p5, p7, 2, twos);
  p7 = v128.xor(p7, t);
  p5 = v128.xor(p5, i64x2.shl(t, 2));
  const fours = i8x16.splat(0x0f);
  t = moved(p0, p4, 4, fours);
  p4 = v128.xor(p4, t);
  p0 = v128.xor(p0, i64x2.shl(t, 4));
  t = moved(p1, p5, 4, fours);
  p5 = v128.xor(p5, t);
  p1 = v128.xor(p1, i64x2.shl(t, 4));
  t = moved(p2, p6, 4, fours);
  p6 = v128.xor(p6, t);
  p2 = v128.xor(p2, i64x2.shl(t, 4));
  t = moved(p3, p7, 4, fours);
  p7 = v128.xor(p7, t);
  p3 = v128.xor(p3, i64x2.shl(t, 4));
  v128.store(to, v128.xor(p0, v128.load(after, 0)), 0);
  v128.store(to, v128.xor(p1, v128.load(after, 16)), 16);
  v128.store(to, v128.xor(p2, v128.load(after, 32)), 32);
  v128.store(to, v128.xor(p3, v128.load(after, 48)), 48);
  v128.store(to, v128.xor(p4, v128.load(after, 64)), 64);
  v128.store(to, v128.xor(p5, v128.load(after, 80)), 80);
  v128.store(to, v128.xor(p6, v128.load(after, 96)), 96);
  v128.store(to, v128.xor(p7, v128.load(after, 112)), 112);
}

/** Adds the constant 0x63 to all bytes of a state. */
export function addConstant(at: usize): void {
  for (let b = 0; b < 8; b++) {
    if (!((0x63 >> b) & 1)) continue;
    const plane = at + b * 16;
    v128.store(plane, v128.not(v128.load(plane)));
  }
}
