/** Writing compressed clusters: where their data goes, and what becomes of those that do not get smaller. */
import { DebugEvent, Err } from '../../../abi';
import { deflate } from '../../../codec/deflate';
import { zstdCompress } from '../../../host';
import { be64, putBe64 } from '../../../util/endian';
import { allocateAt, allocateClusters, freeClusters } from '../refcounts/allocate';
import { signalCorruption } from '../corruption';
import { Qcow2Node } from '../image';
import { COMPRESSED, CompressionType, EXTERNAL_DATA, MAX_HOST, OFFSET_MASK } from '../layout';
import { orderAfterCounts } from '../refcounts/lazy';
import { checkWrite, Meta } from '../overlap';
import { changeRefcounts, loadRefcount, maxRefcount, refcount } from '../refcounts/refcount';
import { writableTable } from '../mapping/tables';
import { l1IndexOf, l2IndexOf, loadSlice, sliceOffset } from '../mapping/translate';
import { writeGuest } from './write';

/**
 * Writes whole clusters compressed; the one at the end of the disk may be a part. EINVAL: it is another range; EIO: data
 * is there already. A write of no bytes ends a series of them: it brings the file to whole sectors.
 */
export function writeCompressedClusters(image: Qcow2Node, offset: i64, bytes: i32, from: usize): i32 {
  if (image.incompatible & EXTERNAL_DATA) return -Err.ENOTSUP;
  if (!bytes) return alignFile(image);
  const size = image.clusterSize;
  const end = offset + bytes;
  if (offset & (size - 1) || (bytes & (size - 1) && end !== image.length)) return -Err.EINVAL;
  while (offset < end) {
    const n = <i32>min<i64>(size, end - offset);
    const r = writeCluster(image, offset, n, from);
    if (r < 0) return r;
    offset += n;
    from += n;
  }
  return 0;
}

function alignFile(image: Qcow2Node): i32 {
  // A node's size is whole sectors, whatever its file is.
  return image.file.ptruncate(image.file.size(), 0);
}

function writeCluster(image: Qcow2Node, offset: i64, bytes: i32, from: usize): i32 {
  const size = image.clusterSize;
  let plain = from;
  if (bytes < size) {
    plain = image.copied.get(size);
    memory.copy(plain, from, bytes);
    memory.fill(plain + bytes, 0, size - bytes);
  }
  // What does not save a byte is written as it is.
  const packed = image.compressed.get(size);
  const zstd = image.compressionType === CompressionType.ZSTD;
  const length = zstd ? zstdCompress(plain, size, packed, size - 1) : deflate(plain, size, packed, size - 1);
  if (zstd && length < 0) return length;
  return length <= 0 ? writeGuest(image, offset, bytes, from) : storePacked(image, offset, length, packed);
}

/** Puts the compressed data of one cluster into the file and points its L2 entry there. */
function storePacked(image: Qcow2Node, offset: i64, bytes: i32, from: usize): i32 {
  const l1Index = l1IndexOf(image, offset);
  if (l1Index >= image.l1Size) return -Err.EIO;
  const table = writableTable(image, l1Index);
  if (table < 0) return <i32>table;
  const l2Index = l2IndexOf(image, offset);
  let slice = loadSlice(image, table, l2Index);
  if (!slice) return image.l2.error;
  const inSlice = (l2Index & ((1 << image.sliceBits) - 1)) << image.entryShift;
  if (be64(slice + inSlice) & (COMPRESSED | OFFSET_MASK)) return -Err.EIO;

  const host = allocateBytes(image, bytes);
  if (host < 0) return <i32>host;
  let r = checkWrite(image, Meta.NONE, host, bytes);
  image.file.event(DebugEvent.WRITE_COMPRESSED);
  if (r === 0) r = image.file.pwrite(host, bytes, from);
  // The entry reaches the file behind the counts, and that flushes the data too.
  if (r === 0) r = orderAfterCounts(image);
  if (r === 0) {
    slice = loadSlice(image, table, l2Index);
    if (!slice) r = image.l2.error;
  }
  if (r < 0) {
    freeBytes(image, host, bytes);
    return r;
  }
  image.file.event(DebugEvent.L2_UPDATE_COMPRESSED);
  const sectors = ((host + bytes - 1) >> 9) - (host >> 9);
  putBe64(slice + inSlice, COMPRESSED | ((<u64>sectors) << offsetBits(image)) | (<u64>host));
  if (image.extended) putBe64(slice + inSlice + 8, 0);
  image.l2.touch(sliceOffset(image, table, l2Index), inSlice, inSlice + (1 << image.entryShift));
  return 0;
}

/** Bits of the offset in the L2 entry of a compressed cluster. */
function offsetBits(image: Qcow2Node): u64 {
  return 62 - (image.clusterBits - 8);
}

/**
 * Takes room for `bytes` < one cluster of compressed data and answers its offset, or a negative errno. It goes right
 * behind what was compressed before, if it fits there, or if the next cluster is free and can take the rest.
 */
function allocateBytes(image: Qcow2Node, bytes: i32): i64 {
  const size: i64 = image.clusterSize;
  image.file.event(DebugEvent.CLUSTER_ALLOC_BYTES);
  let host = image.freeByte;
  if (host) {
    const first = host >> image.clusterBits;
    let r = loadRefcount(image, first);
    if (r < 0) return r;
    if (refcount >= maxRefcount(image.refcountOrder)) {
      host = 0;
    } else {
      const next = (first + 1) << image.clusterBits;
      const crosses = host + bytes > next;
      if (crosses) {
        const got = allocateAt(image, next, 1);
        if (got < 0) return got;
        if (!got) host = 0;
      }
      if (host) {
        r = changeRefcounts(image, first, 1, true);
        if (r < 0) {
          if (crosses) freeClusters(image, next, 1);
          return r;
        }
      }
    }
  }
  if (!host) {
    host = allocateClusters(image, 1);
    if (host < 0) return host;
    if (!host) {
      signalCorruption(
        image,
        true,
        -1,
        -1,
        'Preventing invalid allocation of compressed cluster at offset 0',
      );
      return -Err.EIO;
    }
  }
  if (host + bytes > min<i64>(MAX_HOST, (<i64>1) << offsetBits(image))) {
    freeBytes(image, host, bytes);
    return -Err.EFBIG;
  }
  const end = host + bytes;
  image.freeByte = end & (size - 1) ? end : 0;
  return host;
}

/** Takes a reference from each cluster of a range that no entry points to. */
function freeBytes(image: Qcow2Node, host: i64, bytes: i32): void {
  const first = host >> image.clusterBits;
  const last = (host + bytes - 1) >> image.clusterBits;
  freeClusters(image, first << image.clusterBits, last - first + 1);
}
