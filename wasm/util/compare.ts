/** Telling where two buffers are equal. */

/** Whether two ranges of memory hold the same bytes. */
function same(a: usize, b: usize, bytes: i32): bool {
  let i = 0;
  while (i + 64 <= bytes) {
    const p = a + i;
    const q = b + i;
    const first = v128.or(v128.xor(v128.load(p), v128.load(q)), v128.xor(v128.load(p, 16), v128.load(q, 16)));
    const second = v128.or(
      v128.xor(v128.load(p, 32), v128.load(q, 32)),
      v128.xor(v128.load(p, 48), v128.load(q, 48)),
    );
    if (v128.any_true(v128.or(first, second))) return false;
    i += 64;
  }
  while (i < bytes) {
    if (load<u8>(a + i) !== load<u8>(b + i)) return false;
    i++;
  }
  return true;
}

/**
 * The run of equal or of different units at the start of two buffers: n > 0, n equal bytes; n < 0, -n bytes of units that
 * all differ somewhere. The last unit may be a part of one.
 * @param unit > 0
 */
export function compareUnits(a: usize, b: usize, bytes: i32, unit: i32): i32 {
  if (bytes <= 0) return 0;
  const equal = same(a, b, min(unit, bytes));
  let i = min(unit, bytes);
  while (i < bytes) {
    const n = min(unit, bytes - i);
    if (same(a + i, b + i, n) !== equal) break;
    i += n;
  }
  return equal ? i : -i;
}
