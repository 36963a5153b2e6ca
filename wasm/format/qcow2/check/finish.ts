/** The end of a check that repairs: what the header says of the state of the image. */
import { Check } from './check';
import { updateHeader } from '../header';
import { Qcow2Node } from '../image';
import { BITMAPS, CORRUPT, DIRTY, RAW_EXTERNAL } from '../layout';

/** An image that is sound now is neither dirty nor corrupt. All is on stable storage before the header says so. */
export function finishHeader(check: Check): i32 {
  const image = check.image;
  let r = image.refs.write();
  if (r === 0) r = image.file.pflush();
  if (r < 0) return r;
  const known = image.autoclear & (BITMAPS | RAW_EXTERNAL);
  let marks: u64 = 0;
  // Dirty is about the counts alone.
  if (!check.errors && !check.countErrors) marks |= DIRTY;
  if (!check.errors && !check.corruptions) marks |= CORRUPT;
  marks &= image.incompatible;
  if (known === image.autoclear && !marks) return 0;
  // Others' features are no longer sure to be right either: their clusters may have been given back.
  image.autoclear = known;
  image.incompatible &= ~marks;
  return updateHeader(image);
}

/** Before clusters are given back: an extension that no longer counts must not name them. */
export function dropStaleBitmaps(image: Qcow2Node): i32 {
  if (!image.bitmaps || image.autoclear & BITMAPS) return 0;
  image.bitmaps = null;
  return updateHeader(image);
}
