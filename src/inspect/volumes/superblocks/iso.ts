/** ISO 9660: descriptors from sector 16 on, of which one may be Joliet's; Rock Ridge shows in the root directory. */
import type { DiskSource } from '../../contract';
import { content, type Recogniser } from './superblock';
import { readRecord, type Fields } from '../source';

/** Bytes of a sector. */
export const ISO_SECTOR = 2048;
const FIRST = 16;
/** Descriptors that are looked at. */
const MAX_DESCRIPTORS = 32;

/** Where a directory or a file lies. */
export interface IsoExtent {
  offset: number;
  length: number;
}

/** What the descriptors say. */
export interface IsoVolume {
  primary: Fields;
  root: IsoExtent;
  /** Root of the tree with names in UCS-2; null: none. */
  joliet: IsoExtent | null;
  /** Bytes that the system use area of each entry begins with something else; null: no Rock Ridge. */
  rockRidgeSkip: number | null;
}

/** Reads the descriptors; null: this is no ISO 9660. */
export async function readIso(volume: DiskSource): Promise<IsoVolume | null> {
  let primary: Fields | null = null;
  let joliet: IsoExtent | null = null;
  for (let index = 0; index < MAX_DESCRIPTORS; index++) {
    const sector = await readRecord(volume, (FIRST + index) * ISO_SECTOR, ISO_SECTOR);
    if (!sector.has(1, 'CD001')) break;
    const type = sector.u8(0);
    if (type === 255) break;
    if (type === 1) primary ??= sector;
    // The escape sequences of UCS-2, levels 1 to 3.
    if (type === 2 && ['%/@', '%/C', '%/E'].some((escape) => sector.has(88, escape)))
      joliet ??= extentOf(sector.part(156, 34));
  }
  if (primary?.u16(128) !== ISO_SECTOR) return null;
  const root = extentOf(primary.part(156, 34));
  const dot = await readRecord(volume, root.offset, ISO_SECTOR);
  const used = Math.min(dot.u8(0), ISO_SECTOR);
  // The first entry of the root directory says that there are such areas, and how much of them is not for it.
  const area = dot.part(34, Math.max(0, used - 34));
  const rockRidge = area.length >= 7 && area.has(0, 'SP') && area.u16be(4) === 0xbeef;
  return { primary, root, joliet, rockRidgeSkip: rockRidge ? area.u8(6) : null };
}

/** Extent of a directory record. */
export function extentOf(record: Fields): IsoExtent {
  return { offset: record.u32(2) * ISO_SECTOR, length: record.u32(10) };
}

export const iso: Recogniser = async (head, volume) => {
  if (!head.has(FIRST * ISO_SECTOR + 1, 'CD001')) return null;
  const found = await readIso(volume);
  if (!found) return null;
  const { primary, joliet, rockRidgeSkip } = found;
  const extensions = [...(joliet ? ['Joliet'] : []), ...(rockRidgeSkip === null ? [] : ['Rock Ridge'])];
  const size = primary.u32(80) * ISO_SECTOR;
  const facts: [string, string][] = [];
  for (const [label, at, length] of [
    ['System', 8, 32],
    ['Publisher', 318, 128],
    ['Made with', 574, 128],
  ] as const) {
    const text = primary.text(at, length);
    if (text !== '') facts.push([label, text]);
  }
  return content({
    type: 'iso9660',
    title: extensions.length === 0 ? 'ISO 9660' : `ISO 9660 with ${extensions.join(' and ')}`,
    label: primary.text(40, 32),
    uuid: isoUuid(primary.text(813, 17)) || isoUuid(primary.text(830, 17)),
    size,
    used: size,
    facts,
    readable: true,
  });
};

/** The time of the last change, or of the making, serves as one. */
function isoUuid(time: string): string {
  return /^\d{16}/.test(time) && !/^0+$/.test(time.slice(0, 16))
    ? time.slice(0, 16).replace(/^(....)(..)(..)(..)(..)(..)(..)$/, '$1-$2-$3-$4-$5-$6-$7')
    : '';
}
