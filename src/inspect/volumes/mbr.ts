/** The partition table of the PC: four entries in the first sector, and a chain of extended boot records for more. */
import type { DiskSource } from '../contract';
import type { Partition } from './contract';
import { readRecord, type Fields } from './source';
import { mbrTypeName } from './types';

/** Type of the entry that keeps other programs off a disk with a GPT. */
export const PROTECTIVE = 0xee;
const EXTENDED = new Set([0x05, 0x0f, 0x85]);
const TABLE = 446;
const ENTRY = 16;
/** Logical partitions that are followed at most; Linux takes about as many. */
const MAX_LOGICAL = 128;

interface Entry {
  status: number;
  type: number;
  /** Sectors. */
  start: number;
  count: number;
}

/** What a master boot record says. */
export interface Mbr {
  /** Signature of the disk; 0: none. */
  signature: number;
  entries: readonly Entry[];
}

/** The table in a first sector; null: there is none, or the sector is something else that ends with the same signature. */
export function parseMbr(sector: Fields): Mbr | null {
  const entries = entriesOf(sector, 4);
  if (!entries?.some(inUse)) return null;
  // A boot sector of FAT or NTFS has code where the table would be: what looks like entries then has wild states.
  if (entries.some(({ status }) => (status & 0x7f) !== 0)) return null;
  return { signature: sector.u32(440), entries };
}

/** Partitions of a table with logical ones, in the order of their numbers. Offsets are told as the table has them. */
export async function mbrPartitions(
  source: DiskSource,
  { entries }: Mbr,
  sectorSize: number,
): Promise<Partition[]> {
  const partitions: Partition[] = [];
  for (const [index, entry] of entries.entries()) {
    if (!inUse(entry) || entry.type === PROTECTIVE) continue;
    const extended = EXTENDED.has(entry.type);
    partitions.push(partition(index + 1, extended ? 'extended' : 'primary', entry, entry.start, sectorSize));
  }
  for (const { kind, offset, length } of [...partitions])
    if (kind === 'extended') await follow(source, { offset, length }, sectorSize, partitions);
  return partitions;
}

/** Follows the chain of boot records of an extended partition: each has a partition and a link to the next one. */
async function follow(
  source: DiskSource,
  extended: { offset: number; length: number },
  sectorSize: number,
  partitions: Partition[],
): Promise<void> {
  const seen = new Set<number>();
  const trouble = (text: string): void => {
    const index = partitions.findIndex(
      ({ offset, kind }) => kind === 'extended' && offset === extended.offset,
    );
    const holder = partitions[index];
    if (holder) partitions[index] = { ...holder, problems: [...holder.problems, text] };
  };
  let at = extended.offset;
  let number = 4 + partitions.filter(({ kind }) => kind === 'logical').length;
  for (;;) {
    if (seen.has(at)) return trouble('The chain of its logical partitions runs in a circle');
    if (seen.size === MAX_LOGICAL) return trouble('It has more logical partitions than are shown');
    if (at >= source.size) return trouble('The chain of its logical partitions leads out of the disk');
    seen.add(at);
    const [own, next] = entriesOf(await readRecord(source, at, 512), 2) ?? [];
    if (!own || !next) {
      // A fresh extended partition may have no record yet; within the chain one is missing.
      if (seen.size > 1) trouble('The chain of its logical partitions is broken');
      return;
    }
    if (inUse(own))
      partitions.push(partition(++number, 'logical', own, at / sectorSize + own.start, sectorSize));
    if (!inUse(next) || !EXTENDED.has(next.type)) return;
    at = extended.offset + next.start * sectorSize;
    if (at >= extended.offset + extended.length)
      return trouble('The chain of its logical partitions leads out of it');
  }
}

function partition(
  number: number,
  kind: Partition['kind'],
  { status, type, count }: Entry,
  start: number,
  sectorSize: number,
): Partition {
  return {
    number,
    kind,
    offset: start * sectorSize,
    length: count * sectorSize,
    type: `0x${type.toString(16).padStart(2, '0')}`,
    typeName: mbrTypeName(type),
    name: '',
    id: '',
    flags: status === 0x80 ? ['bootable'] : [],
    problems: [],
    content: null,
  };
}

function inUse({ type, count }: Entry): boolean {
  return type !== 0 && count !== 0;
}

function entriesOf(sector: Fields, count: number): Entry[] | null {
  if (sector.u16(510) !== 0xaa55) return null;
  return Array.from({ length: count }, (_, index) => {
    const at = TABLE + index * ENTRY;
    return {
      status: sector.u8(at),
      type: sector.u8(at + 4),
      start: sector.u32(at + 8),
      count: sector.u32(at + 12),
    };
  });
}
