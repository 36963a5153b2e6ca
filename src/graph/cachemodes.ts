/** The modes of caching that tools take (-t), and what they are made of. */
import type { CacheMode } from './api';

export const CACHE_MODES: Readonly<
  Record<CacheMode, { direct: boolean; noFlush: boolean; writeThrough: boolean }>
> = {
  none: { direct: true, noFlush: false, writeThrough: false },
  off: { direct: true, noFlush: false, writeThrough: false },
  directsync: { direct: true, noFlush: false, writeThrough: true },
  writeback: { direct: false, noFlush: false, writeThrough: false },
  unsafe: { direct: false, noFlush: true, writeThrough: false },
  writethrough: { direct: false, noFlush: false, writeThrough: true },
};
