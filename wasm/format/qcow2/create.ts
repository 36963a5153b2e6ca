/** Making a new image: the same bytes as qemu-img's. */
import { Err, Overlap, Preallocation } from '../../abi';
import { BlockNode, MAX_OFFSET } from '../../block/node';
import { putBe32, putBe64 } from '../../util/endian';
import { fail, failErrno, prefixError } from '../../util/errors';
import { allocateClusters } from './refcounts/allocate';
import { updateHeader } from './header';
import { KeptBytes, Qcow2Node } from './image';
import {
  COMPRESSION,
  CompressionType,
  EXTENDED_L2,
  EXTERNAL_DATA,
  Field,
  FULL_HEADER,
  LAZY_REFCOUNTS,
  MAGIC,
  RAW_EXTERNAL,
} from './layout';
import { closeImage } from './lifetime';
import { openImage } from './open';
import { resize } from './amend/resize';

/** Bytes of the name of a backing file, at most. */
const MAX_BACKING_NAME: i32 = 1023;

/** What older versions cannot have. */
const V3: string = 'compatibility level 1.1 and above (use version=v3 or greater)';

/** What the new image is to be; strings are addresses of UTF-8 with a length, -1: none. */
export class NewImage {
  size: f64 = 0;
  version: i32 = 3;
  clusterSize: f64 = 65536;
  refcountBits: i32 = 16;
  extendedL2: bool = false;
  lazyRefcounts: bool = false;
  preallocation: i32 = 0;
  /** {@link CompressionType} */
  compressionType: i32 = 0;
  backingFile: usize = 0;
  backingFileLength: i32 = -1;
  backingFormat: usize = 0;
  backingFormatLength: i32 = -1;
  /** The data file; null: data is in the image. Its name is stored in the image. */
  data: BlockNode | null = null;
  dataName: usize = 0;
  dataNameLength: i32 = -1;
  /** The data file must stay readable as the disk. */
  dataRaw: bool = false;
}

/** Formats the file of a protocol node. */
export function createImage(file: BlockNode, wanted: NewImage): i32 {
  let r = checkOptions(file, wanted);
  if (r < 0) return r;
  r = writeSkeleton(file, wanted);
  if (r < 0) return r;
  const image = new Qcow2Node(file);
  r = openImage(image, Overlap.CACHED << Overlap.SHIFT, -1, -1, -1, wanted.data);
  // An image that did not open has nothing to write back.
  if (r < 0) image.readOnly = true;
  else r = complete(image, wanted);
  // The names belong to the caller.
  image.backingFile = null;
  image.backingFormat = null;
  image.dataFile = null;
  const closed = closeImage(image);
  file.users--;
  image.child = null;
  image.attachExternal(null);
  image.release();
  return r < 0 ? r : closed;
}

function checkOptions(file: BlockNode, wanted: NewImage): i32 {
  const cluster = wanted.clusterSize;
  if (
    !(cluster >= 512 && cluster <= 2097152) ||
    popcnt<i32>(<i32>cluster) !== 1 ||
    cluster !== Math.floor(cluster)
  ) {
    return fail(Err.EINVAL, 'Cluster size must be a power of two between 512 and 2048k');
  }
  const size = wanted.size;
  if (!(size >= 0 && size <= <f64>MAX_OFFSET) || size % 512 !== 0) {
    return fail(Err.EINVAL, 'Image size must be a multiple of 512 bytes');
  }
  if (wanted.version !== 2 && wanted.version !== 3) return -Err.EINVAL;
  if (wanted.preallocation < 0 || wanted.preallocation > Preallocation.FULL) return -Err.EINVAL;
  const hasFile = wanted.backingFileLength >= 0;
  if (wanted.extendedL2) {
    if (wanted.version < 3) return fail(Err.EINVAL, 'Extended L2 entries are only supported with ' + V3);
    if (cluster < 16384) {
      const text = 'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes';
      return fail(Err.EINVAL, text);
    }
  }
  if (hasFile && wanted.preallocation !== Preallocation.OFF && !wanted.extendedL2) {
    return fail(
      Err.EINVAL,
      'Backing file and preallocation can only be used at the same time if extended_l2 is on',
    );
  }
  if (wanted.backingFormatLength >= 0 && !hasFile) {
    return fail(Err.EINVAL, 'Backing format cannot be used without backing file');
  }
  if (wanted.version < 3 && wanted.lazyRefcounts) {
    return fail(Err.EINVAL, 'Lazy refcounts only supported with ' + V3);
  }
  if (wanted.dataRaw && !wanted.data) return fail(Err.EINVAL, 'data-file-raw requires data-file');
  if (wanted.dataRaw && hasFile) {
    return fail(Err.EINVAL, 'Backing file and data-file-raw cannot be used at the same time');
  }
  if (wanted.version < 3 && wanted.data) {
    return fail(Err.EINVAL, 'External data files are only supported with ' + V3);
  }
  const bits = wanted.refcountBits;
  if (bits < 1 || bits > 64 || popcnt<i32>(bits) !== 1) {
    return fail(Err.EINVAL, 'Refcount width must be a power of two and may not exceed 64 bits');
  }
  if (wanted.version < 3 && bits !== 16) {
    const text = 'Different refcount widths than 16 bits require compatibility level 1.1 or above';
    return fail(Err.EINVAL, text + ' (use version=v3 or greater)');
  }
  const type = wanted.compressionType;
  if (type < CompressionType.ZLIB || type > CompressionType.ZSTD) return -Err.EINVAL;
  if (wanted.version < 3 && type !== CompressionType.ZLIB) {
    return fail(Err.EINVAL, 'Non-zlib compression type is only supported with ' + V3);
  }
  if (file.readOnly) return fail(Err.EACCES, 'Block node is read-only');
  return 0;
}

/** A minimal image of size 0: header, refcount table, one refcount block; nothing is counted yet. */
function writeSkeleton(file: BlockNode, wanted: NewImage): i32 {
  const cluster = <i32>wanted.clusterSize;
  const bytes = cluster * 3;
  const out = heap.alloc(bytes);
  memory.fill(out, 0, bytes);
  putBe32(out, MAGIC);
  putBe32(out + Field.VERSION, wanted.version);
  putBe32(out + Field.CLUSTER_BITS, ctz<u32>(<u32>cluster));
  putBe64(out + Field.REFTABLE_OFFSET, cluster);
  putBe32(out + Field.REFTABLE_CLUSTERS, 1);
  if (wanted.version >= 3) {
    putBe32(out + Field.REFCOUNT_ORDER, ctz<u32>(<u32>wanted.refcountBits));
    putBe32(out + Field.HEADER_LENGTH, FULL_HEADER);
    if (wanted.lazyRefcounts) putBe64(out + Field.COMPATIBLE, LAZY_REFCOUNTS);
    let incompatible: u64 = wanted.extendedL2 ? EXTENDED_L2 : 0;
    if (wanted.compressionType !== CompressionType.ZLIB) {
      incompatible |= COMPRESSION;
      store<u8>(out + Field.COMPRESSION_TYPE, <u8>wanted.compressionType);
    }
    if (wanted.data) incompatible |= EXTERNAL_DATA;
    putBe64(out + Field.INCOMPATIBLE, incompatible);
    if (wanted.dataRaw) putBe64(out + Field.AUTOCLEAR, RAW_EXTERNAL);
  }
  putBe64(out + cluster, <u64>cluster * 2);
  // What the file holds beyond stays, as with QEMU: nothing refers to it.
  const r = file.pwrite(0, bytes, out);
  heap.free(out);
  return r < 0 ? failErrno(r, 'Could not write qcow2 header') : 0;
}

function complete(image: Qcow2Node, wanted: NewImage): i32 {
  // Header, refcount table and refcount block.
  const offset = allocateClusters(image, 3);
  if (offset < 0) return <i32>offset;
  if (offset) return fail(Err.EIO, 'The first cluster of a new image is not free');
  if (wanted.data) image.dataFile = new KeptBytes(wanted.dataName, wanted.dataNameLength);
  let r = updateHeader(image);
  if (r < 0) return r;
  r = resize(image, <i64>wanted.size, wanted.preallocation);
  if (r < 0) return prefixError(r, 'Could not resize image: ');
  if (wanted.backingFileLength < 0) return 0;
  if (wanted.backingFileLength > MAX_BACKING_NAME) return cannotAssign(-Err.EINVAL, wanted);
  image.backingFile = new KeptBytes(wanted.backingFile, wanted.backingFileLength);
  if (wanted.backingFormatLength >= 0) {
    image.backingFormat = new KeptBytes(wanted.backingFormat, wanted.backingFormatLength);
  }
  r = updateHeader(image);
  return r < 0 ? cannotAssign(r, wanted) : 0;
}

function cannotAssign(code: i32, wanted: NewImage): i32 {
  const name = String.UTF8.decodeUnsafe(wanted.backingFile, wanted.backingFileLength);
  const format =
    wanted.backingFormatLength < 0
      ? '(null)'
      : String.UTF8.decodeUnsafe(wanted.backingFormat, wanted.backingFormatLength);
  return failErrno(code, "Could not assign backing file '" + name + "' with format '" + format + "'");
}
