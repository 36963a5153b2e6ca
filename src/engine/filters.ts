/** Filter nodes of the data plane: how they are made, and what only they can be asked. */
import type { NodeHandle } from './request';

/** Limits of a blkdebug node in bytes; 0: none. */
export interface BlkdebugLimits {
  /** Requests are made of whole multiples of this. */
  align: number;
  maxTransfer: number;
  /** Zero writes of less are written as data. */
  optWriteZero: number;
  maxWriteZero: number;
  optDiscard: number;
  maxDiscard: number;
}

/** What a blkdebug node does when an event (its index in `BlkdebugEvent`) comes. */
export interface BlkdebugRule {
  event: number;
  /** The state in which the rule holds; 0: any. */
  state: number;
  action:
    | { newState: number }
    | {
        /** What requests fail with; 0: with nothing. */
        errno: number;
        /** `DebugIo` bits of wasm/abi.ts: requests that fail. */
        types: number;
        /** A sector of 512 bytes that they must touch; -1: any. */
        sector: number;
        once: boolean;
      };
}

/** The filters of an engine. Failures are the engine's `BlockError`s. */
export interface Filters {
  /** Takes its rules, then the event `none`. */
  openBlkdebug(
    image: NodeHandle,
    options: { readOnly: boolean; limits: BlkdebugLimits; rules: readonly BlkdebugRule[]; none: number },
  ): NodeHandle;
  /**
   * Lets the next request that comes to an event stop: it fails with ESUSPENDED, and is to be sent again. ENOTSUP: the node
   * is no blkdebug.
   * @param tag a whole number that stands for the name of the breakpoint
   */
  setBreakpoint(node: NodeHandle, event: number, tag: number): void;
  /** ENOENT: there is none. */
  removeBreakpoint(node: NodeHandle, tag: number): void;
  /**
   * A request begins.
   * @param tag at which it stopped before: its events up to that one do not happen again; `new`; `none`: what comes
   *   now is not one that is debugged, it comes to no event and does not fail
   */
  beginDebugged(node: NodeHandle, tag: number | 'new' | 'none'): void;
  /** The tag at which the last request was stopped; null: at none. Asked once, for the next request runs. */
  takeStopped(node: NodeHandle): number | null;
  /**
   * @param cluster bytes of a cluster of the top layer; 0: it has none
   * @param bottom the lowest node whose data is copied up; null: of all nodes it is
   */
  openCopyOnRead(
    file: NodeHandle,
    options: { readOnly: boolean; cluster: number; bottom: NodeHandle | null },
  ): NodeHandle;
  /** @param cluster bytes of a cluster of the image; 0: it has none */
  openCompress(file: NodeHandle, options: { readOnly: boolean; cluster: number }): NodeHandle;
}

/** What the data plane exports for filters (wasm/exports/filters.ts). */
export interface FilterExports {
  openBlkdebug(
    image: number,
    readOnly: number,
    align: number,
    maxTransfer: number,
    optZero: number,
    maxZero: number,
    optDiscard: number,
    maxDiscard: number,
  ): number;
  blkdebugRule(
    node: number,
    event: number,
    state: number,
    sets: number,
    value: number,
    types: number,
    sector: number,
    once: number,
  ): number;
  debugEvent(node: number, event: number): number;
  debugBreak(node: number, event: number, tag: number): number;
  debugUnbreak(node: number, tag: number): number;
  debugBegin(node: number, tag: number): void;
  debugStopped(node: number): number;
  openCopyOnRead(file: number, readOnly: number, cluster: number, bottom: number): number;
  openCompress(file: number, readOnly: number, cluster: number): number;
}

/**
 * @param call runs a call of the data plane: a negative answer is thrown
 */
export function makeFilters(wasm: FilterExports, call: (run: () => number) => number): Filters {
  return {
    openBlkdebug(image, { readOnly, limits, rules, none }) {
      const { align, maxTransfer, optWriteZero, maxWriteZero, optDiscard, maxDiscard } = limits;
      const node = call(() =>
        wasm.openBlkdebug(
          image,
          Number(readOnly),
          align,
          maxTransfer,
          optWriteZero,
          maxWriteZero,
          optDiscard,
          maxDiscard,
        ),
      );
      for (const { event, state, action } of rules) {
        if ('newState' in action) {
          call(() => wasm.blkdebugRule(node, event, state, 1, action.newState, 0, -1, 0));
        } else {
          const { errno, types, sector, once } = action;
          call(() => wasm.blkdebugRule(node, event, state, 0, errno, types, sector, Number(once)));
        }
      }
      call(() => wasm.debugEvent(node, none));
      return node as NodeHandle;
    },
    setBreakpoint: (node, event, tag) => void call(() => wasm.debugBreak(node, event, tag)),
    removeBreakpoint: (node, tag) => void call(() => wasm.debugUnbreak(node, tag)),
    beginDebugged: (node, tag) => wasm.debugBegin(node, tag === 'new' ? -1 : tag === 'none' ? -2 : tag),
    takeStopped(node) {
      const tag = call(() => Math.max(wasm.debugStopped(node), -1) + 1);
      return tag === 0 ? null : tag - 1;
    },
    openCopyOnRead: (file, { readOnly, cluster, bottom }) =>
      call(() =>
        wasm.openCopyOnRead(file, Number(readOnly), Math.max(cluster, 1), bottom ?? -1),
      ) as NodeHandle,
    openCompress: (file, { readOnly, cluster }) =>
      call(() => wasm.openCompress(file, Number(readOnly), Math.max(cluster, 1))) as NodeHandle,
  };
}
