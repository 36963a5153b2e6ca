/** What a program says when an image turns out to be corrupt. */
import type { CorruptionEvent } from '../engine/contract';
import type { MismatchEvent } from '../engine/quorum';
import type { VerifyEvent } from '../engine/storagefilters';

/** QEMU's line for the error stream. A fatal corruption was marked in the image. */
export function corruptionNotice(event: CorruptionEvent): string {
  return event.fatal
    ? `qcow2: Marking image as corrupt: ${event.message}; further corruption events will be suppressed`
    : `qcow2: Image is corrupt: ${event.message}; further non-fatal corruption events will be suppressed`;
}

/** The line about two nodes that must be the same and differ. */
export function mismatchNotice(event: MismatchEvent | VerifyEvent): string {
  const { offset, bytes } = event;
  const where = `offset=${offset} bytes=${bytes}`;
  if (event.kind === 'contents-mismatch') return `quorum: ${where} contents mismatch at offset ${event.at}`;
  const { operation, mismatch } = event;
  const what =
    'at' in mismatch
      ? `contents mismatch at offset ${mismatch.at}`
      : `return value mismatch ${mismatch.test} != ${mismatch.raw}`;
  return `blkverify: ${operation} ${where} ${what}`;
}
