/** The snapshot table: read as untrusted, described to the outside, and put together anew. What it says is kept byte for byte. */
import { Err, SnapshotRecord } from '../../../abi';
import { be16, be32, be64, putBe16, putBe32, putBe64 } from '../../../util/endian';
import { fail, failErrno } from '../../../util/errors';
import { Qcow2Node } from '../image';
import { forgetInactive } from './inactive';
import { MAX_SNAPSHOT_EXTRA, MAX_SNAPSHOT_TABLE, MAX_SNAPSHOTS } from '../layout';

const ENTRY_HEADER: i32 = 40;
/** Extra data that is written: VM state size, disk size, instruction count. */
const ENTRY_EXTRA: i32 = 24;
const NANO: u64 = 1000000000;

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
    noteL1(image, i, entry);
    const extra = be32(entry + 36);
    if (extra > MAX_SNAPSHOT_EXTRA) {
      const text = `Too much extra metadata in snapshot table entry ${i}`;
      return fail(Err.EFBIG, text + '\nYou can force-remove this extra metadata with qemu-img check -r all');
    }
    at += ENTRY_HEADER + <i64>extra + be16(entry + 12) + be16(entry + 14);
    if (at - image.snapshotsOffset > MAX_SNAPSHOT_TABLE) {
      const hint = `You can force-remove all ${n - i} overhanging snapshots with qemu-img check -r all`;
      return fail(Err.EFBIG, 'Snapshot table is too big\n' + hint);
    }
  }
  image.snapshotsBytes = at - image.snapshotsOffset;
  return 0;
}

/** Notes where the L1 table of a snapshot is, for the overlap checks and for counting. */
function noteL1(image: Qcow2Node, index: i32, entry: usize): void {
  const out = image.snapshotTables + ((<usize>index) << 4);
  store<i64>(out, be64(entry));
  store<i64>(out, (<i64>be32(entry + 8)) << 3, 8);
}

/** Reads the whole table into memory, if it is not there yet. */
export function loadSnapshots(image: Qcow2Node): i32 {
  if (image.snapshotBytes || !image.snapshots) return 0;
  const table = heap.alloc(<usize>image.snapshotsBytes);
  const r = image.file.pread(image.snapshotsOffset, <i32>image.snapshotsBytes, table);
  if (r < 0) {
    heap.free(table);
    return r;
  }
  image.snapshotBytes = table;
  image.snapshotAt = 0;
  image.snapshotIndex = 0;
  return 0;
}

/** Forgets what {@link loadSnapshots} read. */
export function dropSnapshots(image: Qcow2Node): void {
  if (image.snapshotBytes) heap.free(image.snapshotBytes);
  image.snapshotBytes = 0;
}

/** Bytes of the entry at an offset of the loaded table; -1: it runs past the end (the file was changed behind us). */
function entryBytes(image: Qcow2Node, at: i64): i64 {
  if (at + ENTRY_HEADER > image.snapshotsBytes) return -1;
  const entry = image.snapshotBytes + <usize>at;
  const bytes = ENTRY_HEADER + <i64>be32(entry + 36) + be16(entry + 12) + be16(entry + 14);
  return at + bytes > image.snapshotsBytes ? -1 : bytes;
}

/** Offset in the loaded table of an entry, or a negative errno. Going through the entries in turn costs one step each. */
function findEntry(image: Qcow2Node, index: i32): i64 {
  if (index < 0 || index >= image.snapshots) return -Err.EINVAL;
  const r = loadSnapshots(image);
  if (r < 0) return r;
  let i = image.snapshotIndex;
  let at = image.snapshotAt;
  if (i > index) {
    i = 0;
    at = 0;
  }
  for (; i < index; i++) {
    const bytes = entryBytes(image, at);
    if (bytes < 0) return -Err.EIO;
    at = (at + bytes + 7) & ~7;
  }
  if (entryBytes(image, at) < 0) return -Err.EIO;
  image.snapshotIndex = index;
  image.snapshotAt = at;
  return at;
}

/** A snapshot of the table. */
export class Snapshot {
  l1Offset: i64 = 0;
  l1Entries: u32 = 0;
  /** Bytes. */
  diskSize: u64 = 0;
  /** Bytes. */
  vmState: u64 = 0;
}

/** Looks up a snapshot; null: see `snapshotError`. */
export function snapshotOf(image: Qcow2Node, index: i32): Snapshot | null {
  const at = findEntry(image, index);
  snapshotError = at < 0 ? <i32>at : 0;
  if (at < 0) return null;
  const entry = image.snapshotBytes + <usize>at;
  const snapshot = new Snapshot();
  snapshot.l1Offset = be64(entry);
  snapshot.l1Entries = be32(entry + 8);
  snapshot.vmState = be32(entry + 36) >= 8 ? be64(entry + 40) : <u64>be32(entry + 32);
  snapshot.diskSize = be32(entry + 36) >= 16 ? be64(entry + 48) : <u64>image.length;
  return snapshot;
}

/** Why {@link snapshotOf} found none: a negative errno. */
export let snapshotError: i32 = 0;

/** Fills a {@link SnapshotRecord}. */
export function describeSnapshot(image: Qcow2Node, index: i32, to: usize): i32 {
  const at = findEntry(image, index);
  if (at < 0) return <i32>at;
  const entry = image.snapshotBytes + <usize>at;
  const extra = be32(entry + 36);
  const idBytes = be16(entry + 12);
  const id = entry + ENTRY_HEADER + <usize>extra;
  store<i32>(to + SnapshotRecord.ID, <i32>id);
  store<i32>(to + SnapshotRecord.ID_LENGTH, idBytes);
  store<i32>(to + SnapshotRecord.NAME, <i32>(id + idBytes));
  store<i32>(to + SnapshotRecord.NAME_LENGTH, be16(entry + 14));
  const clock = be64(entry + 24);
  store<f64>(to + SnapshotRecord.DATE_SEC, <f64>be32(entry + 16));
  store<f64>(to + SnapshotRecord.DATE_NSEC, <f64>be32(entry + 20));
  store<f64>(to + SnapshotRecord.CLOCK_SEC, <f64>(clock / NANO));
  store<f64>(to + SnapshotRecord.CLOCK_NSEC, <f64>(clock % NANO));
  store<f64>(to + SnapshotRecord.VM_STATE, extra >= 8 ? <f64>be64(entry + 40) : <f64>be32(entry + 32));
  store<f64>(to + SnapshotRecord.DISK_SIZE, extra >= 16 ? <f64>be64(entry + 48) : <f64>image.length);
  const count = extra >= 24 ? be64(entry + 56) : u64.MAX_VALUE;
  store<f64>(to + SnapshotRecord.ICOUNT, count === u64.MAX_VALUE ? -1 : <f64>count);
  return 0;
}

/** What a new entry says. Texts are UTF-8. */
export class NewSnapshot {
  id: usize = 0;
  idBytes: i32 = 0;
  name: usize = 0;
  nameBytes: i32 = 0;
  dateSec: u32 = 0;
  dateNsec: u32 = 0;
  clock: u64 = 0;
  /** u64.MAX_VALUE: none. */
  icount: u64 = 0;
}

/** A table in memory, on its way to the file. */
export class SnapshotTable {
  bytes: usize = 0;
  length: i64 = 0;
  count: i32 = 0;

  release(): void {
    if (this.bytes) heap.free(this.bytes);
    this.bytes = 0;
  }
}

/** The table with one more entry, for the active tables as they are; a negative errno where there is no room for it. */
export function appendSnapshot(image: Qcow2Node, table: SnapshotTable, add: NewSnapshot): i32 {
  if (image.snapshots >= <i32>MAX_SNAPSHOTS) return -Err.EFBIG;
  const r = loadSnapshots(image);
  if (r < 0) return r;
  const start = image.snapshots ? (image.snapshotsBytes + 7) & ~7 : 0;
  const length = start + ENTRY_HEADER + ENTRY_EXTRA + add.idBytes + add.nameBytes;
  if (length > MAX_SNAPSHOT_TABLE) return -Err.EFBIG;
  const bytes = heap.alloc(<usize>length);
  memory.fill(bytes, 0, <usize>length);
  if (start) memory.copy(bytes, image.snapshotBytes, <usize>image.snapshotsBytes);
  const entry = bytes + <usize>start;
  putBe64(entry, image.l1Offset);
  putBe32(entry + 8, image.l1Size);
  putBe16(entry + 12, add.idBytes);
  putBe16(entry + 14, add.nameBytes);
  putBe32(entry + 16, add.dateSec);
  putBe32(entry + 20, add.dateNsec);
  putBe64(entry + 24, add.clock);
  putBe32(entry + 36, ENTRY_EXTRA);
  putBe64(entry + 48, image.length);
  putBe64(entry + 56, add.icount);
  memory.copy(entry + ENTRY_HEADER + ENTRY_EXTRA, add.id, add.idBytes);
  memory.copy(entry + ENTRY_HEADER + ENTRY_EXTRA + add.idBytes, add.name, add.nameBytes);
  table.bytes = bytes;
  table.length = length;
  table.count = image.snapshots + 1;
  return 0;
}

/** The table without one entry. */
export function removeSnapshot(image: Qcow2Node, table: SnapshotTable, index: i32): i32 {
  const at = findEntry(image, index);
  if (at < 0) return <i32>at;
  table.count = image.snapshots - 1;
  if (!table.count) return 0;
  const next = (at + entryBytes(image, at) + 7) & ~7;
  const rest = max<i64>(image.snapshotsBytes - next, 0);
  // The last entry is followed by no padding.
  let length = at + rest;
  if (!rest) {
    const before = findEntry(image, index - 1);
    if (before < 0) return <i32>before;
    length = before + entryBytes(image, before);
  }
  const bytes = heap.alloc(<usize>length);
  memory.copy(bytes, image.snapshotBytes, <usize>(length - rest));
  memory.copy(bytes + <usize>at, image.snapshotBytes + <usize>next, <usize>rest);
  table.bytes = bytes;
  table.length = length;
  return 0;
}

/** Takes over a table that the header points to now. */
export function adoptSnapshots(image: Qcow2Node, table: SnapshotTable, offset: i64): void {
  dropSnapshots(image);
  forgetInactive(image);
  if (image.snapshotTables) heap.free(image.snapshotTables);
  image.snapshotTables = table.count ? heap.alloc((<usize>table.count) << 4) : 0;
  image.snapshots = table.count;
  image.snapshotsOffset = offset;
  image.snapshotsBytes = table.length;
  image.snapshotBytes = table.bytes;
  image.snapshotAt = 0;
  image.snapshotIndex = 0;
  table.bytes = 0;
  for (let i = 0; i < table.count; i++) {
    const at = findEntry(image, i);
    if (at < 0) return;
    noteL1(image, i, image.snapshotBytes + <usize>at);
  }
}
