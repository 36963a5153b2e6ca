/** The header of a LUKS1 container (luks.md A.1, A.2): fields, checks, and the bytes of it. Numbers are big-endian. */
import type { HashName } from '../../crypto/hash';
import { GraphError } from '../errors';
import { STRIPES } from './antiforensic';
import { keyBytesOf, parseCipher, readHash, storedCipher, storedMode, type CipherSpec } from './cipherspec';

export const HEADER_BYTES = 592;
export const SECTOR = 512;
export const SLOTS = 8;
/** Sectors before the material of the first key slot, and what all areas are aligned to. */
const HEADER_SECTORS = 8;
const MAGIC = [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe];
const ACTIVE = 0x00ac71f3;
const INACTIVE = 0x0000dead;
const SLOT_BYTES = 48;
export const SALT_BYTES = 32;
export const DIGEST_BYTES = 20;

/** A place for a passphrase. */
export interface KeySlot {
  active: boolean;
  iterations: number;
  salt: Uint8Array;
  /** Of the key material, in sectors from the start of the header. */
  sector: number;
  stripes: number;
}

export interface LuksHeader {
  cipher: CipherSpec;
  /** Of the anti-forensic splitting, and of all derivations. */
  hash: HashName;
  /** Where the payload starts, sectors; 0: it is in another file. */
  payloadSector: number;
  keyBytes: number;
  /** Of the master key: derived from it, with this salt and so many iterations. */
  digest: Uint8Array;
  digestSalt: Uint8Array;
  digestIterations: number;
  uuid: string;
  slots: KeySlot[];
}

/** Sectors that the material of a key takes. */
function materialSectors(keyBytes: number): number {
  const sectors = Math.ceil((keyBytes * STRIPES) / SECTOR);
  return Math.ceil(sectors / HEADER_SECTORS) * HEADER_SECTORS;
}

/** Where the payload starts, bytes: behind the header and eight key slots. */
export function payloadOffset(cipher: CipherSpec): number {
  return (HEADER_SECTORS + SLOTS * materialSectors(keyBytesOf(cipher))) * SECTOR;
}

/** A header without keys. */
export function newHeader(cipher: CipherSpec, hash: HashName, uuid: string, detached: boolean): LuksHeader {
  const keyBytes = keyBytesOf(cipher);
  const each = materialSectors(keyBytes);
  return {
    cipher,
    hash,
    payloadSector: detached ? 0 : payloadOffset(cipher) / SECTOR,
    keyBytes,
    digest: new Uint8Array(DIGEST_BYTES),
    digestSalt: new Uint8Array(SALT_BYTES),
    digestIterations: 0,
    uuid,
    slots: Array.from({ length: SLOTS }, (_, index) => ({
      active: false,
      iterations: 0,
      salt: new Uint8Array(SALT_BYTES),
      sector: HEADER_SECTORS + index * each,
      stripes: STRIPES,
    })),
  };
}

/** The text of a field, or null if it is not ended by a zero byte. */
function text(bytes: Uint8Array, at: number, size: number): string | null {
  const field = bytes.subarray(at, at + size);
  const end = field.indexOf(0);
  return end < 0 ? null : String.fromCharCode(...field.subarray(0, end));
}

/**
 * Reads {@link HEADER_BYTES} bytes, and checks all that can be told from them.
 * @param detached the payload is known to be in another file
 */
export function parseHeader(bytes: Uint8Array, detached: boolean): LuksHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (!MAGIC.every((byte, index) => bytes[index] === byte)) {
    throw new GraphError('Volume is not in LUKS format');
  }
  const version = view.getUint16(6);
  if (version !== 1) throw new GraphError(`LUKS version ${version} is not supported`);
  const cipherName = text(bytes, 8, 32);
  if (cipherName === null) throw new GraphError('LUKS header cipher name is not NUL terminated');
  const cipherMode = text(bytes, 40, 32);
  if (cipherMode === null) throw new GraphError('LUKS header cipher mode is not NUL terminated');
  const hashSpec = text(bytes, 72, 32);
  if (hashSpec === null) throw new GraphError('LUKS header hash spec is not NUL terminated');
  const payloadSector = view.getUint32(104);
  if (!detached && payloadSector < HEADER_SECTORS) {
    throw new GraphError('LUKS payload is overlapping with the header');
  }
  const digestIterations = view.getUint32(164);
  if (digestIterations === 0) throw new GraphError('LUKS key iteration count is zero');
  const keyBytes = view.getUint32(108);
  const slots = parseSlots(bytes, { keyBytes, payloadSector, detached });
  let hash: HashName | null = null;
  const cipher = parseCipher(cipherName, cipherMode, keyBytes, () => {
    hash = readHash(hashSpec);
  });
  return {
    cipher,
    hash: hash ?? readHash(hashSpec),
    payloadSector,
    keyBytes,
    digest: bytes.slice(112, 132),
    digestSalt: bytes.slice(132, 164),
    digestIterations,
    uuid: text(bytes, 168, 40) ?? String.fromCharCode(...bytes.subarray(168, 208)),
    slots,
  };
}

/** The key slots, checked one after the other, each against those behind it. */
function parseSlots(
  bytes: Uint8Array,
  { keyBytes, payloadSector, detached }: { keyBytes: number; payloadSector: number; detached: boolean },
): KeySlot[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const slots: KeySlot[] = [];
  const starts = Array.from({ length: SLOTS }, (_, index) => view.getUint32(slotAt(index) + 40));
  const length = materialSectors(keyBytes);
  for (const [index, sector] of starts.entries()) {
    const at = slotAt(index);
    const stripes = view.getUint32(at + 44);
    if (stripes !== STRIPES) {
      throw new GraphError(`Keyslot ${index} is corrupted (stripes ${stripes | 0} != ${STRIPES})`);
    }
    const state = view.getUint32(at);
    if (state !== ACTIVE && state !== INACTIVE) {
      throw new GraphError(`Keyslot ${index} state (active/disable) is corrupted`);
    }
    const active = state === ACTIVE;
    const iterations = view.getUint32(at + 4);
    if (active && iterations === 0) throw new GraphError(`Keyslot ${index} iteration count is zero`);
    if (sector < HEADER_SECTORS) {
      throw new GraphError(`Keyslot ${index} is overlapping with the LUKS header`);
    }
    if (!detached && sector + length > payloadSector) {
      throw new GraphError(`Keyslot ${index} is overlapping with the encrypted payload`);
    }
    for (let other = index + 1; other < SLOTS; other++) {
      const start = starts[other] ?? 0;
      if (sector < start + length && start < sector + length) {
        throw new GraphError(`Keyslots ${index} and ${other} are overlapping in the header`);
      }
    }
    slots.push({ active, iterations, salt: bytes.slice(at + 8, at + 8 + SALT_BYTES), sector, stripes });
  }
  return slots;
}

/** Where a key slot is in the header. */
export function slotAt(index: number): number {
  return 208 + SLOT_BYTES * index;
}

/** The bytes of a header. */
export function formatHeader(header: LuksHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const put = (at: number, value: string) => bytes.set(new TextEncoder().encode(value), at);
  bytes.set(MAGIC);
  view.setUint16(6, 1);
  put(8, storedCipher(header.cipher));
  put(40, storedMode(header.cipher));
  put(72, header.hash);
  view.setUint32(104, header.payloadSector);
  view.setUint32(108, header.keyBytes);
  bytes.set(header.digest, 112);
  bytes.set(header.digestSalt, 132);
  view.setUint32(164, header.digestIterations);
  put(168, header.uuid);
  for (const [index, slot] of header.slots.entries()) bytes.set(formatSlot(slot), slotAt(index));
  return bytes;
}

/** The bytes of a key slot. */
export function formatSlot({ active, iterations, salt, sector, stripes }: KeySlot): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, active ? ACTIVE : INACTIVE);
  view.setUint32(4, iterations);
  bytes.set(salt, 8);
  view.setUint32(40, sector);
  view.setUint32(44, stripes);
  return bytes;
}
