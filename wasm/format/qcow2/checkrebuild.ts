/**
 * A new refcount structure, made from what a check counted: blocks and table go to clusters that nothing refers to, and
 * the header changes over in one write at the end. The old structure is leaked, and given back by the check.
 */
import { Err } from '../../abi';
import { be64, putBe32, putBe64 } from '../../util/endian';
import { Check } from './check';
import { CountTable } from './checkcounts';
import { Qcow2Node } from './image';
import { Field, MAX_REFTABLE_BYTES, REFTABLE_MASK } from './layout';
import { putRefcount } from './refcount';

/** Offsets of the new blocks, by index; room for {@link capacity}. */
let blocks: usize = 0;
let capacity: i64 = 0;
/** No cluster below this one is free. */
let firstFree: i64 = 0;

export function rebuildRefcounts(check: Check): i32 {
  const image = check.image;
  holdDamagedBlocks(check);
  capacity = 0;
  firstFree = 0;
  const r = rebuild(check, image);
  if (blocks) heap.free(blocks);
  blocks = 0;
  return r;
}

/** What damaged entries point to is not counted; until the header has changed over, it is left as it is. */
function holdDamagedBlocks(check: Check): void {
  const image = check.image;
  for (let i = 0; i < image.reftableUsed; i++) {
    const entry = be64(image.reftable + ((<usize>i) << 3));
    const offset = <i64>(entry & REFTABLE_MASK);
    if (<u64>offset === entry && !(offset & (image.clusterSize - 1))) continue;
    const first = offset >>> image.clusterBits;
    for (let c = first; c <= first + 1 && c < check.counts.clusters; c++) check.counts.add(c);
  }
}

function rebuild(check: Check, image: Qcow2Node): i32 {
  const perCluster = image.clusterSize >> 3;
  let tableClusters: i64 = 0;
  let tableStart: i64 = 0;
  while (true) {
    const r = takeBlocks(check, image);
    if (r < 0) return r;
    const wanted = (blockCount(check.counts, image) + perCluster - 1) / perCluster;
    if (wanted <= tableClusters) break;
    // A table that turned out to be too short is leaked.
    tableClusters = wanted;
    tableStart = takeRun(check.counts, tableClusters);
    if (tableStart < 0) return <i32>tableStart;
  }
  return write(check, image, tableStart, tableClusters);
}


@inline
function blockCount(counts: CountTable, image: Qcow2Node): i64 {
  return (counts.clusters + ((<i64>1) << image.refblockBits) - 1) >> image.refblockBits;
}

/** Takes a cluster for each block that is needed and has none; the clusters may need blocks themselves. */
function takeBlocks(check: Check, image: Qcow2Node): i32 {
  const counts = check.counts;
  let again = true;
  while (again) {
    again = false;
    for (let i: i64 = 0; i < blockCount(counts, image); i++) {
      const r = reserve(i + 1);
      if (r < 0) return r;
      const at = blocks + ((<usize>i) << 3);
      if (load<i64>(at) || !inUse(counts, i << image.refblockBits, (i + 1) << image.refblockBits)) continue;
      const cluster = takeRun(counts, 1);
      if (cluster < 0) return <i32>cluster;
      store<i64>(at, cluster << image.clusterBits);
      again = true;
    }
  }
  return 0;
}

/** Room for the offsets of so many blocks. */
function reserve(count: i64): i32 {
  if (count <= capacity) return 0;
  if (count << 3 > MAX_REFTABLE_BYTES) return -Err.EFBIG;
  const room = min(max(count, max<i64>(capacity << 1, 1024)), MAX_REFTABLE_BYTES >> 3);
  const bytes = (<usize>room) << 3;
  blocks = blocks ? heap.realloc(blocks, bytes) : heap.alloc(bytes);
  memory.fill(blocks + ((<usize>capacity) << 3), 0, bytes - ((<usize>capacity) << 3));
  capacity = room;
  return 0;
}

/** Whether a cluster of [from, to) is counted. */
function inUse(counts: CountTable, from: i64, to: i64): bool {
  to = min(to, counts.clusters);
  while (from < to) {
    if (counts.emptyPage(from)) {
      from = counts.pageEnd(from);
      continue;
    }
    if (counts.get(from)) return true;
    from++;
  }
  return false;
}

/** Takes `n` contiguous clusters, first fit; answers the first one, or a negative errno. */
function takeRun(counts: CountTable, n: i64): i64 {
  let run: i64 = 0;
  let cluster = firstFree;
  let lowest: i64 = -1;
  while (run < n) {
    if (counts.get(cluster)) {
      run = 0;
    } else {
      if (lowest < 0) lowest = cluster;
      run++;
    }
    cluster++;
  }
  const first = cluster - n;
  for (let c = first; c < cluster; c++) {
    const r = counts.add(c);
    if (r < 0) return r;
  }
  firstFree = lowest === first ? cluster : lowest;
  return first;
}

function write(check: Check, image: Qcow2Node, tableStart: i64, tableClusters: i64): i32 {
  const bits = image.clusterBits;
  const count = blockCount(check.counts, image);
  let r = 0;
  for (let i: i64 = 0; r === 0 && i < count; i++) {
    const offset = load<i64>(blocks + ((<usize>i) << 3));
    if (!offset) continue;
    const first = i << image.refblockBits;
    const end = min(check.counts.clusters, first + ((<i64>1) << image.refblockBits));
    memory.fill(check.table, 0, image.clusterSize);
    for (let c = first; c < end; c++) {
      const value = check.counts.get(c);
      if (value) putRefcount(check.table, <i32>(c - first), image.refcountOrder, value);
    }
    r = image.file.pwrite(offset, image.clusterSize, check.table);
  }
  const tableBytes = <i32>(tableClusters << bits);
  const table = heap.alloc(tableBytes);
  memory.fill(table, 0, tableBytes);
  for (let i: i64 = 0; i < count; i++) {
    const at = (<usize>i) << 3;
    putBe64(table + at, load<i64>(blocks + at));
  }
  if (r === 0) r = image.file.pwrite(tableStart << bits, tableBytes, table);
  if (r === 0) r = image.file.pflush();
  if (r === 0) {
    const fields = heap.alloc(16);
    putBe64(fields, tableStart << bits);
    putBe32(fields + 8, <u32>tableClusters);
    r = image.file.pwrite(Field.REFTABLE_OFFSET, 12, fields);
    heap.free(fields);
  }
  if (r === 0) r = image.file.pflush();
  if (r < 0) {
    heap.free(table);
    return r;
  }
  takeOver(image, table, tableBytes, tableStart << bits);
  return 0;
}

/** The image works with the new table from now on. */
function takeOver(image: Qcow2Node, table: usize, bytes: i32, offset: i64): void {
  image.refs.clear();
  if (image.reftable) heap.free(image.reftable);
  image.reftable = table;
  image.reftableOffset = offset;
  image.reftableEntries = bytes >> 3;
  let used = image.reftableEntries;
  while (used && !load<u64>(table + ((<usize>(used - 1)) << 3))) used--;
  image.reftableUsed = used;
  image.freeIndex = 0;
  image.freeByte = 0;
  if (image.metadataFilter) heap.free(image.metadataFilter);
  image.metadataFilter = 0;
}
