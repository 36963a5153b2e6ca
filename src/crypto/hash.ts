/** Hashes by name; the library hash-wasm is loaded when the first one is asked for. */
import type * as Library from 'hash-wasm';

export const HASHES = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'ripemd160'] as const;
export type HashName = (typeof HASHES)[number];

/** A hash that is ready for use. */
export interface Hash {
  readonly digestBytes: number;
  /** The digest of some bytes, one piece after the other. */
  digest(...pieces: readonly Uint8Array[]): Uint8Array;
}

/** What is needed of the library. */
type Library = typeof Library;

/** Loads the library. */
export const library = (): Promise<Library> => import('hash-wasm');

/** The library's hasher of this name, which keeps state of its own. */
export function hasherOf(loaded: Library, name: HashName): ReturnType<Library['createSHA256']> {
  switch (name) {
    case 'md5':
      return loaded.createMD5();
    case 'sha1':
      return loaded.createSHA1();
    case 'sha224':
      return loaded.createSHA224();
    case 'sha256':
      return loaded.createSHA256();
    case 'sha384':
      return loaded.createSHA384();
    case 'sha512':
      return loaded.createSHA512();
    case 'ripemd160':
      return loaded.createRIPEMD160();
  }
}

/** Bytes of a digest. */
export const DIGEST_BYTES: Readonly<Record<HashName, number>> = {
  md5: 16,
  sha1: 20,
  sha224: 28,
  sha256: 32,
  sha384: 48,
  sha512: 64,
  ripemd160: 20,
};

export function isHash(name: string): name is HashName {
  return (HASHES as readonly string[]).includes(name);
}

export async function loadHash(name: HashName): Promise<Hash> {
  const hasher = await hasherOf(await library(), name);
  return {
    digestBytes: DIGEST_BYTES[name],
    digest(...pieces) {
      hasher.init();
      for (const piece of pieces) hasher.update(piece);
      return hasher.digest('binary');
    },
  };
}
