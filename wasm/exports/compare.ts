/** The exported ABI for comparing what was read. */
import { compareUnits } from '../util/compare';

/** The first run of `unit`s that are equal (bytes > 0) or differ (bytes < 0) in two buffers of `bytes`. */
export function compareRun(a: usize, b: usize, bytes: i32, unit: i32): i32 {
  return compareUnits(a, b, bytes, unit);
}
