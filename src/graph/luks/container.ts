/**
 * A LUKS1 container: its header, and what is done with its key slots (luks.md A.3, A.6, A.8). Keys are overwritten as soon as they
 * are not needed any more; those that are answered are the caller's to overwrite.
 */
import type { KeyDerivation } from '../../crypto/derivation';
import type { HashName } from '../../crypto/hash';
import { randomBytes, randomUuid } from '../../crypto/random';
import type { Engine } from '../../engine/contract';
import type { QCryptoBlockInfoLUKS } from '../../qapi/types.generated';
import { GraphError, toGraphError } from '../errors';
import { merge, split, STRIPES } from './antiforensic';
import { makeCipher, type CipherSpec } from './cipherspec';
import {
  DIGEST_BYTES,
  formatHeader,
  formatSlot,
  HEADER_BYTES,
  newHeader,
  parseHeader,
  SALT_BYTES,
  SECTOR,
  slotAt,
  type KeySlot,
  type LuksHeader,
} from './header';
import type { HeaderStorage } from './storage';

/** Iterations of a derivation, at least and at most. */
const MIN_ITERATIONS = 1000;
const MAX_ITERATIONS = 2 ** 32 - 1;
/** The master key's digest costs this part of a key slot. */
const DIGEST_SHARE = 8;
/** How often the material of an erased key is overwritten. */
const ERASE_PASSES = 40;

/** What a new container is to be. */
export interface NewContainer {
  cipher: CipherSpec;
  hash: HashName;
  /** Milliseconds that one passphrase is to take. */
  iterTime: number;
  password: Uint8Array;
  /** The payload is in another file. */
  detached: boolean;
}

/** Iterations that take so many milliseconds. */
async function iterationsFor(
  keys: KeyDerivation,
  hash: HashName,
  password: Uint8Array,
  bytes: number,
  milliseconds: number,
): Promise<number> {
  // What is below the minimum at any speed needs no trial, which takes a second.
  if (milliseconds === 0) return MIN_ITERATIONS;
  const salt = randomBytes(SALT_BYTES);
  const rate = await keys.measure({ hash, password, salt, bytes });
  const iterations = Math.floor((rate * milliseconds) / 1000);
  if (iterations > Number.MAX_SAFE_INTEGER) {
    throw new GraphError(`PBKDF iterations ${iterations} too large to scale`);
  }
  return iterations;
}

function checkIterations(iterations: number): number {
  if (iterations > MAX_ITERATIONS) {
    throw new GraphError(`PBKDF iterations ${iterations} larger than ${MAX_ITERATIONS}`);
  }
  return Math.max(iterations, MIN_ITERATIONS);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0);
  return difference === 0;
}

/** What containers work with. */
export interface ContainerHost {
  engine: Engine;
  keys: KeyDerivation;
}

export class LuksContainer {
  private constructor(
    private readonly host: ContainerHost,
    private storage: HeaderStorage,
    readonly header: LuksHeader,
  ) {}

  /** Reads and checks the header. */
  static async open(host: ContainerHost, storage: HeaderStorage, detached: boolean): Promise<LuksContainer> {
    let bytes: Uint8Array;
    try {
      bytes = await storage.read(0, HEADER_BYTES);
    } catch (error) {
      throw toGraphError(error).prefixed('Unable to read LUKS header: ');
    }
    return new LuksContainer(host, storage, parseHeader(bytes, detached));
  }

  /**
   * Makes a container with one passphrase, and its master key.
   * @param prepare makes room in the file, and answers the storage; called when nothing but writing is left to do
   */
  static async create(
    host: ContainerHost,
    { cipher, hash, iterTime, password, detached }: NewContainer,
    prepare: (header: LuksHeader) => Promise<HeaderStorage>,
  ): Promise<LuksContainer> {
    const header = newHeader(cipher, hash, randomUuid(), detached);
    const masterKey = randomBytes(header.keyBytes);
    try {
      const iterations = await iterationsFor(host.keys, hash, masterKey, DIGEST_BYTES, iterTime);
      header.digestIterations = checkIterations(Math.floor(iterations / DIGEST_SHARE));
      header.digestSalt = randomBytes(SALT_BYTES);
      const container = new LuksContainer(host, NO_STORAGE, header);
      header.digest = await container.digestOf(masterKey);
      const { slot, material } = await container.lock(0, masterKey, password, iterTime);
      container.storage = await prepare(header);
      await container.storage.write(slot.sector * SECTOR, material);
      header.slots[0] = slot;
      await container.storage.write(0, formatHeader(header));
      return container;
    } finally {
      masterKey.fill(0);
    }
  }

  private digestOf(key: Uint8Array): Promise<Uint8Array> {
    const { hash, digestSalt: salt, digestIterations: iterations, digest } = this.header;
    return this.host.keys.pbkdf2({ hash, password: key, salt, iterations, bytes: digest.length });
  }

  /** Encrypts or decrypts key material in place. */
  private async crypt(
    direction: 'encrypt' | 'decrypt',
    key: Uint8Array,
    material: Uint8Array,
  ): Promise<void> {
    const { crypto } = this.host.engine;
    const cipher = await makeCipher(crypto, this.header.cipher, key);
    const buffer = this.host.engine.alloc(material.length);
    try {
      buffer.view().set(material);
      crypto.run(cipher, direction, 0, buffer, 0, material.length);
      material.set(buffer.view());
    } finally {
      crypto.free(cipher);
      buffer.view().fill(0);
      buffer.free();
    }
  }

  /** The slot and the encrypted material that give a master key back for a passphrase. */
  private async lock(
    index: number,
    masterKey: Uint8Array,
    password: Uint8Array,
    iterTime: number,
  ): Promise<{ slot: KeySlot; material: Uint8Array }> {
    const { hash, keyBytes } = this.header;
    const iterations = checkIterations(
      await iterationsFor(this.host.keys, hash, password, keyBytes, iterTime),
    );
    const salt = randomBytes(SALT_BYTES);
    const key = await this.host.keys.pbkdf2({ hash, password, salt, iterations, bytes: keyBytes });
    try {
      const material = await split(masterKey, hash);
      await this.crypt('encrypt', key, material);
      return { slot: { ...this.slot(index), active: true, iterations, salt }, material };
    } finally {
      key.fill(0);
    }
  }

  slot(index: number): KeySlot {
    return this.header.slots[index]!;
  }

  /** The indexes of all slots that hold a key. */
  get activeSlots(): number[] {
    return [...this.header.slots.keys()].filter((index) => this.slot(index).active);
  }

  /** The master key, if a passphrase opens this slot. */
  async tryUnlock(index: number, password: Uint8Array): Promise<Uint8Array | null> {
    const { hash, keyBytes, digest } = this.header;
    const { salt, iterations, sector } = this.slot(index);
    const key = await this.host.keys.pbkdf2({ hash, password, salt, iterations, bytes: keyBytes });
    let material: Uint8Array | null = null;
    try {
      material = await this.storage.read(sector * SECTOR, keyBytes * STRIPES);
      await this.crypt('decrypt', key, material);
      const masterKey = await merge(material, keyBytes, hash);
      if (same(await this.digestOf(masterKey), digest)) return masterKey;
      masterKey.fill(0);
      return null;
    } finally {
      key.fill(0);
      material?.fill(0);
    }
  }

  /** The master key; throws if the passphrase opens no slot. */
  async unlock(password: Uint8Array): Promise<Uint8Array> {
    for (const index of this.activeSlots) {
      const key = await this.tryUnlock(index, password);
      if (key) return key;
    }
    throw new GraphError('Invalid password, cannot unlock any keyslot');
  }

  /**
   * Writes a key slot: the material first, so that the slot is never active without it. Where the slot holds the only key, a copy of
   * the new one is in another slot meanwhile: at each moment there is a passphrase that opens the container.
   */
  async addKey(index: number, masterKey: Uint8Array, password: Uint8Array, iterTime: number): Promise<void> {
    const { slot, material } = await this.lock(index, masterKey, password, iterTime);
    const only = this.activeSlots.length === 1 && this.slot(index).active;
    const spare = index === 0 ? 1 : 0;
    if (only) await this.place(spare, { ...slot, sector: this.slot(spare).sector }, material);
    await this.place(index, slot, material);
    if (only) await this.erase(spare);
  }

  /** Writes material, then the slot that says it is there. */
  private async place(index: number, slot: KeySlot, material: Uint8Array): Promise<void> {
    const { storage } = this;
    await storage.write(slot.sector * SECTOR, material);
    await storage.flush();
    await this.writeSlot(index, slot);
  }

  private async writeSlot(index: number, slot: KeySlot): Promise<void> {
    await this.storage.write(slotAt(index), formatSlot(slot));
    await this.storage.flush();
    this.header.slots[index] = slot;
  }

  /** Erases a key slot: the header first, so that no active slot is without material, then the material, many times. */
  async erase(index: number): Promise<void> {
    const { storage } = this;
    const { sector, stripes } = this.slot(index);
    const slot: KeySlot = { active: false, iterations: 0, salt: new Uint8Array(SALT_BYTES), sector, stripes };
    await this.writeSlot(index, slot);
    const bytes = this.header.keyBytes * STRIPES;
    for (let pass = 0; pass < ERASE_PASSES; pass++) {
      await storage.write(sector * SECTOR, randomBytes(bytes));
      await storage.flush();
      // Others get a turn: all passes together take a while.
      await new Promise<void>((resolve) => void setTimeout(resolve));
    }
  }

  /** As `format-specific` tells it. */
  info(): QCryptoBlockInfoLUKS {
    const { cipher, hash, uuid, payloadSector, digestIterations, slots } = this.header;
    return {
      'ivgen-alg': cipher.ivgen,
      ...(cipher.ivgen === 'essiv' && cipher.ivHash && { 'ivgen-hash-alg': cipher.ivHash }),
      'detached-header': payloadSector === 0,
      'hash-alg': hash,
      'cipher-alg': cipher.algorithm,
      uuid,
      'cipher-mode': cipher.mode,
      slots: slots.map(({ active, iterations, sector, stripes }) => ({
        active,
        ...(active && { iters: iterations }),
        'key-offset': sector * SECTOR,
        ...(active && { stripes }),
      })),
      'payload-offset': payloadSector * SECTOR,
      'master-key-iters': digestIterations,
    };
  }
}

/** The storage of a container that is not written yet. */
const NO_STORAGE: HeaderStorage = {
  read: async () => new Uint8Array(0),
  write: async () => undefined,
  flush: async () => undefined,
};
