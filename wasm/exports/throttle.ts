/** Exports of throttle groups and nodes. Groups have numbers of their own. */
import { Err, ThrottleBucket } from '../abi';
import { addNode, nodeAt } from '../block/table';
import { takeDelay, ThrottleGroup, ThrottleNode } from '../filter/throttle';
import { clearError } from '../util/errors';

const groups: Array<ThrottleGroup | null> = [];

function groupAt(group: i32): ThrottleGroup | null {
  clearError();
  return <u32>group < <u32>groups.length ? groups[group] : null;
}

/** Makes a group without limits; answers its number. */
export function throttleGroup(): i32 {
  const group = new ThrottleGroup();
  const free = groups.indexOf(null);
  if (free < 0) return groups.push(group) - 1;
  groups[free] = group;
  return free;
}

/** Forgets a group; nodes that are still in it keep its limits. */
export function throttleDrop(group: i32): i32 {
  if (!groupAt(group)) return -Err.EINVAL;
  groups[group] = null;
  return 0;
}

/** Sets a bucket (ThrottleBucket) and empties it: units a second, units a second of a burst, seconds of one. */
export function throttleLimit(group: i32, bucket: i32, avg: f64, max: f64, burstLength: f64): i32 {
  const found = groupAt(group);
  if (!found || <u32>bucket >= <u32>ThrottleBucket.COUNT) return -Err.EINVAL;
  found.setBucket(bucket, avg, max, burstLength);
  return 0;
}

/** Bytes of a request that count as one operation; 0: all do. */
export function throttleSize(group: i32, bytes: f64): i32 {
  const found = groupAt(group);
  if (!found) return -Err.EINVAL;
  found.iopsSize = bytes;
  return 0;
}

export function openThrottle(file: i32, readOnly: i32, group: i32): i32 {
  const found = groupAt(group);
  const child = nodeAt(file);
  return child && found ? addNode(new ThrottleNode(child, readOnly !== 0, found)) : -Err.EINVAL;
}

/** Puts a throttle node into another group. */
export function throttleJoin(handle: i32, group: i32): i32 {
  const found = groupAt(group);
  const node = nodeAt(handle);
  if (!found || !node || !(node instanceof ThrottleNode)) return -Err.EINVAL;
  (node as ThrottleNode).group = found;
  return 0;
}

/** Milliseconds until what was sent since the last call is paid for. */
export function throttleDelay(): f64 {
  return takeDelay();
}
