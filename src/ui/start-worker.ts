/** Starts the worker of the daemon. */
import workerAddress from '../worker/index.ts?worker&url';

/**
 * The worker's script lies beside that of the page. Where this program is used by a page of another site, a worker cannot be made of
 * it directly; one that imports it can (the host has to allow that, as for the script itself: Access-Control-Allow-Origin).
 */
export function startWorker(): Worker {
  const address = new URL(workerAddress, import.meta.url);
  const options: WorkerOptions = { type: 'module', name: 'qsd-web' };
  if (address.origin === location.origin) return new Worker(address, options);
  const importer = new Blob([`import ${JSON.stringify(address.href)};`], { type: 'text/javascript' });
  const url = URL.createObjectURL(importer);
  const worker = new Worker(url, options);
  // It has been fetched by then; a worker that failed tells so by its error event.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return worker;
}
