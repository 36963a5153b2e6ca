/**
 * DES and triple DES (FIPS 46-3): blocks of 8 bytes; keys of 8 bytes, of which the last bit of each has no meaning, or three of
 * them. Its tables make its time depend on data. Bits are counted from 1, the most significant one, as in the standard.
 */
import { BlockCipher, keyMemory, wipeMemory } from './cipher';

/** The eight S-boxes, each row by row. */
const SBOXES: usize = memory.data<u8>([
  14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8,
  4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13,
  15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5,
  0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9,
  10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1,
  13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12,
  7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9,
  10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14,
  2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6,
  4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3,
  12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8,
  9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13,
  4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6,
  1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12,
  13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2,
  7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11,
]);
/** Permuted choices 1 and 2, and the permutation P. */
const PC1: usize = memory.data<u8>([
  57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
  63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
]);
const PC2: usize = memory.data<u8>([
  14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47,
  55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
]);
const P: usize = memory.data<u8>([
  16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22,
  11, 4, 25,
]);

const ROUNDS: i32 = 16;
/** In these rounds the halves of the key turn by one bit, in all others by two. */
const SINGLE_TURNS: u32 = 0x8103;

/** Eight tables of 64 words, an S-box and P each; made at the first use. */
const tables: usize = memory.data(2048, 16);
let made: bool = false;

function makeTables(): void {
  if (made) return;
  made = true;
  for (let box = 0; box < 8; box++) {
    for (let x = 0; x < 64; x++) {
      const row = ((x >> 4) & 2) | (x & 1);
      const value: u32 = (<u32>load<u8>(SBOXES + box * 64 + row * 16 + ((x >> 1) & 15))) << (28 - 4 * box);
      let word: u32 = 0;
      for (let i = 0; i < 32; i++) word |= ((value >> (32 - load<u8>(P + i))) & 1) << (31 - i);
      store<u32>(tables + box * 256 + x * 4, word);
    }
  }
}

/** Makes 16 round keys: each is eight groups of six bits, a byte each. */
function expand(key: usize, to: usize): void {
  const bits = bswap<u64>(load<u64>(key));
  let halves: u64 = 0;
  for (let i = 0; i < 56; i++) halves = (halves << 1) | ((bits >> (64 - load<u8>(PC1 + i))) & 1);
  let c = <u32>(halves >> 28);
  let d = (<u32>halves) & 0x0fffffff;
  for (let round = 0; round < ROUNDS; round++) {
    const n: u32 = (SINGLE_TURNS >> round) & 1 ? 1 : 2;
    c = ((c << n) | (c >> (28 - n))) & 0x0fffffff;
    d = ((d << n) | (d >> (28 - n))) & 0x0fffffff;
    const both = ((<u64>c) << 28) | d;
    for (let group = 0; group < 8; group++) {
      let six: u64 = 0;
      for (let i = 0; i < 6; i++) six = (six << 1) | ((both >> (56 - load<u8>(PC2 + group * 6 + i))) & 1);
      store<u8>(to + round * 8 + group, <u8>six);
    }
  }
}

/** The function of a round. */
@inline
function f(half: u32, key: usize): u32 {
  let sum: u32 = 0;
  for (let i = 0; i < 8; i++) {
    const x = (rotl<u32>(half, 4 * i + 5) & 63) ^ load<u8>(key + i);
    sum |= load<u32>(tables + i * 256 + x * 4);
  }
  return sum;
}

export class Des extends BlockCipher {
  private keys: usize;

  /** @param passes 1: DES; 3: triple DES, encrypting, decrypting and encrypting with a key of 24 bytes */
  constructor(
    key: usize,
    private passes: i32,
  ) {
    super(8);
    makeTables();
    this.keys = keyMemory(passes * ROUNDS * 8);
    for (let i = 0; i < passes; i++) expand(key + i * 8, this.keys + i * ROUNDS * 8);
  }

  /** Runs blocks through all passes, forwards or backwards. */
  private run(at: usize, blocks: i32, forward: bool): void {
    for (; blocks > 0; blocks--) {
      let l = bswap<u32>(load<u32>(at));
      let r = bswap<u32>(load<u32>(at, 4));
      // The initial permutation, as exchanges of bits.
      let t: u32 = ((l >> 4) ^ r) & 0x0f0f0f0f;
      r ^= t;
      l ^= t << 4;
      t = ((l >> 16) ^ r) & 0x0000ffff;
      r ^= t;
      l ^= t << 16;
      t = ((r >> 2) ^ l) & 0x33333333;
      l ^= t;
      r ^= t << 2;
      t = ((r >> 8) ^ l) & 0x00ff00ff;
      l ^= t;
      r ^= t << 8;
      t = ((l >> 1) ^ r) & 0x55555555;
      r ^= t;
      l ^= t << 1;
      for (let pass = 0; pass < this.passes; pass++) {
        const which = forward ? pass : this.passes - 1 - pass;
        // The middle pass of three goes the other way.
        const onward = forward === ((pass & 1) === 0);
        let key = this.keys + which * ROUNDS * 8 + (onward ? 0 : (ROUNDS - 1) * 8);
        for (let round = 0; round < ROUNDS; round++) {
          const next = l ^ f(r, key);
          l = r;
          r = next;
          key += onward ? 8 : -8;
        }
        t = l;
        l = r;
        r = t;
      }
      t = ((l >> 1) ^ r) & 0x55555555;
      r ^= t;
      l ^= t << 1;
      t = ((r >> 8) ^ l) & 0x00ff00ff;
      l ^= t;
      r ^= t << 8;
      t = ((r >> 2) ^ l) & 0x33333333;
      l ^= t;
      r ^= t << 2;
      t = ((l >> 16) ^ r) & 0x0000ffff;
      r ^= t;
      l ^= t << 16;
      t = ((l >> 4) ^ r) & 0x0f0f0f0f;
      r ^= t;
      l ^= t << 4;
      store<u32>(at, bswap<u32>(l));
      store<u32>(at, bswap<u32>(r), 4);
      at += 8;
    }
  }

  encrypt(at: usize, blocks: i32): void {
    this.run(at, blocks, true);
  }

  decrypt(at: usize, blocks: i32): void {
    this.run(at, blocks, false);
  }

  wipe(): void {
    wipeMemory(this.keys, this.passes * ROUNDS * 8);
    this.keys = 0;
  }
}
