/**
 * Copying from node to node inside the data plane, with one buffer of bounded size: what jobs and tools copy never goes
 * through the control plane.
 */
import { Bits, Copy, Err, Request } from '../abi';
import { Scratch, zeroPrefix } from '../util/memory';
import { BlockNode } from './node';
import { foundBytes, statusAbove, statusOne } from './status';

/** Bytes that are read and written at once: so few that they are still in the cache of the processor when they are written. */
const PIECE: i64 = 1 << 18;

const buffer = new Scratch();

/** How far the last copy got: bytes from its offset on that are done, or were to be passed over. */
export let copyDone: i64 = 0;
/** Of these, bytes that were written. */
export let copyWritten: i64 = 0;
/** Of these, bytes of data; the others were zeroed or discarded. */
export let copyMoved: i64 = 0;
/** Whether the last failure was one of the target. */
export let copyTargetFailed: bool = false;

/**
 * Copies what `source` reads in a range to the same place of `target`.
 * @param base with ALLOCATED: the end of the source's chain (excluded; null: all of it)
 * @param flags {@link Copy}
 */
export function copyRange(
  source: BlockNode,
  base: BlockNode | null,
  target: BlockNode,
  offset: i64,
  bytes: i64,
  flags: i32,
): i32 {
  while (copyDone < bytes) {
    const at = offset + copyDone;
    let n = bytes - copyDone;
    if (flags & Copy.KEEP_TARGET) {
      const there = statusOne(target, false, at, n);
      if (there < 0) return failed(there, true);
      if (!foundBytes) break;
      n = foundBytes;
      if (there & Bits.ALLOCATED) {
        copyDone += n;
        continue;
      }
    }
    const status = statusAbove(source, flags & Copy.ALLOCATED ? base : null, true, at, n);
    if (status < 0) return failed(status, false);
    // Behind the end of the source everything reads as zeros, and nothing is allocated.
    if (foundBytes) n = min(n, foundBytes);
    if (flags & Copy.ALLOCATED && !(status & Bits.ALLOCATED)) {
      copyDone += n;
      continue;
    }
    const r =
      status & Bits.ZERO || !foundBytes
        ? copyZeroes(target, at, n, flags)
        : flags & Copy.DISCARD && !(status & Bits.DATA)
          ? discard(target, at, n)
          : copyData(source, target, at, n, flags);
    if (r < 0) return r;
  }
  return 0;
}

function failed(code: i32, target: bool): i32 {
  copyTargetFailed = target;
  return code;
}

function copyZeroes(target: BlockNode, offset: i64, bytes: i64, flags: i32): i32 {
  const r = target.pzero(offset, bytes, flags & Copy.UNMAP ? Request.MAY_UNMAP : 0);
  if (r < 0) return failed(r, true);
  copyDone += bytes;
  copyWritten += bytes;
  return 0;
}

/** Whatever may be read in the source may be read in the target. */
function discard(target: BlockNode, offset: i64, bytes: i64): i32 {
  const r = target.pdiscard(offset, bytes);
  if (r < 0) return failed(r, true);
  copyDone += bytes;
  copyWritten += bytes;
  return 0;
}

function copyData(source: BlockNode, target: BlockNode, offset: i64, bytes: i64, flags: i32): i32 {
  const piece = buffer.get(<i32>min<i64>(bytes, PIECE));
  const end = offset + bytes;
  while (offset < end) {
    const n = <i32>min<i64>(end - offset, PIECE);
    let r = source.pread(offset, n, piece);
    if (r < 0) return failed(r, false);
    if (flags & Copy.DETECT_ZEROES && zeroPrefix(piece, n) === n) {
      r = copyZeroes(target, offset, n, flags);
      if (r < 0) return r;
    } else {
      r = target.pwrite(offset, n, piece);
      if (r < 0) return failed(r, true);
      copyDone += n;
      copyWritten += n;
      copyMoved += n;
    }
    offset += n;
  }
  return 0;
}

/** Begins a copy. */
export function startCopy(): void {
  copyDone = 0;
  copyWritten = 0;
  copyMoved = 0;
  copyTargetFailed = true;
}

/** A whole copy inside a request, which may itself be a part of a copy: what is known of that one stays. */
export function copyNested(source: BlockNode, target: BlockNode, offset: i64, bytes: i64, flags: i32): i32 {
  const done = copyDone;
  const written = copyWritten;
  const moved = copyMoved;
  const targetFailed = copyTargetFailed;
  startCopy();
  const r = copyRange(source, null, target, offset, bytes, flags);
  copyDone = done;
  copyWritten = written;
  copyMoved = moved;
  copyTargetFailed = targetFailed;
  return r;
}

/** Begins a copy: what forbids it; 0: nothing. */
export function checkCopy(target: BlockNode, offset: f64, bytes: f64, flags: i32): i32 {
  startCopy();
  if (flags & ~Copy.KNOWN) return -Err.EINVAL;
  if (!(offset >= 0 && bytes >= 0) || offset !== Math.floor(offset) || bytes !== Math.floor(bytes))
    return -Err.EINVAL;
  if (target.readOnly) return -Err.EACCES;
  return offset + bytes <= <f64>target.size() ? 0 : -Err.EIO;
}
