/**
 * Encryption of sectors: a cipher, a mode, and an initialisation vector that is made of a sector's number. Whole buffers are
 * encrypted in place, as many sectors at a time as the cipher is fastest with: eight of AES in the data plane, more by the host.
 */
import { CipherMode, IvGenerator } from '../abi';
import { addBytes, BlockCipher, MAX_BATCH } from './cipher';
import { tweaks } from './tweaks';

/** Sectors whose vectors are made at a time, at the least and at the most. */
const LEAST_SECTORS: i32 = 8;
const MOST_SECTORS: i32 = MAX_BATCH / 512;

/** One block for each sector: its vector, and in the course of a sector that of its next block. */
const vectors: usize = memory.data(2048, 16);
/** Key stream, tweaks or cipher text of what is worked at. */
const smallChunk: usize = memory.data(512, 16);
/** The same for ciphers that take more at a time; 0: there was none yet. */
let largeChunk: usize = 0;

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
  private chunk: usize;

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
  ) {
    const large = cipher.batchBytes > 512;
    if (large && !largeChunk) largeChunk = heap.alloc(MAX_BATCH);
    this.chunk = large ? largeChunk : smallChunk;
  }

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
    const most = max(LEAST_SECTORS * size, this.cipher.batchBytes);
    while (bytes > 0) {
      const n = min(bytes, most);
      const sectors = (n + size - 1) / size;
      if (this.mode === CipherMode.ECB) {
        this.ecb(encrypt, at, n);
      } else {
        this.makeVectors(sector, sectors);
        if (this.mode === CipherMode.CBC && encrypt) this.cbcEncrypt(at, n, sectors);
        else this.eachBatch(encrypt, at, n);
      }
      sector += <u64>(n / 512);
      at += n;
      bytes -= n;
    }
  }

  private makeVectors(sector: u64, sectors: i32): void {
    const size = this.cipher.blockBytes;
    memory.fill(vectors, 0, sectors * size);
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

  /** The modes in which blocks of one sector do not wait for each other: a part of a sector, or several, at a time. */
  private eachBatch(encrypt: bool, at: usize, bytes: i32): void {
    const end = at + bytes;
    const size = this.sectorBytes;
    const batch = this.cipher.batchBytes;
    let vector = vectors;
    let inside = 0;
    while (at < end) {
      const n = <i32>min<usize>(batch < size ? min(batch, size - inside) : batch, end - at);
      if (this.mode === CipherMode.XTS) this.xts(encrypt, vector, at, n);
      else if (this.mode === CipherMode.CTR) this.ctr(vector, at, n);
      else this.cbcDecrypt(vector, at, n);
      at += n;
      inside += n;
      const whole = inside / size;
      vector += whole * this.cipher.blockBytes;
      inside -= whole * size;
    }
  }

  private xts(encrypt: bool, vector: usize, at: usize, bytes: i32): void {
    const chunk = this.chunk;
    for (let i = 0; i < bytes; i += this.sectorBytes) {
      tweaks(vector, min(this.sectorBytes, bytes - i) / 16, chunk + i);
      vector += 16;
    }
    if (encrypt) this.cipher.encryptMasked(at, bytes / 16, chunk);
    else this.cipher.decryptMasked(at, bytes / 16, chunk);
  }

  private ctr(vector: usize, at: usize, bytes: i32): void {
    const size = this.cipher.blockBytes;
    const chunk = this.chunk;
    for (let i = 0; i < bytes; i += this.sectorBytes) {
      counters(vector, min(this.sectorBytes, bytes - i) / size, size, chunk + i);
      vector += size;
    }
    this.cipher.encrypt(chunk, bytes / size);
    addBytes(at, chunk, bytes);
  }

  private cbcDecrypt(vector: usize, at: usize, bytes: i32): void {
    const size = this.cipher.blockBytes;
    const chunk = this.chunk;
    memory.copy(chunk, at, bytes);
    this.cipher.decrypt(at, bytes / size);
    for (let i = 0; i < bytes; i += this.sectorBytes) {
      const n = min(this.sectorBytes, bytes - i);
      addBytes(at + i, vector, size);
      addBytes(at + i + size, chunk + i, n - size);
      memory.copy(vector, chunk + i + n - size, size);
      vector += size;
    }
  }

  /** Blocks of one sector wait for each other, those of different ones do not: one of each is encrypted at a time. */
  private cbcEncrypt(at: usize, bytes: i32, sectors: i32): void {
    const size = this.cipher.blockBytes;
    const last = bytes - (sectors - 1) * this.sectorBytes;
    for (let i = 0; i < this.sectorBytes; i += size) {
      // The last sector may be shorter than the others.
      const n = i < last ? sectors : sectors - 1;
      if (!n) return;
      for (let s = 0; s < n; s++) addBytes(vectors + s * size, at + s * this.sectorBytes + i, size);
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
    memory.fill(this.chunk, 0, this.cipher.batchBytes);
    memory.fill(vectors, 0, MOST_SECTORS * 16);
  }
}
