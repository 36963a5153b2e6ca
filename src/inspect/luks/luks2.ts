/** LUKS2 headers, told field by field (luks.md B). Only what is well formed is told of the JSON area. */
import { parseJson } from '../../qapi/json-parser';
import { QmpError } from '../../qapi/errors';
import { isObject, type QmpObject, type QmpValue } from '../../qapi/value';
import { readBytes, readView, sizeText, textOf, u64, type ByteSource } from '../bytes';
import type { Field, KeySlot, Remark, Section } from '../contract';

const BINARY = 4096;
const SIZES = [0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000];
const MOST_SLOTS = 64;

export interface Luks2 {
  sections: Section[];
  slots: KeySlot[];
  remarks: Remark[];
  facts: [string, string][];
  /** Bytes; null: unknown. */
  payload: number | null;
  /** Bytes that all copies and key slots take. */
  end: number;
}

/** Whether a copy of a header is at an offset: the first one at 0, the second one where its own size says. */
function isCopy(view: DataView, at: number): boolean {
  return (
    view.getUint32(0) === (at === 0 ? 0x4c554b53 : 0x534b554c) &&
    view.getUint16(4) === 0xbabe &&
    view.getUint16(6) === 2
  );
}

export function readLuks2(source: ByteSource): Luks2 | null {
  const copies = [0, ...SIZES].filter((at) => at < source.size() && isCopy(readView(source, at, 8), at));
  const [first] = copies;
  if (first === undefined) return null;
  const remarks: Remark[] = [];
  if (copies.length < 2)
    remarks.push({
      kind: 'warning',
      text: `Only the ${first === 0 ? 'first' : 'second'} copy of the header is there.`,
    });
  const sections = copies.slice(0, 2).map((at) => binarySection(source, at));
  const size = u64(readView(source, first, 16), 8);
  const result: Luks2 = {
    sections,
    slots: [],
    remarks,
    facts: [],
    payload: null,
    end: 2 * (SIZES.includes(size) ? size : BINARY),
  };
  if (!SIZES.includes(size)) {
    remarks.push({ kind: 'problem', text: 'The size of the header cannot be right.' });
    return result;
  }
  const area = { offset: first + BINARY, length: size - BINARY };
  const json = parse(textOf(readBytes(source, area.offset, area.length)));
  if (!json) remarks.push({ kind: 'problem', text: 'The JSON area of the header cannot be parsed.' });
  const fields = json ? jsonFields(json, area, result) : [];
  sections.push({
    id: 'luks2-json',
    title: 'JSON area',
    meaning: 'Key slots, segments and digests, as text.',
    ...area,
    fields,
  });
  return result;
}

function parse(text: string): QmpObject | null {
  try {
    const value = parseJson(text);
    return isObject(value) ? value : null;
  } catch (error) {
    if (error instanceof QmpError) return null;
    throw error;
  }
}

function binarySection(source: ByteSource, at: number): Section {
  const view = readView(source, at, 512);
  const bytes = new Uint8Array(view.buffer);
  const text = (from: number, length: number): string => textOf(bytes.subarray(from, from + length));
  const field = (offset: number, length: number, name: string, value: string, meaning: string): Field => ({
    offset: at + offset,
    length,
    name,
    value,
    meaning,
  });
  return {
    id: `luks2-${at}`,
    title: at === 0 ? 'LUKS2 header' : 'LUKS2 header, second copy',
    meaning: 'There are two copies; the newer valid one counts.',
    offset: at,
    length: BINARY,
    fields: [
      field(0, 6, 'magic', text(0, 4), 'The mark of the first or the second copy.'),
      field(6, 2, 'version', '2', 'LUKS2.'),
      field(8, 8, 'hdr_size', sizeText(u64(view, 8)), 'This part and the JSON area together.'),
      field(
        16,
        8,
        'seqid',
        `${u64(view, 16)}`,
        'Counts up with each change: the larger one is the newer copy.',
      ),
      field(24, 48, 'label', text(24, 48), 'A name given by the user.'),
      field(72, 32, 'checksum algorithm', text(72, 32), 'The hash that protects this copy.'),
      field(104, 64, 'salt', '64 bytes', 'Random bytes that make each copy different.'),
      field(168, 40, 'UUID', text(168, 40), 'A name that no other container has.'),
      field(208, 48, 'subsystem', text(208, 48), 'For programs that manage containers.'),
      field(256, 8, 'hdr_offset', `${u64(view, 256)}`, 'Where this copy is.'),
      field(448, 64, 'checksum', '64 bytes', 'Of the whole copy.'),
    ],
  };
}

const valueOf = (object: QmpValue | undefined, name: string): QmpValue | undefined =>
  isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined;
const textIn = (object: QmpValue | undefined, name: string): string => {
  const value = valueOf(object, name);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
};
/** A number of 64 bits, which JSON holds as text; NaN: there is none. */
const sizeIn = (object: QmpValue | undefined, name: string): number => {
  const text = textIn(object, name);
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : NaN;
};

function jsonFields(json: QmpObject, area: { offset: number; length: number }, result: Luks2): Field[] {
  const fields: Field[] = [];
  // A field of the JSON text has no place of its own that is worth pointing at: all have the area's start.
  const add = (
    name: string,
    value: string,
    meaning: string,
    target?: { offset: number; length: number },
  ): void => {
    fields.push({ ...area, name, value, meaning, ...(target && { target }) });
  };
  const entries = (name: string): [string, QmpValue | undefined][] => {
    const value = json[name];
    return isObject(value) ? Object.entries(value).slice(0, MOST_SLOTS) : [];
  };
  for (const [id, slot] of entries('keyslots')) {
    const kdf = valueOf(slot, 'kdf');
    const place = valueOf(slot, 'area');
    const offset = sizeIn(place, 'offset');
    const length = sizeIn(place, 'size');
    const known = !Number.isNaN(offset + length);
    const type = textIn(kdf, 'type');
    const derivation =
      type === 'pbkdf2'
        ? `pbkdf2-${textIn(kdf, 'hash')}, ${textIn(kdf, 'iterations')} iterations`
        : `${type || textIn(slot, 'type')}, ${textIn(kdf, 'time')} passes over ${sizeText(1024 * (sizeIn(kdf, 'memory') || 0))}`;
    const material = known ? { offset, length } : { offset: 0, length: 0 };
    add(
      `key slot ${id}`,
      derivation,
      `Holds the key, encrypted by ${textIn(place, 'encryption')}.`,
      known ? material : undefined,
    );
    result.slots.push({ ...area, name: id, active: true, derivation, material });
    if (known) result.end = Math.max(result.end, offset + length);
  }
  for (const [id, segment] of entries('segments')) {
    const offset = sizeIn(segment, 'offset');
    const size = textIn(segment, 'size');
    add(
      `segment ${id}`,
      `${textIn(segment, 'type')} from ${sizeText(offset || 0)}, ${size === 'dynamic' ? 'to the end' : sizeText(Number(size) || 0)}`,
      `Encrypted by ${textIn(segment, 'encryption')} in sectors of ${textIn(segment, 'sector_size')} bytes.`,
      Number.isNaN(offset) ? undefined : { offset, length: 512 },
    );
    if (result.payload === null && !Number.isNaN(offset)) {
      result.payload = offset;
      result.facts.push(
        ['Cipher', textIn(segment, 'encryption')],
        ['Sector size', `${textIn(segment, 'sector_size')} bytes`],
        ['Payload', `from ${sizeText(offset)} on`],
      );
    }
  }
  for (const [id, digest] of entries('digests'))
    add(
      `digest ${id}`,
      `${textIn(digest, 'type')} ${textIn(digest, 'hash')}, ${textIn(digest, 'iterations')} iterations`,
      'Tells whether a key that was found is the right one.',
    );
  return fields;
}
