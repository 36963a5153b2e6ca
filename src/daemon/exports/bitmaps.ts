/** Dirty bitmaps that an export shows its clients. */
import type { BitmapHandle } from '../../engine/bitmaps';
import type { Engine } from '../../engine/contract';
import type { NodeView } from '../../graph/index';
import type { ExportBitmap } from '../../nbd/index';

/** A bitmap and its node. */
export interface FoundBitmap {
  readonly node: NodeView;
  readonly handle: BitmapHandle;
}

/** The bitmap of a node with a name; null: there is none. */
export function findBitmap({ bitmaps }: Engine, node: NodeView, name: string): FoundBitmap | null {
  const handle = bitmaps.of(node.handle).find((candidate) => bitmaps.state(candidate).name === name);
  return handle === undefined ? null : { node, handle };
}

/** A bitmap as clients see it. */
export function exportBitmap({ bitmaps }: Engine, handle: BitmapHandle): ExportBitmap {
  const { name, size } = bitmaps.state(handle);
  return {
    name,
    extent: (offset, end) => {
      // A bitmap of a backing node may be shorter than the disk; nothing is dirty behind its end.
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
