/** The exported ABI for changes of what an image is: its header, its format, all of its content at once. */
import { AmendPart, Err } from '../abi';
import { nodeAt } from '../block/table';
import { Amend, AmendOptions } from '../format/qcow2/amend/amend';
import { changeBackingFile } from '../format/qcow2/amend/backingname';
import { emptyImage } from '../format/qcow2/data/empty';
import { Qcow2Node } from '../format/qcow2/image';
import { clearError, fail } from '../util/errors';

function imageAt(handle: i32): Qcow2Node | null {
  clearError();
  const node = nodeAt(handle);
  return node instanceof Qcow2Node ? <Qcow2Node>node : null;
}

/** Stores another backing file in the header. Texts are UTF-8; a length < 0: none. ENOTSUP: no qcow2 image. */
export function changeBacking(
  handle: i32,
  file: usize,
  fileBytes: i32,
  format: usize,
  formatBytes: i32,
): i32 {
  const image = imageAt(handle);
  return image ? changeBackingFile(image, file, fileBytes, format, formatBytes) : -Err.ENOTSUP;
}

/**
 * Begins an amendment of a writable image; -1: that stays as it is. `size` is bytes, `dataFile` UTF-8; `rawDataOff`: the data
 * file need not read as the disk any more. What is wrong with the wishes is told by the first step.
 */
export function amendStart(
  handle: i32,
  version: i32,
  refcountBits: i32,
  lazyRefcounts: i32,
  size: f64,
  rawDataOff: i32,
  dataFile: usize,
  dataFileBytes: i32,
): i32 {
  const image = imageAt(handle);
  if (!image) return -Err.ENOTSUP;
  if (image.amend || image.check) return -Err.EINVAL;
  const r = image.ready();
  if (r < 0) return r;
  if (image.readOnly) return fail(Err.EACCES, 'Block node is read-only');
  const wanted = new AmendOptions();
  wanted.version = version;
  wanted.refcountBits = refcountBits;
  wanted.lazyRefcounts = lazyRefcounts;
  wanted.size = <i64>size;
  wanted.rawDataOff = rawDataOff > 0;
  wanted.dataFileBytes = dataFileBytes;
  if (dataFileBytes > 0) {
    wanted.dataFile = heap.alloc(dataFileBytes);
    memory.copy(wanted.dataFile, dataFile, dataFileBytes);
  }
  image.amend = new Amend(image, wanted);
  return 0;
}

/** Works on for some milliseconds at most; 1: there is more to do. */
export function amendStep(handle: i32): i32 {
  const image = imageAt(handle);
  const amend = image ? image.amend : null;
  return amend ? amend.step() : -Err.EINVAL;
}

/** How far an amendment is; see {@link AmendPart}. */
export function amendProgress(handle: i32, part: AmendPart): f64 {
  const image = imageAt(handle);
  const amend = image ? image.amend : null;
  return amend ? amend.part(part) : 0;
}

/** Ends an amendment, complete or not. */
export function amendEnd(handle: i32): i32 {
  const image = imageAt(handle);
  const amend = image ? image.amend : null;
  if (!image || !amend) return -Err.EINVAL;
  amend.release();
  image.amend = null;
  return 0;
}

/**
 * Empties an image from a guest offset on, for some milliseconds at most: the backing node shows through. Answers where to
 * go on, 0 when all is done, or a negative errno.
 */
export function makeEmpty(handle: i32, offset: f64): f64 {
  const image = imageAt(handle);
  return image ? <f64>emptyImage(image, <i64>offset) : -(<f64>Err.ENOTSUP);
}
