/**
 * Persistent bitmaps: loaded when an image is opened, marked as in use while it is written, stored when it is closed. At
 * every moment the file says of each either what it truly holds, or that it cannot be trusted.
 */
import { Err } from '../../../abi';
import { BitSet } from '../../../block/bitset';
import {
  addBitmap,
  attachBitmap,
  bitsFor,
  DirtyBitmap,
  MAX_GRANULARITY,
  MIN_GRANULARITY,
} from '../../../block/dirtybitmap';
import { be64, putBe64 } from '../../../util/endian';
import { fail, failErrno, prefixError } from '../../../util/errors';
import { allocateClusters, freeClusters } from '../refcounts/allocate';
import {
  AUTO,
  clustersOf,
  directoryFits,
  hasDirectory,
  IN_USE,
  MAX_BITMAPS,
  MAX_DATA,
  MAX_NAME,
  readDirectory,
  rewriteDirectory,
  StoredBitmap,
  switchDirectory,
  writeDirectory,
  writeNew,
} from './directory';
import { Qcow2Node } from '../image';
import { BITMAPS, OFFSET_MASK, RAW_EXTERNAL } from '../layout';

/** Bits of a table entry that must be 0. */
const RESERVED: u64 = ~(OFFSET_MASK | 1);

/** In front of the reason for which bitmaps were not stored. */
const LOST: string = 'Lost persistent bitmaps: ';

/** Whether the directory can be read at all; nothing is kept of it. A negative errno with the text of what is wrong. */
export function checkDirectory(image: Qcow2Node): i32 {
  const r = readDirectory(image);
  image.storedBitmaps = [];
  return r;
}

/** Reads all bitmaps; they are read-only until {@link markInUse}. */
export function loadBitmaps(image: Qcow2Node): i32 {
  const r = readDirectory(image);
  if (r < 0) return r;
  const list = image.storedBitmaps;
  for (let i = 0; i < list.length; i++) {
    const r = loadBitmap(image, list[i]);
    if (r < 0) return r;
  }
  return 0;
}

function loadBitmap(image: Qcow2Node, stored: StoredBitmap): i32 {
  const name = changetype<usize>(stored.name);
  let other = image.dirty;
  while (other) {
    if (stored.isNamed(other.name, other.nameBytes)) {
      return fail(Err.EINVAL, 'Bitmap already exists: ' + stored.text());
    }
    other = other.older;
  }
  const bitmap = new DirtyBitmap(stored.shift, image.length);
  bitmap.rename(name, stored.name.length);
  bitmap.persistent = true;
  bitmap.inconsistent = (stored.flags & IN_USE) !== 0;
  bitmap.enabled = !bitmap.inconsistent && (stored.flags & AUTO) !== 0;
  bitmap.readOnly = !bitmap.inconsistent;
  attachBitmap(image, bitmap);
  addBitmap(bitmap);
  if (bitmap.inconsistent) return 0;
  const r = bitmap.open();
  return r < 0 ? r : loadData(image, stored, bitmap);
}

/** Bytes of the bits of a bitmap in the file: whole words of 64 bits. */
function dataBytes(length: i64): i64 {
  return ((length + 63) >> 6) << 3;
}

/** Reads the table of a bitmap; 0: see `tableError`. */
function readTable(image: Qcow2Node, stored: StoredBitmap): usize {
  const table = heap.alloc((<usize>stored.tableEntries) << 3);
  tableError = image.file.pread(stored.tableOffset, stored.tableEntries << 3, table);
  for (let i = 0; tableError === 0 && i < stored.tableEntries; i++) {
    const entry = be64(table + ((<usize>i) << 3));
    const offset = entry & OFFSET_MASK;
    const wrong = entry & RESERVED || (offset && (entry & 1 || offset & (image.clusterSize - 1)));
    if (wrong) tableError = -Err.EINVAL;
  }
  if (tableError === 0) return table;
  heap.free(table);
  return 0;
}

let tableError: i32 = 0;

function loadData(image: Qcow2Node, stored: StoredBitmap, bitmap: DirtyBitmap): i32 {
  const table = readTable(image, stored);
  if (!table) {
    const what = `Could not read bitmap_table table from image for bitmap '${stored.text()}'`;
    return failErrno(tableError, what);
  }
  const fits = stored.tableEntries === clustersOf(image, dataBytes(bitmap.bits.length));
  const r = fits ? loadClusters(image, table, stored.tableEntries, bitmap.bits) : -Err.EINVAL;
  heap.free(table);
  return r < 0 ? failErrno(r, `Could not read bitmap '${stored.text()}' from image`) : 0;
}

function loadClusters(image: Qcow2Node, table: usize, entries: i32, bits: BitSet): i32 {
  const buffer = heap.alloc(image.clusterSize);
  let r = 0;
  for (let i = 0; r === 0 && i < entries; i++) {
    const entry = be64(table + ((<usize>i) << 3));
    const offset = <i64>(entry & OFFSET_MASK);
    const first = (<i64>i) << image.clusterBits;
    if (offset) {
      // The file may end inside: the last cluster of a file need not be whole.
      r = image.file.pread(offset, image.clusterSize, buffer);
      if (r === 0) r = loadPiece(bits, first, image.clusterSize, buffer);
    } else if (entry & 1) {
      bits.change(first << 3, (first + image.clusterSize) << 3, true);
    }
  }
  heap.free(buffer);
  return r;
}

/** Takes bits from memory; what is there behind the last bit means nothing. */
function loadPiece(bits: BitSet, first: i64, bytes: i32, from: usize): i32 {
  const left = bits.length - (first << 3);
  if (left <= 0) return 0;
  const used = min<i64>((left + 7) >> 3, bytes);
  if (left < used << 3) {
    const last = from + <usize>(used - 1);
    const rest = (1 << ((<i32>left) & 7)) - 1;
    store<u8>(last, <u8>((<i32>load<u8>(last)) & rest));
  }
  return bits.load(first, used, from);
}

/** Tells the file that all bitmaps are about to differ from what it holds of them. */
export function markInUse(image: Qcow2Node): i32 {
  const list = image.storedBitmaps;
  const marked: StoredBitmap[] = [];
  for (let i = 0; i < list.length; i++) {
    if (list[i].flags & IN_USE) continue;
    list[i].flags |= IN_USE;
    marked.push(list[i]);
  }
  const r = marked.length ? rewriteDirectory(image) : 0;
  if (r < 0) {
    for (let i = 0; i < marked.length; i++) marked[i].flags &= ~IN_USE;
    return prefixError(r, 'Failed to make dirty bitmaps writable: ');
  }
  setReadOnly(image, false);
  return 0;
}

function setReadOnly(image: Qcow2Node, readOnly: bool): void {
  let bitmap = image.dirty;
  while (bitmap) {
    if (bitmap.persistent && !bitmap.inconsistent) bitmap.readOnly = readOnly;
    bitmap = bitmap.older;
  }
}

/** Whether a bitmap is one that the image is to hold. */
function isStored(bitmap: DirtyBitmap): bool {
  return bitmap.persistent && !bitmap.inconsistent && !bitmap.readOnly;
}

function indexOf(image: Qcow2Node, bitmap: DirtyBitmap): i32 {
  const list = image.storedBitmaps;
  for (let i = 0; i < list.length; i++) if (list[i].isNamed(bitmap.name, bitmap.nameBytes)) return i;
  return -1;
}

/** Writes all bitmaps into the file; they are read-only afterwards. */
export function storeBitmaps(image: Qcow2Node): i32 {
  const old = image.storedBitmaps;
  const list = old.slice(0);
  const fresh: StoredBitmap[] = [];
  const replaced: StoredBitmap[] = [];
  let r = 0;
  let bitmap = image.dirty;
  while (bitmap && r === 0) {
    if (isStored(bitmap)) {
      const stored = new StoredBitmap();
      r = storeBitmap(image, bitmap, stored);
      if (r === 0) {
        fresh.push(stored);
        const index = indexOf(image, bitmap);
        if (index < 0) {
          list.push(stored);
        } else {
          r = fetchTable(image, old[index]);
          replaced.push(old[index]);
          list[index] = stored;
        }
      }
    }
    bitmap = bitmap.older;
  }
  if (!fresh.length && r === 0) return 0;
  const offset = r < 0 ? r : writeDirectory(image, list);
  if (offset < 0) {
    // Nothing on disk names them.
    for (let i = 0; i < fresh.length; i++) freeStored(image, fresh[i]);
    return prefixError(<i32>offset, LOST);
  }
  r = switchDirectory(image, list, offset);
  if (r < 0) return prefixError(r, LOST);
  for (let i = 0; i < replaced.length; i++) freeStored(image, replaced[i]);
  setReadOnly(image, true);
  return 0;
}

/** Writes the bits and the table of one bitmap into new clusters. */
function storeBitmap(image: Qcow2Node, bitmap: DirtyBitmap, stored: StoredBitmap): i32 {
  const bits = bitmap.bits;
  const entries = <i32>clustersOf(image, dataBytes(bits.length));
  stored.setName(bitmap.name, bitmap.nameBytes);
  stored.shift = bitmap.shift;
  stored.flags = bitmap.enabled ? AUTO : 0;
  stored.tableEntries = entries;
  const tableBytes = (<usize>entries) << 3;
  const table = heap.alloc(tableBytes);
  memory.fill(table, 0, tableBytes);
  let r = storeClusters(image, bits, table, entries);
  if (r === 0) {
    const clusters = clustersOf(image, <i64>tableBytes);
    const offset = allocateClusters(image, clusters);
    if (offset < 0) {
      r = <i32>offset;
    } else {
      stored.tableOffset = offset;
      r = writeNew(image, offset, <i32>tableBytes, table);
      if (r < 0) freeClusters(image, offset, clusters);
    }
  }
  if (r < 0) freeTable(image, table, entries);
  heap.free(table);
  return r < 0 ? failErrno(r, `Failed to write bitmap '${stored.text()}' to file`) : 0;
}

function storeClusters(image: Qcow2Node, bits: BitSet, table: usize, entries: i32): i32 {
  const buffer = heap.alloc(image.clusterSize);
  const perCluster = (<i64>image.clusterSize) << 3;
  let at = bits.find(0, bits.length, true);
  let r = 0;
  while (at >= 0) {
    const index = at / perCluster;
    bits.store(index << image.clusterBits, image.clusterSize, buffer);
    const offset = allocateClusters(image, 1);
    if (offset < 0) {
      r = <i32>offset;
      break;
    }
    putBe64(table + ((<usize>index) << 3), offset);
    r = writeNew(image, offset, image.clusterSize, buffer);
    if (r < 0) break;
    at = bits.find((index + 1) * perCluster, bits.length, true);
  }
  heap.free(buffer);
  return r;
}

/** Reads what `freeStored` is going to need; -EAGAIN: it is elsewhere and comes, nothing may be changed before. */
function fetchTable(image: Qcow2Node, stored: StoredBitmap): i32 {
  const table = readTable(image, stored);
  if (table) heap.free(table);
  return tableError === -Err.EAGAIN ? tableError : 0;
}

function freeTable(image: Qcow2Node, table: usize, entries: i32): void {
  for (let i = 0; i < entries; i++) {
    const offset = <i64>(be64(table + ((<usize>i) << 3)) & OFFSET_MASK);
    if (offset) freeClusters(image, offset, 1);
  }
}

/** Gives back the table and the bits of a bitmap that no directory names any more. */
function freeStored(image: Qcow2Node, stored: StoredBitmap): void {
  const table = readTable(image, stored);
  if (table) {
    freeTable(image, table, stored.tableEntries);
    heap.free(table);
  }
  freeClusters(image, stored.tableOffset, clustersOf(image, (<i64>stored.tableEntries) << 3));
}

/** Takes a bitmap out of the file, if it is there. */
export function removeStored(image: Qcow2Node, bitmap: DirtyBitmap): i32 {
  if (image.readOnly) return -Err.EACCES;
  const index = indexOf(image, bitmap);
  if (index < 0) return 0;
  const list = image.storedBitmaps.slice(0);
  const stored = list.splice(index, 1)[0];
  const fetched = fetchTable(image, stored);
  if (fetched < 0) return fetched;
  const offset = writeDirectory(image, list);
  const r = offset < 0 ? <i32>offset : switchDirectory(image, list, offset);
  if (r < 0) return prefixError(r, 'Failed to update bitmap extension: ');
  freeStored(image, stored);
  return 0;
}

/** Whether one more bitmap can be kept; the texts are QEMU's. */
export function checkStorable(image: Qcow2Node, shift: i32, nameBytes: i32): i32 {
  if (image.version < 3) return fail(Err.ENOTSUP, 'Cannot store dirty bitmaps in qcow2 v2 files');
  let count = 0;
  let bitmap = image.dirty;
  while (bitmap) {
    if (bitmap.persistent) count++;
    bitmap = bitmap.older;
  }
  if (shift > MAX_GRANULARITY) {
    return fail(Err.EINVAL, `Granularity exceeds maximum (${(<u64>1) << MAX_GRANULARITY} bytes)`);
  }
  if (shift < MIN_GRANULARITY) {
    return fail(Err.EINVAL, `Granularity is under minimum (${1 << MIN_GRANULARITY} bytes)`);
  }
  const bytes = dataBytes(bitsFor(image.length, shift));
  if (bytes > MAX_DATA) {
    return fail(Err.EINVAL, 'Too much space will be occupied by the bitmap. Use larger granularity');
  }
  if (nameBytes > MAX_NAME) return fail(Err.EINVAL, `Name length exceeds maximum (${MAX_NAME} characters)`);
  if (count >= MAX_BITMAPS) {
    return fail(Err.EOVERFLOW, 'Maximum number of persistent bitmaps is already reached');
  }
  if (!directoryFits(image.storedBitmaps, nameBytes)) {
    return fail(Err.EFBIG, 'Not enough space in the bitmap directory');
  }
  return 0;
}

/** Autoclear bits that this program keeps true while it writes. */
export function keptAutoclear(image: Qcow2Node): u64 {
  return image.autoclear & (hasDirectory(image) ? BITMAPS | RAW_EXTERNAL : RAW_EXTERNAL);
}
