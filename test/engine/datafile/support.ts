/** An image and its data file in memory, open together. */
import type { Engine, NodeHandle, Qcow2OpenOptions } from '../../../src/engine/contract';
import type { BlockFile } from '../../../src/files/contract';
import { keptOpen } from '../support';

/** Both files of an image. */
export interface Pair {
  image: BlockFile;
  data: BlockFile;
}

export interface OpenPair {
  node: NodeHandle;
  close(): void;
}

/** Opens both. */
export function openPair(engine: Engine, { image, data }: Pair, options: Qcow2OpenOptions): OpenPair {
  const { readOnly } = options;
  const below = engine.openFile(keptOpen(image), { readOnly });
  const external = engine.openFile(keptOpen(data), { readOnly });
  const closeFiles = () => {
    engine.close(below);
    engine.close(external);
  };
  let node: NodeHandle;
  try {
    node = engine.openQcow2(below, { ...options, dataFile: external });
  } catch (error) {
    closeFiles();
    throw error;
  }
  return {
    node,
    close: () => {
      try {
        engine.close(node);
      } finally {
        closeFiles();
      }
    },
  };
}
