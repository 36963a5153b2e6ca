/** The exported ABI for copying from node to node. */
import { Err } from '../abi';
import {
  checkCopy,
  copyDone as doneBytes,
  copyMoved as movedBytes,
  copyRange,
  copyTargetFailed as targetFailed,
  copyWritten as writtenBytes,
} from '../block/copy';
import { nodeAt } from '../block/table';
import { clearError } from '../util/errors';

/** Copies a range to the same place of `target`. `base` < 0: the whole chain. Flags are Copy bits. */
export function copy(source: i32, base: i32, target: i32, offset: f64, bytes: f64, flags: i32): i32 {
  clearError();
  const from = nodeAt(source);
  const to = nodeAt(target);
  const end = nodeAt(base);
  if (!from || !to || (base >= 0 && !end)) return -Err.EINVAL;
  const r = checkCopy(to, offset, bytes, flags);
  return r < 0 ? r : copyRange(from, end, to, <i64>offset, <i64>bytes, flags);
}

/** Bytes that the last copy, complete or not, has behind it. */
export function copyDone(): f64 {
  return <f64>doneBytes;
}

/** Of these, bytes that it wrote. */
export function copyWritten(): f64 {
  return <f64>writtenBytes;
}

/** Of these, bytes of data; the others it zeroed or discarded. */
export function copyMoved(): f64 {
  return <f64>movedBytes;
}

/** Whether the last copy failed on the side of the target. */
export function copyTargetFailed(): i32 {
  return targetFailed ? 1 : 0;
}
