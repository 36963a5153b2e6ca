/**
 * The header of a LUKS2 container (luks.md B): two copies of a binary header and a JSON area. It is only read; everything in it is
 * checked before use.
 */
import { decodeBase64 } from '../../crypto/base64';
import { isHash, loadHash, type HashName } from '../../crypto/hash';
import { QmpError } from '../../qapi/errors';
import { parseJson } from '../../qapi/json-parser';
import { isObject, type QmpObject, type QmpValue } from '../../qapi/value';
import { GraphError } from '../errors';
import { STRIPES } from './antiforensic';
import { parseCipher, type CipherSpec } from './cipherspec';
import type { HeaderStorage } from './storage';

const BINARY_BYTES = 4096;
const CHECKSUM_AT = 448;
const CHECKSUM_BYTES = 64;
const PRIMARY = 'LUKS\xba\xbe';
const SECONDARY = 'SKUL\xba\xbe';
/** Bytes of a binary header and its JSON; the second copy is as far from the start. */
const SIZES = [0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000];
const MAX_KEY_BYTES = 512;
const MAX_SALT_BYTES = 1024;
/** KiB of memory, and KiB times passes, that a key slot may ask for. */
const MAX_MEMORY = 4 << 20;
const MAX_WORK = 2 ** 27;

/** How a passphrase becomes the key of a slot. */
export type Kdf =
  | { type: 'pbkdf2'; hash: HashName; iterations: number; salt: Uint8Array }
  | { type: 'argon2i' | 'argon2id'; time: number; memory: number; lanes: number; salt: Uint8Array };

export interface Luks2Slot {
  id: string;
  kdf: Kdf;
  /** Bytes of the volume key. */
  keyBytes: number;
  area: { offset: number; cipher: CipherSpec; keyBytes: number };
  /** Of the anti-forensic splitting. */
  hash: HashName;
  /** 0: only if it is asked for; 2: before the others. */
  priority: number;
}

/** What a volume key is told by. */
export interface Luks2Digest {
  slots: readonly string[];
  hash: HashName;
  iterations: number;
  salt: Uint8Array;
  digest: Uint8Array;
}

export interface Luks2Header {
  uuid: string;
  /** Those that can be used for the payload. */
  slots: readonly Luks2Slot[];
  /** Bytes of the volume key of the payload. */
  keyBytes: number;
  /** Of that key. */
  digest: Luks2Digest;
  /** Bytes from the start of the device; size null: up to its end. */
  payload: {
    offset: number;
    size: number | null;
    sectorBytes: number;
    firstSector: number;
    encryption: string;
  };
}

function refuse(what: string): never {
  throw new GraphError(`LUKS2 header: ${what}`);
}

function latin(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function field(bytes: Uint8Array, at: number, size: number): string {
  return latin(bytes.subarray(at, at + size)).replace(/\0[^]*$/, '');
}

/** One copy of the header, if it is there and whole. */
async function readCopy(
  storage: HeaderStorage,
  at: number,
): Promise<{ sequence: bigint; uuid: string; json: string } | null> {
  const binary = await storage.read(at, BINARY_BYTES);
  if (latin(binary.subarray(0, 6)) !== (at === 0 ? PRIMARY : SECONDARY)) return null;
  const view = new DataView(binary.buffer, binary.byteOffset);
  const size = Number(view.getBigUint64(8));
  if (view.getUint16(6) !== 2 || !SIZES.includes(size)) return null;
  if (Number(view.getBigUint64(256)) !== at || (at !== 0 && at !== size)) return null;
  const hashName = field(binary, 72, 32);
  if (!isHash(hashName)) return null;
  const whole = await storage.read(at, size);
  const stored = whole.slice(CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES);
  whole.fill(0, CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES);
  const digest = (await loadHash(hashName)).digest(whole);
  if (!digest.every((byte, index) => byte === stored[index])) return null;
  const area = whole.subarray(BINARY_BYTES);
  const end = area.indexOf(0);
  const json = new TextDecoder().decode(end < 0 ? area : area.subarray(0, end));
  return { sequence: view.getBigUint64(16), uuid: field(binary, 168, 40), json };
}

/** Whether a container of this version may start here: a damaged first copy has a second one. */
export async function looksLikeLuks2(storage: HeaderStorage): Promise<boolean> {
  const start = await storage.read(0, 8);
  if (latin(start.subarray(0, 6)) === PRIMARY) return start[6] === 0 && start[7] === 2;
  for (const size of SIZES) {
    if (latin(await storage.read(size, 8)) === `${SECONDARY}\0\x02`) return true;
  }
  return false;
}

/** Reads the newer one of the valid copies. */
export async function readLuks2(storage: HeaderStorage): Promise<Luks2Header> {
  let best: Awaited<ReturnType<typeof readCopy>> = await readCopy(storage, 0);
  for (const size of SIZES) {
    const copy = await readCopy(storage, size);
    if (copy && (!best || copy.sequence > best.sequence)) best = copy;
  }
  if (!best) throw new GraphError('LUKS version 2 is not supported: neither copy of the header is whole');
  let json: QmpValue;
  try {
    json = parseJson(best.json);
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    return refuse(`its JSON cannot be parsed: ${error.desc}`);
  }
  if (!isObject(json)) return refuse('its JSON is no object');
  checkRequirements(json);
  return { uuid: best.uuid, ...readPayload(json) };
}

/** What the writer says a reader must know. */
function checkRequirements(json: QmpObject): void {
  const { requirements } = objectOf(json, 'config');
  if (requirements === undefined) return;
  const mandatory = isObject(requirements) ? requirements.mandatory : null;
  if (mandatory === undefined) return;
  if (!Array.isArray(mandatory)) refuse('bad requirements');
  const [first] = mandatory;
  if (first !== undefined) {
    refuse(`the requirement '${typeof first === 'string' ? first : ''}' is not supported`);
  }
}

function objectOf(parent: QmpObject, name: string): QmpObject {
  const value = Object.hasOwn(parent, name) ? parent[name] : undefined;
  return isObject(value) ? value : refuse(`no ${name}`);
}

function textOf(parent: QmpObject, name: string): string {
  const value = Object.hasOwn(parent, name) ? parent[name] : undefined;
  return typeof value === 'string' ? value : refuse(`no ${name}`);
}

function numberOf(parent: QmpObject, name: string, min: number, max: number): number {
  const value = Object.hasOwn(parent, name) ? parent[name] : undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    return refuse(`bad ${name}`);
  }
  return value;
}

/** A number of 64 bits, which JSON holds as text. */
function bigOf(parent: QmpObject, name: string): number {
  const text = textOf(parent, name);
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
  return value <= Number.MAX_SAFE_INTEGER ? value : refuse(`bad ${name}`);
}

function bytesOf(parent: QmpObject, name: string): Uint8Array {
  const bytes = decodeBase64(textOf(parent, name));
  return bytes && bytes.length <= MAX_SALT_BYTES ? bytes : refuse(`bad ${name}`);
}

function hashOf(parent: QmpObject): HashName {
  const name = textOf(parent, 'hash');
  return isHash(name) ? name : refuse(`the hash '${name}' is not supported`);
}

function listOf(parent: QmpObject, name: string): readonly string[] {
  const value = parent[name];
  return Array.isArray(value) ? value.map(String) : refuse(`no ${name}`);
}

/** Splits e.g. `aes-xts-plain64` into what a header of version 1 has in two fields. */
export function parseEncryption(encryption: string, keyBytes: number): CipherSpec {
  const dash = encryption.indexOf('-');
  if (dash < 0) return refuse(`the encryption '${encryption}' is not supported`);
  return parseCipher(encryption.slice(0, dash), encryption.slice(dash + 1), keyBytes);
}

function readPayload(json: QmpObject): Omit<Luks2Header, 'uuid'> {
  const segments = Object.entries(objectOf(json, 'segments')).filter(([, segment]) => {
    const flags = isObject(segment) ? segment.flags : undefined;
    return !(
      Array.isArray(flags) && flags.some((flag) => typeof flag === 'string' && flag.startsWith('backup-'))
    );
  });
  const [first, ...more] = segments;
  if (!first || more.length > 0) return refuse('only containers of one segment are supported');
  const [id, segment] = first;
  if (!isObject(segment)) return refuse('a segment is no object');
  const type = textOf(segment, 'type');
  if (type !== 'crypt') return refuse(`segments of type '${type}' are not supported`);
  if (segment.integrity !== undefined) return refuse('integrity protection is not supported');
  const sectorBytes = numberOf(segment, 'sector_size', 512, 4096);
  if (!Number.isInteger(Math.log2(sectorBytes))) return refuse('bad sector_size');
  const payload = {
    offset: bigOf(segment, 'offset'),
    size: segment.size === 'dynamic' ? null : bigOf(segment, 'size'),
    sectorBytes,
    firstSector: bigOf(segment, 'iv_tweak'),
    encryption: textOf(segment, 'encryption'),
  };
  if (payload.offset % 512 !== 0 || (payload.size ?? 0) % sectorBytes !== 0) return refuse('a bad segment');
  const digest = readDigest(json, id);
  const slots = Object.entries(objectOf(json, 'keyslots'))
    .filter(([slot]) => digest.slots.includes(slot))
    .flatMap(([slot, value]) => readSlot(slot, value));
  const [slot] = slots;
  if (!slot) return refuse('no key slot of the segment');
  const { keyBytes } = slot;
  if (slots.some((other) => other.keyBytes !== keyBytes)) return refuse('keys of different sizes');
  parseEncryption(payload.encryption, keyBytes);
  return { payload, digest, slots, keyBytes };
}

function readDigest(json: QmpObject, segment: string): Luks2Digest {
  for (const value of Object.values(objectOf(json, 'digests'))) {
    if (!isObject(value) || !listOf(value, 'segments').includes(segment)) continue;
    const type = textOf(value, 'type');
    if (type !== 'pbkdf2') return refuse(`digests of type '${type}' are not supported`);
    return {
      slots: listOf(value, 'keyslots'),
      hash: hashOf(value),
      iterations: numberOf(value, 'iterations', 1, 2 ** 32 - 1),
      salt: bytesOf(value, 'salt'),
      digest: bytesOf(value, 'digest'),
    };
  }
  return refuse('no digest of the segment');
}

/** A key slot; none if it is of a kind that holds no passphrase. */
function readSlot(id: string, value: QmpValue | undefined): Luks2Slot[] {
  if (!isObject(value)) return refuse('a key slot is no object');
  if (textOf(value, 'type') !== 'luks2') return [];
  const area = objectOf(value, 'area');
  const af = objectOf(value, 'af');
  if (textOf(area, 'type') !== 'raw') return refuse('bad area of a key slot');
  if (textOf(af, 'type') !== 'luks1' || numberOf(af, 'stripes', 0, 2 ** 32) !== STRIPES) {
    return refuse('bad stripes of a key slot');
  }
  const keyBytes = numberOf(value, 'key_size', 1, MAX_KEY_BYTES);
  const areaKeyBytes = numberOf(area, 'key_size', 1, MAX_KEY_BYTES);
  const offset = bigOf(area, 'offset');
  if (bigOf(area, 'size') < keyBytes * STRIPES || offset % 512 !== 0) return refuse('bad area of a key slot');
  return [
    {
      id,
      kdf: readKdf(objectOf(value, 'kdf')),
      keyBytes,
      area: {
        offset,
        cipher: parseEncryption(textOf(area, 'encryption'), areaKeyBytes),
        keyBytes: areaKeyBytes,
      },
      hash: hashOf(af),
      priority: value.priority === undefined ? 1 : numberOf(value, 'priority', 0, 2),
    },
  ];
}

function readKdf(kdf: QmpObject): Kdf {
  const type = textOf(kdf, 'type');
  const salt = bytesOf(kdf, 'salt');
  if (type === 'pbkdf2') {
    return { type, hash: hashOf(kdf), iterations: numberOf(kdf, 'iterations', 1, 2 ** 32 - 1), salt };
  }
  if (type !== 'argon2i' && type !== 'argon2id') return refuse(`the derivation '${type}' is not supported`);
  const time = numberOf(kdf, 'time', 1, 2 ** 32 - 1);
  const memory = numberOf(kdf, 'memory', 8, MAX_MEMORY);
  if (time * memory > MAX_WORK) return refuse('a key slot asks for too much work');
  return { type, time, memory, lanes: numberOf(kdf, 'cpus', 1, 64), salt };
}
