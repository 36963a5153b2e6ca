/** The worker that derives one key with Argon2. */
import type { Argon2Request } from '../crypto/argon2';
import { estimatedArgon2 } from '../crypto/derivation';

/** What it tells: how many milliseconds it is going to take, then the key or why there is none. */
export type Told = { estimate: number } | { key: Uint8Array } | { failure: string };

declare const self: DedicatedWorkerGlobalScope;

self.onmessage = ({ data }: MessageEvent<Argon2Request>) => {
  const tell = (told: Told) => self.postMessage(told);
  estimatedArgon2(data, (estimate) => tell({ estimate }))
    .then(
      (key) => tell({ key }),
      (error: unknown) => tell({ failure: error instanceof Error ? error.message : String(error) }),
    )
    .finally(() => data.password.fill(0));
};
