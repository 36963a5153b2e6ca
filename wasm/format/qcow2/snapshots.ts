/** The snapshot table: so far only what must be known to leave it whole. */
import { Err } from '../../abi';
import { be16, be32, be64 } from '../../util/endian';
import { fail, failErrno } from '../../util/errors';
import { Qcow2Node } from './image';
import { MAX_SNAPSHOT_EXTRA, MAX_SNAPSHOT_TABLE } from './layout';

const ENTRY_HEADER: i32 = 40;

/** Walks the table; keeps where it ends and where each snapshot's L1 table is. */
export function readSnapshotTable(image: Qcow2Node): i32 {
  const n = image.snapshots;
  if (!n) {
    image.snapshotsOffset = 0;
    return 0;
  }
  image.snapshotTables = heap.alloc((<usize>n) << 4);
  const entry = heap.alloc(ENTRY_HEADER);
  const r = walk(image, n, entry);
  heap.free(entry);
  return r;
}

function walk(image: Qcow2Node, n: i32, entry: usize): i32 {
  let at = image.snapshotsOffset;
  for (let i = 0; i < n; i++) {
    at = (at + 7) & ~7;
    const r = image.file.pread(at, ENTRY_HEADER, entry);
    if (r < 0) return failErrno(r, 'Failed to read snapshot table');
    const out = image.snapshotTables + ((<usize>i) << 4);
    store<i64>(out, be64(entry));
    store<i64>(out, (<i64>be32(entry + 8)) << 3, 8);
    const extra = be32(entry + 36);
    if (extra > MAX_SNAPSHOT_EXTRA) {
      return fail(Err.EFBIG, `Too much extra metadata in snapshot table entry ${i}`);
    }
    at += ENTRY_HEADER + <i64>extra + be16(entry + 12) + be16(entry + 14);
    if (at - image.snapshotsOffset > MAX_SNAPSHOT_TABLE) return fail(Err.EFBIG, 'Snapshot table is too big');
  }
  image.snapshotsBytes = at - image.snapshotsOffset;
  return 0;
}
