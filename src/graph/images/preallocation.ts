/** The words for preallocation, in options of all formats. */
import { Prealloc } from '../../engine/contract';

export const PREALLOC: Readonly<Record<string, Prealloc>> = {
  off: Prealloc.OFF,
  metadata: Prealloc.METADATA,
  falloc: Prealloc.FALLOC,
  full: Prealloc.FULL,
};
