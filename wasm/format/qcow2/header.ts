/** The header cluster: feature names and extensions, read as untrusted, and written back as a whole. */
import { Err } from '../../abi';
import { be32, be64, putBe16, putBe32, putBe64 } from '../../util/endian';
import { fail, failErrno, hex } from '../../util/errors';
import { KeptBytes, Qcow2Node } from './image';
import {
  EXT_BACKING_FORMAT,
  EXT_BITMAPS,
  EXT_CRYPTO,
  EXT_DATA_FILE,
  EXT_END,
  EXT_FEATURES,
  Field,
  FULL_HEADER,
  KNOWN_INCOMPATIBLE,
  MAGIC,
  V2_HEADER,
} from './layout';

const FEATURE_BYTES: i32 = 48;

/** The 46-byte name of a feature table entry. */
function featureName(at: usize): string {
  let n = 0;
  while (n < FEATURE_BYTES - 2 && load<u8>(at + 2 + n)) n++;
  return String.UTF8.decodeUnsafe(at + 2, n);
}

/** Refuses incompatible features that this program has never heard of, by the names the image itself gives them. */
export function refuseUnknownFeatures(image: Qcow2Node, start: i32, end: i32): i32 {
  let unknown = image.incompatible & ~KNOWN_INCOMPATIBLE;
  if (!unknown) return 0;
  let names = '';
  const table = findExtension(image, EXT_FEATURES, start, end);
  if (table) {
    for (let i = 0; i + FEATURE_BYTES <= table.bytes; i += FEATURE_BYTES) {
      const at = table.at + i;
      const bit = load<u8>(at, 1);
      if (load<u8>(at) !== 0 || bit > 63 || !(unknown & ((<u64>1) << bit))) continue;
      if (names.length) names += ', ';
      names += featureName(at);
      unknown &= ~((<u64>1) << bit);
    }
  }
  if (unknown) {
    if (names.length) names += ', ';
    names += 'Unknown incompatible feature: ' + hex(unknown);
  }
  return fail(Err.ENOTSUP, 'Unsupported qcow2 feature(s): ' + names);
}

/** The first extension of a type, if the list is sound up to there. */
function findExtension(image: Qcow2Node, type: u32, at: i32, end: i32): KeptBytes | null {
  while (at + 8 <= end) {
    const found = be32(image.header + at);
    const bytes = be32(image.header + at + 4);
    if (found === EXT_END || bytes > <u32>(end - at - 8)) return null;
    if (found === type) return new KeptBytes(image.header + at + 8, <i32>bytes);
    at += 8 + <i32>((bytes + 7) & ~7);
  }
  return null;
}

/** Takes in the extensions from `at` up to `end`, both inside the header cluster. */
export function readExtensions(image: Qcow2Node, at: i32, end: i32): i32 {
  while (at < end) {
    if (at + 8 > end) return fail(Err.EINVAL, 'Header extension too large');
    const type = be32(image.header + at);
    const size = be32(image.header + at + 4);
    at += 8;
    if (size > <u32>(end - at)) return fail(Err.EINVAL, 'Header extension too large');
    if (type === EXT_END) return 0;
    const bytes = <i32>size;
    const kept = new KeptBytes(image.header + at, bytes);
    switch (type) {
      case EXT_BACKING_FORMAT:
        if (bytes >= 16) {
          return fail(Err.EINVAL, `ERROR: ext_backing_format: len=${bytes} too large (>=16)`);
        }
        image.backingFormat = kept;
        break;
      case EXT_FEATURES:
        break;
      case EXT_CRYPTO: {
        if (image.cryptMethod !== 2) {
          return fail(Err.EINVAL, 'CRYPTO header extension only expected with LUKS encryption method');
        }
        if (bytes !== 16) {
          return fail(Err.EINVAL, `CRYPTO header extension size ${bytes}, but expected size 16`);
        }
        const offset = be64(kept.at);
        if (offset & (image.clusterSize - 1)) {
          const text = `Encryption header offset '${offset}' is not a multiple of cluster size '${image.clusterSize}'`;
          return fail(Err.EINVAL, text);
        }
        image.cryptoHeader = kept;
        break;
      }
      case EXT_BITMAPS: {
        if (bytes !== 24) {
          return fail(Err.EINVAL, 'bitmaps_ext: Invalid extension length');
        }
        const r = checkBitmaps(image, kept);
        if (r < 0) return r;
        image.bitmaps = kept;
        break;
      }
      case EXT_DATA_FILE:
        image.dataFile = kept;
        break;
      default:
        image.unknownExtensions.push(new KeptBytes(image.header + at - 8, 8 + bytes));
    }
    at += (bytes + 7) & ~7;
  }
  return 0;
}

/** Bounds the bitmaps extension, if its autoclear bit says that it counts. */
function checkBitmaps(image: Qcow2Node, kept: KeptBytes): i32 {
  if (!(image.autoclear & 1)) return 0;
  const count = be32(kept.at);
  const directorySize = be64(kept.at + 8);
  const directory = be64(kept.at + 16);
  if (be32(kept.at + 4)) return fail(Err.EINVAL, 'bitmaps_ext: Reserved field is not zero');
  if (count > 65535) {
    return fail(
      Err.EINVAL,
      `bitmaps_ext: Image has ${count} bitmaps, exceeding the QEMU supported maximum of 65535`,
    );
  }
  if (!count) return fail(Err.EINVAL, 'found bitmaps extension with zero bitmaps');
  if (directory & (image.clusterSize - 1)) {
    return fail(Err.EINVAL, 'bitmaps_ext: invalid bitmap directory offset');
  }
  if (directorySize > 1024 * 65535) {
    const text = `bitmaps_ext: bitmap directory size (${directorySize}) exceeds the maximum supported size (67107840)`;
    return fail(Err.EINVAL, text);
  }
  return 0;
}

/** Puts the header cluster together and writes it in one request. */
export function rewriteHeader(image: Qcow2Node): i32 {
  const size = image.clusterSize;
  const out = heap.alloc(size);
  memory.fill(out, 0, size);
  let r = buildHeader(image, out);
  if (r === 0) r = image.file.pwrite(0, size, out);
  heap.free(out);
  return r;
}

/** Appends an extension; answers the offset behind it, or ENOSPC. */
function putExtension(out: usize, at: i32, size: i32, type: u32, data: usize, bytes: i32): i32 {
  const end = at + 8 + ((bytes + 7) & ~7);
  if (end > size) return -Err.ENOSPC;
  putBe32(out + at, type);
  putBe32(out + at + 4, bytes);
  if (data) memory.copy(out + at + 8, data, bytes);
  return end;
}

function buildHeader(image: Qcow2Node, out: usize): i32 {
  const size = image.clusterSize;
  const unknown = image.unknownFields;
  putBe32(out, MAGIC);
  putBe32(out + Field.VERSION, image.version);
  putBe32(out + Field.CLUSTER_BITS, image.clusterBits);
  putBe64(out + Field.SIZE, image.length);
  putBe32(out + Field.CRYPT_METHOD, image.cryptMethod);
  putBe32(out + Field.L1_SIZE, image.l1Size);
  putBe64(out + Field.L1_OFFSET, image.l1Offset);
  putBe64(out + Field.REFTABLE_OFFSET, image.reftableOffset);
  putBe32(out + Field.REFTABLE_CLUSTERS, <u32>(((<i64>image.reftableEntries) << 3) >> image.clusterBits));
  putBe32(out + Field.SNAPSHOTS, image.unreadSnapshots ? image.unreadSnapshots : <u32>image.snapshots);
  putBe64(out + Field.SNAPSHOTS_OFFSET, image.snapshotsOffset);
  let at = V2_HEADER;
  if (image.version >= 3) {
    at = FULL_HEADER;
    putBe64(out + Field.INCOMPATIBLE, image.incompatible);
    putBe64(out + Field.COMPATIBLE, image.compatible);
    putBe64(out + Field.AUTOCLEAR, image.autoclear);
    putBe32(out + Field.REFCOUNT_ORDER, image.refcountOrder);
    store<u8>(out + Field.COMPRESSION_TYPE, <u8>image.compressionType);
    if (unknown) {
      if (at + unknown.bytes > size) return -Err.ENOSPC;
      memory.copy(out + at, unknown.at, unknown.bytes);
      at += unknown.bytes;
    }
    putBe32(out + Field.HEADER_LENGTH, at);
  }

  const format = image.backingFormat;
  if (format) at = putExtension(out, at, size, EXT_BACKING_FORMAT, format.at, format.bytes);
  const data = image.dataFile;
  if (at > 0 && data) at = putExtension(out, at, size, EXT_DATA_FILE, data.at, data.bytes);
  const crypto = image.cryptoHeader;
  if (at > 0 && crypto) at = putExtension(out, at, size, EXT_CRYPTO, crypto.at, crypto.bytes);
  if (at > 0 && image.version >= 3 && size > 4096) {
    const table = at + 8;
    at = putExtension(out, at, size, EXT_FEATURES, 0, 8 * FEATURE_BYTES);
    if (at > 0) putFeatures(out + table);
  }
  const bitmaps = image.bitmaps;
  if (at > 0 && bitmaps) at = putExtension(out, at, size, EXT_BITMAPS, bitmaps.at, bitmaps.bytes);
  for (let i = 0; at > 0 && i < image.unknownExtensions.length; i++) {
    const kept = image.unknownExtensions[i];
    at = putExtension(out, at, size, be32(kept.at), kept.at + 8, kept.bytes - 8);
  }
  if (at > 0) at = putExtension(out, at, size, EXT_END, 0, 0);
  if (at < 0) return at;

  const backing = image.backingFile;
  if (backing) {
    if (at + backing.bytes > size) return -Err.ENOSPC;
    memory.copy(out + at, backing.at, backing.bytes);
    putBe64(out + Field.BACKING_OFFSET, at);
    putBe32(out + Field.BACKING_SIZE, backing.bytes);
  }
  return 0;
}

/** The feature name table. */
function putFeatures(out: usize): void {
  putFeature(out, 0, 0, 0, 'dirty bit');
  putFeature(out, 1, 0, 1, 'corrupt bit');
  putFeature(out, 2, 0, 2, 'external data file');
  putFeature(out, 3, 0, 3, 'compression type');
  putFeature(out, 4, 0, 4, 'extended L2 entries');
  putFeature(out, 5, 1, 0, 'lazy refcounts');
  putFeature(out, 6, 2, 0, 'bitmaps');
  putFeature(out, 7, 2, 1, 'raw external data');
}

function putFeature(out: usize, index: i32, set: i32, bit: i32, name: string): void {
  const at = out + <usize>(index * FEATURE_BYTES);
  putBe16(at, (set << 8) | bit);
  for (let i = 0; i < name.length; i++) store<u8>(at + 2 + i, <u8>name.charCodeAt(i));
}

/** Writes a changed header, flushed; a failure says which step it was. */
export function updateHeader(image: Qcow2Node): i32 {
  let r = rewriteHeader(image);
  if (r === 0) r = image.file.pflush();
  return r < 0 ? failErrno(r, 'Could not update qcow2 header') : 0;
}
