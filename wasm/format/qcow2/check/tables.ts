/** The part of a check that walks L1 and L2 tables and counts what they point to. */
import { Err } from '../../../abi';
import { be64, putBe64 } from '../../../util/endian';
import { hex } from '../../../util/errors';
import { zeroPrefix } from '../../../util/memory';
import { compressedBytes, compressedOffset } from '../refcounts/allocate';
import { Check } from './check';
import { COMPRESSED, COPIED, EXTENDED_L2, OFFSET_MASK, ZERO } from '../layout';
import { checkWrite, Meta } from '../overlap';

/** Bits of an L1 entry, and of a standard L2 entry, that must be 0. */
const L1_RESERVED: u64 = ~(COPIED | OFFSET_MASK);
const L2_RESERVED: u64 = ~(COPIED | COMPRESSED | OFFSET_MASK | ZERO);

/** Of the 64 subclusters' bits: "is allocated". */
const SUB_ALLOCATED: u64 = 0xffffffff;

/** Takes up an L1 table (big endian, in memory): its own clusters are counted. */
export function beginTables(check: Check, l1: usize, entries: i32, offset: i64): i32 {
  check.walked = l1;
  check.walkedSize = entries;
  check.index = 0;
  return entries ? check.count(offset, (<i64>entries) << 3) : 0;
}

/** Walks on, one L2 table a step; 0: the end. */
export function stepTables(check: Check, active: bool): i32 {
  let skipped = 0;
  while (check.index < check.walkedSize) {
    const entry = be64(check.walked + ((<usize>check.index) << 3));
    check.index++;
    if (entry) {
      const r = checkTable(check, entry, active);
      if (r === -Err.EAGAIN) check.index--;
      return r < 0 ? r : 1;
    }
    if (++skipped === 65536) return 1;
  }
  return 0;
}

function checkTable(check: Check, entry: u64, active: bool): i32 {
  const image = check.image;
  const read = check.readL2(entry);
  if (read === -Err.EAGAIN) return read;
  if (entry & L1_RESERVED) check.corrupt(`ERROR found L1 entry with reserved bits set: ${hex(entry)}`);
  const offset = <i64>(entry & OFFSET_MASK);
  const r = check.count(offset, image.clusterSize);
  if (r < 0) return r;
  if (offset & (image.clusterSize - 1)) {
    check.corrupt(`ERROR l2_offset=${hex(offset)}: Table is not cluster aligned; L1 entry corrupted`);
  }
  if (read < 0) {
    check.announce('ERROR: I/O error in check_refcounts_l2');
    check.errors++;
    return read;
  }
  return walkTable(check, offset, active);
}

/** What follows in the file directly behind the cluster before; 0: not known. */
let nextContiguous: i64 = 0;

function walkTable(check: Check, tableOffset: i64, active: bool): i32 {
  const image = check.image;
  const extended = (image.incompatible & EXTENDED_L2) !== 0;
  const step = extended ? 16 : 8;
  const table = check.table;
  nextContiguous = 0;
  for (let at = 0; at < image.clusterSize; at += step) {
    const entry = be64(table + at);
    const bitmap: u64 = extended ? be64(table + at + 8) : 0;
    if (!entry && !bitmap) {
      at += (zeroPrefix(table + at, image.clusterSize - at) & -step) - step;
      continue;
    }
    if (entry & COMPRESSED) {
      const r = checkCompressed(check, at / step, entry, bitmap, active);
      if (r < 0) return r;
      continue;
    }
    if (entry & L2_RESERVED) {
      check.corrupt(`ERROR found l2 entry with reserved bits set: ${hex(entry)}`);
    }
    const host = <i64>(entry & OFFSET_MASK);
    const dataAtZero = !host && check.hasDataFile && (entry & COPIED) !== 0;
    if (!host && !dataAtZero) {
      if (bitmap & SUB_ALLOCATED) {
        check.corrupt('ERROR: Unallocated cluster has non-zero subcluster allocation map');
      }
      continue;
    }
    const r = checkCluster(check, entry, bitmap, extended, tableOffset + at, active);
    if (r < 0) return r;
  }
  return 0;
}

function checkCompressed(check: Check, index: i32, entry: u64, bitmap: u64, active: bool): i32 {
  const image = check.image;
  const offset = compressedOffset(image, entry);
  if (check.hasDataFile) {
    check.corrupt(`ERROR compressed cluster ${index} with data file, entry=0x${hex(entry)}`);
    return 0;
  }
  if (entry & COPIED) {
    check.corrupt(`ERROR: coffset=0x${hex(offset)}: copied flag must never be set for compressed clusters`);
    entry &= ~COPIED;
  }
  if (bitmap) {
    const where = `with non-zero subcluster allocation bitmap, entry=0x${hex(entry)}`;
    check.corrupt(`ERROR compressed cluster ${index} ${where}`);
    return 0;
  }
  const r = check.count(offset, compressedBytes(image, entry));
  if (r < 0 || !active) return r;
  // Compressed clusters lie at any byte: they always count as fragmented.
  check.allocated++;
  check.compressed++;
  check.fragmented++;
  return 0;
}

/** An entry that has a host cluster. */
function checkCluster(
  check: Check,
  entry: u64,
  bitmap: u64,
  extended: bool,
  entryOffset: i64,
  active: bool,
): i32 {
  const image = check.image;
  const host = <i64>(entry & OFFSET_MASK);
  let holdsData = !(entry & ZERO);
  if (extended) {
    holdsData = (bitmap & SUB_ALLOCATED) !== 0;
    // No subcluster can be allocated and zero at once.
    if ((bitmap >> 32) & bitmap & SUB_ALLOCATED) {
      check.corrupt(
        `ERROR offset=${hex(host)}: Allocated cluster has corrupted subcluster allocation bitmap`,
      );
    }
  }
  if (host & (image.clusterSize - 1)) {
    if (holdsData) {
      check.corrupt(`ERROR offset=${hex(host)}: Data cluster is not properly aligned; L2 entry corrupted.`);
    } else {
      const repair = check.fixes;
      check.tell(
        `${check.verb(repair)} offset=${hex(host)}: Preallocated cluster is not properly aligned; L2 entry corrupted.`,
      );
      if (repair && makePlainZero(check, extended, entryOffset) === 0) {
        check.corruptionsFixed++;
        return 0;
      }
      check.corruptions++;
    }
  }
  if (active) {
    check.allocated++;
    if (nextContiguous && host !== nextContiguous) check.fragmented++;
    nextContiguous = host + image.clusterSize;
  }
  return check.hasDataFile ? 0 : check.count(host, image.clusterSize);
}

/** Takes the place from an entry that reads as zeros. Its count is lowered later, as a leak. */
function makePlainZero(check: Check, extended: bool, at: i64): i32 {
  const image = check.image;
  // With subclusters the bits behind the entry say what reads as zeros.
  const value = heap.alloc(8);
  putBe64(value, extended ? 0 : ZERO);
  let r = checkWrite(image, Meta.ACTIVE_L2, at, 8);
  if (r === 0) r = image.file.pwrite(at, 8, value);
  heap.free(value);
  if (r < 0) check.errors++;
  return r;
}
