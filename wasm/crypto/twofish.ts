/**
 * Twofish (Schneier and others, 1998) with keys of 16, 24 and 32 bytes. The S-boxes depend on the key and are kept as four tables,
 * with the MDS matrix multiplied in; so unlike AES and Serpent here its time depends on data.
 */
import { BlockCipher, keyMemory, wipeMemory } from './cipher';

/** The nibble tables that q0 and q1 are made of. */
const NIBBLES: usize = memory.data<u8>([
  0x8, 0x1, 0x7, 0xd, 0x6, 0xf, 0x3, 0x2, 0x0, 0xb, 0x5, 0x9, 0xe, 0xc, 0xa, 0x4, 0xe, 0xc, 0xb, 0x8, 0x1,
  0x2, 0x3, 0x5, 0xf, 0x4, 0xa, 0x6, 0x7, 0x0, 0x9, 0xd, 0xb, 0xa, 0x5, 0xe, 0x6, 0xd, 0x9, 0x0, 0xc, 0x8,
  0xf, 0x3, 0x2, 0x4, 0x7, 0x1, 0xd, 0x7, 0xf, 0x4, 0x1, 0x2, 0x6, 0xe, 0x9, 0xb, 0x3, 0x0, 0x8, 0x5, 0xc,
  0xa, 0x2, 0x8, 0xb, 0xd, 0xf, 0x7, 0x6, 0xe, 0x3, 0x1, 0x9, 0x4, 0x0, 0xa, 0xc, 0x5, 0x1, 0xe, 0x2, 0xb,
  0x4, 0xc, 0x3, 0x7, 0x6, 0xd, 0xa, 0x5, 0xf, 0x9, 0x0, 0x8, 0x4, 0xc, 0x7, 0x5, 0x1, 0x6, 0x9, 0xa, 0x0,
  0xe, 0xd, 0x8, 0x2, 0xb, 0x3, 0xf, 0xb, 0x9, 0x5, 0x1, 0xc, 0x3, 0xd, 0xe, 0x6, 0x4, 0x7, 0xf, 0x2, 0x0,
  0x8, 0xa,
]);

/** The Reed-Solomon matrix, row by row. */
const RS: usize = memory.data<u8>([
  0x01, 0xa4, 0x55, 0x87, 0x5a, 0x58, 0xdb, 0x9e, 0xa4, 0x56, 0x82, 0xf3, 0x1e, 0xc6, 0x68, 0xe5, 0x02, 0xa1,
  0xfc, 0xc1, 0x47, 0xae, 0x3d, 0x19, 0xa4, 0x55, 0x87, 0x5a, 0x58, 0xdb, 0x9e, 0x03,
]);

/** The MDS matrix, column by column. */
const MDS: usize = memory.data<u8>([
  0x01, 0x5b, 0xef, 0xef, 0xef, 0xef, 0x5b, 0x01, 0x5b, 0xef, 0x01, 0xef, 0x5b, 0x01, 0xef, 0x5b,
]);

/** For each byte (column): whether it goes through q0 or q1 last, and before that with word 0, 1, 2, 3 of the list. */
const ORDER: usize = memory.data<u8>([1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1]);

/** Primitive polynomials of the fields of MDS and RS. */
const MDS_FIELD: u32 = 0x169;
const RS_FIELD: u32 = 0x14d;

function multiply(a: u32, b: u32, field: u32): u32 {
  let product: u32 = 0;
  for (; b; b >>= 1) {
    if (b & 1) product ^= a;
    a <<= 1;
    if (a & 0x100) a ^= field;
  }
  return product;
}

/** The permutation q0 or q1 of a byte. */
function permute(which: i32, x: u32): u32 {
  const t = NIBBLES + which * 64;
  let a = x >> 4;
  let b = x & 15;
  for (let i = 0; i < 64; i += 32) {
    const mixed = a ^ b;
    b = a ^ (((b >> 1) | (b << 3)) & 15) ^ ((a << 3) & 15);
    a = load<u8>(t + i + mixed);
    b = load<u8>(t + i + 16 + b);
  }
  return (b << 4) | a;
}

/** One byte of h before the matrix: column `column` of the list of `words` words at `list`. */
function chain(column: i32, x: u32, list: usize, words: i32): u32 {
  for (let i = words - 1; i >= 0; i--) {
    x = permute(load<u8>(ORDER + column * 5 + i + 1), x) ^ load<u8>(list + i * 4 + column);
  }
  return permute(load<u8>(ORDER + column * 5), x);
}

/** A byte times a column of the MDS matrix. */
function mds(column: i32, x: u32): u32 {
  let word: u32 = 0;
  for (let row = 0; row < 4; row++) {
    word |= multiply(load<u8>(MDS + column * 4 + row), x, MDS_FIELD) << (row * 8);
  }
  return word;
}

/** The function h of the specification; all bytes of its argument are `x`. */
function h(x: u32, list: usize, words: i32): u32 {
  let word: u32 = 0;
  for (let column = 0; column < 4; column++) word ^= mds(column, chain(column, x, list, words));
  return word;
}

const SUBKEYS: i32 = 40;
/** Four tables of 256 words, then the subkeys. */
const KEY_BYTES: i32 = 4 * 1024 + SUBKEYS * 4;

export class Twofish extends BlockCipher {
  private tables: usize = keyMemory(KEY_BYTES);

  /** @param keyBytes 16, 24 or 32 */
  constructor(key: usize, keyBytes: i32) {
    super(16);
    this.expand(key, keyBytes / 8);
  }

  private expand(key: usize, words: i32): void {
    // The even words of the key, the odd ones, and those of the S-boxes in reverse.
    const lists = keyMemory(48);
    for (let i = 0; i < words; i++) {
      store<u32>(lists + i * 4, load<u32>(key + i * 8));
      store<u32>(lists + 16 + i * 4, load<u32>(key + i * 8 + 4));
      for (let row = 0; row < 4; row++) {
        let sum: u32 = 0;
        for (let j = 0; j < 8; j++) {
          sum ^= multiply(load<u8>(RS + row * 8 + j), load<u8>(key + i * 8 + j), RS_FIELD);
        }
        store<u8>(lists + 32 + (words - 1 - i) * 4 + row, sum);
      }
    }
    for (let i = 0; i < SUBKEYS / 2; i++) {
      const a = h(2 * i, lists, words);
      const b = rotl<u32>(h(2 * i + 1, lists + 16, words), 8);
      store<u32>(this.subkey(2 * i), a + b);
      store<u32>(this.subkey(2 * i + 1), rotl<u32>(a + 2 * b, 9));
    }
    for (let column = 0; column < 4; column++) {
      for (let x = 0; x < 256; x++) {
        const word = mds(column, chain(column, x, lists + 32, words));
        store<u32>(this.tables + column * 1024 + x * 4, word);
      }
    }
    wipeMemory(lists, 48);
  }


  @inline
  private subkey(index: i32): usize {
    return this.tables + 4096 + index * 4;
  }


  @inline
  private g(x: u32): u32 {
    const t = this.tables;
    return (
      load<u32>(t + (x & 255) * 4) ^
      load<u32>(t + ((x >> 8) & 255) * 4, 1024) ^
      load<u32>(t + ((x >> 16) & 255) * 4, 2048) ^
      load<u32>(t + (x >> 24) * 4, 3072)
    );
  }

  encrypt(at: usize, blocks: i32): void {
    for (; blocks > 0; blocks--) {
      let a = load<u32>(at) ^ load<u32>(this.subkey(0));
      let b = load<u32>(at, 4) ^ load<u32>(this.subkey(1));
      let c = load<u32>(at, 8) ^ load<u32>(this.subkey(2));
      let d = load<u32>(at, 12) ^ load<u32>(this.subkey(3));
      for (let round = 0; round < 16; round++) {
        const t = this.g(a);
        const u = this.g(rotl<u32>(b, 8));
        const e = rotr<u32>(c ^ (t + u + load<u32>(this.subkey(8 + 2 * round))), 1);
        const f = rotl<u32>(d, 1) ^ (t + 2 * u + load<u32>(this.subkey(9 + 2 * round)));
        c = a;
        d = b;
        a = e;
        b = f;
      }
      store<u32>(at, c ^ load<u32>(this.subkey(4)));
      store<u32>(at, d ^ load<u32>(this.subkey(5)), 4);
      store<u32>(at, a ^ load<u32>(this.subkey(6)), 8);
      store<u32>(at, b ^ load<u32>(this.subkey(7)), 12);
      at += 16;
    }
  }

  decrypt(at: usize, blocks: i32): void {
    for (; blocks > 0; blocks--) {
      let c = load<u32>(at) ^ load<u32>(this.subkey(4));
      let d = load<u32>(at, 4) ^ load<u32>(this.subkey(5));
      let a = load<u32>(at, 8) ^ load<u32>(this.subkey(6));
      let b = load<u32>(at, 12) ^ load<u32>(this.subkey(7));
      for (let round = 15; round >= 0; round--) {
        const t = this.g(c);
        const u = this.g(rotl<u32>(d, 8));
        const e = rotl<u32>(a, 1) ^ (t + u + load<u32>(this.subkey(8 + 2 * round)));
        const f = rotr<u32>(b ^ (t + 2 * u + load<u32>(this.subkey(9 + 2 * round))), 1);
        a = c;
        b = d;
        c = e;
        d = f;
      }
      store<u32>(at, a ^ load<u32>(this.subkey(0)));
      store<u32>(at, b ^ load<u32>(this.subkey(1)), 4);
      store<u32>(at, c ^ load<u32>(this.subkey(2)), 8);
      store<u32>(at, d ^ load<u32>(this.subkey(3)), 12);
      at += 16;
    }
  }

  wipe(): void {
    wipeMemory(this.tables, KEY_BYTES);
    this.tables = 0;
  }
}
