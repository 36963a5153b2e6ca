/**
 * Dirty bitmaps of nodes: looked up by name, guarded by their state, and changed in two phases, so that several changes
 * can be done as one (jobs.md section 6).
 */
import type { BitmapState } from '../engine/bitmaps';
import type { BitmapHandle } from '../engine/request';
import { strerror, Errno } from '../files/contract';
import type { BlockDirtyBitmapOrStr, BlockDirtyInfo } from '../qapi/types.generated';
import { explain, GraphError } from './errors';
import type { NodeTable } from './names';
import type { BlockNode } from './node';

/** Bytes of UTF-8 of a name, at most. */
const MAX_NAME = 1023;
const MIN_GRANULARITY = 512;
/** What QMP can say of a granularity. */
const MAX_GRANULARITY = 2 ** 32 - 1;
/** Granularity by default: the size of a cluster, but within these. */
const DEFAULT_RANGE = { min: 4096, max: 65536 };

/** A dirty bitmap of a node. The one object for it lasts as long as the bitmap. */
export class NodeBitmap {
  /** An operation (a job, an export) needs it to stay as it is. */
  busy = false;
  /** What is written while a job uses the bitmap. */
  private successor: BitmapHandle | null = null;

  constructor(
    readonly node: BlockNode,
    /** In the engine. */
    readonly handle: BitmapHandle,
  ) {}

  /** Whether a job has it, see {@link freeze}. */
  get frozen(): boolean {
    return this.successor !== null;
  }

  get state(): BitmapState {
    return this.node.engine.bitmaps.state(this.handle);
  }

  /**
   * Freezes the bitmap for a job: it is busy, and writes from now on go to a successor without a name. End this with
   * {@link abdicate} or {@link reclaim}.
   */
  freeze(): void {
    const { bitmaps } = this.node.engine;
    const { granularity, enabled } = this.state;
    this.successor = bitmaps.create(this.node.handle, granularity);
    bitmaps.setEnabled(this.successor, enabled);
    bitmaps.setEnabled(this.handle, false);
    this.busy = true;
  }

  /** The job is done with what the bitmap held: it holds what was written meanwhile, and goes on. */
  abdicate(): void {
    this.thaw((successor) => {
      const { bitmaps } = this.node.engine;
      bitmaps.restore(this.handle, bitmaps.clear(successor));
    });
  }

  /** The job failed: the bitmap holds what it held and what was written meanwhile, and goes on. */
  reclaim(): void {
    this.thaw((successor) => this.node.engine.bitmaps.merge(this.handle, successor));
  }

  private thaw(take: (successor: BitmapHandle) => void): void {
    const { successor } = this;
    if (successor === null) return;
    const { bitmaps } = this.node.engine;
    take(successor);
    bitmaps.setEnabled(this.handle, bitmaps.state(successor).enabled);
    bitmaps.release(successor);
    this.successor = null;
    this.busy = false;
  }

  /** Enables or disables; of a frozen bitmap: what follows it. */
  setEnabled(enabled: boolean): void {
    this.node.engine.bitmaps.setEnabled(this.successor ?? this.handle, enabled);
  }

  /** Writes are recorded, here or in the successor. */
  get recording(): boolean {
    return this.node.engine.bitmaps.state(this.successor ?? this.handle).enabled;
  }
}

/** A change that has been made, and that is still to be kept or taken back. Neither can fail. */
export interface BitmapChange {
  commit(): void;
  abort(): void;
}

/** Arguments of block-dirty-bitmap-add. */
export interface BitmapAddition {
  node: string;
  name: string;
  granularity?: number;
  persistent?: boolean;
  disabled?: boolean;
}

/** What a bitmap is about to be used for: some states forbid some uses. */
export interface BitmapUse {
  readOnly?: 'allowed';
  inconsistent?: 'allowed';
}

const known = new WeakMap<BlockNode, Map<BitmapHandle, NodeBitmap>>();

/** The bitmaps of a node, newest first. */
export function bitmapsOf(node: BlockNode): NodeBitmap[] {
  const before = known.get(node);
  const now = new Map<BitmapHandle, NodeBitmap>();
  for (const handle of node.engine.bitmaps.of(node.handle)) {
    now.set(handle, before?.get(handle) ?? new NodeBitmap(node, handle));
  }
  known.set(node, now);
  return [...now.values()];
}

/** `dirty-bitmaps` of a node's information; those without a name are a job's. */
export function dirtyInfo(node: BlockNode): BlockDirtyInfo[] {
  return bitmapsOf(node).map((bitmap) => {
    const { name, count, granularity, persistent, inconsistent } = bitmap.state;
    return {
      ...(name !== '' && { name }),
      count,
      granularity,
      recording: bitmap.recording,
      busy: bitmap.busy,
      persistent,
      ...(inconsistent && { inconsistent }),
    };
  });
}

/** Throws the text of the first state of the bitmap that forbids the use. */
export function checkUsable(bitmap: NodeBitmap, use: BitmapUse = {}): void {
  const { name, readOnly, inconsistent } = bitmap.state;
  if (bitmap.busy) {
    throw new GraphError(`Bitmap '${name}' is currently in use by another operation and cannot be used`);
  }
  if (readOnly && use.readOnly !== 'allowed') {
    throw new GraphError(`Bitmap '${name}' is readonly and cannot be modified`);
  }
  if (inconsistent && use.inconsistent !== 'allowed') {
    throw new GraphError(`Bitmap '${name}' is inconsistent and cannot be used`, {
      hints: ['Try block-dirty-bitmap-remove to delete this bitmap from disk'],
    });
  }
}

/** Throws if the bitmaps that the image of a node keeps cannot follow a change of its size. */
export function checkBitmapsResizable(node: BlockNode): void {
  for (const bitmap of bitmapsOf(node).reverse()) if (bitmap.state.persistent) checkUsable(bitmap);
}

/** The bitmap of a node with this name; null: there is none. */
export function findBitmap(node: BlockNode, name: string): NodeBitmap | null {
  return name === '' ? null : (bitmapsOf(node).find(({ state }) => state.name === name) ?? null);
}

/** The changes of bitmaps that commands and transactions make. */
export class GraphBitmaps {
  constructor(private readonly table: NodeTable) {}

  /** The bitmap that arguments name; throws the text of what there is not. */
  lookup(nodeName: string, name: string): NodeBitmap {
    const node = this.table.find(nodeName);
    if (!node) throw new GraphError(`Node '${nodeName}' not found`);
    return this.named(node, name);
  }

  /** The bitmap with this name of a node or of the nearest one below it that has it; null: none has. */
  below(nodeName: string, name: string): NodeBitmap | null {
    for (let node = this.table.find(nodeName); node; node = node.filtered ?? node.backing) {
      const bitmap = findBitmap(node, name);
      if (bitmap) return bitmap;
    }
    return null;
  }

  private named(node: BlockNode, name: string): NodeBitmap {
    const bitmap = findBitmap(node, name);
    if (!bitmap) throw new GraphError(`Dirty bitmap '${name}' not found`);
    return bitmap;
  }

  /** block-dirty-bitmap-add */
  async add(args: BitmapAddition): Promise<BitmapChange> {
    const { name } = args;
    if (name === '') throw new GraphError('Bitmap name cannot be empty');
    const node = this.table.lookup(args.node, args.node);
    const { bitmaps } = node.engine;
    if (args.granularity !== undefined) {
      const { granularity } = args;
      const inRange = granularity >= MIN_GRANULARITY && granularity <= MAX_GRANULARITY;
      if (!inRange || !Number.isInteger(Math.log2(granularity))) {
        throw new GraphError('Granularity must be power of 2 and at least 512');
      }
    }
    const granularity = args.granularity ?? defaultGranularity(node);
    const persistent = args.persistent ?? false;
    if (persistent) await this.checkStorable(node, name, granularity);
    if (findBitmap(node, name)) throw new GraphError(`Bitmap already exists: ${name}`);
    if (new TextEncoder().encode(name).length > MAX_NAME) {
      throw new GraphError(`Bitmap name too long: ${name}`);
    }
    const handle = bitmaps.create(node.handle, granularity, name);
    bitmaps.setPersistent(handle, persistent);
    if (args.disabled) bitmaps.setEnabled(handle, false);
    return { commit: () => undefined, abort: () => bitmaps.release(handle) };
  }

  private async checkStorable(node: BlockNode, name: string, granularity: number): Promise<void> {
    if (!node.type.persistentBitmaps) {
      throw new GraphError(`Can't store persistent bitmaps to ${node.name}: ${strerror(Errno.ENOTSUP)}`);
    }
    await explain(
      () =>
        node.engine.presence.whenPresent(() =>
          node.engine.bitmaps.checkStorable(node.handle, name, granularity),
        ),
      (error) => error.prefixed(`Can't make bitmap '${name}' persistent in '${node.name}': `),
    );
  }

  /** block-dirty-bitmap-remove */
  async remove(nodeName: string, name: string): Promise<BitmapChange> {
    const bitmap = this.lookup(nodeName, name);
    const { bitmaps, presence } = bitmap.node.engine;
    checkUsable(bitmap, { inconsistent: 'allowed' });
    const { persistent } = bitmap.state;
    // Until the end nobody else may use it, and nothing may store it.
    bitmap.busy = true;
    try {
      if (persistent) {
        const work = () => presence.whenPresent(() => bitmaps.removeStored(bitmap.handle));
        await explain(work, (error) => error);
      }
    } catch (error) {
      bitmap.busy = false;
      throw error;
    }
    bitmaps.setPersistent(bitmap.handle, false);
    return {
      commit: () => bitmaps.release(bitmap.handle),
      abort: () => {
        bitmap.busy = false;
        bitmaps.setPersistent(bitmap.handle, persistent);
      },
    };
  }

  /** block-dirty-bitmap-clear */
  clear(nodeName: string, name: string): BitmapChange {
    const { node, handle } = this.usable(nodeName, name);
    const { bitmaps } = node.engine;
    const saved = bitmaps.clear(handle);
    return { commit: () => bitmaps.release(saved), abort: () => bitmaps.restore(handle, saved) };
  }

  private usable(nodeName: string, name: string, use?: BitmapUse): NodeBitmap {
    const bitmap = this.lookup(nodeName, name);
    checkUsable(bitmap, use);
    return bitmap;
  }

  /** block-dirty-bitmap-enable and -disable */
  setEnabled(nodeName: string, name: string, enabled: boolean): BitmapChange {
    const bitmap = this.usable(nodeName, name, { readOnly: 'allowed' });
    const before = bitmap.state.enabled;
    bitmap.setEnabled(enabled);
    return { commit: () => undefined, abort: () => bitmap.setEnabled(before) };
  }

  /** block-dirty-bitmap-merge: all sources or none. */
  merge(nodeName: string, target: string, sources: readonly BlockDirtyBitmapOrStr[]): BitmapChange {
    const into = this.lookup(nodeName, target);
    const from = sources.map((source) => this.source(into, source));
    const { bitmaps } = into.node.engine;
    const saved = bitmaps.save(into.handle);
    for (const { handle } of from) bitmaps.merge(into.handle, handle);
    return { commit: () => bitmaps.release(saved), abort: () => bitmaps.restore(into.handle, saved) };
  }

  private source(into: NodeBitmap, source: BlockDirtyBitmapOrStr): NodeBitmap {
    const bitmap =
      typeof source === 'string' ? this.named(into.node, source) : this.lookup(source.node, source.name);
    checkUsable(into);
    checkUsable(bitmap, { readOnly: 'allowed' });
    const sizes = [into.state.size, bitmap.state.size] as const;
    if (sizes[0] !== sizes[1]) {
      const text = `(destination size is ${sizes[0]}, source size is ${sizes[1]})`;
      throw new GraphError(`Bitmaps are of different sizes ${text} and can't be merged`);
    }
    return bitmap;
  }
}

/** The granularity of a bitmap that was given none: clusters, but neither tiny nor huge. */
export function defaultGranularity(node: BlockNode): number {
  const clusterSize = node.type.details(node)?.clusterSize ?? 0;
  if (clusterSize <= 0) return DEFAULT_RANGE.max;
  return Math.min(DEFAULT_RANGE.max, Math.max(DEFAULT_RANGE.min, clusterSize));
}
