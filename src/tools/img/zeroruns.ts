/** Which parts of a buffer are worth writing: looks for runs of zeros, sector by sector. */

/** Bytes of a sector, the unit of the search. */
export const SECTOR = 512;

/** Bytes that are all to be written, or all to be left out as zeros. */
export interface Run {
  data: boolean;
  /** > 0, a multiple of {@link SECTOR} unless it ends the buffer. */
  bytes: number;
}

/** How coarse the search is. Both are multiples of {@link SECTOR}. */
export interface RunRules {
  /** Data runs end at a multiple of this, in offsets of the guest: a power of two. */
  alignment: number;
  /** Zeros between data are left out only if there are at least as many bytes of them. */
  minimum: number;
}

/**
 * Counts equal sectors from `at` on: positive for zeros, negative for data, as many bytes of the buffer up to `bytes` as
 * are of one kind.
 */
export type ZeroRun = (at: number, bytes: number) => number;

/**
 * The run that starts at `at` of a buffer that holds `bytes` bytes from there on.
 *
 * @param offset offset in the guest of the byte at `at`
 */
export function nextRun(zeroRun: ZeroRun, at: number, bytes: number, offset: number, rules: RunRules): Run {
  const first = alignedRun(zeroRun, at, bytes, offset, rules.alignment);
  if (!first.data) return first;
  // Zeros that are too few are written with the data around them; at the end of the buffer they are left out.
  const minimum = Math.min(rules.minimum, bytes);
  let used = first.bytes;
  for (let seen = used; seen < bytes;) {
    const run = alignedRun(zeroRun, at + seen, bytes - seen, offset + seen, rules.alignment);
    if (!run.data && run.bytes >= minimum) break;
    seen += run.bytes;
    if (run.data) used = seen;
  }
  return { data: true, bytes: used };
}

/** One run of equal sectors, its end moved to the alignment so that no part of a block with data is left out. */
function alignedRun(zeroRun: ZeroRun, at: number, bytes: number, offset: number, alignment: number): Run {
  const count = zeroRun(at, bytes);
  const zero = count > 0;
  const length = Math.abs(count);
  if (length >= bytes) return { data: !zero, bytes };
  const beyond = (offset + length) % alignment;
  if (beyond === 0) return { data: !zero, bytes: length };
  // Less zeros than up to the last boundary: the block begins before them, so it is data.
  if (zero && length > beyond) return { data: false, bytes: length - beyond };
  return { data: true, bytes: Math.min(bytes, length + alignment - beyond) };
}
