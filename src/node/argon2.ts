/** Argon2 in a thread of its own, which is this program again, for that work alone. */
import { parentPort, Worker, workerData } from 'node:worker_threads';
import type { Argon2Request } from '../crypto/argon2';
import { estimatedArgon2, type Argon2Thread } from '../crypto/derivation';

/** What a thread tells: how many milliseconds it is going to take, then the key or why there is none. */
type Told = { estimate: number } | { key: Uint8Array } | { failure: string };

export const threadArgon2: Argon2Thread = (request, { signal, estimate }) => {
  const worker = new Worker(new URL('qsd-web.js', import.meta.url), { workerData: request });
  const stop = () => void worker.terminate();
  signal?.addEventListener('abort', stop, { once: true });
  return new Promise<Uint8Array>((resolve, reject) => {
    worker.on('message', (told: Told) => {
      if ('estimate' in told) estimate(told.estimate);
      else if ('key' in told) resolve(told.key);
      else reject(new Error(told.failure));
    });
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('interrupted')));
  }).finally(() => {
    signal?.removeEventListener('abort', stop);
    stop();
  });
};

/** The work of such a thread. */
export async function serveArgon2(): Promise<void> {
  const request = workerData as Argon2Request;
  const tell = (told: Told) => parentPort?.postMessage(told);
  try {
    tell({ key: await estimatedArgon2(request, (estimate) => tell({ estimate })) });
  } catch (error) {
    tell({ failure: error instanceof Error ? error.message : String(error) });
  } finally {
    request.password.fill(0);
  }
}
