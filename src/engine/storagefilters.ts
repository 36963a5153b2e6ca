/** Filters that lie between a format and its file, or test one: preallocate, blkverify and blklogwrites. */
import { VerifyOp } from '../../wasm/abi';
import type { NodeHandle } from './request';

/** The two children of a blkverify node did not do the same in a request, which fails. */
export interface VerifyEvent {
  kind: 'verify-mismatch';
  node: NodeHandle;
  operation: 'read' | 'write';
  /** Bytes. */
  offset: number;
  bytes: number;
  /** The first byte that differs, or what the node under test and the raw copy answered: 0 or a negative errno. */
  mismatch: { at: number } | { test: number; raw: number };
}

/** How far a preallocate node goes ahead; bytes. */
export interface PreallocateOptions {
  /** What is made ready behind a write. */
  ahead: number;
  /** The file's length becomes a multiple of this; 0: any. */
  align: number;
}

export interface LogOptions {
  readOnly: boolean;
  /** Bytes of a sector of the log: a power of two from 32 to 8 MiB. */
  sector: number;
  /** Entries after which the superblock is written; it is after every flush. */
  interval: number;
}

/** Failures are the engine's `BlockError`s. */
export interface StorageFilters {
  /** Nothing is preallocated until it is allowed. */
  openPreallocate(file: NodeHandle, options: PreallocateOptions & { readOnly: boolean }): NodeHandle;
  setPreallocate(node: NodeHandle, options: PreallocateOptions): void;
  /** Whether the file may be longer than its data from now on. If not, the file is cut. */
  allowPreallocate(node: NodeHandle, allowed: boolean): void;
  openBlkverify(raw: NodeHandle, test: NodeHandle, readOnly: boolean): NodeHandle;
  openBlklogwrites(file: NodeHandle, log: NodeHandle, options: LogOptions): NodeHandle;
  /** Goes on behind what is in the log, with the sectors that it has: answers their bytes. EINVAL: it is no log. */
  appendLog(node: NodeHandle): number;
}

/** What the data plane exports (wasm/exports/storagefilters.ts). */
export interface StorageFilterExports {
  openPreallocate(file: number, readOnly: number, ahead: number, align: number): number;
  preallocateSet(node: number, ahead: number, align: number): number;
  preallocateAllow(node: number, allowed: number): number;
  openBlkverify(raw: number, test: number, readOnly: number): number;
  openBlklogwrites(file: number, log: number, readOnly: number, sector: number, interval: number): number;
  logAppend(node: number): number;
}

/** The data plane's reports as events. */
export function mismatchImports(
  emit: (event: VerifyEvent) => void,
): Record<string, (...args: number[]) => void> {
  return {
    verifyMismatch: (node = 0, op = 0, offset = 0, bytes = 0, at = 0, test = 0, raw = 0) => {
      const operation = (op as VerifyOp) === VerifyOp.READ ? 'read' : 'write';
      try {
        const mismatch = at >= 0 ? { at } : { test, raw };
        emit({ kind: 'verify-mismatch', node: node as NodeHandle, operation, offset, bytes, mismatch });
      } catch {
        // Whoever takes the report may fail without spoiling the request.
      }
    },
  };
}

/** @param call runs a call of the data plane: a negative answer is thrown */
export function makeStorageFilters(
  wasm: StorageFilterExports,
  call: (run: () => number) => number,
): StorageFilters {
  return {
    openPreallocate: (file, { readOnly, ahead, align }) =>
      call(() => wasm.openPreallocate(file, Number(readOnly), ahead, align)) as NodeHandle,
    setPreallocate: (node, { ahead, align }) => void call(() => wasm.preallocateSet(node, ahead, align)),
    allowPreallocate: (node, allowed) => void call(() => wasm.preallocateAllow(node, Number(allowed))),
    openBlkverify: (raw, test, readOnly) =>
      call(() => wasm.openBlkverify(raw, test, Number(readOnly))) as NodeHandle,
    openBlklogwrites: (file, log, { readOnly, sector, interval }) =>
      call(() => wasm.openBlklogwrites(file, log, Number(readOnly), sector, interval)) as NodeHandle,
    appendLog: (node) => call(() => wasm.logAppend(node)),
  };
}
