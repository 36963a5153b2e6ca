/**
 * An image that a program with lazy refcounts did not close: its counts may be wrong. They are corrected by a check
 * before anything is written. An image that has more wrong with it than counts is refused as it is: a repair would give
 * back clusters that somebody may want to save by hand.
 */
import { CheckFix, Err } from '../../../abi';
import { prefixError } from '../../../util/errors';
import { Check } from './check';
import { Qcow2Node } from '../image';
import { DIRTY } from '../layout';

/** Corrects the counts, and clears the dirty bit. */
export function repairRefcounts(image: Qcow2Node): i32 {
  const look = new Check(image, 0);
  look.quiet = true;
  let r = run(look);
  if (r === 0 && (look.errors || look.corruptions !== look.countErrors + look.flagErrors)) r = -Err.EIO;
  if (r === 0) {
    const repair = new Check(image, CheckFix.LEAKS | CheckFix.ERRORS);
    r = run(repair);
    if (r === 0 && image.incompatible & DIRTY) r = -Err.EIO;
  }
  return r < 0 ? prefixError(r, 'Could not repair dirty image: ') : 0;
}

function run(check: Check): i32 {
  let r = 1;
  while (r > 0) r = check.step();
  check.release();
  return r;
}
