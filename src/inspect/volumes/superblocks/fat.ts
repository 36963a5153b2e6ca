/** What Microsoft made: FAT12, FAT16, FAT32, exFAT, NTFS. All begin with a boot sector that has their geometry. */
import { sizeText } from '../../bytes';
import type { DiskSource } from '../../contract';
import { content, type Recogniser } from './superblock';
import type { VolumeContent } from '../contract';
import { readRecord, type Fields } from '../source';

/** Geometry of a FAT volume. Sectors are those of the file system. */
export interface FatGeometry {
  bits: 12 | 16 | 32;
  sectorSize: number;
  clusterSize: number;
  /** Bytes. */
  size: number;
  fatOffset: number;
  fatSize: number;
  rootOffset: number;
  /** Entries of the fixed root directory; 0 for FAT32. */
  rootEntries: number;
  dataOffset: number;
  clusters: number;
}

/** The geometry in a boot sector; null: this is no FAT. The rules are those of Microsoft's specification of FAT. */
export function fatGeometry(boot: Fields): FatGeometry | null {
  const sectorSize = boot.u16(11);
  const perCluster = boot.u8(13);
  const reserved = boot.u16(14);
  const fats = boot.u8(16);
  const rootEntries = boot.u16(17);
  const media = boot.u8(21);
  const jump = boot.u8(0);
  if (jump !== 0xeb && jump !== 0xe9) return null;
  if (![512, 1024, 2048, 4096].includes(sectorSize) || !isPower(perCluster) || reserved === 0) return null;
  if (fats === 0 || fats > 4 || (media < 0xf8 && media !== 0xf0)) return null;
  const fatSectors = boot.u16(22) || boot.u32(36);
  const sectors = boot.u16(19) || boot.u32(32);
  const rootSectors = Math.ceil((rootEntries * 32) / sectorSize);
  const dataSector = reserved + fats * fatSectors + rootSectors;
  if (fatSectors === 0 || sectors <= dataSector) return null;
  const clusters = Math.floor((sectors - dataSector) / perCluster);
  const bits = clusters < 4085 ? 12 : clusters < 65525 ? 16 : 32;
  if ((boot.u16(22) === 0) !== (rootEntries === 0)) return null;
  // Few tools make a FAT32 that is too small for one; its layout says what it is.
  const real = boot.u16(22) === 0 ? 32 : bits === 32 ? 16 : bits;
  return {
    bits: real,
    sectorSize,
    clusterSize: sectorSize * perCluster,
    size: sectors * sectorSize,
    fatOffset: reserved * sectorSize,
    fatSize: fatSectors * sectorSize,
    rootOffset: (reserved + fats * fatSectors) * sectorSize,
    rootEntries,
    dataOffset: dataSector * sectorSize,
    clusters,
  };
}

export const fat: Recogniser = async (head, volume) => {
  if (head.has(3, 'EXFAT   ')) return exfat(head);
  if (head.has(3, 'NTFS    ')) return ntfs(head);
  const geometry = head.u16(510) === 0xaa55 ? fatGeometry(head) : null;
  return geometry ? await fatContent(head, geometry, volume) : null;
};

async function fatContent(boot: Fields, geometry: FatGeometry, volume: DiskSource): Promise<VolumeContent> {
  const { bits, clusters, clusterSize, size } = geometry;
  const extended = bits === 32 ? 64 : 36;
  const signed = boot.u8(extended + 2) === 0x29;
  const serial = signed
    ? boot
        .u32(extended + 3)
        .toString(16)
        .toUpperCase()
        .padStart(8, '0')
    : '';
  const free =
    bits === 32 ? await freeBySummary(boot, geometry, volume) : await freeByTable(geometry, volume);
  const bootLabel = signed ? boot.text(extended + 7, 11) : '';
  return content({
    type: 'vfat',
    title: `FAT${bits}`,
    label: (await rootLabel(boot, geometry, volume)) || (bootLabel === 'NO NAME' ? '' : bootLabel),
    uuid: serial.replace(/^(.{4})/, '$1-'),
    size,
    used: free !== null && free <= clusters ? (clusters - free) * clusterSize : null,
    facts: [
      ['Cluster size', sizeText(clusterSize)],
      ['Made by', boot.text(3, 8)],
    ],
    readable: true,
  });
}

/** FAT32 keeps a count in a sector of its own, as a hint. */
async function freeBySummary(
  boot: Fields,
  { sectorSize }: FatGeometry,
  volume: DiskSource,
): Promise<number | null> {
  const info = await readRecord(volume, boot.u16(48) * sectorSize, 512);
  return info.u32(0) === 0x41615252 && info.u32(484) === 0x61417272 && info.u32(488) !== 0xffffffff
    ? info.u32(488)
    : null;
}

/** The tables of FAT12 and FAT16 are small enough to be counted: 128 KiB at the most. */
async function freeByTable(
  { bits, fatOffset, fatSize, clusters }: FatGeometry,
  volume: DiskSource,
): Promise<number> {
  const bytes = Math.ceil(((clusters + 2) * bits) / 8) + 1;
  const table = await readRecord(volume, fatOffset, Math.max(bytes, Math.min(fatSize, bytes)));
  let free = 0;
  for (let cluster = 2; cluster < clusters + 2; cluster++) {
    const value =
      bits === 16
        ? table.u16(cluster * 2)
        : (table.u16(Math.floor(cluster * 1.5)) >> (cluster & 1 ? 4 : 0)) & 0xfff;
    if (value === 0) free++;
  }
  return free;
}

/** The label is an entry of the root directory; only its first sectors are looked at. */
async function rootLabel(boot: Fields, geometry: FatGeometry, volume: DiskSource): Promise<string> {
  const { bits, rootOffset, dataOffset, clusterSize } = geometry;
  const at = bits === 32 ? dataOffset + (boot.u32(44) - 2) * clusterSize : rootOffset;
  if (at < dataOffset - rootOffset && bits === 32) return '';
  const entries = await readRecord(volume, at, 4096);
  for (let entry = 0; entry < entries.length; entry += 32) {
    const first = entries.u8(entry);
    if (first === 0) break;
    const attributes = entries.u8(entry + 11);
    if (first !== 0xe5 && (attributes & 0x3f) !== 0x0f && attributes & 0x08) return entries.text(entry, 11);
  }
  return '';
}

async function exfat(boot: Fields): Promise<VolumeContent> {
  const sectorShift = boot.u8(108);
  const clusterShift = boot.u8(109);
  const percent = boot.u8(112);
  const sane = sectorShift >= 9 && sectorShift <= 12 && sectorShift + clusterShift <= 25;
  const serial = boot.u32(100).toString(16).toUpperCase().padStart(8, '0');
  const size = sane ? boot.u64(72) * 2 ** sectorShift : null;
  return content({
    type: 'exfat',
    title: 'exFAT',
    uuid: serial.replace(/^(.{4})/, '$1-'),
    size,
    used: size !== null && percent <= 100 ? Math.round((size * percent) / 100) : null,
    facts: sane ? [['Cluster size', sizeText(2 ** (sectorShift + clusterShift))]] : [],
    problems: [
      ...(sane ? [] : ['Its boot sector has an impossible geometry']),
      ...(boot.u16(106) & 2 ? ['It was not unmounted cleanly'] : []),
    ],
    readable: sane,
  });
}

async function ntfs(boot: Fields): Promise<VolumeContent> {
  const sectorSize = boot.u16(11);
  const perCluster = boot.u8(13);
  const serial = boot.part(72, 8).bytes;
  return content({
    type: 'ntfs',
    title: 'NTFS',
    uuid: [...serial]
      .reverse()
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('')
      .toUpperCase(),
    size: boot.u64(40) * sectorSize,
    facts: [
      ['Cluster size', sizeText(sectorSize * (perCluster > 0x80 ? 2 ** (0x100 - perCluster) : perCluster))],
    ],
  });
}

function isPower(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}
