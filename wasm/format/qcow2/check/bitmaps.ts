/** The part of a check that counts the clusters of persistent bitmaps: directory, tables, data. */
import { Err } from '../../../abi';
import { be16, be32, be64 } from '../../../util/endian';
import { Check } from './check';
import { OFFSET_MASK } from '../layout';

const DIRECTORY_ENTRY: i32 = 24;
const MAX_DIRECTORY: i64 = 1024 * 65535;
const MAX_TABLE: u32 = 0x8000000;
/** Bits of a table entry that must be 0: with an offset, and without one. */
const RESERVED: u64 = ~(OFFSET_MASK | 1);
/** Bytes of a table that are read in one step. */
const CHUNK: i32 = 65536;

/** Forgets the directory. */
export function releaseBitmaps(check: Check): void {
  if (check.directory) heap.free(check.directory);
  check.directory = 0;
}

function spoiled(check: Check): i32 {
  check.corruptions++;
  releaseBitmaps(check);
  return -Err.EINVAL;
}

/** Where the directory is, as far as the image has one that counts. */
let directoryOffset: i64 = 0;
let directoryBytes: i64 = 0;

function findDirectory(check: Check): bool {
  const image = check.image;
  const extension = image.bitmaps;
  if (!extension || !(image.autoclear & 1)) return false;
  directoryBytes = <i64>be64(extension.at + 8);
  directoryOffset = <i64>be64(extension.at + 16);
  return true;
}

/** Reads the directory, if there is a valid one; fails only if it is elsewhere. */
export function readDirectory(check: Check): i32 {
  releaseBitmaps(check);
  if (!findDirectory(check)) return 0;
  const bytes = directoryBytes;
  const offset = directoryOffset;
  const file = check.image.file;
  if (bytes < 0 || bytes > MAX_DIRECTORY || offset < 0 || bytes > file.size() - offset) return 0;
  check.directoryBytes = bytes;
  check.directory = heap.alloc(<usize>bytes + DIRECTORY_ENTRY);
  const r = file.pread(offset, <i32>bytes, check.directory);
  if (r < 0) releaseBitmaps(check);
  return r === -Err.EAGAIN ? r : 0;
}

/** Counts the directory. */
export function beginBitmaps(check: Check): i32 {
  if (!findDirectory(check)) return 0;
  const r = check.count(directoryOffset, directoryBytes);
  if (r < 0) return r;
  return check.directory ? 0 : spoiled(check);
}

/**
 * Walks on: `index` is the byte in the directory, `at` the entry of the table; 0: the end.
 */
export function stepBitmaps(check: Check): i32 {
  if (!check.directory) return 0;
  if (check.index >= check.directoryBytes) {
    releaseBitmaps(check);
    return 0;
  }
  const image = check.image;
  const entry = check.directory + check.index;
  if (check.index + DIRECTORY_ENTRY > check.directoryBytes) return spoiled(check);
  const table = <i64>be64(entry);
  const entries = be32(entry + 8);
  const name = be16(entry + 18);
  const next = (check.index + DIRECTORY_ENTRY + <i64>name + be32(entry + 20) + 7) & ~7;
  if (!check.at) {
    const wrong = !name || !entries || entries > MAX_TABLE || !table || table & (image.clusterSize - 1);
    if (wrong || table < 0 || next > check.directoryBytes) return spoiled(check);
  }
  // What is behind the end of the file is zeros: there is nothing to count.
  const end = min<i64>(entries, (image.file.size() - table) >> 3);
  const n = <i32>max<i64>(min<i64>(CHUNK >> 3, end - check.at), 0);
  const chunk = heap.alloc(CHUNK);
  let r = n ? image.file.pread(table + (check.at << 3), n << 3, chunk) : 0;
  if (r !== -Err.EAGAIN && !check.at) {
    const counted = check.count(table, (<i64>entries) << 3);
    if (counted < 0) r = counted;
  }
  if (r === 0) r = countChunk(check, chunk, n);
  heap.free(chunk);
  if (r < 0) return r;
  check.at += n;
  if (check.at >= end) {
    check.index = <i32>next;
    check.at = 0;
  }
  return 1;
}

function countChunk(check: Check, chunk: usize, n: i32): i32 {
  const image = check.image;
  let r = 0;
  for (let i = 0; r === 0 && i < n; i++) {
    const entry = be64(chunk + ((<usize>i) << 3));
    const offset = <i64>(entry & OFFSET_MASK);
    if (entry & RESERVED || (offset && (entry & 1 || offset & (image.clusterSize - 1)))) {
      check.corruptions++;
      continue;
    }
    if (offset) r = check.count(offset, image.clusterSize);
  }
  return r;
}
