/** The part of a check that reads the snapshot table, walks the tables of snapshots, and writes the table anew. */
import { CheckFix, Err } from '../../../abi';
import { be16, be32, be64, putBe32, putBe64 } from '../../../util/endian';
import { hash } from '../../../util/errors';
import { allocateClusters } from '../refcounts/allocate';
import { Check, STEP_FINDINGS } from './check';
import { beginTables, stepTables } from './tables';
import { Qcow2Node } from '../image';
import { Field, MAX_L1_BYTES, MAX_SNAPSHOT_EXTRA, MAX_SNAPSHOT_TABLE, MAX_SNAPSHOTS } from '../layout';
import { checkWrite, Meta } from '../overlap';
import { changeRefcounts } from '../refcounts/refcount';
import { dropSnapshots } from '../snapshots/table';

const ENTRY_HEADER: i32 = 40;
/** Extra data of an entry that must be there in version 3, and that is written. */
const LEAST_EXTRA: u32 = 16;
const FULL_EXTRA: u32 = 24;
/** Entries that are read in one step. */
const STEP_SNAPSHOTS: i32 = 1024;

/** What is kept of an entry of the table. */
@unmanaged
class Entry {
  /** Where it is in the file. */
  at: i64;
  l1Offset: i64;
  l1Size: u32;
  /** Bytes of extra data as stored, and of id and name. */
  extra: u32;
  id: u32;
  name: u32;
}

const ENTRY_BYTES: usize = offsetof<Entry>();

/** The entries of the snapshot table. */
export class SnapshotList {
  entries: usize = 0;
  n: i32 = 0;
  /** Entries that the header speaks of, as far as they are to be read. */
  wanted: i32 = 0;
  /** Where the next entry, or the end, is. */
  end: i64 = 0;
  /** Corruptions of the table itself. */
  corruptions: i64 = 0;
  started: bool = false;


  @inline
  entry(index: i32): Entry {
    return changetype<Entry>(this.entries + <usize>index * ENTRY_BYTES);
  }

  release(): void {
    if (this.entries) heap.free(this.entries);
    this.entries = 0;
    this.n = 0;
  }
}

/** A failure, told with the name of the program. */
function refuse(check: Check, code: i32, text: string, hint: string): i32 {
  check.complain('ERROR ' + text);
  if (hint.length) check.tell(hint);
  check.errors++;
  return code;
}

function startTable(check: Check): i32 {
  const image = check.image;
  const list = check.snapshots;
  list.started = true;
  let n: u32 = image.unreadSnapshots ? image.unreadSnapshots : <u32>image.snapshots;
  const repair = (check.fix & CheckFix.ERRORS) !== 0;
  if (n > MAX_SNAPSHOTS) {
    const over = n - MAX_SNAPSHOTS;
    if (!repair) {
      return refuse(
        check,
        -Err.EFBIG,
        'snapshot table too large',
        `You can force-remove all ${over} overhanging snapshots with qemu-img check -r all`,
      );
    }
    check.tell(`Discarding ${over} overhanging snapshots`);
    list.corruptions += over;
    n = MAX_SNAPSHOTS;
  }
  const offset = image.snapshotsOffset;
  if (n && (offset < 0 || offset > i64.MAX_VALUE - (1 << 32) || offset & (image.clusterSize - 1))) {
    return refuse(check, -Err.EINVAL, 'snapshot table offset invalid', '');
  }
  list.wanted = <i32>n;
  list.end = offset;
  list.entries = heap.alloc(max<usize>(<usize>n * ENTRY_BYTES, 16));
  return 0;
}

/** Reads the snapshot table, some entries a step; 0: it is complete. */
export function readTable(check: Check): i32 {
  const image = check.image;
  const list = check.snapshots;
  if (!list.started) {
    const r = startTable(check);
    if (r < 0) return r;
  }
  const repair = (check.fix & CheckFix.ERRORS) !== 0;
  const header = check.table;
  for (let step = 0; list.n < list.wanted; step++) {
    if (step === STEP_SNAPSHOTS || check.told >= STEP_FINDINGS) return 1;
    const i = list.n;
    const start = (list.end + 7) & ~7;
    const r = image.file.pread(start, ENTRY_HEADER, header);
    if (r === -Err.EAGAIN) return r;
    if (r < 0)
      return refuse(check, r, 'failed to read the snapshot table: Failed to read snapshot table', '');
    const entry = list.entry(i);
    entry.at = start;
    entry.l1Offset = be64(header);
    entry.l1Size = be32(header + 8);
    entry.id = be16(header + 12);
    entry.name = be16(header + 14);
    entry.extra = be32(header + 36);
    if (entry.extra > MAX_SNAPSHOT_EXTRA) {
      if (!repair) {
        return refuse(
          check,
          -Err.EFBIG,
          `failed to read the snapshot table: Too much extra metadata in snapshot table entry ${i}`,
          'You can force-remove this extra metadata with qemu-img check -r all',
        );
      }
      check.tell(
        `Discarding too much extra metadata in snapshot table entry ${i} (${entry.extra} > ${MAX_SNAPSHOT_EXTRA})`,
      );
      list.corruptions++;
    }
    const end = start + ENTRY_HEADER + <i64>entry.extra + entry.id + entry.name;
    if (end - image.snapshotsOffset > MAX_SNAPSHOT_TABLE) {
      const over = list.wanted - i;
      if (!repair) {
        return refuse(
          check,
          -Err.EFBIG,
          'failed to read the snapshot table: Snapshot table is too big',
          `You can force-remove all ${over} overhanging snapshots with qemu-img check -r all`,
        );
      }
      check.tell(`Discarding ${over} overhanging snapshots (snapshot table is too big)`);
      list.corruptions += over;
      list.wanted = i;
      break;
    }
    list.end = end;
    list.n++;
  }
  return tellIncomplete(check);
}

/** When all is read: entries of version 3 that lack what they must have. Then the image takes the table over. */
function tellIncomplete(check: Check): i32 {
  const image = check.image;
  const list = check.snapshots;
  const repair = (check.fix & CheckFix.ERRORS) !== 0;
  for (let i = check.index; image.version >= 3 && i < list.n; i++) {
    if (list.entry(i).extra >= LEAST_EXTRA) continue;
    if (check.told >= STEP_FINDINGS) {
      check.index = i;
      return 1;
    }
    list.corruptions++;
    check.tell(`${check.verb(repair)} snapshot table entry ${i} is incomplete`);
  }
  dropSnapshots(image);
  if (image.snapshotTables) heap.free(image.snapshotTables);
  image.snapshotTables = heap.alloc(max<usize>((<usize>list.n) << 4, 16));
  for (let i = 0; i < list.n; i++) {
    const at = image.snapshotTables + ((<usize>i) << 4);
    store<i64>(at, list.entry(i).l1Offset);
    store<i64>(at, (<i64>list.entry(i).l1Size) << 3, 8);
  }
  image.snapshots = list.n;
  image.unreadSnapshots = 0;
  image.snapshotsBytes = list.end - image.snapshotsOffset;
  return 0;
}

/** A text is elsewhere. */
let textAbsent: bool = false;

/** Id or name of a snapshot, up to the first zero byte. */
function readText(check: Check, at: i64, bytes: u32): string {
  const text = heap.alloc(bytes + 1);
  let n: u32 = 0;
  const r = check.image.file.pread(at, <i32>bytes, text);
  if (r === -Err.EAGAIN) textAbsent = true;
  if (r === 0) while (n < bytes && load<u8>(text + n)) n++;
  const result = String.UTF8.decodeUnsafe(text, n);
  heap.free(text);
  return result;
}

function describe(check: Check, entry: Entry): string {
  const at = entry.at + ENTRY_HEADER + <i64>entry.extra;
  const id = readText(check, at, entry.id);
  return `${id} (${readText(check, at + entry.id, entry.name)})`;
}

/** Walks the tables of the snapshots; 0: the end. */
export function stepSnapshot(check: Check): i32 {
  const list = check.snapshots;
  if (!check.at && !check.l1 && list.n && check.hasDataFile) {
    check.corrupt(`ERROR ${list.n} snapshots in image with data file: data is inconsistent`);
    return 0;
  }
  if (check.l1) {
    const r = stepTables(check, false);
    if (r !== 0) return r;
    heap.free(check.l1);
    check.l1 = 0;
    check.at++;
    return 1;
  }
  if (check.at >= list.n) return 0;
  textAbsent = false;
  const r = beginSnapshot(check, list.entry(<i32>check.at));
  if (r < 0) return r;
  if (!check.l1) check.at++;
  return 1;
}

function beginSnapshot(check: Check, entry: Entry): i32 {
  const image = check.image;
  if (entry.l1Offset & (image.clusterSize - 1)) {
    const what = `l1_offset=${hash(entry.l1Offset)}: L1 table is not cluster aligned`;
    const which = describe(check, entry);
    if (textAbsent) return -Err.EAGAIN;
    check.corrupt(`ERROR snapshot ${which} ${what}; snapshot table entry corrupted`);
    return 0;
  }
  if (entry.l1Size > <u32>(MAX_L1_BYTES >> 3)) {
    const what = `l1_size=${hash(entry.l1Size)}: L1 table is too large`;
    const which = describe(check, entry);
    if (textAbsent) return -Err.EAGAIN;
    check.corrupt(`ERROR snapshot ${which} ${what}; snapshot table entry corrupted`);
    return 0;
  }
  const bytes = <i32>(entry.l1Size << 3);
  if (!bytes) return 0;
  check.l1 = heap.alloc(bytes);
  const read = entry.l1Offset < 0 ? -Err.EIO : image.file.pread(entry.l1Offset, bytes, check.l1);
  if (read === -Err.EAGAIN) {
    heap.free(check.l1);
    check.l1 = 0;
    return read;
  }
  const r = beginTables(check, check.l1, <i32>entry.l1Size, entry.l1Offset);
  if (r !== 0) return r;
  if (read < 0) {
    check.errors++;
    check.tell('ERROR: I/O error in check_refcounts_l1');
  }
  return read;
}

/** Writes the table anew if that repairs it. */
export function rewriteTable(check: Check): i32 {
  const list = check.snapshots;
  if (!list.corruptions) return 0;
  if (!(check.fix & CheckFix.ERRORS)) {
    check.corruptions += list.corruptions;
    return 0;
  }
  const r = writeTable(check);
  if (r === -Err.EAGAIN) return r;
  if (r < 0) {
    check.corruptions += list.corruptions;
    check.errors++;
    check.tell('ERROR failed to update snapshot table');
    return r;
  }
  check.corruptionsFixed += list.corruptions;
  return 0;
}

/** Bytes of an entry as it will be written, without padding. */
function newBytes(entry: Entry): i64 {
  const extra = max(FULL_EXTRA, min(entry.extra, MAX_SNAPSHOT_EXTRA));
  return ENTRY_HEADER + <i64>extra + entry.id + entry.name;
}

function writeTable(check: Check): i32 {
  const image = check.image;
  const list = check.snapshots;
  let total: i64 = 0;
  for (let i = 0; i < list.n; i++) total = ((total + 7) & ~7) + newBytes(list.entry(i));
  if (total > MAX_SNAPSHOT_TABLE) return -Err.EFBIG;
  const out = heap.alloc(max<usize>(<usize>total, 16));
  memory.fill(out, 0, <usize>total);
  const r = fillTable(check, out);
  const code = r < 0 ? r : storeTable(image, out, total);
  heap.free(out);
  return code;
}

function fillTable(check: Check, out: usize): i32 {
  const image = check.image;
  const list = check.snapshots;
  let to = out;
  for (let i = 0; i < list.n; i++) {
    const entry = list.entry(i);
    to = out + ((to - out + 7) & ~7);
    const kept = <i32>min(entry.extra, MAX_SNAPSHOT_EXTRA);
    const extra = max(<i32>FULL_EXTRA, kept);
    let r = image.file.pread(entry.at, ENTRY_HEADER + kept, to);
    if (r < 0) return r;
    // The table was in memory nowhere in between: it may not have become longer.
    const names = <i32>(entry.id + entry.name);
    r = image.file.pread(entry.at + ENTRY_HEADER + <i64>entry.extra, names, to + ENTRY_HEADER + extra);
    if (r < 0) return r;
    const fields = to + ENTRY_HEADER;
    if (kept < 8) putBe64(fields, be32(to + 32));
    if (kept < 16) putBe64(fields + 8, image.length);
    if (kept < 24) putBe64(fields + 16, u64.MAX_VALUE);
    putBe32(to + 36, extra);
    to += ENTRY_HEADER + extra + names;
  }
  return 0;
}

/** The new table in new clusters, flush, the header's fields, flush; then the old table is given back. */
function storeTable(image: Qcow2Node, table: usize, bytes: i64): i32 {
  const bits = image.clusterBits;
  const clusters = (bytes + image.clusterSize - 1) >> bits;
  let offset: i64 = 0;
  if (bytes) {
    offset = allocateClusters(image, clusters);
    if (offset <= 0) return offset < 0 ? <i32>offset : -Err.EIO;
  }
  let r = image.refs.write();
  if (r === 0) r = checkWrite(image, Meta.NONE, offset, bytes);
  if (r === 0) r = image.file.pwrite(offset, <i32>bytes, table);
  if (r === 0) r = image.file.pflush();
  if (r < 0) return r;
  const fields = heap.alloc(16);
  putBe32(fields, image.snapshots);
  putBe64(fields + 4, offset);
  r = image.file.pwrite(Field.SNAPSHOTS, 12, fields);
  heap.free(fields);
  if (r === 0) r = image.file.pflush();
  if (r < 0) return r;
  const old = image.snapshotsOffset >> bits;
  const oldClusters = (image.snapshotsBytes + image.clusterSize - 1) >> bits;
  dropSnapshots(image);
  image.snapshotsOffset = offset;
  image.snapshotsBytes = bytes;
  // A failure leaks it, no more.
  changeRefcounts(image, old, oldClusters, false);
  return image.refs.write();
}
