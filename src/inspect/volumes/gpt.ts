/** The partition table of UEFI: a header with checksums in the second sector, and a copy of it in the last one. */
import type { DiskSource } from '../contract';
import { MAX_READ, type Partition } from './contract';
import { crc32 } from './crc32';
import { readRecord, type Fields } from './source';
import { gptTypeName } from './types';

const SIGNATURE = 'EFI PART';
const HEADER = 92;
const MIN_ENTRY = 128;

/** A header and its entries, or why it cannot be used. */
export type GptCopy = { found: false } | { found: true; problem: string; table: GptTable | null };

/** What one of the two copies says. */
export interface GptTable {
  diskId: string;
  /** Sectors. */
  ownSector: number;
  otherSector: number;
  firstUsable: number;
  lastUsable: number;
  checksum: number;
  partitions: Partition[];
}

/** Reads the copy whose header is in a sector. */
export async function readGpt(source: DiskSource, sector: number, sectorSize: number): Promise<GptCopy> {
  const header = await readRecord(source, sector * sectorSize, sectorSize);
  if (!header.has(0, SIGNATURE)) return { found: false };
  const bad = (problem: string): GptCopy => ({ found: true, problem, table: null });
  const length = header.u32(12);
  if (length < HEADER || length > sectorSize) return bad('its header has an impossible length');
  const copy = header.bytes.slice(0, length);
  copy.fill(0, 16, 20);
  if (crc32(copy) !== header.u32(16)) return bad('the checksum of its header is wrong');
  if (header.u64(24) !== sector) return bad('its header says that it belongs into another sector');
  const count = header.u32(80);
  const size = header.u32(84);
  const entries = header.u64(72) * sectorSize;
  if (size < MIN_ENTRY || size % 8 !== 0) return bad('its entries have an impossible size');
  if (count * size > MAX_READ) return bad('it has more entries than can be read');
  if (entries + count * size > source.size) return bad('its entries lie outside of the disk');
  const table = await readRecord(source, entries, count * size);
  if (crc32(table.bytes) !== header.u32(88)) return bad('the checksum of its entries is wrong');
  return {
    found: true,
    problem: '',
    table: {
      diskId: header.guid(56),
      ownSector: sector,
      otherSector: header.u64(32),
      firstUsable: header.u64(40),
      lastUsable: header.u64(48),
      checksum: header.u32(88),
      partitions: Array.from({ length: count }, (_, index) =>
        partition(index + 1, table.part(index * size, size), sectorSize),
      ).filter((entry) => entry !== null),
    },
  };
}

function partition(number: number, entry: Fields, sectorSize: number): Partition | null {
  const type = entry.guid(0);
  if (type === '') return null;
  const first = entry.u64(32);
  const last = entry.u64(40);
  return {
    number,
    kind: 'gpt',
    offset: first * sectorSize,
    length: Math.max(0, last - first + 1) * sectorSize,
    type,
    typeName: gptTypeName(type),
    name: entry.text16(56, 72),
    id: entry.guid(16),
    flags: flagsOf(entry.u32(48), entry.u32(52), type),
    problems: last < first ? ['It ends before it begins'] : [],
    content: null,
  };
}

const LOW_FLAGS = ['required', 'no block I/O', 'legacy boot'];
/** Bits 60 and up of the types of Microsoft, which Linux tools took over. */
const HIGH_FLAGS: readonly [number, string][] = [
  [28, 'read-only'],
  [29, 'shadow copy'],
  [30, 'hidden'],
  [31, 'no automount'],
];

function flagsOf(low: number, high: number, type: string): string[] {
  const flags = LOW_FLAGS.filter((_, bit) => (low >>> bit) & 1);
  for (const [bit, name] of HIGH_FLAGS) if ((high >>> bit) & 1) flags.push(name);
  // ChromeOS has numbers there.
  return type.startsWith('FE3A2A5D') ? flags.slice(0, LOW_FLAGS.length) : flags;
}
