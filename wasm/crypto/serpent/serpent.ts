/**
 * Serpent (Anderson, Biham, Knudsen, 1998) with keys of 16, 24 and 32 bytes, in its bitslice form: four blocks at a time, a word of
 * each in a SIMD register; no tables.
 */
import { BlockCipher, keyMemory, wipeMemory } from '../cipher';
import { invSubstitute, substitute } from './sbox';

const ROUNDS: i32 = 32;
const KEY_WORDS: i32 = 4 * (ROUNDS + 1);
const GOLDEN: u32 = 0x9e3779b9;

/** Four blocks, word i of all in vector i. */
const state: usize = memory.data(64, 16);
const part: usize = memory.data(64, 16);


@inline
function rotate(a: v128, n: i32): v128 {
  return v128.or(i32x4.shl(a, n), i32x4.shr_u(a, 32 - n));
}

/** Turns four blocks into words, or back: a matrix of 4 by 4 words is transposed. */
function transpose(from: usize, to: usize): void {
  const a = v128.load(from);
  const b = v128.load(from, 16);
  const c = v128.load(from, 32);
  const d = v128.load(from, 48);
  const ab = v128.shuffle<u32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<u32>(c, d, 0, 4, 1, 5);
  const ab2 = v128.shuffle<u32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<u32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<u64>(ab, cd, 0, 2));
  v128.store(to, v128.shuffle<u64>(ab, cd, 1, 3), 16);
  v128.store(to, v128.shuffle<u64>(ab2, cd2, 0, 2), 32);
  v128.store(to, v128.shuffle<u64>(ab2, cd2, 1, 3), 48);
}

/** The linear transformation. */
function mix(): void {
  let a = v128.load(state);
  let b = v128.load(state, 16);
  let c = v128.load(state, 32);
  let d = v128.load(state, 48);
  a = rotate(a, 13);
  c = rotate(c, 3);
  b = rotate(v128.xor(b, v128.xor(a, c)), 1);
  d = rotate(v128.xor(d, v128.xor(c, i32x4.shl(a, 3))), 7);
  a = rotate(v128.xor(a, v128.xor(b, d)), 5);
  c = rotate(v128.xor(c, v128.xor(d, i32x4.shl(b, 7))), 22);
  v128.store(state, a);
  v128.store(state, b, 16);
  v128.store(state, c, 32);
  v128.store(state, d, 48);
}

/** The inverse of {@link mix}. */
function unmix(): void {
  let a = v128.load(state);
  let b = v128.load(state, 16);
  let c = v128.load(state, 32);
  let d = v128.load(state, 48);
  c = v128.xor(rotate(c, 10), v128.xor(d, i32x4.shl(b, 7)));
  a = v128.xor(rotate(a, 27), v128.xor(b, d));
  d = v128.xor(rotate(d, 25), v128.xor(c, i32x4.shl(a, 3)));
  b = v128.xor(rotate(b, 31), v128.xor(a, c));
  v128.store(state, rotate(a, 19));
  v128.store(state, b, 16);
  v128.store(state, rotate(c, 29), 32);
  v128.store(state, d, 48);
}

export class Serpent extends BlockCipher {
  private keys: usize = keyMemory(KEY_WORDS * 4);

  /** @param keyBytes 16, 24 or 32 */
  constructor(key: usize, keyBytes: i32) {
    super(16);
    this.expand(key, keyBytes);
  }

  private expand(key: usize, keyBytes: i32): void {
    const bytes = (8 + KEY_WORDS) * 4;
    const words = keyMemory(bytes);
    memory.fill(words, 0, 32);
    memory.copy(words, key, keyBytes);
    // A short key is one with a single bit behind it.
    if (keyBytes < 32) store<u8>(words + keyBytes, 1);
    for (let i = 0; i < KEY_WORDS; i++) {
      const at = words + i * 4;
      const sum = load<u32>(at) ^ load<u32>(at + 12) ^ load<u32>(at + 20) ^ load<u32>(at + 28);
      store<u32>(at + 32, rotl<u32>(sum ^ GOLDEN ^ i, 11));
    }
    for (let i = 0; i <= ROUNDS; i++) {
      const from = words + 32 + i * 16;
      for (let j = 0; j < 4; j++) v128.store(state + j * 16, v128.load32_splat(from + j * 4));
      substitute((35 - i) & 7, state);
      for (let j = 0; j < 4; j++) store<u32>(this.keys + i * 16 + j * 4, load<u32>(state + j * 16));
    }
    wipeMemory(words, bytes);
    memory.fill(state, 0, 64);
  }

  private addKey(round: i32): void {
    const key = this.keys + round * 16;
    for (let j = 0; j < 4; j++) {
      const at = state + j * 16;
      v128.store(at, v128.xor(v128.load(at), v128.load32_splat(key + j * 4)));
    }
  }

  private encryptBatch(at: usize): void {
    transpose(at, state);
    for (let round = 0; round < ROUNDS - 1; round++) {
      this.addKey(round);
      substitute(round & 7, state);
      mix();
    }
    this.addKey(ROUNDS - 1);
    substitute(7, state);
    this.addKey(ROUNDS);
    transpose(state, at);
  }

  private decryptBatch(at: usize): void {
    transpose(at, state);
    this.addKey(ROUNDS);
    invSubstitute(7, state);
    this.addKey(ROUNDS - 1);
    for (let round = ROUNDS - 2; round >= 0; round--) {
      unmix();
      invSubstitute(round & 7, state);
      this.addKey(round);
    }
    transpose(state, at);
  }

  encrypt(at: usize, blocks: i32): void {
    for (; blocks >= 4; blocks -= 4) {
      this.encryptBatch(at);
      at += 64;
    }
    if (!blocks) return;
    memory.copy(part, at, blocks * 16);
    this.encryptBatch(part);
    memory.copy(at, part, blocks * 16);
  }

  decrypt(at: usize, blocks: i32): void {
    for (; blocks >= 4; blocks -= 4) {
      this.decryptBatch(at);
      at += 64;
    }
    if (!blocks) return;
    memory.copy(part, at, blocks * 16);
    this.decryptBatch(part);
    memory.copy(at, part, blocks * 16);
  }

  wipe(): void {
    wipeMemory(this.keys, KEY_WORDS * 4);
    this.keys = 0;
    memory.fill(state, 0, 64);
    memory.fill(part, 0, 64);
  }
}
