/** Opening: everything in the header is checked before anything is done with it. The texts are QEMU's. */
import { DebugEvent, Err, Overlap, Qcow2Open } from '../../abi';
import { be32, be64 } from '../../util/endian';
import { fail, failErrno } from '../../util/errors';
import { TableCache } from '../../util/cache';
import { BlockNode, MAX_OFFSET } from '../../block/node';
import { hasDirectory } from './bitmaps/directory';
import { checkDirectory, loadBitmaps } from './bitmaps/persistent';
import { takeDataFile } from './data/datafile';
import { readExtensions, refuseUnknownFeatures } from './header';
import { ImageGuard, KeptBytes, Qcow2Node } from './image';
import {
  COMPRESSION,
  CompressionType,
  CORRUPT,
  CRYPT_LUKS,
  EXTENDED_L2,
  EXTERNAL_DATA,
  Field,
  FULL_HEADER,
  MAGIC,
  MAX_L1_BYTES,
  MAX_REFTABLE_BYTES,
  MAX_SNAPSHOTS,
  RAW_EXTERNAL,
  V2_HEADER,
  V3_HEADER,
} from './layout';
import { chooseLazy } from './refcounts/lazy';
import { enterWritable } from './lifetime';
import { SUBCLUSTER_BITS } from './mapping/subclusters';
import { readSnapshotTable } from './snapshots/table';

/** The L2 cache covers the whole disk up to this many bytes. */
const MAX_L2_CACHE: i64 = 32 << 20;
/** Slice size of an L2 cache that cannot cover the disk. */
const SMALL_SLICE: i32 = 4096;
const MIN_REFCOUNT_CACHE: i32 = 4;

/** Checks where a table is and how long it is. */
function checkTable(offset: u64, entries: u64, entryBytes: u64, limit: u64, cluster: u64, name: string): i32 {
  if (entries > limit / entryBytes) return fail(Err.EFBIG, name + ' too large');
  const bytes = entries * entryBytes;
  if (offset > <u64>i64.MAX_VALUE - bytes || offset & (cluster - 1)) {
    return fail(Err.EINVAL, name + ' offset invalid');
  }
  return 0;
}

/**
 * Reads the header and makes the image ready.
 * @param flags {@link Qcow2Open}
 * @param l2CacheSize bytes, -1: by default; so the other sizes
 * @param data the data file of an image that has one
 */
export function openImage(
  image: Qcow2Node,
  flags: i32,
  l2CacheSize: f64,
  refcountCacheSize: f64,
  l2CacheEntrySize: f64,
  data: BlockNode | null,
): i32 {
  image.readOnly = (flags & Qcow2Open.READ_ONLY) !== 0;
  image.noIo = (flags & Qcow2Open.NO_IO) !== 0;
  image.forCheck = (flags & Qcow2Open.CHECK) !== 0;
  takeFlags(image, flags);
  let r = readHeader(image);
  if (r < 0) return r;
  image.staleBitmaps = image.bitmaps !== null && !hasDirectory(image);
  if (image.noIo) {
    image.readOnly = true;
    r = readSnapshotTable(image);
    return r < 0 ? r : loadBitmaps(image);
  }
  r = checkLazy(image, flags);
  image.encrypted = image.cryptMethod !== 0;
  chooseLazy(image, flags);
  if (r === 0) r = takeDataFile(image, data);
  if (r === 0) r = makeCaches(image, l2CacheSize, refcountCacheSize, l2CacheEntrySize);
  if (r === 0) r = readTables(image);
  // A check reads the table itself, and tells what is wrong with it.
  if (r === 0 && !image.forCheck) r = readSnapshotTable(image);
  if (r === 0) r = image.forCheck ? checkDirectory(image) : loadBitmaps(image);
  if (r < 0) return r;
  if (image.forCheck) return !image.readOnly && image.file.readOnly ? -Err.EACCES : 0;
  if (image.readOnly) return 0;
  image.readOnly = true;
  return enterWritable(image);
}

/** The runtime options that are bits of the flags: they can change while the image is open. */
export function takeFlags(image: Qcow2Node, flags: i32): void {
  image.passDiscard = (flags & Qcow2Open.PASS_DISCARD) !== 0;
  image.passDiscardSnapshot = (flags & Qcow2Open.PASS_DISCARD_SNAPSHOT) !== 0;
  image.passDiscardOther = (flags & Qcow2Open.PASS_DISCARD_OTHER) !== 0;
  image.discardNoUnref = (flags & Qcow2Open.DISCARD_NO_UNREF) !== 0;
  image.overlapCheck = (flags >> Overlap.SHIFT) & Overlap.ALL;
}

/** Whether an image can do what an option asks for. */
export function checkLazy(image: Qcow2Node, flags: i32): i32 {
  if (!(flags & Qcow2Open.LAZY_ON) || image.version >= 3) return 0;
  return fail(Err.EINVAL, 'Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level');
}

function readHeader(image: Qcow2Node): i32 {
  // The least cluster holds all fixed fields.
  const fixed = heap.alloc(512);
  let r = image.file.pread(0, 512, fixed);
  if (r < 0) r = failErrno(r, 'Could not read qcow2 header');
  else r = readFixedFields(image, fixed);
  if (r === 0) {
    image.header = heap.alloc(image.clusterSize);
    r = image.file.pread(0, image.clusterSize, image.header);
    if (r < 0) r = failErrno(r, 'Could not read qcow2 header');
    else r = readRest(image);
  }
  heap.free(fixed);
  return r;
}

/** What must be known before the rest of the header can be read. */
function readFixedFields(image: Qcow2Node, h: usize): i32 {
  if (be32(h) !== MAGIC) return fail(Err.EINVAL, 'Image is not in qcow2 format');
  const version = be32(h + Field.VERSION);
  if (version < 2 || version > 3) return fail(Err.ENOTSUP, `Unsupported qcow2 version ${version}`);
  image.version = <i32>version;
  const bits = be32(h + Field.CLUSTER_BITS);
  if (bits < 9 || bits > 21) return fail(Err.EINVAL, `Unsupported cluster size: 2^${bits}`);
  image.clusterBits = <i32>bits;
  image.clusterSize = 1 << bits;
  image.zeroAlignment = image.clusterSize;
  image.l2Bits = <i32>bits - 3;
  image.subclusterBits = <i32>bits;
  return 0;
}

function readRest(image: Qcow2Node): i32 {
  const h = image.header;
  const cluster: u64 = image.clusterSize;
  let headerLength: u32 = V2_HEADER;
  if (image.version >= 3) {
    image.incompatible = be64(h + Field.INCOMPATIBLE);
    image.compatible = be64(h + Field.COMPATIBLE);
    image.autoclear = be64(h + Field.AUTOCLEAR);
    image.refcountOrder = <i32>be32(h + Field.REFCOUNT_ORDER);
    headerLength = be32(h + Field.HEADER_LENGTH);
    if (headerLength < <u32>V3_HEADER) return fail(Err.EINVAL, 'qcow2 header too short');
  }
  if (headerLength > <u32>image.clusterSize) return fail(Err.EINVAL, 'qcow2 header exceeds cluster size');
  if (headerLength > <u32>FULL_HEADER) {
    image.unknownFields = new KeptBytes(h + FULL_HEADER, <i32>headerLength - FULL_HEADER);
  }
  const backingOffset = be64(h + Field.BACKING_OFFSET);
  if (backingOffset > cluster) return fail(Err.EINVAL, 'Invalid backing file offset');
  const extensionsEnd = backingOffset ? <i32>backingOffset : image.clusterSize;

  let r = refuseUnknownFeatures(image, headerLength, extensionsEnd);
  if (r < 0) return r;
  r = checkCompression(image, headerLength);
  if (r < 0) return r;
  if (image.incompatible & CORRUPT && !image.readOnly && !image.noIo && !image.forCheck) {
    return fail(Err.EACCES, 'qcow2: Image is corrupt; cannot be opened read/write');
  }
  if (image.incompatible & EXTENDED_L2) {
    const subcluster = image.clusterSize >> 5;
    if (subcluster < 512) return fail(Err.EINVAL, `Unsupported subcluster size: ${subcluster}`);
    image.extended = true;
    image.entryShift = 4;
    image.l2Bits--;
    image.subclusterBits = image.clusterBits - SUBCLUSTER_BITS;
    image.zeroAlignment = subcluster;
  }
  if (<u32>image.refcountOrder > 6) {
    return fail(Err.EINVAL, 'Reference count entry width too large; may not exceed 64 bits');
  }
  image.refblockBits = image.clusterBits + 3 - image.refcountOrder;
  image.cryptMethod = be32(h + Field.CRYPT_METHOD);
  if (image.cryptMethod > CRYPT_LUKS) {
    return fail(Err.EINVAL, `Unsupported encryption method ${image.cryptMethod}`);
  }
  r = checkTables(image);
  if (r < 0) return r;
  r = readExtensions(image, headerLength, extensionsEnd);
  if (r < 0) return r;
  if (image.cryptMethod === CRYPT_LUKS && !image.cryptoHeader) {
    return fail(Err.EINVAL, 'Missing CRYPTO header for crypt method 2');
  }
  if (!image.noIo && !(image.incompatible & EXTERNAL_DATA) && image.autoclear & RAW_EXTERNAL) {
    return fail(Err.EINVAL, 'data-file-raw requires a data file');
  }
  if (backingOffset) {
    const bytes = be32(h + Field.BACKING_SIZE);
    if (bytes > <u32>min<i64>(1023, <i64>(cluster - backingOffset))) {
      return fail(Err.EINVAL, 'Backing file name too long');
    }
    image.backingFile = new KeptBytes(h + <usize>backingOffset, <i32>bytes);
  }
  return 0;
}

function checkCompression(image: Qcow2Node, headerLength: u32): i32 {
  if (headerLength > <u32>Field.COMPRESSION_TYPE) {
    image.compressionType = load<u8>(image.header + Field.COMPRESSION_TYPE);
  }
  if (image.version < 3) image.compressionType = 0;
  if (image.compressionType > CompressionType.ZSTD) {
    return fail(Err.ENOTSUP, `qcow2: unknown compression type: ${image.compressionType}`);
  }
  const flagged = (image.incompatible & COMPRESSION) !== 0;
  if (image.compressionType && !flagged) {
    return fail(Err.EINVAL, 'qcow2: Compression type incompatible feature bit must be set');
  }
  if (!image.compressionType && flagged) {
    return fail(Err.EINVAL, 'qcow2: Compression type incompatible feature bit must not be set');
  }
  return 0;
}

/** Bounds the tables that the header points to. */
function checkTables(image: Qcow2Node): i32 {
  const h = image.header;
  const cluster: u64 = image.clusterSize;
  const reftableClusters = be32(h + Field.REFTABLE_CLUSTERS);
  if (!reftableClusters && !image.forCheck)
    return fail(Err.EINVAL, 'Image does not contain a reference count table');
  const reftable = be64(h + Field.REFTABLE_OFFSET);
  let r = checkTable(
    reftable,
    reftableClusters,
    cluster,
    MAX_REFTABLE_BYTES,
    cluster,
    'Reference count table',
  );
  if (r < 0) return r;
  image.reftableOffset = reftable;
  image.reftableEntries = (<i32>reftableClusters) << (image.clusterBits - 3);

  const snapshots = be32(h + Field.SNAPSHOTS);
  image.snapshotsOffset = be64(h + Field.SNAPSHOTS_OFFSET);
  if (image.forCheck) image.unreadSnapshots = snapshots;
  else
    r = checkTable(image.snapshotsOffset, snapshots, 40, <u64>MAX_SNAPSHOTS * 40, cluster, 'Snapshot table');
  if (r < 0) return r;
  image.snapshots = image.forCheck ? 0 : <i32>snapshots;

  const l1Size = be32(h + Field.L1_SIZE);
  const l1 = be64(h + Field.L1_OFFSET);
  r = checkTable(l1, l1Size, 8, MAX_L1_BYTES, cluster, 'Active L1 table');
  if (r < 0) return r;
  image.l1Size = <i32>l1Size;
  image.l1Offset = l1;

  const size = be64(h + Field.SIZE) & ~511;
  const perTable = image.clusterBits + image.l2Bits;
  const needed = (size >> perTable) + (size & (((<u64>1) << perTable) - 1) ? 1 : 0);
  if (size > <u64>i64.MAX_VALUE)
    return fail(Err.EFBIG, 'Could not refresh total sector count: File too large');
  if (needed > <u64>i32.MAX_VALUE || size > <u64>MAX_OFFSET) return fail(Err.EFBIG, 'Image is too big');
  if (l1Size < <u32>needed) return fail(Err.EINVAL, 'L1 table is too small');
  image.length = size;
  return 0;
}

/** Where a read fails for its offset alone. */
const MAX_LENGTH: i64 = i64.MAX_VALUE - 0x3fffffff;

function readTable(image: Qcow2Node, offset: i64, bytes: i32, to: usize): i32 {
  return offset > MAX_LENGTH - bytes ? -Err.EIO : image.file.pread(offset, bytes, to);
}

/** Loads the L1 table and the refcount table. */
function readTables(image: Qcow2Node): i32 {
  const l1Bytes = image.l1Size << 3;
  image.l1 = heap.alloc(l1Bytes);
  let r = readTable(image, image.l1Offset, l1Bytes, image.l1);
  if (r < 0) return failErrno(r, 'Could not read L1 table');
  const reftableBytes = image.reftableEntries << 3;
  image.reftable = heap.alloc(reftableBytes);
  image.file.event(DebugEvent.REFTABLE_LOAD);
  r = readTable(image, image.reftableOffset, reftableBytes, image.reftable);
  if (r < 0) return failErrno(r, 'Could not initialize refcount handling');
  let used = image.reftableEntries;
  while (used && !load<u64>(image.reftable + ((<usize>(used - 1)) << 3))) used--;
  image.reftableUsed = used;
  return 0;
}

/**
 * New caches. Sizes as QEMU chooses them; memory is taken when tables are loaded. A failure leaves the image as it was.
 */
export function makeCaches(image: Qcow2Node, l2Size: f64, refcountSize: f64, entrySize: f64): i32 {
  const cluster = image.clusterSize;
  let slice = cluster;
  const tables =
    (image.length + (((<i64>cluster) << image.l2Bits) - 1)) >> (image.clusterBits + image.l2Bits);
  const whole = max<i64>(tables, 1) << image.clusterBits;
  let l2Bytes = min(MAX_L2_CACHE, whole);
  if (l2Size >= 0) l2Bytes = <i64>min<f64>(l2Size, <f64>whole);
  if (l2Bytes < whole) slice = min(slice, SMALL_SLICE);
  if (entrySize >= 0) {
    const entry = <i32>min<f64>(entrySize, 0x40000000);
    if (entry < 512 || entry > cluster || popcnt(entry) !== 1) {
      const text = `L2 cache entry size must be a power of two between 512 and the cluster size (${cluster})`;
      return fail(Err.EINVAL, text);
    }
    slice = entry;
  }
  image.sliceBytes = slice;
  image.sliceBits = <i32>ctz<u32>(slice) - image.entryShift;
  const guard = new ImageGuard(image);
  const l2Slots = <i32>min<i64>(max<i64>(l2Bytes / slice, 2), i32.MAX_VALUE);
  image.l2Cache = new TableCache(image.file, guard, slice, l2Slots, DebugEvent.L2_LOAD, DebugEvent.L2_UPDATE);
  image.l2.data = image.storage;
  let refSlots: i64 = MIN_REFCOUNT_CACHE;
  if (refcountSize >= 0) refSlots = max<i64>(refSlots, <i64>min<f64>(refcountSize, 1073741824) / cluster);
  image.refCache = new TableCache(
    image.file,
    guard,
    cluster,
    <i32>refSlots,
    DebugEvent.REFBLOCK_LOAD,
    DebugEvent.REFBLOCK_UPDATE_PART,
  );
  return 0;
}
