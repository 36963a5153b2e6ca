/** Names of uses. */
import { Use, type ImageView } from './contract';

const TITLES: Readonly<Record<Use, string>> = {
  [Use.UNKNOWN]: 'Not looked at yet',
  [Use.FREE]: 'Free',
  [Use.ZERO]: 'Zeros',
  [Use.DATA]: 'Data',
  [Use.COMPRESSED]: 'Compressed data',
  [Use.HEADER]: 'Header',
  [Use.L1]: 'L1 table',
  [Use.L2]: 'L2 table',
  [Use.REFCOUNT_TABLE]: 'Refcount table',
  [Use.REFCOUNT_BLOCK]: 'Refcount block',
  [Use.SNAPSHOT_TABLE]: 'Table of snapshots',
  [Use.SNAPSHOT_L1]: 'L1 table of a snapshot',
  [Use.SNAPSHOT_L2]: 'L2 table of a snapshot',
  [Use.SNAPSHOT_DATA]: 'Data of a snapshot',
  [Use.BITMAP]: 'Bitmap',
  [Use.KEYS]: 'LUKS header and key slots',
  [Use.LEAKED]: 'Leaked: counted as used, used by nobody',
  [Use.BROKEN]: 'Broken',
};

/** What a use is called in a view. */
export function useTitle(use: Use, view: ImageView): string {
  return use === Use.FREE && view === 'guest' ? 'Not in this image' : TITLES[use];
}
