/** Guest writes: in place where a cluster is ours alone, else into new clusters with what was there before around it. */
import { DebugEvent, Err } from '../../../abi';
import { mapBytes, Place } from '../../../block/mapped';
import { be64, putBe64 } from '../../../util/endian';
import { hash } from '../../../util/errors';
import { allocateAt, allocateClusters, freeClusters, freeEntry } from '../refcounts/allocate';
import { signalCorruption } from '../corruption';
import { checkExternalEntry } from './datafile';
import { writeCipher } from './encrypted';
import { Qcow2Node } from '../image';
import { COMPRESSED, COPIED, OFFSET_MASK, ZERO } from '../layout';
import { orderAfterCounts } from '../refcounts/lazy';
import { checkWrite, Meta } from '../overlap';
import { writableTable } from '../mapping/tables';
import {
  allAllocated,
  badBitmap,
  bitmapWith,
  copyEnd,
  copyStart,
  SUBCLUSTER_BITS,
  validBitmap,
} from '../mapping/subclusters';
import { l1IndexOf, l2IndexOf, loadSlice, sliceOffset, translate } from '../mapping/translate';

/** Clusters that one step allocates at most. */
const MAX_STEP: i32 = 1024;
/** Pieces up to this size are put together with what is copied, and written in one request. Bytes. */
const JOIN_BYTES: i32 = 262144;

/** Whether an entry has a cluster that is its alone. */
@inline
function isOwn(image: Qcow2Node, entry: u64): bool {
  return (entry & (COPIED | COMPRESSED)) === COPIED && (entry & image.presentMask) !== 0;
}

/** How a cluster takes a write. */
const enum Way {
  /** Data of our own: in place. */
  IN_PLACE = 0,
  /** A kept place that reads as zeros: the place is used again. */
  REUSE = 1,
  ALLOCATE = 2,
}


@inline
function wayOf(image: Qcow2Node, entry: u64): i32 {
  if (!isOwn(image, entry)) return Way.ALLOCATE;
  // In a data file each cluster has its place: there are none to be taken.
  if (image.external && entry & ZERO) return Way.ALLOCATE;
  return entry & ZERO ? Way.REUSE : Way.IN_PLACE;
}

/** Writes a range that lies in the disk. */
export function writeGuest(image: Qcow2Node, offset: i64, bytes: i32, from: usize): i32 {
  image.nextHost = -1;
  while (bytes > 0) {
    const n = writeStep(image, offset, bytes, from);
    if (n < 0) return n;
    offset += n;
    from += n;
    bytes -= n;
  }
  return 0;
}

/** Writes a prefix of the range; answers its bytes or a negative errno. */
function writeStep(image: Qcow2Node, offset: i64, bytes: i32, from: usize): i32 {
  const l1Index = l1IndexOf(image, offset);
  if (l1Index >= image.l1Size) return -Err.EIO;
  const table = writableTable(image, l1Index);
  if (table < 0) return <i32>table;
  const l2Index = l2IndexOf(image, offset);
  const slice = loadSlice(image, table, l2Index);
  if (!slice) return image.l2.error;

  const size = image.clusterSize;
  const inside = <i32>(offset & (size - 1));
  const first = l2Index & ((1 << image.sliceBits) - 1);
  const at = slice + ((<usize>first) << image.entryShift);
  const entry = be64(at);
  const r = checkOwn(image, entry, offset, table, l2Index);
  if (r < 0) return r;
  const way = wayOf(image, entry);
  const host = <i64>(entry & OFFSET_MASK);

  // The run of clusters that take the write in the same way.
  const room = (1 << image.sliceBits) - first;
  const most = min(min(room, MAX_STEP), <i32>((<i64>inside + bytes + size - 1) >> image.clusterBits));
  if (image.extended) return writeExtended(image, table, l2Index, at, most, offset, bytes, from);
  let n = 1;
  if (way === Way.ALLOCATE) {
    while (n < most && wayOf(image, be64(slice + ((<usize>(first + n)) << 3))) === Way.ALLOCATE) n++;
  } else {
    const flags = entry & ~OFFSET_MASK;
    while (n < most) {
      const e = be64(slice + ((<usize>(first + n)) << 3));
      if ((e & OFFSET_MASK) !== <u64>(host + ((<i64>n) << image.clusterBits)) || (e & ~OFFSET_MASK) !== flags)
        break;
      n++;
    }
  }
  const length = <i32>min<i64>(bytes, ((<i64>n) << image.clusterBits) - inside);
  if (way === Way.IN_PLACE) {
    const code = writeData(image, offset, host + inside, length, from, DebugEvent.WRITE_AIO);
    return code < 0 ? code : length;
  }
  const own = image.external ? offset - inside : way === Way.REUSE ? host : -1;
  return writeNew(image, table, l2Index, own, n, offset, length, from);
}

/** The same by extended entries, of which at `at` there are `most`: in place are written whole runs of our clusters. */
function writeExtended(
  image: Qcow2Node,
  table: i64,
  l2Index: i32,
  at: usize,
  most: i32,
  offset: i64,
  bytes: i32,
  from: usize,
): i32 {
  const entry = be64(at);
  const host = <i64>(entry & OFFSET_MASK);
  if (!validBitmap(image, entry, be64(at + 8))) return badBitmap(image, table, l2Index, ' ');
  const own = isOwn(image, entry);
  let n = 1;
  for (; n < most; n++) {
    const next = at + ((<usize>n) << 4);
    const e = be64(next);
    if (isOwn(image, e) !== own || !validBitmap(image, e, be64(next + 8))) break;
    if (own && <i64>(e & OFFSET_MASK) !== host + ((<i64>n) << image.clusterBits)) break;
  }
  const size = image.clusterSize;
  const inside = <i32>(offset & (size - 1));
  const length = <i32>min<i64>(bytes, ((<i64>n) << image.clusterBits) - inside);
  if (own && allAllocated(image, at, n, inside, inside + length)) {
    const code = writeData(image, offset, host + inside, length, from, DebugEvent.WRITE_AIO);
    return code < 0 ? code : length;
  }
  const reused = image.external ? offset - inside : own ? host : -1;
  return writeNew(image, table, l2Index, reused, n, offset, length, from);
}

/** Checks an entry that a write is to go to or to replace. */
function checkOwn(image: Qcow2Node, entry: u64, offset: i64, table: i64, l2Index: i32): i32 {
  if (image.external) {
    const r = checkExternalEntry(image, entry, offset & ~(<i64>image.clusterSize - 1), table, l2Index);
    if (r < 0) return r;
  }
  if (entry & COMPRESSED) return 0;
  const host = <i64>(entry & OFFSET_MASK);
  if (entry & ZERO && image.version < 3) {
    const where = `L2 offset: ${hash(table)}, L2 index: ${hash(l2Index)})`;
    signalCorruption(image, true, -1, -1, 'Zero cluster entry found in pre-v3 image (' + where);
    return -Err.EIO;
  }
  if (!(host & (image.clusterSize - 1))) return 0;
  const kind = entry & ZERO && !image.extended ? 'Preallocated zero' : 'Data';
  const where = `cluster offset ${hash(host)} unaligned (guest offset: ${hash(offset)})`;
  signalCorruption(image, true, -1, -1, `${kind} ${where}`);
  return -Err.EIO;
}

/** Writes what the disk holds from `offset` on to its place in the file. */
@inline
function writeData(image: Qcow2Node, offset: i64, host: i64, bytes: i32, from: usize, event: i32): i32 {
  if (!image.external) {
    const r = checkWrite(image, Meta.NONE, host, bytes);
    if (r < 0) return r;
  }
  image.file.event(event);
  const cipher = image.cipher;
  return cipher
    ? writeCipher(image, cipher, offset, host, bytes, from)
    : image.storage.pwrite(host, bytes, from);
}

/**
 * Writes into `n` clusters that are to become the guest's: data, what was there around it, then the L2 entries.
 * @param reused their place, if it is theirs already; -1: they are allocated
 */
function writeNew(
  image: Qcow2Node,
  table: i64,
  l2Index: i32,
  reused: i64,
  n: i32,
  offset: i64,
  bytes: i32,
  from: usize,
): i32 {
  const mask = image.clusterSize - 1;
  const inside = (<i32>offset) & mask;
  let host = reused;
  if (host < 0) {
    if (image.nextHost >= 0) {
      const got = allocateAt(image, image.nextHost, n);
      if (got < 0) return <i32>got;
      if (got) {
        host = image.nextHost;
        n = <i32>got;
      }
    }
    if (host < 0) {
      host = allocateClusters(image, n);
      if (host < 0) return <i32>host;
    }
    bytes = <i32>min<i64>(bytes, ((<i64>n) << image.clusterBits) - inside);
  }
  image.nextHost = host + ((<i64>n) << image.clusterBits);

  let head = inside;
  let tail = -(inside + bytes) & mask;
  let r = 0;
  if (image.extended) {
    const slice = loadSlice(image, table, l2Index);
    if (slice) {
      const at = slice + ((<usize>(l2Index & ((1 << image.sliceBits) - 1))) << 4);
      const last = ((inside + bytes - 1) & mask) + 1;
      head -= copyStart(image, at, inside, reused >= 0);
      tail = copyEnd(image, at + ((<usize>(n - 1)) << 4), last, reused >= 0) - last;
    } else {
      r = image.l2.error;
    }
  }
  if (r === 0) r = fillClusters(image, host + inside, head, tail, offset, bytes, from);
  if (r === 0) {
    const end = (inside + bytes + tail - 1) >> image.subclusterBits;
    const start = (inside - head) >> image.subclusterBits;
    r = linkClusters(image, table, l2Index, host, n, reused >= 0, start, end + 1);
  }
  if (r < 0) {
    if (reused < 0) freeClusters(image, host, n);
    return r;
  }
  return bytes;
}

/**
 * Writes the data, and before and behind it what the guest saw there.
 * @param host where the data goes
 * @param head bytes before it
 * @param tail bytes behind it
 */
function fillClusters(
  image: Qcow2Node,
  host: i64,
  head: i32,
  tail: i32,
  offset: i64,
  bytes: i32,
  from: usize,
): i32 {
  if (!head && !tail) return writeData(image, offset, host, bytes, from, DebugEvent.WRITE_AIO);

  const end = offset + bytes;
  const headZero = !head || readsZero(image, offset - head, head);
  const tailZero = !tail || readsZero(image, end, tail);
  // Behind the end of the file all is zero already, unless it is to be decrypted.
  if (headZero && tailZero && !image.encrypted && host - head >= image.storage.size()) {
    image.file.event(DebugEvent.CLUSTER_ALLOC_SPACE);
    return writeData(image, offset, host, bytes, from, DebugEvent.WRITE_AIO);
  }

  if (head + bytes + tail <= max(JOIN_BYTES, image.clusterSize)) {
    const all = image.copied.get(head + bytes + tail);
    let r = readOld(image, offset - head, head, headZero, all);
    if (r === 0) r = readOld(image, end, tail, tailZero, all + head + bytes);
    if (r < 0) return r;
    memory.copy(all + head, from, bytes);
    image.l2.dependOnFlush();
    return writeData(image, offset - head, host - head, head + bytes + tail, all, DebugEvent.WRITE_AIO);
  }
  let r = copyOld(image, offset - head, head, headZero, host - head);
  if (r === 0) r = writeData(image, offset, host, bytes, from, DebugEvent.WRITE_AIO);
  if (r === 0) r = copyOld(image, end, tail, tailZero, host + bytes);
  image.l2.dependOnFlush();
  return r;
}

/** Whether a range within one cluster holds nothing but zeros, as far as its tables tell. */
function readsZero(image: Qcow2Node, offset: i64, bytes: i32): bool {
  const place = translate(image, offset, bytes);
  if (place < 0 || mapBytes < bytes) return false;
  if (place === Place.ZERO || place === Place.ZERO_AT) return true;
  if (place !== Place.UNALLOCATED && place !== Place.UNALLOCATED_AT) return false;
  const backing = image.backing;
  return !backing || offset >= backing.size();
}

function readOld(image: Qcow2Node, offset: i64, bytes: i32, zero: bool, to: usize): i32 {
  if (!bytes) return 0;
  if (!zero) {
    image.file.event(DebugEvent.COW_READ);
    return image.readMapped(offset, bytes, to);
  }
  memory.fill(to, 0, bytes);
  return 0;
}

function copyOld(image: Qcow2Node, offset: i64, bytes: i32, zero: bool, host: i64): i32 {
  if (!bytes) return 0;
  const scratch = image.copied.get(bytes);
  const r = readOld(image, offset, bytes, zero, scratch);
  return r < 0 ? r : writeData(image, offset, host, bytes, scratch, DebugEvent.COW_WRITE);
}

/**
 * Points `n` L2 entries to new clusters (none of them beyond the slice of `l2Index`), and takes a reference from what
 * they pointed to. Nothing is written yet, but the order is laid down: refcounts first.
 * @param from subclusters [from, to), counted from the first cluster on, become allocated, in an image that has such
 */
export function linkClusters(
  image: Qcow2Node,
  table: i64,
  l2Index: i32,
  host: i64,
  n: i32,
  sameClusters: bool,
  from: i32,
  to: i32,
): i32 {
  if (image.external) {
    // What is in the data file before the write may be anything: the entry must not get ahead of the data.
    image.l2.dependOnFlush();
  } else if (!sameClusters) {
    const r = orderAfterCounts(image);
    if (r < 0) return r;
  }
  const slice = loadSlice(image, table, l2Index);
  if (!slice) return image.l2.error;
  const first = l2Index & ((1 << image.sliceBits) - 1);
  const shift = image.entryShift;
  const at = slice + ((<usize>first) << shift);
  const oldEntries = image.replaced.get(n << shift);
  memory.copy(oldEntries, at, (<usize>n) << shift);
  for (let i = 0; i < n; i++) {
    const entry = at + ((<usize>i) << shift);
    if (image.extended) {
      const first = i << SUBCLUSTER_BITS;
      putBe64(entry + 8, bitmapWith(be64(entry), be64(entry + 8), from - first, to - first));
    }
    putBe64(entry, (<u64>(host + ((<i64>i) << image.clusterBits))) | COPIED);
  }
  image.l2.touch(sliceOffset(image, table, l2Index), first << shift, (first + n) << shift);
  if (sameClusters) return 0;
  for (let i = 0; i < n; i++) {
    const old = be64(oldEntries + ((<usize>i) << shift));
    if (old & (COMPRESSED | OFFSET_MASK)) freeEntry(image, old, false);
  }
  return 0;
}
