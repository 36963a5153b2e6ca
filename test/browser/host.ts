/** A static host for the built page. */
import { createReadStream, existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** A host that knows little: files under a folder of its own, no special headers, no type for WASM. */
function serve(root: string): Server {
  const types: Record<string, string> = {
    '.html': 'text/html',
    '.js': 'text/javascript',
    '.css': 'text/css',
    '.png': 'image/png',
    '.svg': 'image/svg+xml',
  };
  return createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0]?.replace(/^\/some\/folder\//, '') ?? '';
    const file = join(root, path === '' ? 'index.html' : path);
    if (!request.url?.startsWith('/some/folder/') || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const type = types[/\.\w+$/.exec(file)?.[0] ?? ''] ?? 'application/octet-stream';
    // Such a host lets all sites use its files, as those for pages of projects do.
    response.writeHead(200, { 'content-type': type, 'access-control-allow-origin': '*' });
    createReadStream(file).pipe(response);
  });
}

/** Such a host on a port of its own; `address` is that of the page. */
export async function startHost(root: string): Promise<{ address: string; close(): void }> {
  const server = serve(root);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}/some/folder/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
