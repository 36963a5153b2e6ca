/** Changes of what an image is: its header, its format, all of its content at once. */
import { AmendPart } from '../../wasm/abi';
import type { IoBuffer, NodeHandle } from './request';
import type { EngineExports } from './exports';

/** Changes of a writable qcow2 image. Everything throws `BlockError`; ENOTSUP: the node is no qcow2 image. */
export interface ImageAmend {
  /**
   * Stores another backing file and its format in the header, at once and on stable storage; null: none. It changes
   * nothing of what the node reads now. EINVAL: a name is too long, or the image may have no backing file; ENOSPC: the
   * header has no room. Then nothing has changed.
   */
  changeBackingFile(node: NodeHandle, file: string | null, format: string | null): void;
  /**
   * Begins an amendment: to other versions, widths of counts, data files, lazy refcounts, sizes. Nothing else may be asked
   * of the node before its end. A crash at any time leaves a sound image with the same data.
   */
  start(node: NodeHandle, changes: AmendChanges): void;
  /** Works on for a few milliseconds; false: the amendment is complete. Throws what is wrong with the changes. */
  step(node: NodeHandle): boolean;
  /** How far it is. */
  progress(node: NodeHandle): AmendProgress;
  /** Ends it, complete or not; what was changed so far stays. */
  end(node: NodeHandle): void;
  /**
   * Empties the image from a guest offset on, for a few milliseconds: the backing node shows through, and clusters are
   * given back. Answers where to go on; 0: all is done, and on stable storage.
   */
  makeEmpty(node: NodeHandle, offset: number): number;
}

/** What is to be other than it is; absent: stays. */
export interface AmendChanges {
  version?: 2 | 3;
  /** 1, 2, 4 .. 64. */
  refcountBits?: number;
  lazyRefcounts?: boolean;
  /** Bytes; less than the disk has: the rest is lost. */
  size?: number;
  /** The data file need not read as the disk any more. */
  rawDataOff?: boolean;
  /** What the header calls the data file; empty: it says nothing. The node goes on with the one that it has. */
  dataFile?: string;
}

/** Work of an amendment, in units of each of its operations. */
export interface AmendProgress {
  /** Units of the operations that are complete. */
  before: number;
  /** Units that the current operation has done. */
  done: number;
  /** Units of the current operation; 0: it has none, or there is none. */
  total: number;
  /** Operations that are not complete, with the current one. */
  left: number;
}

/** What {@link makeImageAmend} needs of the engine. */
interface EngineParts {
  wasm: EngineExports;
  /** Runs a call; a negative answer is thrown. */
  call: (run: () => number) => number;
  /** A text as UTF-8 in linear memory, to be freed. */
  text: (text: string | null) => IoBuffer | null;
}

/** The implementation over the exports of the data plane. */
export function makeImageAmend({ wasm, call, text }: EngineParts): ImageAmend {
  return {
    changeBackingFile: (node, file, format) => {
      const name = text(file);
      const type = text(format);
      try {
        call(() =>
          wasm.changeBacking(
            node,
            name?.pointer ?? 0,
            name?.bytes ?? -1,
            type?.pointer ?? 0,
            type?.bytes ?? -1,
          ),
        );
      } finally {
        name?.free();
        type?.free();
      }
    },
    start: (node, { version = -1, refcountBits = -1, lazyRefcounts, size = -1, rawDataOff, dataFile }) => {
      const lazy = lazyRefcounts === undefined ? -1 : Number(lazyRefcounts);
      const name = text(dataFile ?? null);
      const at = name?.pointer ?? 0;
      const bytes = name?.bytes ?? -1;
      try {
        call(() =>
          wasm.amendStart(node, version, refcountBits, lazy, size, Number(rawDataOff ?? false), at, bytes),
        );
      } finally {
        name?.free();
      }
    },
    step: (node) => call(() => wasm.amendStep(node)) > 0,
    progress: (node) => ({
      before: wasm.amendProgress(node, AmendPart.BEFORE),
      done: wasm.amendProgress(node, AmendPart.DONE),
      total: wasm.amendProgress(node, AmendPart.TOTAL),
      left: wasm.amendProgress(node, AmendPart.LEFT),
    }),
    end: (node) => void call(() => wasm.amendEnd(node)),
    makeEmpty: (node, offset) => call(() => wasm.makeEmpty(node, offset)),
  };
}
