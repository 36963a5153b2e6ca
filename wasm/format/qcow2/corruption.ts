/** What happens when an image turns out to be corrupt while it is in use. */
import { corrupted } from '../../host';
import { Qcow2Node } from './image';
import { rewriteHeader } from './header';
import { CORRUPT } from './layout';

/**
 * Reports a corruption. A fatal one in a writable image marks the image as corrupt and makes the node unusable.
 * @param offset bytes in the image file; -1: unknown
 */
export function signalCorruption(
  image: Qcow2Node,
  fatal: bool,
  offset: i64,
  size: i64,
  message: string,
): void {
  fatal = fatal && !image.readOnly;
  if (image.signaled && (!fatal || image.incompatible & CORRUPT)) return;
  corrupted(image.handle, changetype<usize>(message), message.length, <f64>offset, <f64>size, fatal ? 1 : 0);
  image.signaled = true;
  if (!fatal) return;
  image.incompatible |= CORRUPT;
  // The request fails whether or not the mark can be written.
  rewriteHeader(image);
  image.file.pflush();
  image.unusable = true;
}
