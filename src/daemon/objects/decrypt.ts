/** AES-256-CBC as secrets are encrypted with it. */
import type { Engine } from '../../engine/contract';
import { QmpError } from '../../qapi/index';

/** Bytes of a block of AES. */
export const AES_BLOCK = 16;

/**
 * Decrypts and takes the padding off, whose last byte tells its length. The data plane has AES wherever this runs, which WebCrypto
 * has not: pages that were loaded over http have none.
 * @param key 32 bytes
 * @param iv 16 bytes
 */
export function decryptPadded(
  engine: Engine,
  encrypted: Uint8Array,
  key: Uint8Array,
  iv: Uint8Array,
): Uint8Array {
  if (encrypted.length % AES_BLOCK !== 0) {
    throw new QmpError(`Length ${encrypted.length} must be a multiple of block size ${AES_BLOCK}`);
  }
  if (encrypted.length === 0) return encrypted;
  const padded = decryptBlocks(engine, encrypted, key, iv);
  const count = padded[padded.length - 1] ?? 0;
  const failed = count === 0 || count > AES_BLOCK || count > padded.length;
  const result = failed ? null : padded.slice(0, padded.length - count);
  padded.fill(0);
  if (!result) throw new QmpError(`Incorrect number of padding bytes (${count}) found on decrypted data`);
  return result;
}

/** Decrypts whole blocks, whatever is in them: each by itself, and then the block before it is added. */
function decryptBlocks(engine: Engine, encrypted: Uint8Array, key: Uint8Array, iv: Uint8Array): Uint8Array {
  const cipher = engine.crypto.make({ cipher: 'aes', mode: 'ecb', iv: 'none', key, sectorBytes: 512 });
  const buffer = engine.alloc(encrypted.length);
  try {
    buffer.view().set(encrypted);
    engine.crypto.run(cipher, 'decrypt', 0, buffer, 0, encrypted.length);
    const before = (at: number) => (at < AES_BLOCK ? iv[at]! : encrypted[at - AES_BLOCK]!);
    return buffer.view().map((byte, at) => byte ^ before(at));
  } finally {
    buffer.view().fill(0);
    buffer.free();
    engine.crypto.free(cipher);
  }
}
