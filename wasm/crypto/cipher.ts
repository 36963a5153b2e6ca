/** What block ciphers have in common. */

/** The largest batch of any cipher, bytes. */
export const MAX_BATCH: i32 = 65536;

/** Adds (xor) `bytes`, a multiple of 8, to `at`. */
@inline
export function addBytes(at: usize, from: usize, bytes: i32): void {
  let i = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(at + i, v128.xor(v128.load(at + i), v128.load(from + i)));
  if (i < bytes) store<u64>(at + i, load<u64>(at + i) ^ load<u64>(from + i));
}

/** A block cipher with its key. Blocks are encrypted and decrypted in place. */
export abstract class BlockCipher {
  constructor(
    /** Bytes of a block: 8 or 16. */
    readonly blockBytes: i32,
    /** Bytes that are best given to it at a time, a power of two from 512 to {@link MAX_BATCH}. */
    readonly batchBytes: i32 = 512,
  ) {}

  /** Encrypts whole blocks. */
  abstract encrypt(at: usize, blocks: i32): void;
  abstract decrypt(at: usize, blocks: i32): void;

  /** Encrypts whole blocks, to which as many bytes at `masks` are added before and after: XTS. */
  encryptMasked(at: usize, blocks: i32, masks: usize): void {
    const bytes = blocks * this.blockBytes;
    addBytes(at, masks, bytes);
    this.encrypt(at, blocks);
    addBytes(at, masks, bytes);
  }

  decryptMasked(at: usize, blocks: i32, masks: usize): void {
    const bytes = blocks * this.blockBytes;
    addBytes(at, masks, bytes);
    this.decrypt(at, blocks);
    addBytes(at, masks, bytes);
  }

  /** Overwrites and frees the key; the cipher cannot be used afterwards. */
  abstract wipe(): void;
}

/** Memory for a key that is to be given back with {@link wipeMemory}. */
export function keyMemory(bytes: i32): usize {
  return heap.alloc(bytes);
}

/** Overwrites memory and frees it. */
export function wipeMemory(at: usize, bytes: i32): void {
  if (!at) return;
  memory.fill(at, 0, bytes);
  heap.free(at);
}
