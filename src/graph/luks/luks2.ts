/** A LUKS2 container: opened with a passphrase, read only (luks.md B). */
import type { CipherHandle } from '../../engine/crypto';
import type { QCryptoBlockInfoLUKS } from '../../qapi/types.generated';
import type { KeyDerivation } from '../../crypto/derivation';
import { GraphError } from '../errors';
import type { ContainerHost } from './container';
import { merge, STRIPES } from './antiforensic';
import { makeCipher } from './cipherspec';
import { parseEncryption, readLuks2, type Kdf, type Luks2Header, type Luks2Slot } from './luks2header';
import type { HeaderStorage } from './storage';

const SECTOR = 512;

async function derive(
  keys: KeyDerivation,
  kdf: Kdf,
  password: Uint8Array,
  bytes: number,
): Promise<Uint8Array> {
  if (kdf.type === 'pbkdf2') return keys.pbkdf2({ ...kdf, password, bytes });
  const { type, time, memory, lanes, salt } = kdf;
  try {
    return await keys.argon2({ variant: type, password, salt, time, memory, lanes, bytes });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GraphError(`Cannot derive the key of a key slot: ${reason}`);
  }
}

export class Luks2Container {
  private constructor(
    private readonly host: ContainerHost,
    private readonly storage: HeaderStorage,
    readonly header: Luks2Header,
  ) {}

  static async open(host: ContainerHost, storage: HeaderStorage): Promise<Luks2Container> {
    return new Luks2Container(host, storage, await readLuks2(storage));
  }

  /** The cipher of the payload; throws if the passphrase opens no slot. Slots that are preferred come first. */
  async unlock(password: Uint8Array): Promise<CipherHandle> {
    const { slots, payload } = this.header;
    const tried = slots.filter(({ priority }) => priority > 0).sort((a, b) => b.priority - a.priority);
    for (const slot of tried) {
      const key = await this.tryUnlock(slot, password);
      if (!key) continue;
      try {
        const spec = parseEncryption(payload.encryption, key.length);
        return await makeCipher(this.host.engine.crypto, spec, key, payload.sectorBytes);
      } finally {
        key.fill(0);
      }
    }
    throw new GraphError('Invalid password, cannot unlock any keyslot');
  }

  private async tryUnlock(slot: Luks2Slot, password: Uint8Array): Promise<Uint8Array | null> {
    const { area, keyBytes, hash } = slot;
    const key = await derive(this.host.keys, slot.kdf, password, area.keyBytes);
    const bytes = Math.ceil((keyBytes * STRIPES) / SECTOR) * SECTOR;
    const { crypto } = this.host.engine;
    let cipher: CipherHandle;
    try {
      cipher = await makeCipher(crypto, area.cipher, key);
    } finally {
      key.fill(0);
    }
    const buffer = this.host.engine.alloc(bytes);
    try {
      // Reading may move the memory, so the view is made afterwards.
      const material = await this.storage.read(area.offset, bytes);
      buffer.view().set(material);
      crypto.run(cipher, 'decrypt', 0, buffer, 0, bytes);
      const volumeKey = await merge(buffer.view().slice(), keyBytes, hash);
      const { digest, salt, iterations, hash: digestHash } = this.header.digest;
      const told = await this.host.keys.pbkdf2({
        hash: digestHash,
        password: volumeKey,
        salt,
        iterations,
        bytes: digest.length,
      });
      if (digest.length > 0 && told.every((byte, index) => byte === digest[index])) return volumeKey;
      volumeKey.fill(0);
      return null;
    } finally {
      crypto.free(cipher);
      buffer.view().fill(0);
      buffer.free();
    }
  }

  /** In the members that version 1 has: `iters` of Argon2 are its passes. */
  info(): QCryptoBlockInfoLUKS {
    const { uuid, slots, digest, payload } = this.header;
    const { algorithm, mode, ivgen, ivHash } = parseEncryption(payload.encryption, this.header.keyBytes);
    return {
      'ivgen-alg': ivgen,
      ...(ivgen === 'essiv' && ivHash && { 'ivgen-hash-alg': ivHash }),
      'detached-header': false,
      'hash-alg': digest.hash,
      'cipher-alg': algorithm,
      uuid,
      'cipher-mode': mode,
      slots: slots.map(({ kdf, area }) => ({
        active: true,
        iters: kdf.type === 'pbkdf2' ? kdf.iterations : kdf.time,
        'key-offset': area.offset,
        stripes: STRIPES,
      })),
      'payload-offset': payload.offset,
      'master-key-iters': digest.iterations,
    };
  }
}
