/** Taking, deleting and applying internal snapshots, and looking at one without changing anything. */
import { Err } from '../../../abi';
import { fail } from '../../../util/errors';
import { MAX_OFFSET } from '../../../block/node';
import { Qcow2Node } from '../image';
import { EXTERNAL_DATA, MAX_L1_BYTES } from '../layout';
import { writeCaches } from '../lifetime';
import {
  appendSnapshot,
  NewSnapshot,
  removeSnapshot,
  Snapshot,
  snapshotError,
  snapshotOf,
  SnapshotTable,
} from './table';
import { TableSwitch } from './switch';

/** What forbids a change; else everything is brought to the file, so that the tables in it are the whole truth. */
function begin(image: Qcow2Node): i32 {
  let r = image.ready();
  if (r < 0) return r;
  if (image.readOnly) return fail(Err.EACCES, 'Block node is read-only');
  if (image.incompatible & EXTERNAL_DATA) return -Err.ENOTSUP;
  r = writeCaches(image);
  return r < 0 ? r : image.file.pflush();
}

/** Takes a snapshot of the disk as it is now: it gets the active tables, and the disk goes on with copies. */
export function createSnapshot(image: Qcow2Node, add: NewSnapshot): i32 {
  let r = begin(image);
  if (r < 0) return r;
  const table = new SnapshotTable();
  const change = new TableSwitch(image, table, image.length);
  r = appendSnapshot(image, table, add);
  if (r === 0) r = change.add(image.snapshotsOffset, image.snapshotsBytes, -1);
  if (r === 0) r = change.addTables(image.l1, image.l1Size, 1, 0);
  if (r === 0) r = change.setTables(image.l1, image.l1Size, image.l1Size, 1, 0);
  if (r === 0) r = change.commit();
  change.release();
  return r;
}

/** Deletes a snapshot and gives back what only it used. */
export function deleteSnapshot(image: Qcow2Node, index: i32): i32 {
  let r = begin(image);
  if (r < 0) return r;
  const snapshot = snapshotOf(image, index);
  if (!snapshot) return snapshotError;
  r = checkL1(image, snapshot);
  if (r < 0) return r;
  const entries = <i32>snapshot.l1Entries;
  const l1 = readL1(image, snapshot);
  if (!l1) return readError;
  const table = new SnapshotTable();
  const change = new TableSwitch(image, table, image.length);
  r = removeSnapshot(image, table, index);
  if (r === 0) r = change.add(image.snapshotsOffset, image.snapshotsBytes, -1);
  if (r === 0) r = change.add(snapshot.l1Offset, (<i64>entries) << 3, -1);
  if (r === 0) r = change.addTables(l1, entries, -1, -1);
  if (r === 0) r = change.add(image.l1Offset, (<i64>image.l1Size) << 3, -1);
  if (r === 0) r = change.setTables(image.l1, image.l1Size, image.l1Size, 0, -1);
  if (r === 0) r = change.commit();
  change.release();
  heap.free(l1);
  return r;
}

/** Makes the disk what it was when the snapshot was taken; what was written since is gone. */
export function revertSnapshot(image: Qcow2Node, index: i32): i32 {
  let r = begin(image);
  if (r < 0) return r;
  const snapshot = snapshotOf(image, index);
  if (!snapshot) return snapshotError;
  r = checkL1(image, snapshot);
  if (r < 0) return r;
  const size = snapshot.diskSize;
  if (size !== <u64>image.length) {
    if (image.version < 3) return -Err.ENOTSUP;
    if (size & 511) return -Err.EINVAL;
    if (size > <u64>MAX_OFFSET) return -Err.EFBIG;
  }
  const bits = image.clusterBits + image.l2Bits;
  const needed = ((<i64>size) >> bits) + (size & (((<u64>1) << bits) - 1) ? 1 : 0);
  if (needed << 3 > MAX_L1_BYTES) return -Err.EFBIG;
  const entries = <i32>snapshot.l1Entries;
  const l1 = readL1(image, snapshot);
  if (!l1) return readError;
  const table = new SnapshotTable();
  table.count = image.snapshots;
  const change = new TableSwitch(image, table, <i64>size);
  r = change.addTables(image.l1, image.l1Size, -1, -1);
  if (r === 0) r = change.add(image.l1Offset, (<i64>image.l1Size) << 3, -1);
  if (r === 0) r = change.addTables(l1, entries, 1, 0);
  if (r === 0) r = change.setTables(l1, entries, max(entries, <i32>needed), 1, 0);
  if (r === 0) r = change.commit();
  change.release();
  heap.free(l1);
  return r;
}

/** Shows a snapshot's data in place of the disk's in an image that is open for reading; its size stays. Only closing ends it. */
export function showSnapshot(image: Qcow2Node, index: i32): i32 {
  const r = image.ready();
  if (r < 0) return r;
  if (!image.readOnly) return fail(Err.EINVAL, 'Device is not readonly');
  const snapshot = snapshotOf(image, index);
  if (!snapshot) return snapshotError;
  const code = checkL1(image, snapshot);
  if (code < 0) return code;
  const l1 = readL1(image, snapshot);
  if (!l1) return readError;
  heap.free(image.l1);
  image.l1 = l1;
  image.l1Size = <i32>snapshot.l1Entries;
  image.l1Offset = snapshot.l1Offset;
  image.plainEntry = 0;
  image.showsSnapshot = true;
  return 0;
}

/** Bounds a snapshot's L1 table. */
export function checkL1(image: Qcow2Node, snapshot: Snapshot): i32 {
  const bytes = (<i64>snapshot.l1Entries) << 3;
  if (bytes > MAX_L1_BYTES) return fail(Err.EFBIG, 'Snapshot L1 table too large');
  const offset = snapshot.l1Offset;
  if (offset < 0 || offset > i64.MAX_VALUE - bytes || offset & (image.clusterSize - 1)) {
    return fail(Err.EINVAL, 'Snapshot L1 table offset invalid');
  }
  return 0;
}

/** Why {@link readL1} answered 0. */
export let readError: i32 = 0;

/** A snapshot's L1 table; the caller frees it. 0: see `readError`. */
export function readL1(image: Qcow2Node, snapshot: Snapshot): usize {
  const bytes = (<usize>snapshot.l1Entries) << 3;
  const l1 = heap.alloc(max<usize>(bytes, 16));
  readError = snapshot.l1Offset > MAX_OFFSET ? -Err.EIO : image.file.pread(snapshot.l1Offset, <i32>bytes, l1);
  if (readError === 0) return l1;
  heap.free(l1);
  return 0;
}
