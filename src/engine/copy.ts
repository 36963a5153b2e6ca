/** Copying from node to node inside the data plane: jobs and tools move data at the speed of the files. */
import { Copy } from '../../wasm/abi';
import { BlockError, type NodeHandle } from './request';
import type { Presence } from './presence';

/** What is to be copied. */
export interface CopyRequest {
  source: NodeHandle;
  target: NodeHandle;
  /** Bytes, the same in both nodes; the target is at least that long, and behind the source's end zeros are read. */
  offset: number;
  bytes: number;
  /** Only what is allocated in the source's chain down to this node (excluded; null: all of the chain). Default: everything. */
  above?: NodeHandle | null;
  /** What is allocated in the target stays as it is. */
  keepTarget?: boolean;
  /** Data that is all zero is written as zeros. */
  detectZeroes?: boolean;
  /** Zeros may give clusters of the target back. */
  unmap?: boolean;
}

/** How far a copy got. */
export interface CopyResult {
  /** Bytes from the offset on that are copied, or were to be passed over. */
  done: number;
  /** Of these, bytes that were written. */
  written: number;
  /** Of these, bytes of data; the others were zeroed or discarded. */
  moved: number;
  /** What stopped it, behind `done`; null: it is complete. */
  failure: { operation: 'read' | 'write'; error: BlockError } | null;
}

/**
 * Runs a copy as often as it takes to have all that it needs. What it wrote to a target elsewhere may fail after the copy:
 * then nothing of it counts.
 */
export async function copyPresent<T extends CopyResult>(
  presence: Presence,
  copy: () => T,
): Promise<CopyResult> {
  if (!presence.active) return copy();
  try {
    return await presence.whenPresent(copy);
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    return { done: 0, written: 0, moved: 0, failure: { operation: 'write', error } };
  }
}

/** What the data plane exports (wasm/exports/copy.ts). */
export interface CopyExports {
  copy(source: number, base: number, target: number, offset: number, bytes: number, flags: number): number;
  copyDone(): number;
  copyWritten(): number;
  copyMoved(): number;
  copyTargetFailed(): number;
}

/** Answers how far it got; it throws only what is no failure of a read or a write. */
export type CopyRange = (request: CopyRequest) => CopyResult;

/** The implementation over the exports of the data plane. */
export function makeCopy(wasm: CopyExports, call: (run: () => number) => number): CopyRange {
  return ({ source, target, offset, bytes, above, keepTarget, detectZeroes, unmap }) => {
    let flags = 0;
    if (above !== undefined) flags |= Copy.ALLOCATED;
    if (keepTarget) flags |= Copy.KEEP_TARGET;
    if (detectZeroes) flags |= Copy.DETECT_ZEROES;
    if (unmap) flags |= Copy.UNMAP;
    let failure: CopyResult['failure'] = null;
    try {
      call(() => wasm.copy(source, above ?? -1, target, offset, bytes, flags));
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      failure = { operation: wasm.copyTargetFailed() ? 'write' : 'read', error };
    }
    return { done: wasm.copyDone(), written: wasm.copyWritten(), moved: wasm.copyMoved(), failure };
  };
}
