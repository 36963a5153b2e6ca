/** Changes of what an image is: its header, its format, all of its content at once. */
import type { IoBuffer, NodeHandle } from './contract';
import type { EngineExports } from './exports';

/** Changes of a writable qcow2 image. Everything throws `BlockError`; ENOTSUP: the node is no qcow2 image. */
export interface ImageAmend {
  /**
   * Stores another backing file and its format in the header, at once and on stable storage; null: none. It changes
   * nothing of what the node reads now. EINVAL: a name is too long, or the image may have no backing file; ENOSPC: the
   * header has no room. Then nothing has changed.
   */
  changeBackingFile(node: NodeHandle, file: string | null, format: string | null): void;
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
  };
}
