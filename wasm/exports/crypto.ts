/** Exports of the ciphers: sector ciphers by handle, and the nodes that use them. */
import { Cipher, CipherMode, Err, IvGenerator } from '../abi';
import { addNode, nodeAt } from '../block/table';
import { BlockCipher } from '../crypto/cipher';
import { makeCipher } from '../crypto/make';
import { SectorCipher } from '../crypto/sector';
import { LuksNode } from '../format/luks';
import { makeCryptoHeader, markAes } from '../format/qcow2/data/encrypted';
import { Qcow2Node } from '../format/qcow2/image';
import { CRYPT_AES } from '../format/qcow2/layout';
import { be64 } from '../util/endian';
import { clearError } from '../util/errors';

const ciphers: Array<SectorCipher | null> = [];

function cipherAt(handle: i32): SectorCipher | null {
  if (<u32>handle >= <u32>ciphers.length) return null;
  return ciphers[handle];
}

/** Takes a cipher out of the table; the caller has it now. */
function takeCipher(handle: i32): SectorCipher | null {
  const cipher = cipherAt(handle);
  if (cipher) ciphers[handle] = null;
  return cipher;
}

/**
 * Makes a sector cipher of a Cipher, a CipherMode and an IvGenerator; answers its handle. A key of XTS is two keys, one behind
 * the other. `salt` is the Cipher of ESSIV, with a key of its own. EINVAL: there is no such cipher.
 */
export function cipherNew(
  kind: i32,
  mode: i32,
  generator: i32,
  key: usize,
  keyBytes: i32,
  salt: i32,
  saltKey: usize,
  saltKeyBytes: i32,
  sectorBytes: i32,
): i32 {
  clearError();
  if (mode < CipherMode.ECB || mode > CipherMode.XTS) return -Err.EINVAL;
  if (generator < IvGenerator.NONE || generator > IvGenerator.ESSIV) return -Err.EINVAL;
  if (sectorBytes < 512 || sectorBytes > 4096 || popcnt(sectorBytes) !== 1) return -Err.EINVAL;
  const xts = mode === CipherMode.XTS;
  if (keyBytes < 0 || (xts && (keyBytes & 1 || kind === Cipher.CAST5))) return -Err.EINVAL;
  const each: i32 = xts ? keyBytes / 2 : keyBytes;
  const cipher = makeCipher(kind, key, each);
  if (!cipher) return -Err.EINVAL;
  if (xts && cipher.blockBytes !== 16) {
    cipher.wipe();
    return -Err.EINVAL;
  }
  let salted: BlockCipher | null = null;
  if (generator === IvGenerator.ESSIV) {
    salted = makeCipher(salt, saltKey, saltKeyBytes);
    if (!salted || salted.blockBytes !== cipher.blockBytes) {
      if (salted) salted.wipe();
      cipher.wipe();
      return -Err.EINVAL;
    }
  }
  const tweak: BlockCipher | null = xts ? makeCipher(kind, key + each, each) : null;
  const made = new SectorCipher(cipher, tweak, mode, generator, salted, sectorBytes);
  const free = ciphers.indexOf(null);
  if (free < 0) return ciphers.push(made) - 1;
  ciphers[free] = made;
  return free;
}

/** Encrypts or decrypts `bytes` in place, from a sector (of 512 bytes) on. EINVAL: they are no whole blocks. */
export function cipherRun(handle: i32, encrypt: i32, sector: f64, at: usize, bytes: i32): i32 {
  clearError();
  const cipher = cipherAt(handle);
  if (!cipher || bytes < 0 || bytes % cipher.blockBytes) return -Err.EINVAL;
  cipher.run(encrypt !== 0, <u64>sector, at, bytes);
  return 0;
}

/** Overwrites and frees the keys. */
export function cipherFree(handle: i32): i32 {
  clearError();
  const cipher = takeCipher(handle);
  if (!cipher) return -Err.EINVAL;
  cipher.wipe();
  return 0;
}

/**
 * Opens a payload. `cipher` becomes the node's and is no handle any more; < 0: no data is to be read. `size` < 0: up to the end of
 * the file. `firstSector` is added to the numbers of sectors.
 */
export function openLuks(
  file: i32,
  cipher: i32,
  start: f64,
  size: f64,
  firstSector: f64,
  readOnly: i32,
): i32 {
  clearError();
  const child = nodeAt(file);
  const known = cipherAt(cipher);
  if (!child || (cipher >= 0 && !known)) return -Err.EINVAL;
  takeCipher(cipher);
  return addNode(new LuksNode(child, known, <i64>start, <i64>size, <i64>firstSector, readOnly !== 0));
}

function imageAt(handle: i32): Qcow2Node | null {
  clearError();
  const node = nodeAt(handle);
  return node instanceof Qcow2Node ? <Qcow2Node>node : null;
}

/** Where the header of the container of an encrypted qcow2 image is, bytes; -1: it has none. */
export function qcow2CryptoOffset(handle: i32): f64 {
  const image = imageAt(handle);
  const header = image ? image.cryptoHeader : null;
  return header ? <f64>be64(header.at) : -1;
}

/** Lets data of an encrypted qcow2 image be read and written. The cipher is the node's from now on. */
export function qcow2Unlock(handle: i32, cipher: i32): i32 {
  const image = imageAt(handle);
  const known = cipherAt(cipher);
  if (!image || !known || !image.encrypted || image.cipher) return -Err.EINVAL;
  takeCipher(cipher);
  image.cipher = known;
  // The old encryption counts sectors of the disk.
  image.cipherByGuest = image.cryptMethod === CRYPT_AES;
  return 0;
}

/** Makes room for a container's header in a new qcow2 image, which is an encrypted one from then on; answers its offset. */
export function qcow2MakeCrypto(handle: i32, bytes: f64): f64 {
  const image = imageAt(handle);
  return image ? <f64>makeCryptoHeader(image, <i64>bytes) : -(<f64>Err.ENOTSUP);
}

/** Makes a new qcow2 image one with the old AES encryption. */
export function qcow2MarkAes(handle: i32): i32 {
  const image = imageAt(handle);
  return image ? markAes(image) : -Err.ENOTSUP;
}
