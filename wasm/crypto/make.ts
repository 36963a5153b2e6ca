/** Ciphers by number. */
import { Cipher } from '../abi';
import { aesNew } from '../host';
import { Aes } from './aes/aes';
import { HostedAes } from './aes/hosted';
import { Cast5 } from './cast5/cast5';
import { BlockCipher } from './cipher';
import { Des } from './des';
import { Serpent } from './serpent/serpent';
import { Sm4 } from './sm4';
import { Twofish } from './twofish';

/** The cipher (a {@link Cipher}) with a key; null: there is none with keys of that size. */
export function makeCipher(cipher: i32, key: usize, keyBytes: i32): BlockCipher | null {
  const three = keyBytes === 16 || keyBytes === 24 || keyBytes === 32;
  switch (cipher) {
    case Cipher.AES:
      return three ? makeAes(key, keyBytes) : null;
    case Cipher.SERPENT:
      return three ? new Serpent(key, keyBytes) : null;
    case Cipher.TWOFISH:
      return three ? new Twofish(key, keyBytes) : null;
    case Cipher.CAST5:
      return keyBytes === 16 ? new Cast5(key) : null;
    case Cipher.DES:
      return keyBytes === 8 ? new Des(key, 1) : null;
    case Cipher.DES3:
      return keyBytes === 24 ? new Des(key, 3) : null;
    case Cipher.SM4:
      return keyBytes === 16 ? new Sm4(key) : null;
    default:
      return null;
  }
}

function makeAes(key: usize, keyBytes: i32): BlockCipher {
  const own = new Aes(key, keyBytes);
  const number = aesNew(key, keyBytes);
  return number < 0 ? own : new HostedAes(number, own);
}
