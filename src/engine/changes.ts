/** Changes of open nodes: other children, another file below, other options. */
import { DetectZeroes } from '../../wasm/abi';
import type { BlockFile } from '../files/contract';
import type { Qcow2OpenOptions } from './qcow2';
import type { NodeHandle } from './request';
import type { EngineExports } from './exports';
import type { Host } from './host';

/** What of an open node can be changed. Everything throws `BlockError`, and then nothing has changed. */
export interface NodeChanges {
  /**
   * Makes `now` the child of `node` where `old` is; the node is flushed before. Only for children that are no backing
   * nodes (`setBacking`); EINVAL if there is no such child, or a node would be below itself.
   */
  replaceChild(node: NodeHandle, old: NodeHandle, now: NodeHandle): void;
  /** Gives a protocol node another handle of its file; answers the one before, which belongs to the caller now. */
  replaceFile(node: NodeHandle, file: BlockFile): BlockFile;
  /** Another window of the child for a raw node; texts as `openRaw`. */
  reopenRaw(node: NodeHandle, options: { offset?: number; size?: number }): void;
  /** Other options for a qcow2 node; `readOnly`, `noIo` and `check` do not count. */
  reopenQcow2(node: NodeHandle, options: Qcow2OpenOptions): void;
  /** What the node does with zeros and discards that reach it, from above or from the outside. */
  setSpaceOptions(node: NodeHandle, options: SpaceOptions): void;
  /** Frees cached tables of a qcow2 node that were not used since the last call. */
  cleanCaches(node: NodeHandle): void;
  /** Reports the next write that ends above `bytes` (event `write-threshold`), once; 0: none. */
  setWriteThreshold(node: NodeHandle, bytes: number): void;
}

/** The options `detect-zeroes` and `discard` of every node; a new one is `off` and lets discards pass. */
export interface SpaceOptions {
  /** Data that is all zero becomes a zero write (`on`), which may give the space back (`unmap`). */
  detectZeroes: 'off' | 'on' | 'unmap';
  /** Else discards are left out, and zero writes keep the space. */
  discard: boolean;
}

const DETECT_ZEROES = { off: DetectZeroes.OFF, on: DetectZeroes.ON, unmap: DetectZeroes.UNMAP } as const;

/** What {@link makeNodeChanges} needs of the engine. */
interface EngineParts {
  wasm: EngineExports;
  host: Host;
  /** Runs a call; a negative answer is thrown. */
  call: (run: () => number) => number;
  /** The bits of options of qcow2. */
  qcow2Flags: (options: Qcow2OpenOptions) => number;
}

/** The implementation over the exports of the data plane. */
export function makeNodeChanges({ wasm, host, call, qcow2Flags }: EngineParts): NodeChanges {
  return {
    replaceChild: (node, old, now) => void call(() => wasm.replaceChild(node, old, now)),
    replaceFile: (node, file) =>
      host.replace(
        call(() => wasm.fileOf(node)),
        file,
      ),
    reopenRaw: (node, { offset = 0, size = -1 }) => void call(() => wasm.reopenRaw(node, offset, size)),
    reopenQcow2: (node, options) => {
      const { l2CacheSize = -1, refcountCacheSize = -1, l2CacheEntrySize = -1 } = options;
      call(() =>
        wasm.reopenQcow2(node, qcow2Flags(options), l2CacheSize, refcountCacheSize, l2CacheEntrySize),
      );
    },
    setSpaceOptions: (node, { detectZeroes, discard }) =>
      void call(() => wasm.setSpaceOptions(node, DETECT_ZEROES[detectZeroes], Number(discard))),
    cleanCaches: (node) => void call(() => wasm.cleanCaches(node)),
    setWriteThreshold: (node, bytes) => void call(() => wasm.setWriteThreshold(node, bytes)),
  };
}
