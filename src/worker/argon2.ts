/** Argon2 in a worker of its own, so that this one goes on with commands and requests meanwhile. */
import { startScript } from '../client/script';
import type { Argon2Thread } from '../crypto/derivation';
import workerAddress from './argon2worker.ts?worker&url';
import type { Told } from './argon2worker';

export const workerArgon2: Argon2Thread = (request, { signal, estimate }) => {
  const worker = startScript(new URL(workerAddress, import.meta.url), 'qsd-web: key');
  let stop: () => void = () => undefined;
  return new Promise<Uint8Array>((resolve, reject) => {
    stop = () => reject(new Error('interrupted'));
    signal?.addEventListener('abort', stop, { once: true });
    worker.onmessage = ({ data }: MessageEvent<Told>) => {
      if ('estimate' in data) estimate(data.estimate);
      else if ('key' in data) resolve(data.key);
      else reject(new Error(data.failure));
    };
    worker.onerror = ({ message }) => reject(new Error(message || 'the worker cannot be started'));
    worker.postMessage(request);
  }).finally(() => {
    signal?.removeEventListener('abort', stop);
    worker.terminate();
  });
};
