/** Starts workers. */
import workerAddress from '../worker/index.ts?worker&url';

/** Starts the worker of the daemon. */
export function startWorker(): Worker {
  return startScript(new URL(workerAddress, import.meta.url), 'qsd-web');
}

/**
 * The worker's script lies beside that of the page. Where this program is used by a page of another site, a worker cannot be made of
 * it directly; one that imports it can (the host has to allow that, as for the script itself: Access-Control-Allow-Origin).
 */
export function startScript(address: URL, name: string): Worker {
  const options: WorkerOptions = { type: 'module', name };
  if (address.origin === location.origin) return new Worker(address, options);
  const importer = new Blob([`import ${JSON.stringify(address.href)};`], { type: 'text/javascript' });
  const url = URL.createObjectURL(importer);
  const worker = new Worker(url, options);
  // It has been fetched by then; a worker that failed tells so by its error event.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return worker;
}
