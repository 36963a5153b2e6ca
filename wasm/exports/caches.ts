/** The exported ABI for the memory of caches. */
import { Err } from '../abi';
import { nodeAt } from '../block/table';
import { Qcow2Node } from '../format/qcow2/image';
import { clearError } from '../util/errors';

/** Frees tables of a qcow2 image that were not used since the last call. Not while it is checked. */
export function cleanCaches(handle: i32): i32 {
  clearError();
  const node = nodeAt(handle);
  if (!(node instanceof Qcow2Node)) return -Err.EINVAL;
  const image = <Qcow2Node>node;
  if (image.check) return 0;
  const l2 = image.l2Cache;
  if (l2) l2.clean();
  const refs = image.refCache;
  if (refs) refs.clean();
  return 0;
}
