/** How a disk is divided, and what lies in its parts. */
import type { DiskSource } from '../contract';
import { sizeText } from '../bytes';
import { recognise } from './recognise';
import type { DiskLayout, Partition } from './contract';
import { readGpt, type GptCopy, type GptTable } from './gpt';
import { mbrPartitions, parseMbr, PROTECTIVE, type Mbr } from './mbr';
import { cached, readRecord, slice } from './source';

const SECTORS = [512, 4096];
/** Partitions whose content is looked at. */
const MAX_PROBED = 256;
const MAX_PARTITIONS = 1024;

type Remark = DiskLayout['remarks'][number];

/** Reads the partition table and the superblocks: some hundred KiB at the most, wherever they are. */
export async function readLayout(disk: DiskSource): Promise<DiskLayout> {
  const source = cached(disk);
  const content = await recognise(source);
  const mbr = parseMbr(await readRecord(source, 0, 512));
  const gpt = await findGpt(source, mbr);
  // FAT and NTFS without a table may end in bytes that look like one.
  const real = content && content.type !== 'iso9660' && !gpt ? null : mbr;
  let layout: Omit<DiskLayout, 'size' | 'content'> = {
    sectorSize: 512,
    table: null,
    tableId: '',
    remarks: [],
    partitions: [],
  };
  if (gpt) layout = gptLayout(gpt, mbr);
  else if (real) layout = await mbrLayout(source, real);
  const remarks = [...layout.remarks];
  if (layout.partitions.length > MAX_PARTITIONS)
    remarks.push({ kind: 'warning', text: `Only the first ${MAX_PARTITIONS} partitions are shown.` });
  const partitions: Partition[] = [];
  for (const [index, partition] of layout.partitions.slice(0, MAX_PARTITIONS).entries()) {
    const { kind, offset, length } = partition;
    partitions.push({
      ...partition,
      problems: [...partition.problems, ...troubles(partition, layout.partitions, source.size)],
      content:
        kind === 'extended' || index >= MAX_PROBED || offset >= source.size
          ? null
          : await recognise(slice(source, offset, length)),
    });
  }
  partitions.sort((a, b) => a.offset - b.offset || b.length - a.length);
  return { ...layout, remarks, size: source.size, partitions, content };
}

interface FoundGpt {
  sectorSize: number;
  first: GptCopy;
  second: GptCopy;
  table: GptTable | null;
}

async function findGpt(source: DiskSource, mbr: Mbr | null): Promise<FoundGpt | null> {
  const guarded = mbr?.entries.some(({ type }) => type === PROTECTIVE) ?? false;
  for (const sectorSize of SECTORS) {
    const first = await readGpt(source, 1, sectorSize);
    const last = Math.floor(source.size / sectorSize) - 1;
    // A lone copy at the end is left over from an older table, unless the MBR says that there is a GPT.
    if (!first.found && !guarded) continue;
    let second: GptCopy = last > 1 ? await readGpt(source, last, sectorSize) : { found: false };
    let table = tableOf(first) ?? tableOf(second);
    const told = table?.otherSector;
    // The disk may have grown since: the copy is then where the first header says.
    if (!second.found && told !== undefined && told > 1 && told < last)
      second = await readGpt(source, told, sectorSize);
    table ??= tableOf(second);
    if (first.found || second.found) return { sectorSize, first, second, table };
  }
  return null;
}

function tableOf(copy: GptCopy): GptTable | null {
  return copy.found ? copy.table : null;
}

function gptLayout(
  { sectorSize, first, second, table }: FoundGpt,
  mbr: Mbr | null,
): Omit<DiskLayout, 'size' | 'content'> {
  const remarks: Remark[] = [];
  const told = (copy: GptCopy): string => (copy.found ? copy.problem : 'there is none');
  const one = tableOf(first);
  const two = tableOf(second);
  if (!one && two)
    remarks.push({
      kind: 'problem',
      text: `The first partition table cannot be used: ${told(first)}. This is its copy at the end of the disk.`,
    });
  else if (one && !two)
    remarks.push({
      kind: 'warning',
      text: `The copy of the partition table at the end of the disk cannot be used: ${told(second)}.`,
    });
  else if (!one)
    remarks.push({
      kind: 'problem',
      text: `The partition table cannot be used: ${told(first)}. Nor can its copy: ${told(second)}.`,
    });
  else if (two && one.checksum !== two.checksum)
    remarks.push({
      kind: 'warning',
      text: 'The copy of the partition table at the end of the disk has other entries.',
    });
  if (one && two && one.otherSector !== two.ownSector)
    remarks.push({
      kind: 'warning',
      text: 'The copy of the partition table is not where the first one says.',
    });
  const others = mbr?.entries.filter(({ type, count }) => type !== 0 && type !== PROTECTIVE && count > 0);
  const hybrid = (others?.length ?? 0) > 0;
  if (hybrid)
    remarks.push({
      kind: 'info',
      text: `The MBR has ${others?.length} partition${others?.length === 1 ? '' : 's'} of its own (hybrid): old systems see those, others the GPT.`,
    });
  else if (!mbr)
    remarks.push({
      kind: 'warning',
      text: 'The protective MBR is missing: old tools take the disk for empty.',
    });
  return {
    sectorSize,
    table: hybrid ? 'hybrid' : 'gpt',
    tableId: table?.diskId ?? '',
    remarks,
    partitions: table?.partitions ?? [],
  };
}

async function mbrLayout(source: DiskSource, mbr: Mbr): Promise<Omit<DiskLayout, 'size' | 'content'>> {
  const sectorSize = await mbrSectorSize(source, mbr);
  const remarks: Remark[] = [];
  if (mbr.entries.some(({ type }) => type === PROTECTIVE))
    remarks.push({ kind: 'problem', text: 'The MBR says that there is a GPT, and there is none.' });
  return {
    sectorSize,
    table: 'mbr',
    tableId: mbr.signature === 0 ? '' : `0x${mbr.signature.toString(16).padStart(8, '0')}`,
    remarks,
    partitions: await mbrPartitions(source, mbr, sectorSize),
  };
}

/** An MBR does not say how long its sectors are: those are right that something known is found with. */
async function mbrSectorSize(source: DiskSource, mbr: Mbr): Promise<number> {
  for (const sectorSize of SECTORS) {
    for (const { start, count, type } of mbr.entries) {
      if (type === 0 || start === 0 || start * sectorSize >= source.size) continue;
      if (await recognise(slice(source, start * sectorSize, count * sectorSize))) return sectorSize;
    }
  }
  return 512;
}

function troubles(
  { number, kind, offset, length }: Partition,
  all: readonly Partition[],
  size: number,
): string[] {
  const problems: string[] = [];
  const end = offset + length;
  if (offset >= size) problems.push('It begins behind the end of the disk');
  else if (end > size) problems.push(`It goes ${sizeText(end - size)} beyond the end of the disk`);
  for (const other of all.slice(0, MAX_PARTITIONS)) {
    if (other.number === number || offset >= other.offset + other.length || other.offset >= end) continue;
    // Logical partitions lie in their extended one.
    if (
      kind !== other.kind &&
      (kind === 'extended' || other.kind === 'extended') &&
      (kind === 'logical' || other.kind === 'logical')
    )
      continue;
    problems.push(`It overlaps partition ${other.number}`);
    if (problems.length > 4) break;
  }
  return problems;
}
