/** L2 tables and the L1 table: making them writable, and growing. */
import { DebugEvent, Err } from '../../../abi';
import { putBe32, putBe64 } from '../../../util/endian';
import { allocateClusters, freeClusters } from '../refcounts/allocate';
import { signalCorruption } from '../corruption';
import { Qcow2Node } from '../image';
import { COPIED, Field, MAX_L1_BYTES, OFFSET_MASK } from '../layout';
import { checkWrite, Meta, noteMetadata } from '../overlap';
import { checkTableOffset } from './translate';

/** Writes one entry of the active L1 table, in memory and in the file. */
function writeL1Entry(image: Qcow2Node, index: i32, value: u64): i32 {
  const at = image.l1 + ((<usize>index) << 3);
  const old = image.l1Entry(index);
  const offset = image.l1Offset + ((<i64>index) << 3);
  const r = checkWrite(image, Meta.ACTIVE_L1, offset, 8);
  if (r < 0) return r;
  putBe64(at, value);
  image.file.event(DebugEvent.L1_UPDATE);
  const code = image.file.pwrite(offset, 8, at);
  if (code < 0) putBe64(at, old);
  return code;
}

/**
 * Offset of the L2 table of an L1 entry that may be changed: a new one, or a copy of a shared one, where there is none.
 * Or a negative errno.
 */
export function writableTable(image: Qcow2Node, l1Index: i32): i64 {
  const entry = image.l1Entry(l1Index);
  const old = <i64>(entry & OFFSET_MASK);
  if (old) {
    const r = checkTableOffset(image, old, l1Index);
    if (r < 0) return r;
    if (entry & COPIED) return old;
  }
  const fresh = allocateClusters(image, 1);
  if (fresh < 0) return fresh;
  if (!fresh) {
    signalCorruption(image, true, -1, -1, 'Preventing invalid allocation of L2 table at offset 0');
    return -Err.EIO;
  }
  const r = linkTable(image, l1Index, old, fresh);
  if (r < 0) {
    image.l2.drop(fresh, image.clusterSize);
    freeClusters(image, fresh, 1);
    return r;
  }
  noteMetadata(image, fresh);
  if (old) {
    // The old table loses its reference only after the new one is linked on disk.
    const code = image.file.pflush();
    if (code < 0) return code;
    image.l2.drop(old, image.clusterSize);
    freeClusters(image, old, 1);
  }
  return fresh;
}

/** Writes the new table, then the L1 entry; a crash in between leaks the table. */
function linkTable(image: Qcow2Node, l1Index: i32, old: i64, fresh: i64): i32 {
  let r = image.refs.write();
  if (r < 0) return r;
  r = checkWrite(image, Meta.NONE, fresh, image.clusterSize);
  if (r < 0) return r;
  if (old) image.file.event(DebugEvent.L2_ALLOC_COW_READ);
  for (let at: i64 = 0; at < image.clusterSize; at += image.sliceBytes) {
    const source = old ? image.l2.get(old + at) : 0;
    if (old && !source) return image.l2.error;
    const target = image.l2.create(fresh + at);
    if (!target) return image.l2.error;
    if (source) memory.copy(target, source, image.sliceBytes);
  }
  image.file.event(DebugEvent.L2_ALLOC_WRITE);
  r = image.l2.write();
  if (r === 0) r = image.file.pflush();
  return r < 0 ? r : writeL1Entry(image, l1Index, (<u64>fresh) | COPIED);
}

/** Takes L2 tables out of the L1 table, from entry `first` on, and gives them back. */
export function unlinkTables(image: Qcow2Node, first: i32): i32 {
  const n = image.l1Size - first;
  if (n <= 0) return 0;
  const bytes = n << 3;
  const at = image.l1 + ((<usize>first) << 3);
  const saved = heap.alloc(bytes);
  memory.copy(saved, at, bytes);
  const offset = image.l1Offset + ((<i64>first) << 3);
  let r = checkWrite(image, Meta.ACTIVE_L1, offset, bytes);
  if (r === 0) {
    memory.fill(at, 0, bytes);
    image.file.event(DebugEvent.L1_SHRINK_WRITE_TABLE);
    r = image.file.pwrite(offset, bytes, at);
    if (r === 0) r = image.file.pflush();
    if (r < 0) {
      // What is on disk now is not known: the entries are kept, their clusters with them.
      memory.copy(at, saved, bytes);
    } else {
      image.file.event(DebugEvent.L1_SHRINK_FREE_L2_CLUSTERS);
      for (let i = 0; i < n; i++) {
        const table = <i64>(bswap<u64>(load<u64>(saved + ((<usize>i) << 3))) & OFFSET_MASK);
        if (!table || table & (image.clusterSize - 1)) continue;
        image.l2.drop(table, image.clusterSize);
        freeClusters(image, table, 1);
      }
    }
  }
  heap.free(saved);
  return r;
}

/** Makes the L1 table have `entries` entries: a new table, then the switch in the header. */
export function growL1(image: Qcow2Node, entries: i64): i32 {
  if (entries <= image.l1Size) return 0;
  const bytes = entries << 3;
  if (bytes > MAX_L1_BYTES) return -Err.EFBIG;
  const clusters = (bytes + image.clusterSize - 1) >> image.clusterBits;
  image.file.event(DebugEvent.L1_GROW_ALLOC_TABLE);
  const offset = allocateClusters(image, clusters);
  if (offset < 0) return <i32>offset;
  const table = heap.alloc(<usize>bytes);
  const oldBytes = (<i64>image.l1Size) << 3;
  memory.copy(table, image.l1, <usize>oldBytes);
  memory.fill(table + <usize>oldBytes, 0, <usize>(bytes - oldBytes));
  const r = switchL1(image, table, offset, <i32>entries);
  if (r < 0) {
    heap.free(table);
    freeClusters(image, offset, clusters);
    return r;
  }
  const oldOffset = image.l1Offset;
  if (image.l1) heap.free(image.l1);
  image.l1 = table;
  image.l1Offset = offset;
  image.l1Size = <i32>entries;
  const oldClusters = (oldBytes + image.clusterSize - 1) >> image.clusterBits;
  if (oldClusters) freeClusters(image, oldOffset, oldClusters);
  return 0;
}

function switchL1(image: Qcow2Node, table: usize, offset: i64, entries: i32): i32 {
  let r = image.refs.write();
  if (r === 0) r = image.file.pflush();
  if (r === 0) r = checkWrite(image, Meta.NONE, offset, (<i64>entries) << 3);
  image.file.event(DebugEvent.L1_GROW_WRITE_TABLE);
  if (r === 0) r = image.file.pwrite(offset, entries << 3, table);
  if (r === 0) r = image.file.pflush();
  if (r < 0) return r;
  const fields = heap.alloc(16);
  putBe32(fields, entries);
  putBe64(fields + 4, offset);
  image.file.event(DebugEvent.L1_GROW_ACTIVATE_TABLE);
  r = image.file.pwrite(Field.L1_SIZE, 12, fields);
  heap.free(fields);
  return r === 0 ? image.file.pflush() : r;
}
