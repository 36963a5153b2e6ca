/** Entry of requests from outside: bounds and flags are checked here, once, and latencies are measured. */
import { Err, Preallocation, Request, StatsRecord } from '../abi';
import { clock } from '../host';
import { fail } from '../util/errors';
import { BlockNode, MAX_OFFSET } from './node';

/** Whether a range from outside is whole numbers, and lies in the node. */
function inside(node: BlockNode, offset: f64, bytes: f64): bool {
  if (!(offset >= 0 && bytes >= 0 && offset <= <f64>MAX_OFFSET && bytes <= <f64>MAX_OFFSET)) return false;
  if (offset !== Math.floor(offset) || bytes !== Math.floor(bytes)) return false;
  return <i64>offset + <i64>bytes <= node.size();
}

/** What forbids a change of the node's data; 0: nothing. */
function writable(node: BlockNode, flags: i32): i32 {
  if (flags & ~Request.KNOWN) return -Err.EINVAL;
  if (node.readOnly) return fail(Err.EACCES, 'Block node is read-only');
  return 0;
}

/** Requests of so many bytes take so long that the clock does not matter. */
const LARGE: i32 = 65536;
/** So many reads, or writes, of a node are all measured. */
const FIRST: f64 = 64;
/** From then on one small request in so many, taken at random, is; it stands for all of them. A power of two. */
const SAMPLE: i32 = 16;

let random: u32 = 0x9e3779b9;

/**
 * For how many requests the latency of this one counts; 0: it is not to be measured. In a browser the clock costs as much
 * as a third of a 4 KiB read, so that measuring them all would slow down what is measured. `count` is how many there
 * were of its kind. Random and not every sixteenth: requests often come in patterns.
 */
function weight(count: f64, bytes: i32): f64 {
  if (bytes >= LARGE || count < FIRST) return 1;
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  return random & (SAMPLE - 1) ? 0 : SAMPLE;
}

export function requestRead(node: BlockNode, offset: f64, bytes: i32, to: usize): i32 {
  if (bytes < 0 || !inside(node, offset, bytes)) {
    node.count(StatsRecord.FAILED_READS, 1);
    return -Err.EIO;
  }
  const measured = weight(node.counted(StatsRecord.READS), bytes);
  const start = measured ? clock() : 0;
  const r = node.pread(<i64>offset, bytes, to);
  if (measured) node.count(StatsRecord.READ_TIME, (clock() - start) * measured);
  return r;
}

export function requestWrite(node: BlockNode, offset: f64, bytes: i32, from: usize, flags: i32): i32 {
  let r = writable(node, flags);
  if (r === 0 && (bytes < 0 || !inside(node, offset, bytes))) r = -Err.EIO;
  if (r < 0) {
    node.count(StatsRecord.FAILED_WRITES, 1);
    return r;
  }
  const measured = weight(node.counted(StatsRecord.WRITES), bytes);
  const start = measured ? clock() : 0;
  r = node.pwrite(<i64>offset, bytes, from);
  if (r === 0 && flags & Request.FUA) r = node.pflush();
  if (measured) node.count(StatsRecord.WRITE_TIME, (clock() - start) * measured);
  return r;
}

/** Compressed: whole clusters, or up to the end of the disk. No bytes: the last of a series of such writes. */
export function requestWriteCompressed(
  node: BlockNode,
  offset: f64,
  bytes: i32,
  from: usize,
  flags: i32,
): i32 {
  let r = writable(node, flags);
  if (r === 0 && (bytes < 0 || !inside(node, offset, bytes))) r = -Err.EIO;
  if (r < 0) {
    node.count(StatsRecord.FAILED_WRITES, 1);
    return r;
  }
  const start = clock();
  r = node.pwriteCompressed(<i64>offset, bytes, from);
  if (r === 0 && flags & Request.FUA) r = node.pflush();
  node.count(StatsRecord.WRITE_TIME, clock() - start);
  return r;
}

export function requestZero(node: BlockNode, offset: f64, bytes: f64, flags: i32): i32 {
  let r = writable(node, flags);
  if (r === 0 && !inside(node, offset, bytes)) r = -Err.EIO;
  if (r < 0) return r;
  r = node.pzero(<i64>offset, <i64>bytes, flags);
  if (r === 0 && flags & Request.FUA) r = node.pflush();
  return r;
}

export function requestDiscard(node: BlockNode, offset: f64, bytes: f64): i32 {
  let r = writable(node, 0);
  if (r === 0 && !inside(node, offset, bytes)) r = -Err.EIO;
  if (r < 0) return r;
  const start = clock();
  r = node.pdiscard(<i64>offset, <i64>bytes);
  node.count(StatsRecord.UNMAP_TIME, clock() - start);
  return r;
}

export function requestFlush(node: BlockNode): i32 {
  if (node.readOnly) return 0;
  const start = clock();
  const r = node.pflush();
  node.count(StatsRecord.FLUSH_TIME, clock() - start);
  return r;
}

export function requestTruncate(node: BlockNode, size: f64, preallocation: i32): i32 {
  if (!(size >= 0) || size !== Math.floor(size)) return fail(Err.EINVAL, 'Image size cannot be negative');
  if (size > <f64>MAX_OFFSET) return -Err.EFBIG;
  if (preallocation < 0 || preallocation > Preallocation.FULL) return -Err.EINVAL;
  if (node.readOnly) return fail(Err.EACCES, 'Image is read-only');
  return node.ptruncate(<i64>size, preallocation);
}
