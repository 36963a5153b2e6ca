/** From open to close: becoming writable, writing back, and letting go. */
import { DebugEvent, Err } from '../../abi';
import { fail } from '../../util/errors';
import { hasDirectory } from './bitmaps/directory';
import { keptAutoclear, markInUse, storeBitmaps } from './bitmaps/persistent';
import { settleFreed } from './refcounts/deferred';
import { updateHeader } from './header';
import { Qcow2Node } from './image';
import { forgetInactive } from './snapshots/inactive';
import { CORRUPT, DIRTY } from './layout';
import { markClean } from './refcounts/lazy';
import { repairRefcounts } from './check/repair';
import { dropSnapshots } from './snapshots/table';

/** What is due when an image becomes writable: repair after a crash, and the autoclear features of others. */
export function enterWritable(image: Qcow2Node): i32 {
  if (image.noIo) return -Err.ENOMEDIUM;
  if (image.showsSnapshot) return fail(Err.EACCES, 'Block node is read-only');
  if (image.incompatible & CORRUPT) {
    return fail(Err.EACCES, 'qcow2: Image is corrupt; cannot be opened read/write');
  }
  if (image.file.readOnly || image.storage.readOnly) return fail(Err.EACCES, 'Block node is read-only');
  image.readOnly = false;
  // While the bitmaps still count: their clusters are not leaked.
  let r = image.incompatible & DIRTY ? repairRefcounts(image) : 0;
  if (r === 0) r = clearForeign(image);
  if (r === 0) r = markInUse(image);
  if (r < 0) image.readOnly = true;
  return r;
}

/** Clears the autoclear bits of what nothing here keeps true, and drops bitmaps that somebody else made untrue. */
function clearForeign(image: Qcow2Node): i32 {
  const autoclear = image.autoclear;
  const bitmaps = image.bitmaps;
  const kept = keptAutoclear(image);
  if (kept === autoclear && (!bitmaps || hasDirectory(image))) return 0;
  if (!hasDirectory(image)) image.bitmaps = null;
  image.autoclear = kept;
  const r = updateHeader(image);
  if (r < 0) {
    image.autoclear = autoclear;
    image.bitmaps = bitmaps;
  }
  return r;
}

/** Writes both caches; each entry after what it depends on. */
export function writeCaches(image: Qcow2Node): i32 {
  let r = settleFreed(image);
  if (r === 0) r = image.l2.write();
  return r < 0 ? r : image.refs.write();
}

/** What the guest wrote is on stable storage then. Counts may be left for later in an image that is marked as dirty. */
export function flushImage(image: Qcow2Node): i32 {
  if (image.readOnly) return 0;
  let r = settleFreed(image);
  if (r === 0) r = image.l2.write();
  if (r === 0 && !(image.lazy && image.isDirty())) r = image.refs.write();
  return r < 0 ? r : image.flushChild();
}

/** Writes back what can be written, and frees all memory. */
export function closeImage(image: Qcow2Node): i32 {
  let r = 0;
  if (!image.readOnly && !image.unusable && !image.noIo) {
    r = storeBitmaps(image);
    const flushed = markClean(image);
    if (r === 0) r = flushed;
  }
  releaseImage(image);
  return r;
}

/** Frees the memory of an image. */
export function releaseImage(image: Qcow2Node): void {
  const check = image.check;
  if (check) check.release();
  image.check = null;
  const amend = image.amend;
  if (amend) amend.release();
  image.amend = null;
  if (image.l1) heap.free(image.l1);
  if (image.reftable) heap.free(image.reftable);
  if (image.snapshotTables) heap.free(image.snapshotTables);
  dropSnapshots(image);
  if (image.metadataFilter) heap.free(image.metadataFilter);
  forgetInactive(image);
  if (image.freed) heap.free(image.freed);
  if (image.plain) heap.free(image.plain);
  if (image.header) heap.free(image.header);
  if (image.bitmapFields) heap.free(image.bitmapFields);
  if (image.names) heap.free(image.names);
  if (image.dataFileName) heap.free(image.dataFileName);
  image.l1 = 0;
  image.reftable = 0;
  image.snapshotTables = 0;
  image.metadataFilter = 0;
  image.freed = 0;
  image.freedRanges = 0;
  image.plain = 0;
  image.header = 0;
  image.bitmapFields = 0;
  image.names = 0;
  image.dataFileName = 0;
  image.replaced.release();
  image.copied.release();
  image.compressed.release();
  image.sectors.release();
  image.ciphered.release();
  const cipher = image.cipher;
  if (cipher) cipher.wipe();
  image.cipher = null;
  if (image.cryptoField) heap.free(image.cryptoField);
  image.cryptoField = 0;
  const l2 = image.l2Cache;
  if (l2) l2.release();
  const refs = image.refCache;
  if (refs) refs.release();
}
