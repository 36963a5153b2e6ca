/** AES of Node.js (OpenSSL, which uses the processor's instructions) for the data plane. */
import type { Accelerator, HostAes } from '../engine/index';
import { nodeCrypto } from './builtins';

/** The block function has no state, so one object serves all requests; padding would keep the last block back. */
function makeAes(key: Uint8Array): HostAes {
  const { createCipheriv, createDecipheriv } = nodeCrypto();
  const name = `aes-${key.length * 8}-ecb`;
  const forward = createCipheriv(name, key, null).setAutoPadding(false);
  const backward = createDecipheriv(name, key, null).setAutoPadding(false);
  return {
    run: (encrypt, blocks) => blocks.set((encrypt ? forward : backward).update(blocks)),
    free() {
      // Ending them lets OpenSSL overwrite its key schedules.
      forward.final();
      backward.final();
    },
  };
}

export const nodeAccelerator: Accelerator = { aes: makeAes };
