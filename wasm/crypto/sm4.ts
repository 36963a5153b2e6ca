/** SM4 (GB/T 32907-2016): keys and blocks of 16 bytes, 32 rounds. Its table makes its time depend on data. */
import { BlockCipher, keyMemory, wipeMemory } from './cipher';

const ROUNDS: i32 = 32;
/** The polynomial of the field in which the S-box inverts. */
const FIELD: u32 = 0x1f5;

/** 256 bytes, made at the first use. */
const table: usize = memory.data(256);
let made: bool = false;

/** The affine map around the inversion: bit i of the answer is the parity of `x` with a row, which turns with i. */
function affine(x: u32): u32 {
  let y: u32 = 0xd3;
  for (let i = 0; i < 8; i++) y ^= (popcnt<u32>(x & rotl<u8>(0xa7, <u8>i)) & 1) << i;
  return y;
}

function multiply(a: u32, b: u32): u32 {
  let product: u32 = 0;
  for (; b; b >>= 1) {
    if (b & 1) product ^= a;
    a <<= 1;
    if (a & 0x100) a ^= FIELD;
  }
  return product;
}

/** S(x) = A(inverse(A(x))), where A is {@link affine}. */
function makeTable(): void {
  if (made) return;
  made = true;
  for (let x: u32 = 0; x < 256; x++) {
    const y = affine(x);
    // y^254 is the inverse of y, and 0 for 0.
    let inverse: u32 = 1;
    for (let i = 0; i < 254; i++) inverse = multiply(inverse, y);
    store<u8>(table + x, affine(inverse));
  }
}

/** The S-box on all bytes of a word. */
@inline
function substitute(x: u32): u32 {
  return (
    load<u8>(table + (x & 255)) |
    ((<u32>load<u8>(table + ((x >> 8) & 255))) << 8) |
    ((<u32>load<u8>(table + ((x >> 16) & 255))) << 16) |
    ((<u32>load<u8>(table + (x >> 24))) << 24)
  );
}

/** What the key is masked with. */
const FK: usize = memory.data<u32>([0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc]);

export class Sm4 extends BlockCipher {
  private keys: usize = keyMemory(ROUNDS * 4);

  constructor(key: usize) {
    super(16);
    makeTable();
    const words = keyMemory((ROUNDS + 4) * 4);
    for (let i = 0; i < 16; i += 4) {
      store<u32>(words + i, bswap<u32>(load<u32>(key + i)) ^ load<u32>(FK + i));
    }
    for (let i = 0; i < ROUNDS; i++) {
      let constant: u32 = 0;
      for (let j = 0; j < 4; j++) constant = (constant << 8) | (((4 * i + j) * 7) & 255);
      const at = words + i * 4;
      const b = substitute(load<u32>(at, 4) ^ load<u32>(at, 8) ^ load<u32>(at, 12) ^ constant);
      const next = load<u32>(at) ^ b ^ rotl<u32>(b, 13) ^ rotl<u32>(b, 23);
      store<u32>(at, next, 16);
      store<u32>(this.keys + i * 4, next);
    }
    wipeMemory(words, (ROUNDS + 4) * 4);
  }

  /** Runs the rounds with their keys in one order or the other; that is all decryption differs in. */
  private run(at: usize, blocks: i32, first: i32, step: i32): void {
    for (; blocks > 0; blocks--) {
      let a = bswap<u32>(load<u32>(at));
      let b = bswap<u32>(load<u32>(at, 4));
      let c = bswap<u32>(load<u32>(at, 8));
      let d = bswap<u32>(load<u32>(at, 12));
      let key = this.keys + first * 4;
      for (let round = 0; round < ROUNDS; round++) {
        const s = substitute(b ^ c ^ d ^ load<u32>(key));
        const next = a ^ s ^ rotl<u32>(s, 2) ^ rotl<u32>(s, 10) ^ rotl<u32>(s, 18) ^ rotl<u32>(s, 24);
        a = b;
        b = c;
        c = d;
        d = next;
        key += step * 4;
      }
      store<u32>(at, bswap<u32>(d));
      store<u32>(at, bswap<u32>(c), 4);
      store<u32>(at, bswap<u32>(b), 8);
      store<u32>(at, bswap<u32>(a), 12);
      at += 16;
    }
  }

  encrypt(at: usize, blocks: i32): void {
    this.run(at, blocks, 0, 1);
  }

  decrypt(at: usize, blocks: i32): void {
    this.run(at, blocks, ROUNDS - 1, -1);
  }

  wipe(): void {
    wipeMemory(this.keys, ROUNDS * 4);
    this.keys = 0;
  }
}
