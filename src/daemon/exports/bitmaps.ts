/** Dirty bitmaps as clients of an export see them. */
import type { NodeBitmap } from '../../graph/bitmaps';
import type { ExportBitmap } from '../../nbd/index';

export function exportBitmap({ node, handle, state }: NodeBitmap): ExportBitmap {
  const { bitmaps } = node.engine;
  const { name, size } = state;
  return {
    name,
    extent: (offset, end) => {
      // The bitmap of a node further down may be shorter than the disk; nothing is dirty behind its end.
      if (offset >= size) return { dirty: false, bytes: end - offset };
      const dirty = bitmaps.get(handle, offset);
      const limit = Math.min(end, size);
      const change = dirty
        ? bitmaps.nextZero(handle, offset, limit)
        : bitmaps.nextDirty(handle, offset, limit);
      return { dirty, bytes: (change ?? limit) - offset };
    },
  };
}
