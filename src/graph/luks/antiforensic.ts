/**
 * Anti-forensic splitting (luks.md A.3): a key becomes many stripes, all of which are needed to get it back, so that a key is gone
 * as soon as any sector of its material is overwritten.
 */
import { loadHash, type Hash, type HashName } from '../../crypto/hash';
import { randomBytes } from '../../crypto/random';

/** Stripes of the key material; the only number there is. */
export const STRIPES = 4000;

function add(to: Uint8Array, from: Uint8Array): void {
  for (let i = 0; i < to.length; i++) to[i]! ^= from[i]!;
}

/** Spreads each bit of a block over pieces of the size of a digest. */
function diffuse(block: Uint8Array, hash: Hash): void {
  const number = new Uint8Array(4);
  const view = new DataView(number.buffer);
  for (let at = 0, j = 0; at < block.length; at += hash.digestBytes, j++) {
    const piece = block.subarray(at, at + hash.digestBytes);
    view.setUint32(0, j);
    piece.set(hash.digest(number, piece).subarray(0, piece.length));
  }
}

/** The sum of all stripes but the last one, each spread out. */
function gather(stripes: Uint8Array, keyBytes: number, hash: Hash): Uint8Array {
  const sum = new Uint8Array(keyBytes);
  for (let i = 0; i < STRIPES - 1; i++) {
    add(sum, stripes.subarray(i * keyBytes, (i + 1) * keyBytes));
    diffuse(sum, hash);
  }
  return sum;
}

/** The material of a key: {@link STRIPES} times its size, random but for the last stripe. */
export async function split(key: Uint8Array, hashName: HashName): Promise<Uint8Array> {
  const hash = await loadHash(hashName);
  const stripes = randomBytes(key.length * STRIPES);
  const last = stripes.subarray(key.length * (STRIPES - 1));
  last.set(gather(stripes, key.length, hash));
  add(last, key);
  return stripes;
}

/** The key of some material. */
export async function merge(stripes: Uint8Array, keyBytes: number, hashName: HashName): Promise<Uint8Array> {
  const sum = gather(stripes, keyBytes, await loadHash(hashName));
  add(sum, stripes.subarray(keyBytes * (STRIPES - 1), keyBytes * STRIPES));
  return sum;
}
