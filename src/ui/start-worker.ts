/** Starts the worker of the daemon. */
import { startScript } from '../client';
import workerAddress from '../worker/index.ts?worker&url';

export function startWorker(): Worker {
  return startScript(new URL(workerAddress, import.meta.url), 'qsd-web');
}
