/**
 * What a header says about a cipher: names of ciphers, modes, vectors and hashes, as containers store them and as options name
 * them (luks.md A.5), and the cipher that they make with a key.
 */
import { DIGEST_BYTES, isHash, loadHash, type HashName } from '../../crypto/hash';
import type { CipherHandle, CipherName, EngineCrypto } from '../../engine/crypto';
import type {
  QCryptoCipherAlgorithm,
  QCryptoCipherMode,
  QCryptoIVGenAlgorithm,
} from '../../qapi/types.generated';
import { GraphError } from '../errors';

/** How data is encrypted; together with a key it is a cipher. */
export interface CipherSpec {
  algorithm: QCryptoCipherAlgorithm;
  mode: QCryptoCipherMode;
  ivgen: QCryptoIVGenAlgorithm;
  /** Of ESSIV; other generators may have one, which means nothing. */
  ivHash: HashName | null;
}

/** Ciphers by the names of options: their names in containers, their implementation, and bytes of a key. */
const CIPHERS: Readonly<
  Record<QCryptoCipherAlgorithm, { stored: string; cipher: CipherName; keyBytes: number }>
> = {
  'aes-128': { stored: 'aes', cipher: 'aes', keyBytes: 16 },
  'aes-192': { stored: 'aes', cipher: 'aes', keyBytes: 24 },
  'aes-256': { stored: 'aes', cipher: 'aes', keyBytes: 32 },
  des: { stored: 'des', cipher: 'des', keyBytes: 8 },
  '3des': { stored: 'des3_ede', cipher: '3des', keyBytes: 24 },
  'cast5-128': { stored: 'cast5', cipher: 'cast5', keyBytes: 16 },
  'serpent-128': { stored: 'serpent', cipher: 'serpent', keyBytes: 16 },
  'serpent-192': { stored: 'serpent', cipher: 'serpent', keyBytes: 24 },
  'serpent-256': { stored: 'serpent', cipher: 'serpent', keyBytes: 32 },
  'twofish-128': { stored: 'twofish', cipher: 'twofish', keyBytes: 16 },
  'twofish-192': { stored: 'twofish', cipher: 'twofish', keyBytes: 24 },
  'twofish-256': { stored: 'twofish', cipher: 'twofish', keyBytes: 32 },
  sm4: { stored: 'sm4', cipher: 'sm4', keyBytes: 16 },
};

/** The names of options. */
export const CIPHER_ALGORITHMS = Object.keys(CIPHERS) as QCryptoCipherAlgorithm[];
export const CIPHER_MODES: readonly QCryptoCipherMode[] = ['ecb', 'cbc', 'ctr', 'xts'];
export const IV_GENERATORS: readonly QCryptoIVGenAlgorithm[] = ['plain', 'plain64', 'essiv'];
/** Ciphers with blocks of 8 bytes. */
const SHORT_BLOCKS: readonly CipherName[] = ['des', '3des', 'cast5'];

/** The name of a hash in a header or in options; throws for unknown ones. */
export function readHash(name: string): HashName {
  if (!isHash(name)) throw new GraphError(`Hash algorithm '${name}' not supported`);
  return name;
}

/** Reads the two names of a header, e.g. `aes` and `cbc-essiv:sha256`, in the order of QEMU's checks. */
export function parseCipher(
  name: string,
  modeText: string,
  keyBytes: number,
  checkHash: () => void = () => undefined,
): CipherSpec {
  const dash = modeText.indexOf('-');
  if (dash < 0) throw new GraphError(`Unexpected cipher mode string format '${modeText}'`);
  const [ivgenName = '', hashName] = splitOnce(modeText.slice(dash + 1), ':');
  const ivHash = hashName === undefined ? null : readHash(hashName);
  const modeName = modeText.slice(0, dash);
  const mode = CIPHER_MODES.find((candidate) => candidate === modeName);
  if (!mode) throw new GraphError(`Cipher mode '${modeName}' not supported`);
  if (mode === 'xts' && keyBytes % 2 !== 0) {
    throw new GraphError('XTS cipher key length should be a multiple of 2');
  }
  const each = mode === 'xts' ? keyBytes / 2 : keyBytes;
  const algorithm = CIPHER_ALGORITHMS.find(
    (candidate) => CIPHERS[candidate].stored === name && CIPHERS[candidate].keyBytes === each,
  );
  if (!algorithm) {
    throw new GraphError(`Algorithm '${name}' with key size ${each} bytes not supported`);
  }
  checkHash();
  const ivgen = IV_GENERATORS.find((candidate) => candidate === ivgenName);
  if (!ivgen) throw new GraphError(`IV generator '${ivgenName}' not supported`);
  const spec = { algorithm, mode, ivgen, ivHash };
  checkCipher(spec);
  return spec;
}

function splitOnce(text: string, mark: string): [string, string?] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Throws for parts that do not go together. */
export function checkCipher({ algorithm, ivgen, ivHash }: CipherSpec): void {
  const { cipher } = CIPHERS[algorithm];
  if (ivgen === 'essiv') {
    if (ivHash === null) throw new GraphError('Missing IV generator hash specification');
    if (cipher === 'aes' || cipher === 'serpent' || cipher === 'twofish') {
      const size = DIGEST_BYTES[ivHash];
      if (size !== 16 && size !== 24 && size !== 32) {
        const name = { aes: 'AES', serpent: 'Serpent', twofish: 'Twofish' }[cipher];
        throw new GraphError(`No ${name} cipher with key size ${size} available`);
      }
    } else {
      throw new GraphError(`Cipher ${algorithm} not supported with essiv`);
    }
  }
}

/** Throws for a mode that the cipher does not have; it is looked at when data is to be read or written. */
export function checkMode({ algorithm, mode }: CipherSpec): void {
  if (mode === 'xts' && SHORT_BLOCKS.includes(CIPHERS[algorithm].cipher)) {
    throw new GraphError('Unsupported cipher mode xts');
  }
}

/** The cipher name that a header holds. */
export function storedCipher({ algorithm }: CipherSpec): string {
  return CIPHERS[algorithm].stored;
}

/** The cipher mode that a header holds. */
export function storedMode({ mode, ivgen, ivHash }: CipherSpec): string {
  return `${mode}-${ivgen}${ivHash === null ? '' : `:${ivHash}`}`;
}

/** Bytes of a key: two keys for XTS. */
export function keyBytesOf({ algorithm, mode }: CipherSpec): number {
  return CIPHERS[algorithm].keyBytes * (mode === 'xts' ? 2 : 1);
}

/**
 * Makes the cipher in the data plane; the key stays the caller's to overwrite.
 * @param sectorBytes that are encrypted with one vector
 */
export async function makeCipher(
  engine: EngineCrypto,
  spec: CipherSpec,
  key: Uint8Array,
  sectorBytes = 512,
): Promise<CipherHandle> {
  checkMode(spec);
  const { algorithm, mode, ivgen, ivHash } = spec;
  const { cipher } = CIPHERS[algorithm];
  const iv = ivgen;
  if (iv !== 'essiv' || ivHash === null) return engine.make({ cipher, mode, iv, key, sectorBytes });
  const essivKey = (await loadHash(ivHash)).digest(key);
  try {
    return engine.make({ cipher, mode, iv, key, essivKey, sectorBytes });
  } finally {
    essivKey.fill(0);
  }
}
