/** Changing the size of the disk. */
import { Err, Preallocation } from '../../../abi';
import { putBe64 } from '../../../util/endian';
import { fail, prefixError } from '../../../util/errors';
import { allocateAt, allocateClusters, freeClusters } from '../refcounts/allocate';
import { isRaw, resizeData } from '../data/datafile';
import { Qcow2Node } from '../image';
import { Field } from '../layout';
import { writeCaches } from '../lifetime';
import { makeRefcountArea } from '../refcounts/reftable';
import { MAX_STEPS } from '../preallocation';
import { loadRefcount, refblockOffset, refcount } from '../refcounts/refcount';
import { growL1, unlinkTables, writableTable } from '../mapping/tables';
import { bytesInTable, l1IndexOf, l2IndexOf } from '../mapping/translate';
import { linkClusters } from '../data/write';
import { discardClusters } from '../data/zero';

/** Clusters that one step of preallocation links at most. */
const MAX_STEP: i64 = 1024;

/** Sets the size of the disk, in bytes. */
export function resize(image: Qcow2Node, size: i64, preallocation: i32): i32 {
  if (size & 511) return fail(Err.EINVAL, 'The new size must be a multiple of 512');
  if (image.snapshots && image.version < 3) {
    return fail(Err.ENOTSUP, "Can't resize a v2 image which has snapshots");
  }
  const old = image.length;
  image.preallocated = -1;
  if (size < old) {
    if (preallocation !== Preallocation.OFF) {
      return fail(Err.EINVAL, "Preallocation can't be used for shrinking an image");
    }
    return shrink(image, size);
  }
  return grow(image, size, preallocation);
}

/** Writes the size into the header. */
function writeSize(image: Qcow2Node, size: i64): i32 {
  const field = heap.alloc(8);
  putBe64(field, size);
  let r = image.file.pwrite(Field.SIZE, 8, field);
  heap.free(field);
  if (r === 0) r = image.file.pflush();
  return r < 0 ? prefixError(r, 'Failed to update the image size: ') : 0;
}

function tablesFor(image: Qcow2Node, size: i64): i64 {
  const bits = image.clusterBits + image.l2Bits;
  return (size >> bits) + (size & (((<i64>1) << bits) - 1) ? 1 : 0);
}

function grow(image: Qcow2Node, size: i64, preallocation: i32): i32 {
  const old = image.length;
  const external = image.external !== null;
  // All of a data file that is readable as the disk is data.
  if (external && isRaw(image)) preallocation = max<i32>(preallocation, Preallocation.METADATA);
  let r = growL1(image, tablesFor(image, size));
  if (r < 0) return prefixError(r, 'Failed to grow the L1 table: ');
  if (external && preallocation === Preallocation.OFF) r = resizeData(image, size, false, preallocation);
  else if (external || preallocation === Preallocation.METADATA) {
    r = preallocateMetadata(image, old, size, preallocation);
  } else if (preallocation !== Preallocation.OFF) r = preallocateData(image, old, size, preallocation);
  if (r < 0) return r;

  image.length = size;
  const backing = image.backing;
  if (preallocation === Preallocation.OFF && backing && old < size && old < backing.size()) {
    // What was behind the end must not show the backing node's data now.
    r = image.pzero(old, min(size, backing.size()) - old, 0);
    if (r < 0) {
      image.length = old;
      return prefixError(r, 'Failed to zero out new area: ');
    }
  }
  r = writeCaches(image);
  if (r === 0) r = image.file.pflush();
  if (r === 0) r = writeSize(image, size);
  if (r < 0) image.length = old;
  return r;
}

/** Allocates and links all clusters of a new area; the file is made long enough at the end. */
function preallocateMetadata(image: Qcow2Node, start: i64, end: i64, mode: i32): i32 {
  const mask: i64 = image.clusterSize - 1;
  const external = image.external !== null;
  // What a raw data file holds is the disk: also of a cluster that was there in part.
  let offset = external && isRaw(image) ? start & ~mask : (start + mask) & ~mask;
  let last: i64 = 0;
  const unit: i64 = 1 << image.subclusterBits;
  while (offset < end) {
    const l1Index = l1IndexOf(image, offset);
    const table = writableTable(image, l1Index);
    if (table < 0) return <i32>table;
    const n = stepClusters(image, offset, end);
    const host = external ? offset : allocateClusters(image, n);
    if (host < 0) return <i32>host;
    const r = linkClusters(image, table, l2IndexOf(image, offset), host, <i32>n, external, 0, 0);
    if (r < 0) {
      if (!external) freeClusters(image, host, n);
      return r;
    }
    // The file ends with the last subcluster of the disk.
    last = host + min(n << image.clusterBits, ((end + unit - 1) & -unit) - offset);
    offset += n << image.clusterBits;
  }
  if (external)
    return resizeData(image, last, true, mode === Preallocation.METADATA ? Preallocation.OFF : mode);
  if (last > image.file.size()) return image.file.ptruncate(last, Preallocation.OFF);
  return 0;
}

/** How many clusters from `offset` on can be linked in one step. */
function stepClusters(image: Qcow2Node, offset: i64, end: i64): i64 {
  const slice: i64 = 1 << image.sliceBits;
  const left = (min(end - offset, bytesInTable(image, offset)) + image.clusterSize - 1) >> image.clusterBits;
  return min(min(left, MAX_STEP), slice - (l2IndexOf(image, offset) & (slice - 1)));
}

/** As {@link preallocateMetadata}, with all data in one area of the file that has its storage. */
function preallocateData(image: Qcow2Node, start: i64, end: i64, mode: i32): i32 {
  const mask: i64 = image.clusterSize - 1;
  const bits = image.clusterBits;
  let offset = (start + mask) & ~mask;
  const clusters = ((end + mask) & ~mask) - offset;
  let n = clusters >> bits;
  const tables = (n + (1 << image.l2Bits) - 1) >> image.l2Bits;
  const fileEnd = (image.file.size() + mask) & ~mask;
  // Counts come first, so that nothing is put into the middle of the data.
  const area = makeRefcountArea(image, fileEnd >> bits, n + tables, true);
  if (area < 0) return prefixError(<i32>area, 'Failed to resize refcount structures: ');
  const got = allocateAt(image, area, n);
  if (got < 0) return prefixError(<i32>got, 'Failed to allocate data clusters: ');
  if (got < n) {
    freeClusters(image, area, got);
    return fail(Err.EIO, 'Failed to allocate data clusters');
  }
  let r = image.file.ptruncate(area, Preallocation.OFF);
  if (r === 0) r = image.file.ptruncate(area + (n << bits), mode);
  if (r < 0) {
    freeClusters(image, area, n);
    return prefixError(r, 'Failed to resize underlying file: ');
  }
  let host = area;
  while (n > 0) {
    const table = writableTable(image, l1IndexOf(image, offset));
    const step = min(stepClusters(image, offset, end), n);
    r =
      table < 0
        ? <i32>table
        : linkClusters(image, table, l2IndexOf(image, offset), host, <i32>step, false, 0, 0);
    if (r < 0) {
      freeClusters(image, host, n);
      return prefixError(r, 'Failed to update L2 tables: ');
    }
    host += step << bits;
    offset += step << bits;
    n -= step;
  }
  return 0;
}

function shrink(image: Qcow2Node, size: i64): i32 {
  const mask: i64 = image.clusterSize - 1;
  const old = image.length;
  const entries = <i32>tablesFor(image, size);
  const rest = min(old, (size + mask) & ~mask) - size;
  // The cluster that the new end cuts must not show old data if the disk grows again.
  let r = rest ? image.pzero(size, rest, 0) : 0;
  if (r === 0) r = discardClusters(image, (size + mask) & ~mask, (old + mask) & ~mask, true);
  if (r < 0) return prefixError(r, 'Failed to discard cropped clusters: ');
  r = writeCaches(image);
  if (r === 0) r = image.file.pflush();
  if (r === 0) r = unlinkTables(image, entries);
  if (r < 0) return prefixError(r, 'Failed to reduce the number of L2 tables: ');
  image.length = size;
  r = writeCaches(image);
  if (r === 0) r = image.file.pflush();
  if (r === 0) r = writeSize(image, size);
  if (r < 0) {
    image.length = old;
    return r;
  }
  cutFile(image);
  return image.external ? resizeData(image, size, false, Preallocation.OFF) : 0;
}

/** Lets go of the end of the file that no cluster uses. A failure leaves it as it was. */
export function cutFile(image: Qcow2Node): void {
  const fileClusters = (image.file.size() + image.clusterSize - 1) >> image.clusterBits;
  let last = min(fileClusters, (<i64>image.reftableUsed) << image.refblockBits);
  let steps: i64 = 0;
  while (last > 0) {
    if (++steps > MAX_STEPS || loadRefcount(image, last - 1) < 0) return;
    if (refcount) break;
    last--;
    if (!refblockOffset(image, last)) last &= ~(((<i64>1) << image.refblockBits) - 1);
  }
  if (last && last < fileClusters) image.file.ptruncate(last << image.clusterBits, Preallocation.OFF);
}
