/** Scratch memory, zeros, and telling them. */

/**
 * A block that grows to the largest size asked for. Requests of one node never overlap, so one for each use is enough; but
 * a node may lie over another of its kind, so it is never shared among nodes.
 */
export class Scratch {
  private pointer: usize = 0;
  private bytes: i32 = 0;

  /** At least `bytes` of memory for one use; the content is lost at the next call. */
  get(bytes: i32): usize {
    if (this.bytes < bytes) {
      if (this.pointer) heap.free(this.pointer);
      this.bytes = 0;
      this.pointer = heap.alloc(bytes);
      this.bytes = bytes;
    }
    return this.pointer;
  }

  release(): void {
    if (this.pointer) heap.free(this.pointer);
    this.pointer = 0;
    this.bytes = 0;
  }
}

/** Bytes of {@link zeros}. */
export const ZERO_BYTES: i32 = 65536;

let zeroPointer: usize = 0;

/** {@link ZERO_BYTES} zero bytes, only to be read. */
export function zeros(): usize {
  if (!zeroPointer) {
    zeroPointer = heap.alloc(ZERO_BYTES);
    memory.fill(zeroPointer, 0, ZERO_BYTES);
  }
  return zeroPointer;
}

/** How many bytes from `at` on are zero, up to `bytes`. */
export function zeroPrefix(at: usize, bytes: i32): i32 {
  let i = 0;
  while (i + 64 <= bytes) {
    const p = at + i;
    const a = v128.or(v128.load(p), v128.load(p, 16));
    const b = v128.or(v128.load(p, 32), v128.load(p, 48));
    if (v128.any_true(v128.or(a, b))) break;
    i += 64;
  }
  while (i < bytes && load<u8>(at + i) === 0) i++;
  return i;
}

/**
 * The run at `at`: n > 0, n zero bytes; n < 0, -n bytes of data. Runs of data end at a 512-byte sector (counted from
 * `at`) that is all zero.
 */
export function zeroRun(at: usize, bytes: i32): i32 {
  const zero = zeroPrefix(at, bytes);
  if (zero === bytes) return bytes;
  const whole = zero & ~511;
  if (whole) return whole;
  let i = 512;
  while (i < bytes) {
    const n = min(512, bytes - i);
    if (zeroPrefix(at + i, n) === n) break;
    i += 512;
  }
  return -min(i, bytes);
}
