/** Codecs that are not part of the data plane: a kept library, loaded when an image needs it. */
import { Zstd } from './zstd';

/** The codecs of one engine. */
export interface Codecs {
  /**
   * Loads zstd; at once if it is there already. It must be there before data of an image with the compression type zstd is
   * read or written: without it such requests answer EIO. Rejects if the library cannot be loaded, and may be called
   * again then.
   */
  loadZstd(): Promise<void>;
}

/** {@link Codecs}, and the codecs themselves for the host. */
export class CodecTable implements Codecs {
  /** Null: not loaded. */
  zstd: Zstd | null = null;

  async loadZstd(): Promise<void> {
    this.zstd ??= await Zstd.load();
  }
}
