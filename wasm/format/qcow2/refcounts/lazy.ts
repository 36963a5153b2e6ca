/**
 * Lazy refcounts: while the image is marked as dirty, counts may stay in memory when the guest flushes. After a crash they
 * are made anew from the tables (check/repair.ts). A clean close writes them and takes the mark away.
 */
import { Qcow2Open } from '../../../abi';
import { putBe64 } from '../../../util/endian';
import { updateHeader } from '../header';
import { Qcow2Node } from '../image';
import { DIRTY, Field, LAZY_REFCOUNTS } from '../layout';
import { writeCaches } from '../lifetime';

/** Whether counts may be lazy, by the options of opening ({@link Qcow2Open}) and by the header. */
export function chooseLazy(image: Qcow2Node, flags: i32): void {
  const wanted =
    flags & Qcow2Open.LAZY_ON
      ? true
      : flags & Qcow2Open.LAZY_OFF
        ? false
        : (image.compatible & LAZY_REFCOUNTS) !== 0;
  image.lazy = wanted && image.version >= 3 && !image.forCheck;
}

/**
 * To be called before an L2 entry is pointed to clusters that were just taken: it reaches the file after their counts, or
 * after the mark that counts may be wrong; in any case after what was written to the clusters.
 */
export function orderAfterCounts(image: Qcow2Node): i32 {
  if (!image.lazy) return image.l2.depend(image.refs);
  if (!image.isDirty()) {
    const r = markDirty(image);
    if (r < 0) return r;
  }
  image.l2.dependOnFlush();
  return 0;
}

function markDirty(image: Qcow2Node): i32 {
  const field = heap.alloc(8);
  putBe64(field, image.incompatible | DIRTY);
  let r = image.file.pwrite(Field.INCOMPATIBLE, 8, field);
  heap.free(field);
  if (r === 0) r = image.file.pflush();
  if (r === 0) image.incompatible |= DIRTY;
  return r;
}

/** Brings everything to stable storage, and then takes the mark away. */
export function markClean(image: Qcow2Node): i32 {
  let r = writeCaches(image);
  if (r === 0) r = image.flushChild();
  if (r < 0 || image.forCheck || !image.isDirty()) return r;
  image.incompatible &= ~DIRTY;
  r = updateHeader(image);
  if (r < 0) image.incompatible |= DIRTY;
  return r;
}
