/** Starts the worker of the daemon; for the page and for a `<qsd-console>` that stands alone. */
export function startWorker(): Worker {
  return new Worker(new URL('../worker/index.ts', import.meta.url), { type: 'module', name: 'qsd-web' });
}
