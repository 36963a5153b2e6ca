/** Where a container's header and key material are: the start of a file, or a place inside a qcow2 image. */
import type { Engine, NodeHandle } from '../../engine/contract';

export interface HeaderStorage {
  /** What is behind the end of the file reads as zeros. Offsets are bytes from the start of the header. */
  read(offset: number, bytes: number): Promise<Uint8Array>;
  write(offset: number, data: Uint8Array): Promise<void>;
  /** What was written is on stable storage. */
  flush(): Promise<void>;
}

/** The storage at an offset of a node. Failures are `BlockError`s. */
export function nodeStorage(engine: Engine, node: NodeHandle, start = 0): HeaderStorage {
  const { presence } = engine;
  return {
    async read(offset, bytes) {
      const result = new Uint8Array(bytes);
      const inside = Math.min(bytes, Math.max(0, engine.length(node) - start - offset));
      if (inside === 0) return result;
      const buffer = engine.alloc(inside);
      try {
        await presence.whenPresent(() => engine.read(node, start + offset, inside, buffer));
        result.set(buffer.view());
      } finally {
        buffer.view().fill(0);
        buffer.free();
      }
      return result;
    },
    async write(offset, data) {
      const buffer = engine.alloc(data.length);
      try {
        buffer.view().set(data);
        await presence.whenPresent(() => engine.write(node, start + offset, data.length, buffer));
      } finally {
        buffer.view().fill(0);
        buffer.free();
      }
    },
    flush: () => presence.whenPresent(() => engine.flush(node)),
  };
}
