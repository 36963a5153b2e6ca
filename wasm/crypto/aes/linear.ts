/**
 * The linear layers of AES on bit planes. Byte 4c + r of a block is row r of column c, so that both the shifts of rows and the
 * rotations of columns are permutations of the bytes of a plane.
 */

/** ShiftRows. */
@inline
export function shiftRows(a: v128): v128 {
  return i8x16.swizzle(a, i8x16(0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11));
}

/** ShiftRows, then each byte replaced by the one in the next row. */
@inline
function shiftRowsNext(a: v128): v128 {
  return i8x16.swizzle(a, i8x16(5, 10, 15, 0, 9, 14, 3, 4, 13, 2, 7, 8, 1, 6, 11, 12));
}

/** The inverse of {@link shiftRows}. */
@inline
export function invShiftRows(a: v128): v128 {
  return i8x16.swizzle(a, i8x16(0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3));
}

/** Each byte replaced by the one in the next row. */
@inline
function next(a: v128): v128 {
  return i8x16.swizzle(a, i8x16(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12));
}

/** Each byte replaced by the one two rows away. */
@inline
function opposite(a: v128): v128 {
  return i8x16.swizzle(a, i8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
}

/**
 * ShiftRows, MixColumns and the round key. With the bytes a, b, c, d of a column from row r on, row r becomes
 * 2 (a + b) + b + (c + d).
 */
@inline
export function mixColumns(
  p0: v128,
  p1: v128,
  p2: v128,
  p3: v128,
  p4: v128,
  p5: v128,
  p6: v128,
  p7: v128,
  at: usize,
  key: usize,
): void {
  const a0 = shiftRows(p0);
  const b0 = shiftRowsNext(p0);
  const a1 = shiftRows(p1);
  const b1 = shiftRowsNext(p1);
  const a2 = shiftRows(p2);
  const b2 = shiftRowsNext(p2);
  const a3 = shiftRows(p3);
  const b3 = shiftRowsNext(p3);
  const a4 = shiftRows(p4);
  const b4 = shiftRowsNext(p4);
  const a5 = shiftRows(p5);
  const b5 = shiftRowsNext(p5);
  const a6 = shiftRows(p6);
  const b6 = shiftRowsNext(p6);
  const a7 = shiftRows(p7);
  const b7 = shiftRowsNext(p7);
  const t0 = v128.xor(a0, b0);
  const t1 = v128.xor(a1, b1);
  const t2 = v128.xor(a2, b2);
  const t3 = v128.xor(a3, b3);
  const t4 = v128.xor(a4, b4);
  const t5 = v128.xor(a5, b5);
  const t6 = v128.xor(a6, b6);
  const t7 = v128.xor(a7, b7);
  v128.store(at, v128.xor(v128.xor(t7, b0), v128.xor(opposite(t0), v128.load(key, 0))), 0);
  v128.store(at, v128.xor(v128.xor(v128.xor(t0, t7), b1), v128.xor(opposite(t1), v128.load(key, 16))), 16);
  v128.store(at, v128.xor(v128.xor(t1, b2), v128.xor(opposite(t2), v128.load(key, 32))), 32);
  v128.store(at, v128.xor(v128.xor(v128.xor(t2, t7), b3), v128.xor(opposite(t3), v128.load(key, 48))), 48);
  v128.store(at, v128.xor(v128.xor(v128.xor(t3, t7), b4), v128.xor(opposite(t4), v128.load(key, 64))), 64);
  v128.store(at, v128.xor(v128.xor(t4, b5), v128.xor(opposite(t5), v128.load(key, 80))), 80);
  v128.store(at, v128.xor(v128.xor(t5, b6), v128.xor(opposite(t6), v128.load(key, 96))), 96);
  v128.store(at, v128.xor(v128.xor(t6, b7), v128.xor(opposite(t7), v128.load(key, 112))), 112);
}

/**
 * The inverses of ShiftRows and of MixColumns, and the round key. The matrix of the inverse is that of MixColumns times
 * (5 0 4 0): row r becomes a + 4 (a + c) before the columns are mixed as in {@link mixColumns}.
 */
@inline
export function invMixColumns(
  i0: v128,
  i1: v128,
  i2: v128,
  i3: v128,
  i4: v128,
  i5: v128,
  i6: v128,
  i7: v128,
  at: usize,
  key: usize,
): void {
  const p0 = invShiftRows(i0);
  const p1 = invShiftRows(i1);
  const p2 = invShiftRows(i2);
  const p3 = invShiftRows(i3);
  const p4 = invShiftRows(i4);
  const p5 = invShiftRows(i5);
  const p6 = invShiftRows(i6);
  const p7 = invShiftRows(i7);
  const w0 = v128.xor(p0, opposite(p0));
  const w1 = v128.xor(p1, opposite(p1));
  const w2 = v128.xor(p2, opposite(p2));
  const w3 = v128.xor(p3, opposite(p3));
  const w4 = v128.xor(p4, opposite(p4));
  const w5 = v128.xor(p5, opposite(p5));
  const w6 = v128.xor(p6, opposite(p6));
  const w7 = v128.xor(p7, opposite(p7));
  const w67 = v128.xor(w6, w7);
  const a0 = v128.xor(p0, w6);
  const b0 = next(a0);
  const a1 = v128.xor(p1, w67);
  const b1 = next(a1);
  const a2 = v128.xor(p2, v128.xor(w0, w7));
  const b2 = next(a2);
  const a3 = v128.xor(p3, v128.xor(w1, w6));
  const b3 = next(a3);
  const a4 = v128.xor(p4, v128.xor(w2, w67));
  const b4 = next(a4);
  const a5 = v128.xor(p5, v128.xor(w3, w7));
  const b5 = next(a5);
  const a6 = v128.xor(p6, w4);
  const b6 = next(a6);
  const a7 = v128.xor(p7, w5);
  const b7 = next(a7);
  const t0 = v128.xor(a0, b0);
  const t1 = v128.xor(a1, b1);
  const t2 = v128.xor(a2, b2);
  const t3 = v128.xor(a3, b3);
  const t4 = v128.xor(a4, b4);
  const t5 = v128.xor(a5, b5);
  const t6 = v128.xor(a6, b6);
  const t7 = v128.xor(a7, b7);
  v128.store(at, v128.xor(v128.xor(t7, b0), v128.xor(opposite(t0), v128.load(key, 0))), 0);
  v128.store(at, v128.xor(v128.xor(v128.xor(t0, t7), b1), v128.xor(opposite(t1), v128.load(key, 16))), 16);
  v128.store(at, v128.xor(v128.xor(t1, b2), v128.xor(opposite(t2), v128.load(key, 32))), 32);
  v128.store(at, v128.xor(v128.xor(v128.xor(t2, t7), b3), v128.xor(opposite(t3), v128.load(key, 48))), 48);
  v128.store(at, v128.xor(v128.xor(v128.xor(t3, t7), b4), v128.xor(opposite(t4), v128.load(key, 64))), 64);
  v128.store(at, v128.xor(v128.xor(t4, b5), v128.xor(opposite(t5), v128.load(key, 80))), 80);
  v128.store(at, v128.xor(v128.xor(t5, b6), v128.xor(opposite(t6), v128.load(key, 96))), 96);
  v128.store(at, v128.xor(v128.xor(t6, b7), v128.xor(opposite(t7), v128.load(key, 112))), 112);
}

/** The inverse of MixColumns alone; `key` is added. */
export function unmixColumns(at: usize, key: usize): void {
  invMixColumns(
    shiftRows(v128.load(at, 0)),
    shiftRows(v128.load(at, 16)),
    shiftRows(v128.load(at, 32)),
    shiftRows(v128.load(at, 48)),
    shiftRows(v128.load(at, 64)),
    shiftRows(v128.load(at, 80)),
    shiftRows(v128.load(at, 96)),
    shiftRows(v128.load(at, 112)),
    at,
    key,
  );
}
