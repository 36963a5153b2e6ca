/**
 * Bit planes: eight blocks of 16 bytes become eight vectors, one for each bit of a byte. Byte i of plane b holds bit b of the
 * bytes i of all eight blocks (Kaesper and Schwabe, "Faster and timing-attack resistant AES-GCM", 2009).
 */

/** Bytes of a state: eight planes, or eight blocks. */
export const STATE_BYTES: i32 = 128;

/** Swaps the bits of `x` that `mask` << n selects with those of `y` that `mask` does; `x` and `y` are 16-byte vectors. */
@inline
function swapMove(at: usize, x: usize, y: usize, n: i32, mask: v128): void {
  const a = v128.load(at + x);
  const b = v128.load(at + y);
  const t = v128.and(v128.xor(i64x2.shr_u(a, n), b), mask);
  v128.store(at + y, v128.xor(b, t));
  v128.store(at + x, v128.xor(a, i64x2.shl(t, n)));
}

/** Turns eight blocks into planes, or planes into blocks: it is its own inverse. */
export function transpose(at: usize): void {
  const ones = i8x16.splat(0x55);
  swapMove(at, 0, 16, 1, ones);
  swapMove(at, 32, 48, 1, ones);
  swapMove(at, 64, 80, 1, ones);
  swapMove(at, 96, 112, 1, ones);
  const twos = i8x16.splat(0x33);
  swapMove(at, 0, 32, 2, twos);
  swapMove(at, 16, 48, 2, twos);
  swapMove(at, 64, 96, 2, twos);
  swapMove(at, 80, 112, 2, twos);
  const fours = i8x16.splat(0x0f);
  swapMove(at, 0, 64, 4, fours);
  swapMove(at, 16, 80, 4, fours);
  swapMove(at, 32, 96, 4, fours);
  swapMove(at, 48, 112, 4, fours);
}

/** Adds the constant 0x63 to all bytes of a state. */
export function addConstant(at: usize): void {
  for (let b = 0; b < 8; b++) {
    if (!((0x63 >> b) & 1)) continue;
    const plane = at + b * 16;
    v128.store(plane, v128.not(v128.load(plane)));
  }
}

/** Adds a round key. */
export function addKey(at: usize, key: usize): void {
  for (let i = 0; i < STATE_BYTES; i += 16) {
    v128.store(at + i, v128.xor(v128.load(at + i), v128.load(key + i)));
  }
}
