/** What a program says when an image turns out to be corrupt. */
import type { CorruptionEvent } from '../engine/contract';
import type { MismatchEvent } from '../engine/quorum';

/** QEMU's line for the error stream. A fatal corruption was marked in the image. */
export function corruptionNotice(event: CorruptionEvent): string {
  return event.fatal
    ? `qcow2: Marking image as corrupt: ${event.message}; further corruption events will be suppressed`
    : `qcow2: Image is corrupt: ${event.message}; further non-fatal corruption events will be suppressed`;
}

/** The line about two nodes that must be the same and differ. */
export function mismatchNotice({ offset, bytes, at }: MismatchEvent): string {
  return `quorum: offset=${offset} bytes=${bytes} contents mismatch at offset ${at}`;
}
