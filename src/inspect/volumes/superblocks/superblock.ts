/** What the recognisers of formats share. */
import type { DiskSource } from '../../contract';
import type { VolumeContent } from '../contract';
import type { Fields } from '../source';

/** Looks for one family of formats in the first bytes of a volume; reads more where it has to. */
export type Recogniser = (head: Fields, volume: DiskSource) => Promise<VolumeContent | null>;

/** A content from what is known of it. */
export function content(
  known: Pick<VolumeContent, 'type' | 'title'> & Partial<VolumeContent>,
): VolumeContent {
  return {
    kind: 'file system',
    label: '',
    uuid: '',
    size: null,
    used: null,
    facts: [],
    problems: [],
    readable: false,
    ...known,
  };
}
