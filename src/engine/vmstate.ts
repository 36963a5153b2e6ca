/** The state of a virtual machine that an image keeps beside its disk. */
import type { IoBuffer, NodeHandle } from './request';

/** Offsets are bytes from the start of the state. Failures are `BlockError`s; ENOTSUP: no image here keeps one. */
export interface VmState {
  /** What was never written reads as zeros. */
  load(node: NodeHandle, offset: number, bytes: number, buffer: IoBuffer): void;
  save(node: NodeHandle, offset: number, bytes: number, buffer: IoBuffer): void;
}

/** What the data plane exports for it (wasm/exports/vmstate.ts). */
export interface VmStateExports {
  vmStateLoad(node: number, offset: number, bytes: number, to: number): number;
  vmStateSave(node: number, offset: number, bytes: number, from: number): number;
}

/**
 * @param call runs a call of the data plane: a negative answer is thrown
 */
export function makeVmState(wasm: VmStateExports, call: (run: () => number) => number): VmState {
  return {
    load: (node, offset, bytes, buffer) =>
      void call(() => wasm.vmStateLoad(node, offset, bytes, buffer.pointer)),
    save: (node, offset, bytes, buffer) =>
      void call(() => wasm.vmStateSave(node, offset, bytes, buffer.pointer)),
  };
}
