/** What a program says when an image turns out to be corrupt. */
import type { CorruptionEvent } from '../engine/contract';

/** QEMU's line for the error stream. A fatal corruption was marked in the image. */
export function corruptionNotice(event: CorruptionEvent): string {
  return event.fatal
    ? `qcow2: Marking image as corrupt: ${event.message}; further corruption events will be suppressed`
    : `qcow2: Image is corrupt: ${event.message}; further non-fatal corruption events will be suppressed`;
}
