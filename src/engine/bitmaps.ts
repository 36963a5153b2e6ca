/**
 * Dirty bitmaps of the data plane: which parts of a node were written. Every write, zero write, discard and compressed
 * write that reaches a node marks its range in the enabled bitmaps of the node before it is done.
 */
import { BitmapFlag, StoredFlag } from '../../wasm/abi';
import type { BitmapHandle, IoBuffer, NodeHandle } from './request';
import type { EngineExports } from './exports';

/** A dirty range, bytes. */
export interface DirtyArea {
  offset: number;
  bytes: number;
}

/** What a bitmap is now. */
export interface BitmapState {
  /** Empty: it has none. */
  name: string;
  /** Bytes a bit stands for, a power of two from 512 to 2^31. */
  granularity: number;
  /** Of the disk, bytes. */
  size: number;
  /** Dirty bytes: set bits times granularity. */
  count: number;
  /** Writes mark it. */
  enabled: boolean;
  /** Its image cannot be told of changes: writes to the node fail with EPERM. */
  readOnly: boolean;
  /** Its image keeps it under its name. */
  persistent: boolean;
  /** The image says that it was not kept up to date: it has no content, and can only be removed. */
  inconsistent: boolean;
}

/** A bitmap in the file of an image. */
export interface StoredBitmap {
  name: string;
  granularity: number;
  /** Not stored since it was last used: what the file holds is not to be believed. */
  inUse: boolean;
  /** Recording from the time the image is opened. */
  auto: boolean;
}

/** Operations on bitmaps; offsets and sizes are bytes. All throw `BlockError`. */
export interface EngineBitmaps {
  /** An empty, enabled bitmap. ENOMEM: the disk is too large for the granularity. */
  create(node: NodeHandle, granularity: number, name?: string): BitmapHandle;
  release(bitmap: BitmapHandle): void;
  /** The bitmaps of a node, newest first. */
  of(node: NodeHandle): BitmapHandle[];
  state(bitmap: BitmapHandle): BitmapState;
  /** An empty name: none. */
  rename(bitmap: BitmapHandle, name: string): void;
  setEnabled(bitmap: BitmapHandle, enabled: boolean): void;
  setPersistent(bitmap: BitmapHandle, persistent: boolean): void;
  /** Marks all that a range touches. */
  set(bitmap: BitmapHandle, offset: number, bytes: number): void;
  /** Clears what lies in a range as a whole; the part of a granule at the end of the disk counts as whole. */
  reset(bitmap: BitmapHandle, offset: number, bytes: number): void;
  /** Makes the bitmap clean; answers a bitmap of no node with what it held, for {@link restore}. */
  clear(bitmap: BitmapHandle): BitmapHandle;
  /** A bitmap of no node with what this one holds now, for {@link restore}. */
  save(bitmap: BitmapHandle): BitmapHandle;
  /** Puts back what `clear` or `save` kept, and releases that. */
  restore(bitmap: BitmapHandle, saved: BitmapHandle): void;
  /** Marks all that is dirty in `source`; EINVAL: their disks are of different sizes. Granularities may differ. */
  merge(target: BitmapHandle, source: BitmapHandle): void;
  /** Dirty bytes: set bits times granularity. */
  count(bitmap: BitmapHandle): number;
  get(bitmap: BitmapHandle, offset: number): boolean;
  /** The first dirty byte of [offset, end), or null. `end`: default: the end of the disk. */
  nextDirty(bitmap: BitmapHandle, offset: number, end?: number): number | null;
  /** The first clean byte of [offset, end), or null. */
  nextZero(bitmap: BitmapHandle, offset: number, end?: number): number | null;
  /** The first dirty range of [offset, end), cut to `maxBytes`; null: there is none. */
  nextDirtyArea(bitmap: BitmapHandle, offset: number, end: number, maxBytes?: number): DirtyArea | null;
  /**
   * Whether the image of the node can keep one more bitmap of this name and granularity; throws QEMU's text of why not.
   */
  checkStorable(node: NodeHandle, name: string, granularity: number): void;
  /** Takes a persistent bitmap out of its image, at once; the bitmap itself stays. */
  removeStored(bitmap: BitmapHandle): void;
  /** What the file of a qcow2 image says of its bitmaps; null: it named some that did not count any more. */
  stored(node: NodeHandle): StoredBitmap[] | null;
  /** Bytes that the bits take: bit i of byte j stands for granule 8 j + i. */
  serialBytes(bitmap: BitmapHandle): number;
  /** Writes `bytes` of the bits, from byte `first` on, to a buffer; behind the last bit are zeros. */
  serialize(bitmap: BitmapHandle, first: number, bytes: number, buffer: IoBuffer): void;
  /** The other way round; EINVAL: bits behind the last are set. */
  deserialize(bitmap: BitmapHandle, first: number, bytes: number, buffer: IoBuffer): void;
}

/** What of the engine is needed here. */
export interface BitmapHost {
  readonly wasm: EngineExports;
  /** Runs a call; a negative answer is thrown. */
  readonly call: (call: () => number) => number;
  /** A text as UTF-8 in linear memory. */
  readonly text: (text: string) => IoBuffer;
}

/** {@link EngineBitmaps} over the exports of wasm/exports/bitmaps.ts. */
export function engineBitmaps({ wasm, call, text }: BitmapHost): EngineBitmaps {
  const made = (make: () => number): BitmapHandle => call(make) as BitmapHandle;
  const setFlag = (bitmap: BitmapHandle, flag: number, on: boolean) =>
    call(() => wasm.bitmapSetFlags(bitmap, flag, on ? flag : 0));
  const granularity = (bitmap: BitmapHandle) => 2 ** call(() => wasm.bitmapShift(bitmap));
  const count = (bitmap: BitmapHandle) => call(() => wasm.bitmapCount(bitmap)) * granularity(bitmap);
  const size = (bitmap: BitmapHandle) => call(() => wasm.bitmapSize(bitmap));
  const find = (bitmap: BitmapHandle, offset: number, end: number, dirty: number): number | null => {
    const at = wasm.bitmapFind(bitmap, offset, end, dirty);
    return at === -1 ? null : call(() => at);
  };
  const release = (bitmap: BitmapHandle) => void call(() => wasm.bitmapRelease(bitmap));
  const nextDirty = (bitmap: BitmapHandle, offset: number, end = size(bitmap)) =>
    find(bitmap, offset, end, 1);
  const nextZero = (bitmap: BitmapHandle, offset: number, end = size(bitmap)) => find(bitmap, offset, end, 0);
  /** Lends the text to a call. */
  const withText = (value: string, use: (at: number, bytes: number) => number): number => {
    const buffer = text(value);
    try {
      return call(() => use(buffer.pointer, buffer.bytes));
    } finally {
      buffer.free();
    }
  };
  return {
    create: (node, bytes, name = '') =>
      withText(name, (at, length) => wasm.bitmapCreate(node, Math.log2(bytes), at, length)) as BitmapHandle,
    release,
    of: (node) => {
      const found: BitmapHandle[] = [];
      for (let at = wasm.bitmapFirst(node); at >= 0; at = wasm.bitmapNext(at)) found.push(at as BitmapHandle);
      return found;
    },
    state: (bitmap) => {
      const flags = call(() => wasm.bitmapFlags(bitmap));
      const name = new Uint8Array(wasm.memory.buffer, wasm.bitmapName(bitmap), wasm.bitmapNameBytes(bitmap));
      return {
        name: new TextDecoder().decode(name),
        granularity: granularity(bitmap),
        size: size(bitmap),
        count: count(bitmap),
        enabled: (flags & BitmapFlag.ENABLED) !== 0,
        readOnly: (flags & BitmapFlag.READ_ONLY) !== 0,
        persistent: (flags & BitmapFlag.PERSISTENT) !== 0,
        inconsistent: (flags & BitmapFlag.INCONSISTENT) !== 0,
      };
    },
    rename: (bitmap, name) => void withText(name, (at, bytes) => wasm.bitmapRename(bitmap, at, bytes)),
    setEnabled: (bitmap, on) => void setFlag(bitmap, BitmapFlag.ENABLED, on),
    setPersistent: (bitmap, on) => void setFlag(bitmap, BitmapFlag.PERSISTENT, on),
    set: (bitmap, offset, bytes) => void call(() => wasm.bitmapSet(bitmap, offset, bytes)),
    reset: (bitmap, offset, bytes) => void call(() => wasm.bitmapReset(bitmap, offset, bytes)),
    clear: (bitmap) => made(() => wasm.bitmapSave(bitmap, 1)),
    save: (bitmap) => made(() => wasm.bitmapSave(bitmap, 0)),
    restore: (bitmap, saved) => {
      call(() => wasm.bitmapExchange(bitmap, saved));
      release(saved);
    },
    merge: (target, source) => void call(() => wasm.bitmapMerge(target, source)),
    count,
    get: (bitmap, offset) => nextDirty(bitmap, offset, offset + 1) !== null,
    nextDirty,
    nextZero,
    nextDirtyArea: (bitmap, offset, end, maxBytes = Infinity) => {
      const start = nextDirty(bitmap, offset, end);
      if (start === null) return null;
      const limit = Math.min(end, size(bitmap), start + maxBytes);
      return { offset: start, bytes: (nextZero(bitmap, start, limit) ?? limit) - start };
    },
    checkStorable: (node, name, bytes) => {
      const { length } = new TextEncoder().encode(name);
      call(() => wasm.bitmapCheckStorable(node, Math.log2(bytes), length));
    },
    removeStored: (bitmap) => void call(() => wasm.bitmapRemoveStored(bitmap)),
    stored: (node) => {
      const length = wasm.storedBitmaps(node);
      if (length === -1) return null;
      return Array.from({ length: call(() => length) }, (_, index) => {
        const flags = call(() => wasm.storedBitmap(node, index));
        const at = wasm.storedName(node, index);
        const name = new Uint8Array(wasm.memory.buffer, at, wasm.storedNameBytes(node, index));
        return {
          name: new TextDecoder().decode(name),
          granularity: 2 ** (flags >> 8),
          inUse: (flags & StoredFlag.IN_USE) !== 0,
          auto: (flags & StoredFlag.AUTO) !== 0,
        };
      });
    },
    serialBytes: (bitmap) => call(() => wasm.bitmapBytes(bitmap)),
    serialize: (bitmap, first, bytes, buffer) =>
      void call(() => wasm.bitmapStore(bitmap, first, Math.min(bytes, buffer.bytes), buffer.pointer)),
    deserialize: (bitmap, first, bytes, buffer) =>
      void call(() => wasm.bitmapLoad(bitmap, first, Math.min(bytes, buffer.bytes), buffer.pointer)),
  };
}
