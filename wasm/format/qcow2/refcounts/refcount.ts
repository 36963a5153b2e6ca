/** Reference counts: looking them up, changing them, and the blocks they are kept in. */
import { DebugEvent, Err } from '../../../abi';
import { be16, be32, be64, putBe16, putBe32, putBe64 } from '../../../util/endian';
import { hash } from '../../../util/errors';
import { findFree } from './allocate';
import { signalCorruption } from '../corruption';
import { Qcow2Node } from '../image';
import { REFTABLE_MASK } from '../layout';
import { checkWrite, Meta, noteMetadata } from '../overlap';
import { growReftable } from './reftable';

/** What {@link loadRefcount} found. */
export let refcount: u64 = 0;

/** Entry `index` of a refcount block with entries of 2^order bits; narrow ones start at the low end of a byte. */
export function getRefcount(block: usize, index: i32, order: i32): u64 {
  switch (order) {
    case 0:
    case 1:
    case 2: {
      const bit = index << order;
      const width = 1 << order;
      return <u64>(((<i32>load<u8>(block + (bit >> 3))) >> (bit & 7)) & ((1 << width) - 1));
    }
    case 3:
      return load<u8>(block + index);
    case 4:
      return be16(block + ((<usize>index) << 1));
    case 5:
      return be32(block + ((<usize>index) << 2));
    default:
      return be64(block + ((<usize>index) << 3));
  }
}

/** Sets entry `index`; see {@link getRefcount}. */
export function putRefcount(block: usize, index: i32, order: i32, value: u64): void {
  switch (order) {
    case 0:
    case 1:
    case 2: {
      const bit = index << order;
      const mask = ((1 << (1 << order)) - 1) << (bit & 7);
      const at = block + (bit >> 3);
      store<u8>(at, <u8>((load<u8>(at) & ~mask) | (((<i32>value) << (bit & 7)) & mask)));
      break;
    }
    case 3:
      store<u8>(block + index, <u8>value);
      break;
    case 4:
      putBe16(block + ((<usize>index) << 1), <u32>value);
      break;
    case 5:
      putBe32(block + ((<usize>index) << 2), <u32>value);
      break;
    default:
      putBe64(block + ((<usize>index) << 3), value);
  }
}

/** The largest count that entries of 2^order bits hold. */
export function maxRefcount(order: i32): u64 {
  return order === 6 ? u64.MAX_VALUE : ((<u64>1) << (1 << order)) - 1;
}

/** Offset of the block that describes a cluster; 0: there is none, < 0: an error. */
export function refblockOffset(image: Qcow2Node, cluster: i64): i64 {
  const index = cluster >> image.refblockBits;
  if (index >= image.reftableUsed) return 0;
  const offset = <i64>(be64(image.reftable + ((<usize>index) << 3)) & REFTABLE_MASK);
  if (offset & (image.clusterSize - 1)) {
    const where = `${hash(offset)} unaligned (reftable index: ${hash(index)})`;
    signalCorruption(image, true, -1, -1, 'Refblock offset ' + where);
    return -Err.EIO;
  }
  return offset;
}

/** Puts the count of a cluster into {@link refcount}; answers 0 or a negative errno. */
export function loadRefcount(image: Qcow2Node, cluster: i64): i32 {
  refcount = 0;
  const offset = refblockOffset(image, cluster);
  if (offset <= 0) return <i32>offset;
  const block = image.refs.get(offset);
  if (!block) return image.refs.error;
  const index = <i32>(cluster & (((<i64>1) << image.refblockBits) - 1));
  refcount = getRefcount(block, index, image.refcountOrder);
  return 0;
}

/**
 * Adds 1 to, or takes 1 from, the counts of clusters [first, first + n). All or nothing.
 * EAGAIN: a refcount block had to be made, which may have taken a cluster of the range; choose again.
 */
export function changeRefcounts(image: Qcow2Node, first: i64, n: i64, up: bool): i32 {
  if (!up) {
    // A count goes down on disk only after the pointer is gone from it.
    const r = image.refs.depend(image.l2);
    if (r < 0) return r;
  }
  const done = change(image, first, n, up);
  if (done === n) return 0;
  const code = failure;
  if (done > 0) change(image, first, done, !up);
  return code;
}

let failure: i32 = 0;

/** Answers for how many clusters it was done; if not for all, `failure` says why. */
function change(image: Qcow2Node, first: i64, n: i64, up: bool): i64 {
  const order = image.refcountOrder;
  const limit = maxRefcount(order);
  const perBlock: i64 = (<i64>1) << image.refblockBits;
  let done: i64 = 0;
  while (done < n) {
    const cluster = first + done;
    image.file.event(DebugEvent.REFBLOCK_ALLOC);
    const offset = refblockOffset(image, cluster);
    if (offset <= 0) {
      if (offset < 0) failure = <i32>offset;
      else failure = up ? makeRefblock(image, cluster) : -Err.EINVAL;
      return done;
    }
    const block = image.refs.get(offset);
    if (!block) {
      failure = image.refs.error;
      return done;
    }
    let index = <i32>(cluster & (perBlock - 1));
    const stop = <i32>min(perBlock, n - done + index);
    const start = index;
    for (; index < stop; index++) {
      const value = getRefcount(block, index, order);
      if (up ? value >= limit : value === 0) break;
      const next = up ? value + 1 : value - 1;
      putRefcount(block, index, order, next);
      if (!next) {
        const freed = cluster + (index - start);
        image.freeIndex = min(image.freeIndex, freed);
        // Whoever takes the cluster next has all of it.
        if (image.freeByte >> image.clusterBits === freed) image.freeByte = 0;
      }
    }
    if (index > start) {
      const from = (start << order) >> 3;
      const to = ((index << order) + 7) >> 3;
      image.refs.touch(offset, from, to);
      done += index - start;
    }
    if (index < stop) {
      failure = -Err.EINVAL;
      return done;
    }
  }
  return done;
}

/** Makes the block that describes `cluster`. Answers EAGAIN when that was done. */
function makeRefblock(image: Qcow2Node, cluster: i64): i32 {
  const tableIndex = cluster >> image.refblockBits;
  if (tableIndex >= image.reftableEntries) {
    const r = growReftable(image, tableIndex);
    return r < 0 ? r : -Err.EAGAIN;
  }
  let r = image.l2.write();
  if (r < 0) return r;
  const offset = findFree(image, 1);
  if (offset < 0) return <i32>offset;
  if (!offset) {
    signalCorruption(image, true, -1, -1, 'Preventing invalid allocation of refcount block at offset 0');
    return -Err.EIO;
  }
  const own = offset >> image.clusterBits;
  const describesItself = own >> image.refblockBits === tableIndex;
  if (!describesItself) {
    // Its own count is kept elsewhere and must be on disk before the block is linked.
    r = changeRefcounts(image, own, 1, true);
    if (r < 0) return r;
    r = image.refs.write();
    if (r < 0) return r;
  }
  r = checkWrite(image, Meta.NONE, offset, image.clusterSize);
  if (r < 0) return r;
  const block = image.refs.create(offset);
  if (!block) return image.refs.error;
  if (describesItself) {
    const index = <i32>(own & (((<i64>1) << image.refblockBits) - 1));
    putRefcount(block, index, image.refcountOrder, 1);
  }
  image.file.event(DebugEvent.REFBLOCK_ALLOC_WRITE);
  r = image.refs.write();
  if (r === 0) r = image.file.pflush();
  if (r < 0) return r;

  const at = image.reftable + ((<usize>tableIndex) << 3);
  putBe64(at, offset);
  const tableAt = image.reftableOffset + (tableIndex << 3);
  r = checkWrite(image, Meta.REFTABLE, tableAt, 8);
  image.file.event(DebugEvent.REFBLOCK_ALLOC_HOOKUP);
  if (r === 0) r = image.file.pwrite(tableAt, 8, at);
  if (r === 0) r = image.file.pflush();
  if (r < 0) {
    putBe64(at, 0);
    return r;
  }
  image.reftableUsed = max(image.reftableUsed, <i32>tableIndex + 1);
  noteMetadata(image, offset);
  return -Err.EAGAIN;
}
