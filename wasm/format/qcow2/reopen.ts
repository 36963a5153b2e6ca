/** Other runtime options for an image that is open. */
import { Qcow2Node } from './image';
import { chooseLazy, markClean } from './refcounts/lazy';
import { checkLazy, makeCaches, takeFlags } from './open';

/** @param flags the flags of openImage; sizes as in openImage. On a failure all is as it was. */
export function reopenImage(
  image: Qcow2Node,
  flags: i32,
  l2CacheSize: f64,
  refcountCacheSize: f64,
  l2CacheEntrySize: f64,
): i32 {
  let r = checkLazy(image, flags);
  // The caches are going to be others: nothing may be left in them.
  if (r === 0 && !image.readOnly) r = markClean(image);
  if (r < 0) return r;
  const l2 = image.l2Cache;
  const refs = image.refCache;
  r = makeCaches(image, l2CacheSize, refcountCacheSize, l2CacheEntrySize);
  if (r < 0) return r;
  if (l2) l2.release();
  if (refs) refs.release();
  takeFlags(image, flags);
  chooseLazy(image, flags);
  return 0;
}
