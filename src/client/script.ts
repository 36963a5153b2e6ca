/** Workers of our own scripts, in any page. */

/**
 * Starts a worker whose script lies beside that of the page. Where this program is used by a page of another site, or in a sandboxed
 * frame, which is of no site, a worker cannot be made of the script directly; one that imports it can (the host has to allow that, as
 * for the script itself: Access-Control-Allow-Origin).
 */
export function startScript(address: URL, name: string): Worker {
  const options: WorkerOptions = { type: 'module', name };
  if (address.origin === self.origin) return new Worker(address, options);
  const importer = `import ${JSON.stringify(address.href)};`;
  // A page of no site cannot load a Blob as a module. In any other a worker of data would have no files.
  if (self.origin === 'null')
    return new Worker(`data:text/javascript,${encodeURIComponent(importer)}`, options);
  const url = URL.createObjectURL(new Blob([importer], { type: 'text/javascript' }));
  const worker = new Worker(url, options);
  // It has been fetched by then; a worker that failed tells so by its error event.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return worker;
}
