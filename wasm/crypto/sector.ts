/**
 * Encryption of sectors: a cipher, a mode, and an initialisation vector that is made of a sector's number. Whole buffers are
 * encrypted in place; sectors are taken eight at a time, which is what AES is fastest with.
 */
import { CipherMode, IvGenerator } from '../abi';
import { BlockCipher } from './cipher';

/** Sectors of a batch. */
const BATCH: i32 = 8;
/** Bytes of key stream, tweaks or cipher text that are kept at a time: 32 or 64 blocks. */
const CHUNK: i32 = 512;

/** One block for each sector of a batch: its vector, and in the course of a sector that of its next block. */
const vectors: usize = memory.data(128, 16);
const chunk: usize = memory.data(512, 16);

/** Adds `bytes`, a multiple of 8, to `at`. */
@inline
function add(at: usize, from: usize, bytes: i32): void {
  let i = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(at + i, v128.xor(v128.load(at + i), v128.load(from + i)));
  if (i < bytes) store<u64>(at + i, load<u64>(at + i) ^ load<u64>(from + i));
}

/** Writes the tweaks of `blocks` blocks of 16 bytes; `vector` is the first one, and afterwards the one behind the last. */
function tweaks(vector: usize, blocks: i32, to: usize): void {
  let low = load<u64>(vector);
  let high = load<u64>(vector, 8);
  for (let i = 0; i < blocks; i++) {
    store<u64>(to, low);
    store<u64>(to, high, 8);
    to += 16;
    // Times x in GF(2^128), little-endian.
    const carry = (<u64>((<i64>high) >> 63)) & 0x87;
    high = (high << 1) | (low >> 63);
    low = (low << 1) ^ carry;
  }
  store<u64>(vector, low);
  store<u64>(vector, high, 8);
}

/** Writes a counter for each of `blocks` blocks; they are big-endian numbers of a whole block. */
function counters(vector: usize, blocks: i32, size: i32, to: usize): void {
  for (let i = 0; i < blocks; i++) {
    memory.copy(to, vector, size);
    to += size;
    for (let at = vector + size - 1; at >= vector; at--) {
      const digit = <u8>(load<u8>(at) + 1);
      store<u8>(at, digit);
      if (digit) break;
    }
  }
}

export class SectorCipher {
  /**
   * @param tweak the second key of XTS; null in other modes
   * @param mode a {@link CipherMode}
   * @param generator an {@link IvGenerator}
   * @param salt the cipher of ESSIV, with blocks of the same size; null for other generators
   * @param sectorBytes 512 to 4096, a power of two: what is encrypted with one vector. The numbers count 512 bytes.
   */
  constructor(
    private cipher: BlockCipher,
    private tweak: BlockCipher | null,
    private mode: i32,
    private generator: i32,
    private salt: BlockCipher | null,
    readonly sectorBytes: i32,
  ) {}

  /** Bytes of which data must be a multiple. */
  get blockBytes(): i32 {
    return this.cipher.blockBytes;
  }

  /**
   * Encrypts or decrypts.
   * @param sector number of the first sector, in units of 512 bytes
   * @param bytes whole sectors; the last one may be shorter
   */
  run(encrypt: bool, sector: u64, at: usize, bytes: i32): void {
    const size = this.sectorBytes;
    while (bytes > 0) {
      const n = min(bytes, BATCH * size);
      const sectors = (n + size - 1) / size;
      if (this.mode === CipherMode.ECB) {
        this.ecb(encrypt, at, n);
      } else {
        this.makeVectors(sector, sectors);
        if (this.mode === CipherMode.CBC && encrypt) this.cbcEncrypt(at, n, sectors);
        else this.eachSector(encrypt, at, n);
      }
      sector += <u64>(n / 512);
      at += n;
      bytes -= n;
    }
  }

  private makeVectors(sector: u64, sectors: i32): void {
    const size = this.cipher.blockBytes;
    memory.fill(vectors, 0, BATCH * 16);
    for (let i = 0; i < sectors; i++) {
      const at = vectors + i * size;
      if (this.generator === IvGenerator.PLAIN) store<u32>(at, <u32>sector);
      else if (this.generator !== IvGenerator.NONE) store<u64>(at, sector);
      sector += <u64>(this.sectorBytes / 512);
    }
    const salt = this.salt;
    if (salt) salt.encrypt(vectors, sectors);
    const tweak = this.tweak;
    if (tweak) tweak.encrypt(vectors, sectors);
  }

  private ecb(encrypt: bool, at: usize, bytes: i32): void {
    const blocks = bytes / this.cipher.blockBytes;
    if (encrypt) this.cipher.encrypt(at, blocks);
    else this.cipher.decrypt(at, blocks);
  }

  /** The modes in which blocks of one sector do not wait for each other. */
  private eachSector(encrypt: bool, at: usize, bytes: i32): void {
    const end = at + bytes;
    let vector = vectors;
    while (at < end) {
      const sectorEnd = min(at + this.sectorBytes, end);
      while (at < sectorEnd) {
        const n = <i32>min<usize>(CHUNK, sectorEnd - at);
        if (this.mode === CipherMode.XTS) this.xts(encrypt, vector, at, n);
        else if (this.mode === CipherMode.CTR) this.ctr(vector, at, n);
        else this.cbcDecrypt(vector, at, n);
        at += n;
      }
      vector += this.cipher.blockBytes;
    }
  }

  private xts(encrypt: bool, vector: usize, at: usize, bytes: i32): void {
    const blocks = bytes / 16;
    tweaks(vector, blocks, chunk);
    add(at, chunk, bytes);
    if (encrypt) this.cipher.encrypt(at, blocks);
    else this.cipher.decrypt(at, blocks);
    add(at, chunk, bytes);
  }

  private ctr(vector: usize, at: usize, bytes: i32): void {
    const size = this.cipher.blockBytes;
    const blocks = bytes / size;
    counters(vector, blocks, size, chunk);
    this.cipher.encrypt(chunk, blocks);
    add(at, chunk, bytes);
  }

  private cbcDecrypt(vector: usize, at: usize, bytes: i32): void {
    const size = this.cipher.blockBytes;
    memory.copy(chunk, at, bytes);
    this.cipher.decrypt(at, bytes / size);
    add(at, vector, size);
    add(at + size, chunk, bytes - size);
    memory.copy(vector, chunk + bytes - size, size);
  }

  /** Blocks of one sector wait for each other, those of different ones do not: one of each is encrypted at a time. */
  private cbcEncrypt(at: usize, bytes: i32, sectors: i32): void {
    const size = this.cipher.blockBytes;
    const last = bytes - (sectors - 1) * this.sectorBytes;
    for (let i = 0; i < this.sectorBytes; i += size) {
      // The last sector may be shorter than the others.
      const n = i < last ? sectors : sectors - 1;
      if (!n) return;
      for (let s = 0; s < n; s++) add(vectors + s * size, at + s * this.sectorBytes + i, size);
      this.cipher.encrypt(vectors, n);
      for (let s = 0; s < n; s++) memory.copy(at + s * this.sectorBytes + i, vectors + s * size, size);
    }
  }

  /** Overwrites and frees the keys. */
  wipe(): void {
    this.cipher.wipe();
    const tweak = this.tweak;
    if (tweak) tweak.wipe();
    const salt = this.salt;
    if (salt) salt.wipe();
    memory.fill(chunk, 0, CHUNK);
    memory.fill(vectors, 0, BATCH * 16);
  }
}
