/**
 * An image that a program with lazy refcounts did not close: its counts may be wrong. They are counted anew from the
 * tables before anything is written. What is wrong beyond the counts is left to a full check: then the image is refused.
 */
import { Err } from '../../abi';
import { be64 } from '../../util/endian';
import { fail } from '../../util/errors';
import { compressedBytes, compressedOffset } from './allocate';
import { updateHeader } from './header';
import { Qcow2Node } from './image';
import { COMPRESSED, COPIED, DIRTY, OFFSET_MASK, REFTABLE_MASK, ZERO } from './layout';
import { changeRefcounts, loadRefcount, maxRefcount, refcount } from './refcount';

/** Host clusters that are counted at most; four bytes of memory each. */
const MAX_CLUSTERS: i64 = 1 << 26;

/** What was counted: a u32 for each cluster of the file. */
let counts: usize = 0;
let total: i64 = 0;

/** Counts anew, corrects what is stored, and clears the dirty bit. */
export function repairRefcounts(image: Qcow2Node): i32 {
  total = (image.file.size() + image.clusterSize - 1) >> image.clusterBits;
  if (total > MAX_CLUSTERS) return refuse();
  counts = heap.alloc((<usize>total) << 2);
  memory.fill(counts, 0, (<usize>total) << 2);
  const sound = countAll(image);
  const r = sound ? correct(image) : refuse();
  heap.free(counts);
  counts = 0;
  if (r < 0) {
    image.l2.clear();
    image.refs.clear();
    return r;
  }
  image.incompatible &= ~DIRTY;
  return updateHeader(image);
}

function refuse(): i32 {
  return fail(Err.EIO, 'Could not repair dirty image: Input/output error');
}

/** Counts the clusters of a range; false: it is not inside the file. */
function count(image: Qcow2Node, offset: i64, bytes: i64): bool {
  if (!bytes) return true;
  if (offset < 0 || bytes < 0) return false;
  const first = offset >> image.clusterBits;
  const last = (offset + bytes - 1) >> image.clusterBits;
  if (last >= total) return false;
  for (let i = first; i <= last; i++) {
    const at = counts + ((<usize>i) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  return true;
}

function countAll(image: Qcow2Node): bool {
  if (!count(image, 0, image.clusterSize)) return false;
  if (!countTables(image, image.l1, image.l1Size, image.l1Offset)) return false;
  for (let i = 0; i < image.snapshots; i++) {
    const at = image.snapshotTables + ((<usize>i) << 4);
    if (!countSnapshot(image, load<i64>(at), load<i64>(at, 8))) return false;
  }
  if (!count(image, image.snapshotsOffset, image.snapshotsBytes)) return false;
  if (!count(image, image.reftableOffset, (<i64>image.reftableEntries) << 3)) return false;
  for (let i = 0; i < image.reftableUsed; i++) {
    const entry = be64(image.reftable + ((<usize>i) << 3));
    const block = <i64>(entry & REFTABLE_MASK);
    if (!entry) continue;
    if (<u64>block !== entry || block & (image.clusterSize - 1)) return false;
    if (!count(image, block, image.clusterSize)) return false;
  }
  // The bits that say "this cluster is ours alone" must be true, or a write would go to a shared cluster.
  return checkCopied(image);
}

/** An L1 table of a snapshot. */
function countSnapshot(image: Qcow2Node, offset: i64, bytes: i64): bool {
  if (offset & (image.clusterSize - 1) || bytes > total << image.clusterBits) return false;
  const table = heap.alloc(<usize>bytes);
  let sound = image.file.pread(offset, <i32>bytes, table) === 0;
  if (sound) sound = countTables(image, table, <i32>(bytes >> 3), offset);
  heap.free(table);
  return sound;
}

/** An L1 table, its L2 tables and what these point to. */
function countTables(image: Qcow2Node, l1: usize, entries: i32, offset: i64): bool {
  if (!count(image, offset, (<i64>entries) << 3)) return false;
  for (let i = 0; i < entries; i++) {
    const table = <i64>(be64(l1 + ((<usize>i) << 3)) & OFFSET_MASK);
    if (!table) continue;
    if (table & (image.clusterSize - 1) || !count(image, table, image.clusterSize)) return false;
    for (let at: i64 = 0; at < image.clusterSize; at += image.sliceBytes) {
      const slice = image.l2.get(table + at);
      if (!slice || !countSlice(image, slice)) return false;
    }
  }
  return true;
}

function countSlice(image: Qcow2Node, slice: usize): bool {
  for (let at = 0; at < image.sliceBytes; at += 8) {
    const entry = be64(slice + at);
    if (!entry) continue;
    if (entry & COMPRESSED) {
      if (entry & COPIED) return false;
      if (!count(image, compressedOffset(image, entry), compressedBytes(image, entry))) return false;
      continue;
    }
    if (entry & ZERO && image.version < 3) return false;
    const host = <i64>(entry & OFFSET_MASK);
    if (!host) continue;
    if (host & (image.clusterSize - 1) || !count(image, host, image.clusterSize)) return false;
  }
  return true;
}


@inline
function counted(image: Qcow2Node, offset: i64): u32 {
  return load<u32>(counts + ((<usize>(offset >> image.clusterBits)) << 2));
}

/** No pointer of the active tables may claim for itself what is counted more than once. */
function checkCopied(image: Qcow2Node): bool {
  for (let i = 0; i < image.l1Size; i++) {
    const table = image.l2TableOffset(i);
    if (!table) continue;
    if (image.l1Entry(i) & COPIED && counted(image, table) !== 1) return false;
    for (let at: i64 = 0; at < image.clusterSize; at += image.sliceBytes) {
      const slice = image.l2.get(table + at);
      if (!slice) return false;
      for (let j = 0; j < image.sliceBytes; j += 8) {
        const entry = be64(slice + j);
        const host = <i64>(entry & OFFSET_MASK);
        if (!(entry & COMPRESSED) && entry & COPIED && host && counted(image, host) !== 1) return false;
      }
    }
  }
  return true;
}

/** Makes the stored counts what was counted. Leaks stay where bitmaps may own the clusters. */
function correct(image: Qcow2Node): i32 {
  const limit = maxRefcount(image.refcountOrder);
  // New blocks go behind all that is in use, whatever the counts say.
  const keepLeaks = image.bitmaps !== null;
  const clusters = total;
  for (let i: i64 = 0; i < clusters; i++) {
    const wanted: u64 = load<u32>(counts + ((<usize>i) << 2));
    if (wanted > limit) return refuse();
    let r = loadRefcount(image, i);
    if (r < 0) return r;
    if (refcount > wanted + 0xffff) return refuse();
    while (refcount !== wanted) {
      const up = refcount < wanted;
      if (!up && keepLeaks) break;
      image.freeIndex = clusters;
      r = changeRefcounts(image, i, 1, up);
      if (r < 0 && r !== -Err.EAGAIN) return r;
      r = loadRefcount(image, i);
      if (r < 0) return r;
    }
  }
  image.freeIndex = 0;
  const r = image.refs.write();
  return r < 0 ? r : image.file.pflush();
}
