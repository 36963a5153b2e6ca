/** AES-256-CBC as secrets are encrypted with it. */
import { QmpError } from '../../qapi/index';

/** Bytes of a block of AES. */
export const AES_BLOCK = 16;

/**
 * Decrypts and takes the padding off, whose last byte tells its length.
 * @param key 32 bytes
 * @param iv 16 bytes
 */
export async function decryptPadded(
  encrypted: Uint8Array,
  key: Uint8Array,
  iv: Uint8Array,
): Promise<Uint8Array> {
  if (encrypted.length % AES_BLOCK !== 0) {
    throw new QmpError(`Length ${encrypted.length} must be a multiple of block size ${AES_BLOCK}`);
  }
  if (encrypted.length === 0) return encrypted;
  const padded = await decryptBlocks(encrypted, key, iv);
  const count = padded[padded.length - 1] ?? 0;
  if (count === 0 || count > AES_BLOCK || count > padded.length) {
    throw new QmpError(`Incorrect number of padding bytes (${count}) found on decrypted data`);
  }
  return padded.subarray(0, padded.length - count);
}

/** Decrypts whole blocks, whatever is in them. */
async function decryptBlocks(encrypted: Uint8Array, key: Uint8Array, iv: Uint8Array): Promise<Uint8Array> {
  const { subtle } = crypto;
  if (!subtle) throw new QmpError('Encrypted secrets need a page that was loaded over https');
  const usable = await subtle.importKey('raw', key, 'AES-CBC', false, ['encrypt', 'decrypt']);
  // The call takes a padding off and refuses wrong ones without a word about them, so it gets one of its own to take off.
  const padding = await subtle.encrypt(
    { name: 'AES-CBC', iv: encrypted.slice(-AES_BLOCK) },
    usable,
    new Uint8Array(),
  );
  const blocks = new Uint8Array(encrypted.length + AES_BLOCK);
  blocks.set(encrypted);
  blocks.set(new Uint8Array(padding), encrypted.length);
  return new Uint8Array(await subtle.decrypt({ name: 'AES-CBC', iv }, usable, blocks));
}
