/** What a volume has in it, by the superblocks and signatures that each format keeps in a place of its own. */
import type { DiskSource } from '../contract';
import type { VolumeContent } from './contract';
import { containers } from './superblocks/containers';
import { ext } from './superblocks/ext';
import { fat } from './superblocks/fat';
import { iso } from './superblocks/iso';
import { linux } from './superblocks/linux';
import type { Recogniser } from './superblocks/superblock';
import { readRecord } from './source';

/** Bytes at the start of a volume that hold all but a few of the signatures. */
const HEAD = 73728;

/** First what cannot be meant otherwise: a container, whose payload may look like anything. */
const RECOGNISERS: readonly Recogniser[] = [containers, ext, linux, fat, iso];

/** What begins at the start of a volume; null: nothing that is known. */
export async function recognise(volume: DiskSource): Promise<VolumeContent | null> {
  if (volume.size < 512) return null;
  const head = await readRecord(volume, 0, HEAD);
  for (const recogniser of RECOGNISERS) {
    const content = await recogniser(head, volume);
    if (content) return { ...content, problems: [...content.problems, ...cut(content, volume)] };
  }
  return null;
}

function cut({ size }: VolumeContent, volume: DiskSource): string[] {
  return size !== null && size > volume.size
    ? ['It says that it is larger than the place that it lies in']
    : [];
}
