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

export function requestRead(node: BlockNode, offset: f64, bytes: i32, to: usize): i32 {
  if (bytes < 0 || !inside(node, offset, bytes)) {
    node.count(StatsRecord.FAILED_READS, 1);
    return -Err.EIO;
  }
  const start = clock();
  const r = node.pread(<i64>offset, bytes, to);
  node.count(StatsRecord.READ_TIME, clock() - start);
  return r;
}

export function requestWrite(node: BlockNode, offset: f64, bytes: i32, from: usize, flags: i32): i32 {
  let r = writable(node, flags);
  if (r === 0 && (bytes < 0 || !inside(node, offset, bytes))) r = -Err.EIO;
  if (r < 0) {
    node.count(StatsRecord.FAILED_WRITES, 1);
    return r;
  }
  const start = clock();
  r = node.pwrite(<i64>offset, bytes, from);
  if (r === 0 && flags & Request.FUA) r = node.pflush();
  node.count(StatsRecord.WRITE_TIME, clock() - start);
  return r;
}

export function requestZero(node: BlockNode, offset: f64, bytes: f64, flags: i32): i32 {
  let r = writable(node, flags);
  if (r === 0 && !inside(node, offset, bytes)) r = -Err.EIO;
  if (r < 0) {
    node.count(StatsRecord.FAILED_UNMAPS, 1);
    return r;
  }
  const start = clock();
  r = node.pzero(<i64>offset, <i64>bytes, flags);
  if (r === 0 && flags & Request.FUA) r = node.pflush();
  node.count(StatsRecord.UNMAP_TIME, clock() - start);
  return r;
}

export function requestDiscard(node: BlockNode, offset: f64, bytes: f64): i32 {
  let r = writable(node, 0);
  if (r === 0 && !inside(node, offset, bytes)) r = -Err.EIO;
  if (r < 0) {
    node.count(StatsRecord.FAILED_UNMAPS, 1);
    return r;
  }
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
  return node.doTruncate(<i64>size, preallocation);
}
