/**
 * AES (FIPS 197) with keys of 16, 24 and 32 bytes: eight blocks at a time as bit planes in SIMD registers, so that there are
 * no tables, and neither time nor memory accesses depend on keys or data.
 */
import { BlockCipher, keyMemory, wipeMemory } from '../cipher';
import { unmixColumns } from './linear';
import { addConstant, STATE_BYTES, transpose } from './planes';
import { decryptLast, decryptRounds, encryptLast, encryptRounds } from './rounds';

/** The state of a batch; blocks and masks of fewer blocks than eight. */
const state: usize = memory.data(128, 16);
const part: usize = memory.data(128, 16);
const partMask: usize = memory.data(128, 16);
/** A mask, or a round key, of zeros. */
const zero: usize = memory.data(128, 16);

/** The S-box on each byte of a word, in the same time for all words. */
function subWord(word: u32): u32 {
  // Rows of equal bytes: their shifts have no effect.
  const block = i32x4.splat(word);
  for (let i = 0; i < STATE_BYTES; i += 16) v128.store(state + i, block);
  transpose(state, zero, state, zero);
  encryptLast(state);
  addConstant(state);
  transpose(state, zero, state, zero);
  return load<u32>(state);
}

/** Writes one block eight times, as planes. */
function spread(block: usize, to: usize): void {
  const key = v128.load(block);
  for (let i = 0; i < STATE_BYTES; i += 16) v128.store(to + i, key);
  transpose(to, zero, to, zero);
}

export class Aes extends BlockCipher {
  private rounds: i32;
  /** Round keys as planes: those of encryption, then those of decryption. */
  private keys: usize;

  /** @param keyBytes 16, 24 or 32 */
  constructor(key: usize, keyBytes: i32) {
    super(16);
    this.rounds = keyBytes / 4 + 6;
    this.keys = keyMemory(this.bytes);
    this.expand(key, keyBytes);
  }

  private get bytes(): i32 {
    return 2 * (this.rounds + 1) * STATE_BYTES;
  }


  @inline
  private roundKey(round: i32): usize {
    return this.keys + round * STATE_BYTES;
  }


  @inline
  private inverseKey(round: i32): usize {
    return this.keys + (this.rounds + 1 + round) * STATE_BYTES;
  }

  /**
   * The S-box of sbox.ts lacks its constant; it is part of each key that is added behind it (in decryption: before the
   * inverse S-box, and the keys there are those behind the inverse of MixColumns).
   */
  private expand(key: usize, keyBytes: i32): void {
    const words = keyBytes / 4;
    const total = 4 * (this.rounds + 1);
    const expanded = keyMemory(total * 4);
    memory.copy(expanded, key, keyBytes);
    let rcon: u32 = 1;
    for (let i = words; i < total; i++) {
      let word = load<u32>(expanded + (i - 1) * 4);
      if (i % words === 0) {
        word = subWord(rotr<u32>(word, 8)) ^ rcon;
        rcon = (rcon << 1) ^ (rcon & 0x80 ? 0x11b : 0);
      } else if (words > 6 && i % words === 4) {
        word = subWord(word);
      }
      store<u32>(expanded + i * 4, word ^ load<u32>(expanded + (i - words) * 4));
    }
    for (let round = 0; round <= this.rounds; round++) {
      const forward = this.roundKey(round);
      const inverse = this.inverseKey(round);
      spread(expanded + round * 16, forward);
      memory.copy(inverse, forward, STATE_BYTES);
      if (round > 0) {
        if (round < this.rounds) unmixColumns(inverse, zero);
        addConstant(inverse);
        addConstant(forward);
      }
    }
    wipeMemory(expanded, total * 4);
    memory.fill(state, 0, STATE_BYTES);
  }

  /** Encrypts eight blocks; `mask` is added before and after. */
  private encryptBatch(at: usize, mask: usize): void {
    const last = this.rounds;
    transpose(at, mask, state, this.roundKey(0));
    encryptRounds(state, this.roundKey(1), this.roundKey(last));
    encryptLast(state);
    transpose(state, this.roundKey(last), at, mask);
  }

  private decryptBatch(at: usize, mask: usize): void {
    transpose(at, mask, state, this.inverseKey(this.rounds));
    decryptRounds(state, this.inverseKey(this.rounds), this.inverseKey(1));
    decryptLast(state);
    transpose(state, this.inverseKey(0), at, mask);
  }


  @inline
  private eachBatch(encrypt: bool, at: usize, blocks: i32, mask: usize, step: usize): void {
    for (; blocks >= 8; blocks -= 8) {
      if (encrypt) this.encryptBatch(at, mask);
      else this.decryptBatch(at, mask);
      at += STATE_BYTES;
      mask += step;
    }
    if (!blocks) return;
    memory.copy(part, at, blocks * 16);
    memory.copy(partMask, mask, blocks * 16);
    if (encrypt) this.encryptBatch(part, partMask);
    else this.decryptBatch(part, partMask);
    memory.copy(at, part, blocks * 16);
  }

  encrypt(at: usize, blocks: i32): void {
    this.eachBatch(true, at, blocks, zero, 0);
  }

  decrypt(at: usize, blocks: i32): void {
    this.eachBatch(false, at, blocks, zero, 0);
  }

  override encryptMasked(at: usize, blocks: i32, masks: usize): void {
    this.eachBatch(true, at, blocks, masks, STATE_BYTES);
  }

  override decryptMasked(at: usize, blocks: i32, masks: usize): void {
    this.eachBatch(false, at, blocks, masks, STATE_BYTES);
  }

  wipe(): void {
    wipeMemory(this.keys, this.bytes);
    this.keys = 0;
    memory.fill(state, 0, STATE_BYTES);
    memory.fill(part, 0, STATE_BYTES);
    memory.fill(partMask, 0, STATE_BYTES);
  }
}
