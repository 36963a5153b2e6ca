/** What a host may do better than the data plane: the block functions of ciphers, with the processor's instructions. */

/** AES with one key. */
export interface HostAes {
  /**
   * Encrypts or decrypts whole blocks of 16 bytes in place, each for itself (the mode is the data plane's business). If it throws
   * nothing has been changed.
   */
  run(encrypt: boolean, blocks: Uint8Array): void;
  /** Forgets the key as far as it can. */
  free(): void;
}

/** A host's ciphers. They answer at once; that is why a browser has none (WebCrypto answers later). */
export interface Accelerator {
  /** @param key 16, 24 or 32 bytes, to be copied if they are kept */
  aes(key: Uint8Array): HostAes;
}

/** The functions of wasm/host.ts over an accelerator; `piece` shows a part of linear memory. */
export function acceleratorImports(
  accelerator: Accelerator | undefined,
  piece: (at: number, bytes: number) => Uint8Array,
): Record<'aesNew' | 'aesRun' | 'aesFree', (...args: number[]) => number> {
  const kept: (HostAes | null)[] = [];
  return {
    aesNew(key = 0, bytes = 0) {
      if (!accelerator) return -1;
      try {
        const free = kept.indexOf(null);
        const number = free < 0 ? kept.length : free;
        kept[number] = accelerator.aes(piece(key, bytes));
        return number;
      } catch {
        // The data plane has its own: a host without AES is as good as one that was not asked.
        return -1;
      }
    },
    aesRun(number = -1, encrypt = 0, at = 0, bytes = 0) {
      try {
        kept[number]!.run(encrypt !== 0, piece(at, bytes));
        return 0;
      } catch {
        return -1;
      }
    },
    aesFree(number = -1) {
      kept[number]?.free();
      kept[number] = null;
      return 0;
    },
  };
}
