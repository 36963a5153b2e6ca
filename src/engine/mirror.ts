/** The data plane of mirrors: a filter that knows what guests write, and copies from its child to a target. */
import { BlockError, type BitmapHandle, type NodeHandle } from './request';
import type { CopyExports, CopyResult } from './copy';

/** What a mirror copies to, and how. */
export interface MirrorStart {
  target: NodeHandle;
  /** A bitmap of the filter without a name; it is not enabled. The mirror marks it, and frees it in the end. */
  bitmap: BitmapHandle;
  /**
   * Clusters of the target of so many bytes (a power of two) are copied as a whole when they are begun, for what is below
   * them is not open. Null: that does not matter.
   */
  wholeClusters: number | null;
  /** Zeros may give clusters of the target back. */
  unmap: boolean;
}

/** All throw `BlockError`. */
export interface EngineMirror {
  /** A filter above the source, which does nothing yet. */
  open(source: NodeHandle): NodeHandle;
  start(filter: NodeHandle, how: MirrorStart): void;
  /** Whether what guests write is on the target when their write returns; else it is only marked. Discards always are. */
  setActive(filter: NodeHandle, active: boolean): void;
  /** Copies a range whose bits are clean; what could not be copied is marked again. Bytes of `done` may lie outside of it. */
  copy(filter: NodeHandle, offset: number, bytes: number): CopyResult;
  /** Bytes that guests wrote to the target, since it was asked last. */
  takeActiveBytes(filter: NodeHandle): number;
  /** Why a guest's write could not be brought to the target, once; null: there is nothing to tell. */
  takeActiveFailure(filter: NodeHandle): BlockError | null;
  stop(filter: NodeHandle): void;
}

/** What the data plane exports for mirrors (wasm/exports/mirror.ts). */
export interface MirrorExports {
  openMirrorTop(source: number): number;
  mirrorStart(filter: number, target: number, bitmap: number, clusterShift: number, unmap: number): number;
  mirrorSetActive(filter: number, active: number): number;
  mirrorCopy(filter: number, offset: number, bytes: number): number;
  mirrorActiveBytes(filter: number): number;
  mirrorActiveFailure(filter: number): number;
  mirrorStop(filter: number): number;
}

/** The implementation over the exports of the data plane. */
export function makeMirror(
  wasm: MirrorExports & CopyExports,
  call: (run: () => number) => number,
): EngineMirror {
  /** A call whose failures are an answer. */
  const attempt = (run: () => number): BlockError | null => {
    try {
      call(run);
      return null;
    } catch (error) {
      if (error instanceof BlockError) return error;
      throw error;
    }
  };
  return {
    open: (source) => call(() => wasm.openMirrorTop(source)) as NodeHandle,
    start(filter, { target, bitmap, wholeClusters, unmap }) {
      const shift = wholeClusters === null ? 0 : Math.log2(wholeClusters);
      call(() => wasm.mirrorStart(filter, target, bitmap, shift, Number(unmap)));
    },
    setActive: (filter, active) => void call(() => wasm.mirrorSetActive(filter, Number(active))),
    copy(filter, offset, bytes) {
      const error = attempt(() => wasm.mirrorCopy(filter, offset, bytes));
      return {
        done: wasm.copyDone(),
        written: wasm.copyWritten(),
        moved: wasm.copyMoved(),
        failure: error && { operation: wasm.copyTargetFailed() ? 'write' : 'read', error },
      };
    },
    takeActiveBytes: (filter) => wasm.mirrorActiveBytes(filter),
    takeActiveFailure: (filter) => attempt(() => wasm.mirrorActiveFailure(filter)),
    stop: (filter) => void call(() => wasm.mirrorStop(filter)),
  };
}
