/** The directory of persistent bitmaps: read as untrusted, written anew, and switched to by the header. */
import { Err } from '../../../abi';
import { MAX_GRANULARITY, MIN_GRANULARITY } from '../../../block/dirtybitmap';
import { be16, be32, be64, putBe16, putBe32, putBe64 } from '../../../util/endian';
import { fail, failErrno } from '../../../util/errors';
import { allocateClusters, freeClusters } from '../refcounts/allocate';
import { updateHeader } from '../header';
import { KeptBytes, Qcow2Node } from '../image';
import { BITMAPS } from '../layout';
import { checkWrite, Meta } from '../overlap';

const ENTRY: i32 = 24;
const TYPE_DIRTY: u8 = 1;
const EXTENSION_BYTES: i32 = 24;
/** Flags of an entry. */
export const IN_USE: u32 = 1;
export const AUTO: u32 = 2;
const KNOWN_FLAGS: u32 = 3;

/** Limits of what is stored and read. */
export const MAX_BITMAPS: i32 = 65535;
export const MAX_NAME: i32 = 1023;
const MAX_TABLE: u32 = 0x8000000;
/** Bytes that the bits of one bitmap take. */
export const MAX_DATA: i64 = 0x20000000;
const MAX_DIRECTORY: i64 = 1024 * 65535;

/** An entry of the directory. */
export class StoredBitmap {
  /** Of its table in the file. */
  tableOffset: i64 = 0;
  tableEntries: i32 = 0;
  /** {@link IN_USE}, {@link AUTO}. */
  flags: u32 = 0;
  /** log2 of the granularity. */
  shift: i32 = 0;
  /** UTF-8. */
  name: StaticArray<u8> = new StaticArray<u8>(0);

  setName(at: usize, bytes: i32): void {
    this.name = new StaticArray<u8>(bytes);
    memory.copy(changetype<usize>(this.name), at, bytes);
  }

  isNamed(at: usize, bytes: i32): bool {
    return this.name.length === bytes && memory.compare(changetype<usize>(this.name), at, bytes) === 0;
  }

  text(): string {
    return String.UTF8.decodeUnsafe(changetype<usize>(this.name), this.name.length);
  }
}

/** Whether the header names a directory that is to be believed. */
export function hasDirectory(image: Qcow2Node): bool {
  return image.bitmaps !== null && (image.autoclear & BITMAPS) !== 0;
}

/** Reads the directory into the image. */
export function readDirectory(image: Qcow2Node): i32 {
  image.storedBitmaps = [];
  if (!hasDirectory(image)) return 0;
  const extension = image.bitmaps!.at;
  const count = <i32>be32(extension);
  const bytes = <i64>be64(extension + 8);
  const offset = <i64>be64(extension + 16);
  image.directoryOffset = offset;
  image.directoryBytes = bytes;
  if (offset < 0 || bytes > image.file.size() - offset) return fail(Err.EINVAL, 'Broken bitmap directory');
  const directory = heap.alloc(<usize>bytes + ENTRY);
  let r = image.file.pread(offset, <i32>bytes, directory);
  if (r < 0) r = failErrno(r, 'Failed to read bitmap directory');
  else r = parse(image, directory, bytes, count);
  heap.free(directory);
  return r;
}

function parse(image: Qcow2Node, directory: usize, bytes: i64, count: i32): i32 {
  let at: i64 = 0;
  let breaking: StoredBitmap | null = null;
  while (at < bytes) {
    const entry = directory + <usize>at;
    if (at + ENTRY > bytes) return fail(Err.EINVAL, 'Broken bitmap directory');
    if (image.storedBitmaps.length >= count) {
      return fail(Err.EINVAL, 'More bitmaps found than specified in header extension');
    }
    const nameBytes = <i32>be16(entry + 18);
    const extra = be32(entry + 20);
    const next = (at + ENTRY + nameBytes + extra + 7) & ~7;
    if (next > bytes) return fail(Err.EINVAL, 'Broken bitmap directory');
    if (extra) return fail(Err.EINVAL, 'Bitmap extra data is not supported');
    const stored = new StoredBitmap();
    stored.setName(entry + ENTRY, nameBytes);
    stored.shift = load<u8>(entry, 17);
    stored.flags = be32(entry + 12);
    stored.tableOffset = be64(entry);
    const wrong = load<u8>(entry, 16) !== TYPE_DIRTY || breaks(image, stored, be32(entry + 8));
    if (wrong && !breaking) breaking = stored;
    image.storedBitmaps.push(stored);
    at = next;
  }
  if (image.storedBitmaps.length < count) {
    return fail(Err.EINVAL, 'Less bitmaps found than specified in header extension');
  }
  if (breaking) return fail(Err.EINVAL, `Bitmap '${breaking.text()}' doesn't satisfy the constraints`);
  return 0;
}

/** Whether an entry is out of bounds. */
function breaks(image: Qcow2Node, stored: StoredBitmap, entries: u32): bool {
  if (!stored.name.length || stored.name.length > MAX_NAME || stored.flags & ~KNOWN_FLAGS) return true;
  if (stored.shift < MIN_GRANULARITY || stored.shift > MAX_GRANULARITY) return true;
  const at = stored.tableOffset;
  if (at <= 0 || at & (image.clusterSize - 1) || !entries || entries > MAX_TABLE) return true;
  const bytes = (<i64>entries) << image.clusterBits;
  stored.tableEntries = <i32>entries;
  if (bytes > MAX_DATA) return true;
  // One that is in use may be of a disk that has changed its size since.
  return !(stored.flags & IN_USE) && image.length > (bytes << 3) << stored.shift;
}

function entryBytes(stored: StoredBitmap): i32 {
  return (ENTRY + stored.name.length + 7) & ~7;
}

/** Bytes of a directory of these. */
function directorySize(list: Array<StoredBitmap>): i64 {
  let bytes: i64 = 0;
  for (let i = 0; i < list.length; i++) bytes += entryBytes(list[i]);
  return bytes;
}

/** Whether a directory has room for a name of so many bytes. */
export function directoryFits(list: Array<StoredBitmap>, nameBytes: i32): bool {
  return directorySize(list) + ((ENTRY + nameBytes + 7) & ~7) <= MAX_DIRECTORY;
}

function build(list: Array<StoredBitmap>, bytes: i64): usize {
  const out = heap.alloc(<usize>bytes);
  memory.fill(out, 0, <usize>bytes);
  let at = out;
  for (let i = 0; i < list.length; i++) {
    const stored = list[i];
    putBe64(at, stored.tableOffset);
    putBe32(at + 8, stored.tableEntries);
    putBe32(at + 12, stored.flags);
    store<u8>(at, TYPE_DIRTY, 16);
    store<u8>(at, <u8>stored.shift, 17);
    putBe16(at + 18, stored.name.length);
    memory.copy(at + ENTRY, changetype<usize>(stored.name), stored.name.length);
    at += entryBytes(stored);
  }
  return out;
}

/** Writes the flags of the entries over the directory where it is; it does not count while that is done. */
export function rewriteDirectory(image: Qcow2Node): i32 {
  image.autoclear &= ~BITMAPS;
  let r = updateHeader(image);
  if (r < 0) {
    image.autoclear |= BITMAPS;
    return r;
  }
  const bytes = directorySize(image.storedBitmaps);
  const directory = build(image.storedBitmaps, bytes);
  r = checkWrite(image, Meta.BITMAP_DIRECTORY, image.directoryOffset, bytes);
  if (r === 0) r = image.file.pwrite(image.directoryOffset, <i32>bytes, directory);
  if (r === 0) r = image.file.pflush();
  heap.free(directory);
  image.autoclear |= BITMAPS;
  return r < 0 ? r : updateHeader(image);
}

/** Clusters that so many bytes take. */
export function clustersOf(image: Qcow2Node, bytes: i64): i64 {
  return (bytes + image.clusterSize - 1) >> image.clusterBits;
}

/** Writes to clusters that were taken for it. */
export function writeNew(image: Qcow2Node, offset: i64, bytes: i32, from: usize): i32 {
  const r = checkWrite(image, Meta.NONE, offset, bytes);
  return r < 0 ? r : image.file.pwrite(offset, bytes, from);
}

/**
 * Writes a directory into new clusters; it, and all that it names, is on stable storage then. Answers its offset (0: an
 * empty one has no place), or a negative errno.
 */
export function writeDirectory(image: Qcow2Node, list: Array<StoredBitmap>): i64 {
  const bytes = directorySize(list);
  const clusters = clustersOf(image, bytes);
  let offset: i64 = 0;
  let r = 0;
  if (clusters) {
    offset = allocateClusters(image, clusters);
    if (offset < 0) return offset;
    const directory = build(list, bytes);
    r = writeNew(image, offset, <i32>bytes, directory);
    heap.free(directory);
  }
  if (r === 0) r = image.l2.write();
  if (r === 0) r = image.refs.write();
  if (r === 0) r = image.file.pflush();
  if (r < 0 && clusters) freeClusters(image, offset, clusters);
  return r < 0 ? r : offset;
}

/**
 * Lets the header point to a directory that has been written, and gives the old one back; what only that one named is
 * still to be given back. On a failure the old one is in force.
 */
export function switchDirectory(image: Qcow2Node, list: Array<StoredBitmap>, offset: i64): i32 {
  const bytes = directorySize(list);
  const oldExtension = image.bitmaps;
  const oldFields = image.bitmapFields;
  const oldAutoclear = image.autoclear;
  if (list.length) {
    image.bitmapFields = heap.alloc(EXTENSION_BYTES);
    putBe32(image.bitmapFields, list.length);
    putBe32(image.bitmapFields + 4, 0);
    putBe64(image.bitmapFields + 8, bytes);
    putBe64(image.bitmapFields + 16, offset);
    image.bitmaps = new KeptBytes(image.bitmapFields, EXTENSION_BYTES);
    image.autoclear |= BITMAPS;
  } else {
    image.bitmapFields = 0;
    image.bitmaps = null;
    image.autoclear &= ~BITMAPS;
  }
  const r = updateHeader(image);
  if (r < 0) {
    // It is not known which of the two the file has now: neither directory is given back.
    if (image.bitmapFields) heap.free(image.bitmapFields);
    image.bitmapFields = oldFields;
    image.bitmaps = oldExtension;
    image.autoclear = oldAutoclear;
    return r;
  }
  if (oldFields) heap.free(oldFields);
  if (image.directoryBytes) {
    freeClusters(image, image.directoryOffset, clustersOf(image, image.directoryBytes));
  }
  image.directoryOffset = offset;
  image.directoryBytes = bytes;
  image.storedBitmaps = list;
  image.staleBitmaps = false;
  return 0;
}
