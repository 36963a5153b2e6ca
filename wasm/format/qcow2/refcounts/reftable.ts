/** Growth of the refcount table: a new table, and the blocks that describe it, in one new area of the file. */
import { DebugEvent, Err } from '../../../abi';
import { be64, putBe32, putBe64 } from '../../../util/endian';
import { Qcow2Node } from '../image';
import { Field, MAX_HOST, MAX_REFTABLE_BYTES, REFTABLE_MASK } from '../layout';
import { checkWrite, Meta, noteMetadata } from '../overlap';
import { changeRefcounts, putRefcount } from './refcount';

/** Makes the table long enough for entry `index`. The block for that entry is not made. */
export function growReftable(image: Qcow2Node, index: i64): i32 {
  // Behind all that is in use, and at the start of a range that no block describes yet: so the blocks of the new area
  // describe themselves.
  const used = (image.file.size() + image.clusterSize - 1) >> image.clusterBits;
  const perBlock: i64 = (<i64>1) << image.refblockBits;
  const block = max(index + 1, (used + perBlock - 1) >> image.refblockBits);
  const r = makeRefcountArea(image, block << image.refblockBits, 0, false);
  return r < 0 ? <i32>r : 0;
}

/** Blocks that are needed to describe `clusters` clusters, themselves and their table. */
function blocksFor(image: Qcow2Node, clusters: i64, generous: bool): i64 {
  const perBlock: i64 = (<i64>1) << image.refblockBits;
  const entriesPerCluster: i64 = image.clusterSize >> 3;
  let blocks: i64 = 0;
  let table: i64 = 0;
  while (true) {
    const lastBlocks = blocks;
    const lastTable = table;
    blocks = (clusters + table + blocks + perBlock - 1) >> image.refblockBits;
    table = blocks;
    if (generous) table += (table + 1) >> 1;
    table = (table + entriesPerCluster - 1) / entriesPerCluster;
    if (blocks === lastBlocks && table === lastTable) return blocks;
  }
}

/**
 * Writes a new refcount table at cluster `start`, behind new blocks for all ranges up to `additional` clusters behind
 * it that have none, and switches to it. Answers the first byte behind the table, or a negative errno.
 * @param exact no room for further growth
 */
export function makeRefcountArea(image: Qcow2Node, start: i64, additional: i64, exact: bool): i64 {
  image.file.event(DebugEvent.REFTABLE_GROW);
  const bits = image.clusterBits;
  const blocks = blocksFor(image, start + additional, !exact);
  let entries = exact ? blocks : blocks + ((blocks + 1) >> 1);
  const perCluster: i64 = image.clusterSize >> 3;
  const tableClusters = (max(entries, image.reftableUsed) + perCluster - 1) / perCluster;
  entries = tableClusters * perCluster;
  if (entries << 3 > MAX_REFTABLE_BYTES) return -Err.EFBIG;
  if ((start + additional + tableClusters + blocks) << bits > MAX_HOST) return -Err.EFBIG;

  const table = heap.alloc(<usize>(entries << 3));
  memory.fill(table, 0, <usize>(entries << 3));
  memory.copy(table, image.reftable, (<usize>image.reftableUsed) << 3);
  const end = writeArea(image, table, start, blocks, tableClusters);
  if (end < 0) {
    heap.free(table);
    return end;
  }
  const oldOffset = image.reftableOffset;
  const oldClusters = (((<i64>image.reftableEntries) << 3) + image.clusterSize - 1) >> bits;
  heap.free(image.reftable);
  image.reftable = table;
  image.reftableEntries = <i32>entries;
  image.reftableOffset = end - (tableClusters << bits);
  image.reftableUsed = <i32>entries;
  while (image.reftableUsed && !be64(table + ((<usize>(image.reftableUsed - 1)) << 3))) image.reftableUsed--;
  for (let i = 0; i < image.reftableUsed; i++) {
    const block = <i64>(be64(table + ((<usize>i) << 3)) & REFTABLE_MASK);
    if (block) noteMetadata(image, block);
  }
  // A failure leaks the old table, no more.
  changeRefcounts(image, oldOffset >> bits, oldClusters, false);
  return end;
}

/** Writes blocks and table, flushes, and switches the header. */
function writeArea(image: Qcow2Node, table: usize, start: i64, blocks: i64, tableClusters: i64): i64 {
  const bits = image.clusterBits;
  const perBlock: i64 = (<i64>1) << image.refblockBits;
  const firstBlock = start >> image.refblockBits;
  let next = start;
  for (let i = firstBlock; i < blocks; i++) {
    const at = table + ((<usize>i) << 3);
    if (!be64(at)) putBe64(at, next++ << bits);
  }
  const tableStart = next;
  const end = tableStart + tableClusters;
  let r = checkWrite(image, Meta.NONE, start << bits, (end - start) << bits);
  if (r < 0) return r;

  const block = heap.alloc(image.clusterSize);
  image.file.event(DebugEvent.REFBLOCK_ALLOC_WRITE_BLOCKS);
  for (let i = firstBlock; r === 0 && i < blocks; i++) {
    const offset = <i64>be64(table + ((<usize>i) << 3));
    const rangeStart = i << image.refblockBits;
    const from = max(start, rangeStart);
    const to = min(end, rangeStart + perBlock);
    if (offset >> bits < start || offset >> bits >= tableStart) {
      // An old block: it is changed through the cache, which is written below.
      if (from < to) r = changeRefcounts(image, from, to - from, true);
      continue;
    }
    memory.fill(block, 0, image.clusterSize);
    for (let c = from; c < to; c++) putRefcount(block, <i32>(c - rangeStart), image.refcountOrder, 1);
    r = image.file.pwrite(offset, image.clusterSize, block);
  }
  heap.free(block);
  if (r === 0) r = image.refs.write();
  image.file.event(DebugEvent.REFBLOCK_ALLOC_WRITE_TABLE);
  if (r === 0) r = image.file.pwrite(tableStart << bits, <i32>(tableClusters << bits), table);
  if (r === 0) r = image.file.pflush();
  if (r < 0) return r;

  const fields = heap.alloc(16);
  putBe64(fields, tableStart << bits);
  putBe32(fields + 8, <u32>tableClusters);
  image.file.event(DebugEvent.REFBLOCK_ALLOC_SWITCH_TABLE);
  r = image.file.pwrite(Field.REFTABLE_OFFSET, 12, fields);
  heap.free(fields);
  if (r === 0) r = image.file.pflush();
  return r < 0 ? r : end << bits;
}
