/** Bringing files to stable storage before anybody waits for it. */
import type { NodeHandle } from './request';
import type { EngineExports } from './exports';
import type { Host } from './host';

/** The implementation over the exports of the data plane; see `Engine.writeBack`. */
export function makeWriteBack(
  wasm: EngineExports,
  host: Host,
  call: (run: () => number) => number,
): (node: NodeHandle) => Promise<void> | null {
  return (node) => host.file(call(() => wasm.fileOf(node))).writeBack?.() ?? null;
}
