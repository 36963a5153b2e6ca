/** Nodes that keep what a disk was while it is written: copy-before-write filters, what backup jobs do by them, readers. */
import { Keep } from '../../wasm/abi';
import { BlockError, type BitmapHandle, type NodeHandle } from './request';

/** How a copy-before-write filter copies. */
export interface KeepOptions {
  readOnly: boolean;
  /** Bytes of a cluster: what is copied is copied in whole ones. A power of two from 512 to 2^30. */
  cluster: number;
  /** A failed copy ends the snapshot; by default it fails the write. */
  breakSnapshot?: boolean;
}

/** What jobs want of their filter. */
export interface KeepMode {
  /** Only what the file itself has is copied, not what it has from below. */
  topOnly: boolean;
  /** What was copied is discarded in the file. */
  discardSource: boolean;
  /** Clusters are written compressed to the target. */
  compress: boolean;
}

/** What a step of a backup did. */
export interface KeepStep {
  /** Where to go on; where it failed. The length of the disk: nothing from the offset on is to be copied any more. */
  next: number;
  failure: { operation: 'read' | 'write'; error: BlockError } | null;
}

/** Copy-before-write filters. Offsets and sizes are bytes; failures are `BlockError`s. */
export interface EngineBackup {
  /**
   * A filter above `file` that copies to `target` what is about to be overwritten; {@link select} says what.
   * ENOMEM: the disk is too large for the clusters.
   */
  open(file: NodeHandle, target: NodeHandle, options: KeepOptions): NodeHandle;
  /** A node that reads the disk as it was; `file` is such a filter (others cannot be read: ENOTSUP). */
  openReader(file: NodeHandle, readOnly: boolean): NodeHandle;
  /** What is to be kept: all of the disk, or what is dirty in a bitmap. EINVAL: it is of a disk of another size. */
  select(filter: NodeHandle, bitmap: BitmapHandle | null): void;
  /** The same for what is to be copied only: what can be read as it was stays. */
  selectCopied(filter: NodeHandle, bitmap: BitmapHandle): void;
  setMode(filter: NodeHandle, mode: KeepMode): void;
  /** Copies the first clusters from an offset on that are still to be copied: about `most` bytes, at least a cluster. */
  copyNext(filter: NodeHandle, offset: number, most: number): KeepStep;
  /** Lets clusters be that the file itself has not; answers how far it has come: the next change of allocation. */
  skipUnallocated(filter: NodeHandle, offset: number): number;
  /** Bytes, in whole clusters, that were copied (by writes and by jobs), and those that are still to be. */
  progress(filter: NodeHandle): { copied: number; left: number };
  /** Marks what is still to be copied in a bitmap. */
  addPending(filter: NodeHandle, bitmap: BitmapHandle): void;
}

/** What the data plane exports for this (wasm/exports/backup.ts). */
export interface BackupExports {
  openCopyBeforeWrite(file: number, readOnly: number, target: number, shift: number, flags: number): number;
  openSnapshotAccess(file: number, readOnly: number): number;
  keepSelect(filter: number, bitmap: number, readable: number): number;
  keepMode(filter: number, topOnly: number, discardSource: number, compress: number): number;
  keepCopy(filter: number, offset: number, most: number): number;
  keepNext(filter: number): number;
  keepTargetFailed(filter: number): number;
  keepCopied(filter: number): number;
  keepLeft(filter: number): number;
  keepSkip(filter: number, offset: number): number;
  keepPending(filter: number, bitmap: number): number;
}

/** @param call runs a call of the data plane: a negative answer is thrown */
export function makeBackup(wasm: BackupExports, call: (run: () => number) => number): EngineBackup {
  return {
    open: (file, target, options) => {
      const { readOnly, cluster, breakSnapshot } = options;
      const shift = Math.log2(cluster);
      const flags = breakSnapshot ? Keep.BREAK_SNAPSHOT : 0;
      return call(() => wasm.openCopyBeforeWrite(file, Number(readOnly), target, shift, flags)) as NodeHandle;
    },
    openReader: (file, readOnly) => call(() => wasm.openSnapshotAccess(file, Number(readOnly))) as NodeHandle,
    select: (filter, bitmap) => void call(() => wasm.keepSelect(filter, bitmap ?? -1, 1)),
    selectCopied: (filter, bitmap) => void call(() => wasm.keepSelect(filter, bitmap, 0)),
    setMode: (filter, { topOnly, discardSource, compress }) =>
      void call(() => wasm.keepMode(filter, Number(topOnly), Number(discardSource), Number(compress))),
    copyNext: (filter, offset, most) => {
      let failure: KeepStep['failure'] = null;
      try {
        call(() => wasm.keepCopy(filter, offset, most));
      } catch (error) {
        if (!(error instanceof BlockError)) throw error;
        failure = { operation: wasm.keepTargetFailed(filter) ? 'write' : 'read', error };
      }
      return { next: call(() => wasm.keepNext(filter)), failure };
    },
    skipUnallocated: (filter, offset) => call(() => wasm.keepSkip(filter, offset)),
    progress: (filter) => ({
      copied: call(() => wasm.keepCopied(filter)),
      left: call(() => wasm.keepLeft(filter)),
    }),
    addPending: (filter, bitmap) => void call(() => wasm.keepPending(filter, bitmap)),
  };
}
