/** The part of a check that compares what was counted with what is stored, and corrects what is stored. */
import { CheckFix, Err } from '../../../abi';
import { corrupted } from '../../../host';
import { be64 } from '../../../util/endian';
import { hash } from '../../../util/errors';
import { Check, STEP_ENTRIES, STEP_FINDINGS } from './check';
import { Qcow2Node } from '../image';
import { REFTABLE_MASK } from '../layout';
import { getRefcount, putRefcount } from '../refcounts/refcount';

/** Why a stored count could not be read, or 0. */
let failure: i32 = 0;

/** Offset of the block that describes a cluster; 0: none, or see `failure`. */
function blockOf(check: Check, cluster: i64): i64 {
  const image = check.image;
  failure = 0;
  const index = cluster >> image.refblockBits;
  if (index >= image.reftableUsed) return 0;
  const offset = <i64>(be64(image.reftable + ((<usize>index) << 3)) & REFTABLE_MASK);
  if (!(offset & (image.clusterSize - 1))) return offset;
  failure = -Err.EIO;
  if (!check.unalignedTold) {
    // A check goes on: the image is not marked, and the repair makes the structure anew.
    check.unalignedTold = true;
    const text = `Refblock offset ${hash(offset)} unaligned (reftable index: ${hash(index)})`;
    corrupted(image.handle, changetype<usize>(text), text.length, -1, -1, 0);
  }
  return 0;
}

/** The stored count of a cluster. */
export let stored: u64 = 0;

/** Puts the stored count of a cluster into {@link stored}; answers a negative errno if it cannot be read. */
export function loadStored(check: Check, cluster: i64): i32 {
  stored = 0;
  const offset = blockOf(check, cluster);
  if (!offset) return failure;
  const image = check.image;
  const block = image.refs.get(offset);
  if (!block) return image.refs.error;
  stored = getRefcount(block, indexIn(image, cluster), image.refcountOrder);
  return 0;
}


@inline
function indexIn(image: Qcow2Node, cluster: i64): i32 {
  return <i32>(cluster & (((<i64>1) << image.refblockBits) - 1));
}

function storeCount(check: Check, cluster: i64, value: u64): i32 {
  const image = check.image;
  const offset = blockOf(check, cluster);
  if (!offset) return failure < 0 ? failure : -Err.EINVAL;
  const block = image.refs.get(offset);
  if (!block) return image.refs.error;
  const index = indexIn(image, cluster);
  const order = image.refcountOrder;
  putRefcount(block, index, order, value);
  image.refs.touch(offset, (index << order) >> 3, (((index + 1) << order) + 7) >> 3);
  image.freeIndex = 0;
  image.freeByte = 0;
  return 0;
}

/** Compares on, from `at` on; 0: the end. */
export function stepCompare(check: Check, fix: i32): i32 {
  const image = check.image;
  // The header is always there.
  if (!check.at) check.endCluster = 1;
  const clusters = check.counts.clusters;
  const perBlock: i64 = (<i64>1) << image.refblockBits;
  let left = STEP_ENTRIES;
  while (check.at < clusters) {
    if (check.told >= STEP_FINDINGS || left-- <= 0) return 1;
    const cluster = check.at;
    const offset = blockOf(check, cluster);
    const block = offset ? image.refs.get(offset) : 0;
    const r = offset && !block ? image.refs.error : failure;
    if (r === -Err.EAGAIN) return r;
    if (check.counts.emptyPage(cluster)) {
      // Nothing is counted up to the end of the page: only what is stored in the block's range matters.
      const end = min(check.counts.pageEnd(cluster), (cluster | (perBlock - 1)) + 1);
      const next = block ? firstStored(image, block, cluster, end) : end;
      if (r >= 0) tellUnread(check);
      else if (check.unreadFrom < 0) check.unreadFrom = cluster;
      check.at = next;
      if (next > cluster) continue;
    }
    tellUnread(check);
    check.at++;
    if (r < 0) {
      check.unreadFrom = cluster;
      tellUnread(check);
      continue;
    }
    const value: u64 = block ? getRefcount(block, indexIn(image, cluster), image.refcountOrder) : 0;
    const wanted: u64 = check.counts.get(cluster);
    if (value || wanted) check.endCluster = cluster + 1;
    if (value !== wanted) differ(check, cluster, value, wanted, fix);
  }
  tellUnread(check);
  return fix ? image.refs.write() : 0;
}

/** The first cluster from `cluster` on that may have a stored count, `end` at the latest. */
function firstStored(image: Qcow2Node, block: usize, cluster: i64, end: i64): i64 {
  const order = image.refcountOrder;
  const perWord: i64 = 64 >> order;
  while (cluster < end) {
    const word = block + ((((<usize>indexIn(image, cluster)) << order) >> 3) & ~7);
    if (load<u64>(word)) return cluster;
    cluster = (cluster | (perWord - 1)) + 1;
  }
  return min(cluster, end);
}

/**
 * Tells of the clusters in front of the current one whose counts could not be read. Where nothing refers to them they are
 * one line together: damage says how many they are, and it may say 2^31.
 */
function tellUnread(check: Check): void {
  const first = check.unreadFrom;
  if (first < 0) return;
  check.unreadFrom = -1;
  const count = check.at - first;
  const which = count > 1 ? `clusters ${first} to ${check.at - 1}` : `cluster ${first}`;
  check.tell(`Can't get refcount for ${which}: Input/output error`);
  check.errors += count;
  check.readErrors += count;
}

function differ(check: Check, cluster: i64, value: u64, wanted: u64, fix: i32): void {
  const leaked = value > wanted;
  if (!value) check.rebuild = true;
  const repair = value !== 0 && (fix & (leaked ? CheckFix.LEAKS : CheckFix.ERRORS)) !== 0;
  const what = repair ? 'Repairing' : leaked ? 'Leaked' : 'ERROR';
  check.tell(`${what} cluster ${cluster} refcount=${value} reference=${wanted}`);
  if (repair && storeCount(check, cluster, wanted) === 0) {
    if (leaked) check.leaksFixed++;
    else check.corruptionsFixed++;
    const image = check.image;
    if (!wanted) image.file.pdiscard(cluster << image.clusterBits, image.clusterSize);
    return;
  }
  if (leaked) {
    check.leaks++;
  } else {
    check.corruptions++;
    check.countErrors++;
  }
}
