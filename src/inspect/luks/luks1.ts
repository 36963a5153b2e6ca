/** LUKS1 headers, told field by field (luks.md A.1). A damaged one is told too: each problem stands beside its field. */
import { hex, readView, sizeText, textOf, type ByteSource } from '../bytes';
import type { Field, KeySlot, Section } from '../contract';

const HEADER = 592;
const SECTOR = 512;
const ACTIVE = 0x00ac71f3;
const INACTIVE = 0x0000dead;

/** What a header says; `start` is where it is in the file. */
export interface Luks1 {
  sections: Section[];
  slots: KeySlot[];
  cipher: string;
  hash: string;
  uuid: string;
  keyBytes: number;
  /** Bytes from the start of the header; 0: the payload is in another file. */
  payload: number;
}

export function luksSections(source: ByteSource, start: number): Luks1 | null {
  const view = readView(source, start, HEADER);
  const bytes = new Uint8Array(view.buffer);
  if (view.getUint32(0) !== 0x4c554b53 || view.getUint16(4) !== 0xbabe || view.getUint16(6) !== 1)
    return null;
  const text = (at: number, length: number): string => textOf(bytes.subarray(at, at + length));
  const keyBytes = view.getUint32(108);
  const payload = view.getUint32(104) * SECTOR;
  const material = Math.ceil((keyBytes * 4000) / 4096) * 4096;
  const cipher = `${text(8, 32)}-${text(40, 32)}`;
  const field = (
    at: number,
    length: number,
    name: string,
    value: string,
    meaning: string,
    more: Partial<Field> = {},
  ): Field => ({
    offset: start + at,
    length,
    name,
    value,
    meaning,
    ...more,
  });
  const fields: Field[] = [
    field(0, 6, 'magic', 'LUKS\\xba\\xbe', 'The mark of all LUKS containers.'),
    field(6, 2, 'version', '1', 'LUKS1.'),
    field(8, 32, 'cipher name', text(8, 32), 'What encrypts the data.'),
    field(
      40,
      32,
      'cipher mode',
      text(40, 32),
      'How it is used: mode, and where the initial vector comes from.',
    ),
    field(72, 32, 'hash spec', text(72, 32), 'The hash that turns passphrases into keys.'),
    field(
      104,
      4,
      'payload offset',
      payload === 0 ? '0 (in another file)' : `${sizeText(payload)} (sector ${payload / SECTOR})`,
      'Where the encrypted disk begins.',
      {
        ...(payload > 0 && payload < 4096 && { problem: 'LUKS payload is overlapping with the header' }),
        ...(payload > 0 && { target: { offset: start + payload, length: SECTOR } }),
      },
    ),
    field(
      108,
      4,
      'key bytes',
      `${keyBytes} (${keyBytes * 8} bits)`,
      'The length of the key that the data is encrypted with.',
    ),
    field(112, 20, 'master key digest', '20 bytes', 'Tells whether a key that was found is the right one.'),
    field(132, 32, 'digest salt', '32 bytes', 'Random bytes that go into the digest.'),
    field(164, 4, 'digest iterations', `${view.getUint32(164)}`, 'How much work the digest is.', {
      ...(view.getUint32(164) === 0 && { problem: 'LUKS key iteration count is zero' }),
    }),
    field(168, 40, 'UUID', text(168, 40), 'A name that no other container has.'),
  ];
  const slots: KeySlot[] = [];
  const slotFields: Field[] = [];
  for (let index = 0; index < 8; index++) {
    const at = 208 + 48 * index;
    const state = view.getUint32(at);
    const iterations = view.getUint32(at + 4);
    const offset = view.getUint32(at + 40) * SECTOR;
    const stripes = view.getUint32(at + 44);
    const active = state === ACTIVE;
    const problems = [
      ...(state !== ACTIVE && state !== INACTIVE
        ? [`Keyslot ${index} state (active/disable) is corrupted`]
        : []),
      ...(stripes !== 4000 ? [`Keyslot ${index} is corrupted (stripes ${stripes | 0} != 4000)`] : []),
      ...(active && iterations === 0 ? [`Keyslot ${index} iteration count is zero`] : []),
      ...(offset < 4096 ? [`Keyslot ${index} is overlapping with the LUKS header`] : []),
      ...(payload > 0 && offset + material > payload
        ? [`Keyslot ${index} is overlapping with the encrypted payload`]
        : []),
    ];
    const derivation = active ? `pbkdf2-${text(72, 32)}, ${iterations} iterations` : 'empty';
    slotFields.push(
      field(
        at,
        48,
        `key slot ${index}`,
        active ? derivation : `empty, room at ${hex(offset)}`,
        active
          ? 'A passphrase opens it. The key is spread over the material, so that it can be destroyed for good.'
          : 'No passphrase.',
        {
          ...(problems.length > 0 && { problem: problems.join('; ') }),
          ...(active && { target: { offset: start + offset, length: material } }),
        },
      ),
    );
    slots.push({
      offset: start + at,
      length: 48,
      name: `${index}`,
      active,
      derivation,
      material: { offset: start + offset, length: Math.min(material, source.size()) },
    });
  }
  return {
    sections: [
      {
        id: `luks-${start}`,
        title: 'LUKS header',
        meaning: 'How the data is encrypted, and what tells the right key.',
        offset: start,
        length: 208,
        fields,
      },
      {
        id: `slots-${start}`,
        title: 'Key slots',
        meaning: 'Each one in use holds the same key, locked by a passphrase of its own.',
        offset: start + 208,
        length: 384,
        fields: slotFields,
      },
    ],
    slots,
    cipher,
    hash: text(72, 32),
    uuid: text(168, 40),
    keyBytes,
    payload,
  };
}
