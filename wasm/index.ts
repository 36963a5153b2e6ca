/**
 * The exported ABI, nothing else. Handles are small integers; offsets and sizes are f64 whole numbers; buffers are
 * addresses in linear memory that the caller keeps alive. See abi.ts for the answers.
 */
import { CheckRecord, Err, RECORD_BYTES, StatusRecord } from './abi';
import { BlockNode } from './block/node';
import {
  requestDiscard,
  requestFlush,
  requestRead,
  requestTruncate,
  requestWrite,
  requestWriteCompressed,
  requestZero,
} from './block/request';
import { found, foundBytes, foundDepth, foundFile, foundMap, statusAbove, statusOne } from './block/status';
import { addNode, nodeAt, removeNode } from './block/table';
import { FileNode } from './format/file';
import { NullNode } from './format/null';
import { Check } from './format/qcow2/check/check';
import { createImage, NewImage } from './format/qcow2/create';
import { Qcow2Node } from './format/qcow2/image';
import { describeImage } from './format/qcow2/info';
import { releaseImage } from './format/qcow2/lifetime';
import { openImage } from './format/qcow2/open';
import {
  createSnapshot,
  deleteSnapshot,
  revertSnapshot,
  showSnapshot,
} from './format/qcow2/snapshots/operations';
import { describeSnapshot, NewSnapshot } from './format/qcow2/snapshots/table';
import { RawNode } from './format/raw';
import { clearError, errorText } from './util/errors';
import { zeroRun as countZeroRun } from './util/memory';

export * from './exports/amend';
export * from './exports/caches';
export * from './exports/change';
export * from './exports/compare';
export * from './exports/copy';
export * from './exports/crypto';

const recordBlock: usize = heap.alloc(<usize>RECORD_BYTES);

/** Address of the block that records are passed in. */
export function record(): usize {
  return recordBlock;
}

/** Address of the text of the last failure, UTF-16; see {@link errorUnits}. */
export function errorAddress(): usize {
  return changetype<usize>(errorText());
}

/** Its length in code units; 0: the errno says it all. */
export function errorUnits(): i32 {
  return errorText().length;
}

/** A cache line, bytes: files are copied to and from memory that starts at one noticeably faster. */
const LINE: usize = 64;

/** Memory for requests, at the start of a cache line. Traps when there is none left. */
export function alloc(bytes: i32): usize {
  const block = heap.alloc(<usize>bytes + LINE);
  const pointer = (block + LINE) & ~(LINE - 1);
  // The allocator's blocks start at multiples of 16, so there is always room for this.
  store<usize>(pointer - sizeof<usize>(), block);
  return pointer;
}

/** Gives back what {@link alloc} gave. */
export function free(pointer: usize): void {
  heap.free(load<usize>(pointer - sizeof<usize>()));
}

/** Frees managed objects that nobody holds; only for when no other call is under way. */
export function collect(): void {
  __collect();
}

/** Finds the node and forgets the last failure's text. */
function enter(handle: i32): BlockNode | null {
  clearError();
  return nodeAt(handle);
}

export function openFile(file: i32, readOnly: i32): i32 {
  clearError();
  const node = new FileNode(file, readOnly !== 0);
  const r = node.open();
  return r < 0 ? discardNode(node, r) : addNode(node);
}

export function openNull(size: f64, readZeroes: i32, readOnly: i32): i32 {
  clearError();
  return addNode(new NullNode(<i64>size, readZeroes !== 0, readOnly !== 0));
}

/** `size` < 0: up to the end of the child. */
export function openRaw(child: i32, offset: f64, size: f64, readOnly: i32): i32 {
  const file = enter(child);
  if (!file) return -Err.EINVAL;
  const node = new RawNode(file, <i64>offset, <i64>size, readOnly !== 0);
  const r = node.open();
  return r < 0 ? discardNode(node, r) : addNode(node);
}

/** `flags` are Qcow2Open bits; sizes are bytes, < 0: by default. `data` < 0: no data file. */
export function openQcow2(
  child: i32,
  flags: i32,
  l2CacheSize: f64,
  refcountCacheSize: f64,
  l2CacheEntrySize: f64,
  data: i32,
): i32 {
  const file = enter(child);
  const external: BlockNode | null = nodeAt(data);
  if (!file || (data >= 0 && (!external || external === file))) return -Err.EINVAL;
  const image = new Qcow2Node(file);
  const r = openImage(image, flags, l2CacheSize, refcountCacheSize, l2CacheEntrySize, external);
  if (r === 0) return addNode(image);
  releaseImage(image);
  return discardNode(image, r);
}

/** Fills the record (Qcow2Record). Its texts are good until the next call. */
export function qcow2Info(handle: i32): i32 {
  const node = enter(handle);
  if (!node || !(node instanceof Qcow2Node)) return -Err.EINVAL;
  describeImage(node as Qcow2Node, recordBlock);
  return 0;
}

/** Begins a check of a qcow2 image. `fix` are CheckFix bits. */
export function checkStart(handle: i32, fix: i32): i32 {
  const node = enter(handle);
  if (!node || !(node instanceof Qcow2Node)) return -Err.ENOTSUP;
  const image = node as Qcow2Node;
  if (image.check || fix & ~3) return -Err.EINVAL;
  if (fix && image.readOnly) return -Err.EACCES;
  if (image.noIo || image.unusable || image.showsSnapshot) return -Err.ENOMEDIUM;
  image.check = new Check(image, fix);
  return 0;
}

/** Works on for some milliseconds at most; 1: there is more to do. */
export function checkStep(handle: i32): i32 {
  const node = enter(handle);
  if (!node || !(node instanceof Qcow2Node)) return -Err.EINVAL;
  const check = (node as Qcow2Node).check;
  return check ? check.step() : -Err.EINVAL;
}

/** Ends a check, complete or not, and fills the record (CheckRecord) with what it counted so far. */
export function checkEnd(handle: i32): i32 {
  const node = enter(handle);
  if (!node || !(node instanceof Qcow2Node)) return -Err.EINVAL;
  const image = node as Qcow2Node;
  const check = image.check;
  if (!check) return -Err.EINVAL;
  image.check = null;
  store<f64>(recordBlock + CheckRecord.CORRUPTIONS * 8, <f64>check.corruptions);
  store<f64>(recordBlock + CheckRecord.LEAKS * 8, <f64>check.leaks);
  store<f64>(recordBlock + CheckRecord.ERRORS * 8, <f64>check.errors);
  store<f64>(recordBlock + CheckRecord.CORRUPTIONS_FIXED * 8, <f64>check.corruptionsFixed);
  store<f64>(recordBlock + CheckRecord.LEAKS_FIXED * 8, <f64>check.leaksFixed);
  store<f64>(recordBlock + CheckRecord.IMAGE_END * 8, <f64>(check.endCluster << image.clusterBits));
  store<f64>(recordBlock + CheckRecord.TOTAL * 8, <f64>image.clusters());
  store<f64>(recordBlock + CheckRecord.ALLOCATED * 8, <f64>check.allocated);
  store<f64>(recordBlock + CheckRecord.FRAGMENTED * 8, <f64>check.fragmented);
  store<f64>(recordBlock + CheckRecord.COMPRESSED * 8, <f64>check.compressed);
  check.release();
  return 0;
}

function imageAt(handle: i32): Qcow2Node | null {
  const node = enter(handle);
  return node && node instanceof Qcow2Node ? (node as Qcow2Node) : null;
}

/** Fills the record (SnapshotRecord) of one of the snapshots. Its texts are good until the next change of them. */
export function snapshotInfo(handle: i32, index: i32): i32 {
  const image = imageAt(handle);
  return image ? describeSnapshot(image, index, recordBlock) : -Err.EINVAL;
}

/** Takes a snapshot. Texts are UTF-8, times of the clock seconds and nanoseconds; `icount` < 0: none. */
export function snapshotCreate(
  handle: i32,
  id: usize,
  idBytes: i32,
  name: usize,
  nameBytes: i32,
  dateSec: f64,
  dateNsec: f64,
  clockSec: f64,
  clockNsec: f64,
  icount: f64,
): i32 {
  const image = imageAt(handle);
  if (!image || idBytes > 0xffff || nameBytes > 0xffff) return -Err.EINVAL;
  const add = new NewSnapshot();
  add.id = id;
  add.idBytes = idBytes;
  add.name = name;
  add.nameBytes = nameBytes;
  add.dateSec = <u32>dateSec;
  add.dateNsec = <u32>dateNsec;
  add.clock = <u64>clockSec * 1000000000 + <u64>clockNsec;
  add.icount = icount < 0 ? u64.MAX_VALUE : <u64>icount;
  return createSnapshot(image, add);
}

export function snapshotDelete(handle: i32, index: i32): i32 {
  const image = imageAt(handle);
  return image ? deleteSnapshot(image, index) : -Err.EINVAL;
}

export function snapshotRevert(handle: i32, index: i32): i32 {
  const image = imageAt(handle);
  return image ? revertSnapshot(image, index) : -Err.EINVAL;
}

export function snapshotShow(handle: i32, index: i32): i32 {
  const image = imageAt(handle);
  return image ? showSnapshot(image, index) : -Err.EINVAL;
}

/** Makes a qcow2 image in the file of a protocol node. Texts are UTF-8; a length < 0: none. `data` < 0: no data file. */
export function createQcow2(
  child: i32,
  size: f64,
  version: i32,
  clusterSize: f64,
  refcountBits: i32,
  lazyRefcounts: i32,
  preallocation: i32,
  compressionType: i32,
  extendedL2: i32,
  backingFile: usize,
  backingFileLength: i32,
  backingFormat: usize,
  backingFormatLength: i32,
  data: i32,
  dataName: usize,
  dataNameLength: i32,
  dataRaw: i32,
): i32 {
  const file = enter(child);
  const external: BlockNode | null = nodeAt(data);
  if (!file || (data >= 0 && (!external || external === file))) return -Err.EINVAL;
  const wanted = new NewImage();
  wanted.size = size;
  wanted.version = version;
  wanted.clusterSize = clusterSize;
  wanted.refcountBits = refcountBits;
  wanted.lazyRefcounts = lazyRefcounts !== 0;
  wanted.preallocation = preallocation;
  wanted.compressionType = compressionType;
  wanted.extendedL2 = extendedL2 !== 0;
  wanted.backingFile = backingFile;
  wanted.backingFileLength = backingFileLength;
  wanted.backingFormat = backingFormat;
  wanted.backingFormatLength = backingFormatLength;
  wanted.data = external;
  wanted.dataName = dataName;
  wanted.dataNameLength = dataNameLength;
  wanted.dataRaw = dataRaw !== 0;
  return createImage(file, wanted);
}

/** Undoes the making of a node that did not open. */
function discardNode(node: BlockNode, code: i32): i32 {
  const child = node.child;
  if (child) child.users--;
  node.attachBacking(null);
  node.attachExternal(null);
  node.release();
  return code;
}

/** `backing` < 0: none. */
export function setBacking(handle: i32, backing: i32): i32 {
  const node = enter(handle);
  if (!node || !node.supportsBacking) return -Err.EINVAL;
  const below: BlockNode | null = nodeAt(backing);
  if (backing >= 0 && !below) return -Err.EINVAL;
  if (below && below.reaches(node)) return -Err.EINVAL;
  node.attachBacking(below);
  return 0;
}

export function setReadOnly(handle: i32, readOnly: i32): i32 {
  const node = enter(handle);
  if (!node) return -Err.EINVAL;
  if (node.readOnly === (readOnly !== 0)) return 0;
  if (readOnly) {
    const r = requestFlush(node);
    if (r < 0) return r;
  }
  return node.doSetReadOnly(readOnly !== 0);
}

/** EBUSY: another node uses it. Else it is gone, whatever the answer is. */
export function close(handle: i32): i32 {
  const node = enter(handle);
  if (!node) return -Err.EINVAL;
  if (node.users) return -Err.EBUSY;
  const r = node.doClose();
  removeNode(node);
  found(0, 0, null);
  return discardNode(node, r);
}

export function length(handle: i32): f64 {
  const node = enter(handle);
  return node ? <f64>node.size() : -(<f64>Err.EINVAL);
}

export function allocated(handle: i32): f64 {
  const node = enter(handle);
  return node ? <f64>node.doAllocated() : -(<f64>Err.EINVAL);
}

export function read(handle: i32, offset: f64, bytes: i32, to: usize): i32 {
  const node = enter(handle);
  return node ? requestRead(node, offset, bytes, to) : -Err.EINVAL;
}

export function write(handle: i32, offset: f64, bytes: i32, from: usize, flags: i32): i32 {
  const node = enter(handle);
  return node ? requestWrite(node, offset, bytes, from, flags) : -Err.EINVAL;
}

/** Compressed; `bytes` 0 ends a series of such writes. ENOTSUP: the node has no compression. */
export function writeCompressed(handle: i32, offset: f64, bytes: i32, from: usize, flags: i32): i32 {
  const node = enter(handle);
  return node ? requestWriteCompressed(node, offset, bytes, from, flags) : -Err.EINVAL;
}

export function writeZeroes(handle: i32, offset: f64, bytes: f64, flags: i32): i32 {
  const node = enter(handle);
  return node ? requestZero(node, offset, bytes, flags) : -Err.EINVAL;
}

export function discard(handle: i32, offset: f64, bytes: f64): i32 {
  const node = enter(handle);
  return node ? requestDiscard(node, offset, bytes) : -Err.EINVAL;
}

export function flush(handle: i32): i32 {
  const node = enter(handle);
  return node ? requestFlush(node) : -Err.EINVAL;
}

export function truncate(handle: i32, size: f64, preallocation: i32): i32 {
  const node = enter(handle);
  return node ? requestTruncate(node, size, preallocation) : -Err.EINVAL;
}

/** Fills the record (StatusRecord). */
export function blockStatus(handle: i32, offset: f64, bytes: f64): i32 {
  const node = enter(handle);
  if (!node || !(offset >= 0) || !(bytes >= 0)) return -Err.EINVAL;
  return answerStatus(statusOne(node, true, <i64>offset, <i64>bytes), 1);
}

/** Fills the record (StatusRecord). `base` < 0: the whole chain. */
export function blockStatusAbove(handle: i32, base: i32, offset: f64, bytes: f64): i32 {
  const node = enter(handle);
  if (!node || !(offset >= 0) || !(bytes >= 0)) return -Err.EINVAL;
  const end: BlockNode | null = nodeAt(base);
  if (base >= 0 && !end) return -Err.EINVAL;
  const flags = statusAbove(node, end, true, <i64>offset, <i64>bytes);
  return answerStatus(flags, foundDepth);
}

function answerStatus(flags: i32, depth: i32): i32 {
  if (flags < 0) return flags;
  const file = foundFile;
  store<i32>(recordBlock + StatusRecord.FLAGS, flags);
  store<i32>(recordBlock + StatusRecord.FILE, file ? file.handle : -1);
  store<i32>(recordBlock + StatusRecord.DEPTH, depth);
  store<f64>(recordBlock + StatusRecord.BYTES, <f64>foundBytes);
  store<f64>(recordBlock + StatusRecord.MAP, <f64>foundMap);
  return 0;
}

/** See util/memory.ts. */
export function zeroRun(at: usize, bytes: i32): i32 {
  return countZeroRun(at, bytes);
}

/** Address of the node's counters (StatsRecord). */
export function stats(handle: i32): i32 {
  const node = enter(handle);
  return node ? <i32>node.stats() : -Err.EINVAL;
}

export * from './exports/backup';
export * from './exports/bitmaps';
export * from './exports/filters';
export * from './exports/mirror';
export * from './exports/storagefilters';
export * from './exports/throttle';
export * from './exports/quorum';
export * from './exports/vmstate';
export * from './exports/remote';
