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

/** Counts the directory, if there is a valid one, and reads it. */
export function beginBitmaps(check: Check): i32 {
  releaseBitmaps(check);
  const image = check.image;
  const extension = image.bitmaps;
  if (!extension || !(image.autoclear & 1)) return 0;
  const bytes = <i64>be64(extension.at + 8);
  const offset = <i64>be64(extension.at + 16);
  const r = check.count(offset, bytes);
  if (r < 0) return r;
  if (bytes < 0 || bytes > MAX_DIRECTORY || offset < 0 || bytes > image.file.size() - offset) {
    return spoiled(check);
  }
  check.directoryBytes = bytes;
  check.directory = heap.alloc(<usize>bytes + DIRECTORY_ENTRY);
  return image.file.pread(offset, <i32>bytes, check.directory) < 0 ? spoiled(check) : 0;
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
    const r = check.count(table, (<i64>entries) << 3);
    if (r < 0) return r;
  }
  // What is behind the end of the file is zeros: there is nothing to count.
  const end = min<i64>(entries, (image.file.size() - table) >> 3);
  if (check.at < end) {
    const n = <i32>min<i64>(CHUNK >> 3, end - check.at);
    const r = countChunk(check, table + (check.at << 3), n);
    if (r < 0) return r;
    check.at += n;
  }
  if (check.at >= end) {
    check.index = <i32>next;
    check.at = 0;
  }
  return 1;
}

function countChunk(check: Check, at: i64, n: i32): i32 {
  const image = check.image;
  const chunk = heap.alloc(CHUNK);
  let r = image.file.pread(at, n << 3, chunk);
  for (let i = 0; r === 0 && i < n; i++) {
    const entry = be64(chunk + ((<usize>i) << 3));
    const offset = <i64>(entry & OFFSET_MASK);
    if (entry & RESERVED || (offset && (entry & 1 || offset & (image.clusterSize - 1)))) {
      check.corruptions++;
      continue;
    }
    if (offset) r = check.count(offset, image.clusterSize);
  }
  heap.free(chunk);
  return r;
}
