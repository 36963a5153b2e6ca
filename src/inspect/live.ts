/** What the daemon's memory has of a node beside its image: dirty bitmaps, and how much was done to it. */

import type { BitmapHandle, Engine } from '../engine/contract';
import type { NodeView } from '../graph';
import type { LiveBitmap } from './contract';

/** A node, and the image that it passes requests on to if it is a filter. */
export interface LiveNodes {
  engine: Engine;
  nodes: readonly NodeView[];
}

/** The bitmaps of a node as they are now. */
export class LiveBits {
  constructor(private readonly find: () => LiveNodes) {}

  list(): LiveBitmap[] {
    const { engine } = this.find();
    return this.handles().map((handle) => {
      const { name, granularity, count, enabled, persistent, inconsistent } = engine.bitmaps.state(handle);
      return { name, granularity, dirty: count, recording: enabled && !inconsistent, persistent };
    });
  }

  /** Tells whether one of them has marked some of a range of the disk; of use until other work goes on. */
  marks(): (offset: number, length: number) => boolean {
    const { engine } = this.find();
    const handles = this.handles();
    return (offset, length) =>
      handles.some((handle) => engine.bitmaps.nextDirty(handle, offset, offset + length) !== null);
  }

  /** The names of those that have; one of a job has none. */
  dirtyIn(offset: number, length: number): string[] {
    const { engine } = this.find();
    return this.handles()
      .filter((handle) => engine.bitmaps.nextDirty(handle, offset, offset + length) !== null)
      .map((handle) => engine.bitmaps.state(handle).name);
  }

  private handles(): BitmapHandle[] {
    const { engine, nodes } = this.find();
    return nodes.flatMap((node) => engine.bitmaps.of(node.handle));
  }
}

/** Another text when something was written since, a bitmap changed, or the nodes are others. */
export function liveState({ engine, nodes }: LiveNodes): string {
  const parts = nodes.map((node) => {
    const { writtenBytes, unmappedBytes, discardedBytes, writes, unmaps, discards } = engine.stats(
      node.handle,
    );
    const bitmaps = engine.bitmaps.of(node.handle).map((handle) => {
      const { name, count, enabled } = engine.bitmaps.state(handle);
      return [name, count, enabled];
    });
    const done = [writtenBytes, unmappedBytes, discardedBytes, writes, unmaps, discards];
    return [node.name, node.handle, node.length(), done, bitmaps];
  });
  return JSON.stringify(parts);
}
