/** Encryption in the data plane: ciphers of sectors, with their keys, and the payloads of encrypted containers. */
import { Cipher, CipherMode, IvGenerator } from '../../wasm/abi';
import type { IoBuffer, NodeHandle } from './request';

/** A sector cipher with its keys: a small whole number, valid until it is freed or becomes a node's. */
export type CipherHandle = number & { readonly __cipher: unique symbol };

/** Block ciphers; the size of the key tells the kinds of one apart. */
export type CipherName = 'aes' | 'serpent' | 'twofish' | 'cast5' | 'des' | '3des' | 'sm4';

/** How sectors are encrypted. */
export interface SectorCipherSpec {
  cipher: CipherName;
  mode: 'ecb' | 'cbc' | 'ctr' | 'xts';
  /** How the vector of a sector is made of its number; `none`: it is zero. */
  iv: 'none' | 'plain' | 'plain64' | 'essiv';
  /** Of XTS two keys, one behind the other. */
  key: Uint8Array;
  /** The hash of the key, which is the key of the vector's cipher (the same kind of cipher); with `essiv`. */
  essivKey?: Uint8Array;
  /** Bytes that are encrypted with one vector: 512, 1024, 2048, 4096. Numbers of sectors count 512 bytes in any case. */
  sectorBytes: number;
}

/** Where the payload of a container is. */
export interface Payload {
  /** Bytes in the file. */
  start: number;
  /** Bytes; absent: up to the end of the file. */
  size?: number;
  /** What is added to the numbers of sectors. */
  firstSector?: number;
  readOnly: boolean;
}

/** Failures are the engine's `BlockError`s. */
export interface EngineCrypto {
  /** EINVAL: there is no such cipher, or none with keys of that size. Keys are not kept outside of the data plane. */
  make(spec: SectorCipherSpec): CipherHandle;
  /** Encrypts or decrypts `bytes` of a buffer in place, whole blocks, from the sector `sector` (of 512 bytes) on. */
  run(
    cipher: CipherHandle,
    direction: 'encrypt' | 'decrypt',
    sector: number,
    buffer: IoBuffer,
    at: number,
    bytes: number,
  ): void;
  /** Overwrites the keys. */
  free(cipher: CipherHandle): void;
  /**
   * A payload as a node. The cipher is the node's from now on, which overwrites its keys when it is closed; null: opened for
   * information only.
   */
  openLuks(file: NodeHandle, cipher: CipherHandle | null, payload: Payload): NodeHandle;
  /** Where the container's header is in an encrypted qcow2 image, bytes in its file; null: it has none. */
  qcow2Header(image: NodeHandle): number | null;
  /** Lets data of an encrypted qcow2 image be read and written; before, such requests fail. The cipher is the node's then. */
  unlockQcow2(image: NodeHandle, cipher: CipherHandle): void;
  /**
   * Makes room for the header of a container, `bytes`, in a new writable qcow2 image, and answers where it is. The image is an
   * encrypted one from then on.
   */
  makeQcow2Header(image: NodeHandle, bytes: number): number;
  /** Makes a new writable qcow2 image one with the old AES encryption, which has no header of its own. */
  markQcow2Aes(image: NodeHandle): void;
}

/** What the data plane exports for ciphers (wasm/exports/crypto.ts). */
export interface CryptoExports {
  cipherNew(
    kind: number,
    mode: number,
    generator: number,
    key: number,
    keyBytes: number,
    salt: number,
    saltKey: number,
    saltKeyBytes: number,
    sectorBytes: number,
  ): number;
  cipherRun(cipher: number, encrypt: number, sector: number, at: number, bytes: number): number;
  cipherFree(cipher: number): number;
  openLuks(
    file: number,
    cipher: number,
    start: number,
    size: number,
    firstSector: number,
    readOnly: number,
  ): number;
  qcow2CryptoOffset(image: number): number;
  qcow2Unlock(image: number, cipher: number): number;
  qcow2MakeCrypto(image: number, bytes: number): number;
  qcow2MarkAes(image: number): number;
}

const CIPHERS: Readonly<Record<CipherName, Cipher>> = {
  aes: Cipher.AES,
  serpent: Cipher.SERPENT,
  twofish: Cipher.TWOFISH,
  cast5: Cipher.CAST5,
  des: Cipher.DES,
  '3des': Cipher.DES3,
  sm4: Cipher.SM4,
};

const MODES = { ecb: CipherMode.ECB, cbc: CipherMode.CBC, ctr: CipherMode.CTR, xts: CipherMode.XTS };

const GENERATORS = {
  none: IvGenerator.NONE,
  plain: IvGenerator.PLAIN,
  plain64: IvGenerator.PLAIN64,
  essiv: IvGenerator.ESSIV,
};

/**
 * @param call runs a call of the data plane: a negative answer is thrown
 * @param alloc memory of the data plane
 */
export function makeCrypto(
  wasm: CryptoExports,
  call: (run: () => number) => number,
  alloc: (bytes: number) => IoBuffer,
): EngineCrypto {
  return {
    make({ cipher, mode, iv, key, essivKey = new Uint8Array(0), sectorBytes }) {
      const keys = alloc(key.length + essivKey.length);
      try {
        keys.view().set(key);
        keys.view(key.length).set(essivKey);
        const kind = CIPHERS[cipher];
        const { pointer } = keys;
        return call(() =>
          wasm.cipherNew(
            kind,
            MODES[mode],
            GENERATORS[iv],
            pointer,
            key.length,
            kind,
            pointer + key.length,
            essivKey.length,
            sectorBytes,
          ),
        ) as CipherHandle;
      } finally {
        keys.view().fill(0);
        keys.free();
      }
    },
    run(cipher, direction, sector, buffer, at, bytes) {
      call(() => wasm.cipherRun(cipher, Number(direction === 'encrypt'), sector, buffer.pointer + at, bytes));
    },
    free: (cipher) => void call(() => wasm.cipherFree(cipher)),
    openLuks: (file, cipher, { start, size = -1, firstSector = 0, readOnly }) =>
      call(() => wasm.openLuks(file, cipher ?? -1, start, size, firstSector, Number(readOnly))) as NodeHandle,
    qcow2Header(image) {
      const offset = wasm.qcow2CryptoOffset(image);
      return offset < 0 ? null : offset;
    },
    unlockQcow2: (image, cipher) => void call(() => wasm.qcow2Unlock(image, cipher)),
    makeQcow2Header: (image, bytes) => call(() => wasm.qcow2MakeCrypto(image, bytes)),
    markQcow2Aes: (image) => void call(() => wasm.qcow2MarkAes(image)),
  };
}
