/** CAST-128 (RFC 2144) with keys of 16 bytes: blocks of 8 bytes, 16 rounds. Its tables make its time depend on data. */
import { BlockCipher, keyMemory, wipeMemory } from '../cipher';
import { CAST5_SBOXES } from './tables';

const ROUNDS: i32 = 16;

/**
 * The key schedule (RFC 2144, section 2.4). x is the 16 bytes of the key, z 16 more. In each row of a step: the word of the other
 * array that is taken (its first byte), then bytes that go through S5, S6, S7, S8, and one that goes through another of
 * these. Bytes of z are 16 and up. The words are made one after the other.
 */
const STEPS: usize = memory.data<u8>([
  // z0..z3, z4..z7, z8..zB, zC..zF of x
  0, 13, 15, 12, 14, 8, 8, 16, 18, 17, 19, 10, 12, 23, 22, 21, 20, 9, 4, 26, 25, 27, 24, 11,
  // x0..x3, x4..x7, x8..xB, xC..xF of z
  24, 21, 23, 20, 22, 16, 16, 0, 2, 1, 3, 18, 20, 7, 6, 5, 4, 17, 28, 10, 9, 11, 8, 19,
]);

/** The bytes that each of 16 subkeys is made of: through S5, S6, S7, S8, and S5, S6, S7 or S8 by its place in four. */
const SUBKEYS: usize = memory.data<u8>([
  24, 25, 23, 22, 18, 26, 27, 21, 20, 22, 28, 29, 19, 18, 25, 30, 31, 17, 16, 28, 3, 2, 12, 13, 8, 1, 0, 14,
  15, 13, 7, 6, 8, 9, 3, 5, 4, 10, 11, 7, 19, 18, 28, 29, 25, 17, 16, 30, 31, 28, 23, 22, 24, 25, 18, 21, 20,
  26, 27, 22, 8, 9, 7, 6, 3, 10, 11, 5, 4, 7, 12, 13, 3, 2, 8, 14, 15, 1, 0, 13,
]);

/** An entry of one of the S-boxes 1 to 8. */
@inline
function sbox(which: i32, byte: u32): u32 {
  return load<u32>(CAST5_SBOXES + ((which - 1) << 10) + (byte << 2));
}

/** What five bytes of `x` and `z` make together; the last one goes through S-box `last`. */
function combine(bytes: usize, row: usize, last: i32): u32 {
  return (
    sbox(5, load<u8>(bytes + load<u8>(row))) ^
    sbox(6, load<u8>(bytes + load<u8>(row, 1))) ^
    sbox(7, load<u8>(bytes + load<u8>(row, 2))) ^
    sbox(8, load<u8>(bytes + load<u8>(row, 3))) ^
    sbox(last, load<u8>(bytes + load<u8>(row, 4)))
  );
}

/** Four words of x of those of z, or the other way: `step` 0 makes z, 1 makes x. */
function derive(bytes: usize, step: i32): void {
  for (let i = 0; i < 4; i++) {
    const row = STEPS + step * 24 + i * 6;
    const last: i32 = i === 0 ? 7 : i === 1 ? 8 : i + 3;
    const word = bswap<u32>(load<u32>(bytes + load<u8>(row))) ^ combine(bytes, row + 1, last);
    store<u32>(bytes + (1 - step) * 16 + i * 4, bswap<u32>(word));
  }
}

export class Cast5 extends BlockCipher {
  /** 16 masking keys, then 16 rotations. */
  private keys: usize = keyMemory(8 * ROUNDS);

  constructor(key: usize) {
    super(8);
    const bytes = keyMemory(32);
    memory.copy(bytes, key, 16);
    for (let i = 0; i < 2 * ROUNDS; i++) {
      if (!(i & 3)) derive(bytes, (i >> 2) & 1);
      store<u32>(this.keys + i * 4, combine(bytes, SUBKEYS + (i & 15) * 5, 5 + (i & 3)));
    }
    wipeMemory(bytes, 32);
  }

  /** The function of a round; there are three kinds. */
  @inline
  private f(round: i32, half: u32): u32 {
    const mask = load<u32>(this.keys + round * 4);
    const turn = load<u32>(this.keys + round * 4, 4 * ROUNDS) & 31;
    const kind = round % 3;
    let x: u32 = kind === 0 ? mask + half : kind === 1 ? mask ^ half : mask - half;
    x = rotl<u32>(x, turn);
    const a = sbox(1, x >> 24);
    const b = sbox(2, (x >> 16) & 255);
    const c = sbox(3, (x >> 8) & 255);
    const d = sbox(4, x & 255);
    if (kind === 0) return (a ^ b) - c + d;
    return kind === 1 ? (a - b + c) ^ d : ((a + b) ^ c) - d;
  }

  encrypt(at: usize, blocks: i32): void {
    for (; blocks > 0; blocks--) {
      let l = bswap<u32>(load<u32>(at));
      let r = bswap<u32>(load<u32>(at, 4));
      for (let round = 0; round < ROUNDS; round++) {
        const next = l ^ this.f(round, r);
        l = r;
        r = next;
      }
      store<u32>(at, bswap<u32>(r));
      store<u32>(at, bswap<u32>(l), 4);
      at += 8;
    }
  }

  decrypt(at: usize, blocks: i32): void {
    for (; blocks > 0; blocks--) {
      let r = bswap<u32>(load<u32>(at));
      let l = bswap<u32>(load<u32>(at, 4));
      for (let round = ROUNDS - 1; round >= 0; round--) {
        const before = r ^ this.f(round, l);
        r = l;
        l = before;
      }
      store<u32>(at, bswap<u32>(l));
      store<u32>(at, bswap<u32>(r), 4);
      at += 8;
    }
  }

  wipe(): void {
    wipeMemory(this.keys, 8 * ROUNDS);
    this.keys = 0;
  }
}
