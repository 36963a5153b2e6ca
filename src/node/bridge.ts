/**
 * `qsd-web bridge`: WebSockets for pages, passed on to an NBD server. A browser lets no page speak TCP; the bridge does nothing
 * but carry the bytes, so whoever reaches it reaches the server. It listens on this machine alone if not told otherwise, and
 * takes pages of this machine alone: any page that a user opens could connect to it else.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { acceptWebSocket, type ByteStream } from '../nbd/index';
import { QmpError, type SocketAddress } from '../qapi/index';
import { connectTo } from './connect';
import { listenOn } from './listen';

const HELP = `Usage: qsd-web bridge [OPTIONS] SERVER
Passes WebSockets of pages on to an NBD server: HOST:PORT, or the path of a Unix socket.

  -b, --bind=IFACE     interface to listen on (default '127.0.0.1')
  -p, --port=PORT      port to listen on (default '10810')
  -o, --origin=ORIGIN  pages of this origin may connect, e.g. https://example.org; '*': all may.
                       Can be given several times. Pages of this machine always may
  -h, --help           display this help and exit

In the page the server is then a disk: nbd://IFACE:PORT/EXPORT.
`;

/** Connections at the same time. */
const MAX_CONNECTIONS = 256;
/** Pages of this machine. */
const LOCAL = /^https?:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/;

interface BridgeOptions {
  readonly bind: string;
  readonly port: string;
  readonly origins: readonly string[];
  readonly server: SocketAddress;
}

/** Resolves with the exit code when a signal has ended the bridge. */
export async function runBridge(words: string[]): Promise<number> {
  try {
    const options = readOptions(words);
    if (!options) {
      process.stdout.write(HELP);
      return 0;
    }
    await bridge(options);
    return 0;
  } catch (error) {
    if (!(error instanceof QmpError || error instanceof TypeError)) throw error;
    process.stderr.write(`qsd-web bridge: ${error.message}\n`);
    return 1;
  }
}

/** The options; null: help is wanted. Mistakes are `TypeError`s of `parseArgs` and {@link QmpError}s. */
function readOptions(words: string[]): BridgeOptions | null {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      bind: { type: 'string', short: 'b', default: '127.0.0.1' },
      port: { type: 'string', short: 'p', default: '10810' },
      origin: { type: 'string', short: 'o', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const [server, ...others] = positionals;
  if (server === undefined || others.length > 0) throw new QmpError('one server is needed; see --help');
  const { bind, port, origin } = values;
  return { bind, port, origins: origin, server: addressOf(server) };
}

function addressOf(server: string): SocketAddress {
  const [, host, port] = /^\[?([^/]*?)\]?:(\d+)$/.exec(server) ?? [];
  return host && port ? { type: 'inet', host, port } : { type: 'unix', path: server };
}

async function bridge({ bind, port, origins, server }: BridgeOptions): Promise<void> {
  const allows = (origin: string | null): boolean =>
    origin === null || LOCAL.test(origin) || origins.includes('*') || origins.includes(origin);
  let connections = 0;
  const serve = async (client: ByteStream): Promise<void> => {
    if (connections >= MAX_CONNECTIONS) {
      client.destroy();
      return;
    }
    connections++;
    try {
      await passOn(await acceptWebSocket(client, allows), server);
    } catch (error) {
      process.stderr.write(`qsd-web bridge: ${error instanceof Error ? error.message : String(error)}\n`);
      client.close();
    } finally {
      connections--;
    }
  };
  const listener = await listenOn({ type: 'inet', host: bind, port }, (client) => void serve(client));
  const place = listener.place ?? { host: bind, port };
  const host = place.host.includes(':') ? `[${place.host}]` : place.host;
  process.stdout.write(`Pages reach the server at nbd://${host}:${place.port}/\n`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  listener.close();
}

/** Carries bytes in both directions until one side ends. */
async function passOn(page: ByteStream, address: SocketAddress): Promise<void> {
  let server: ByteStream;
  try {
    server = await connectTo(address);
  } catch (error) {
    page.close();
    throw error;
  }
  await Promise.all([carry(page, server), carry(server, page)]);
}

async function carry(from: ByteStream, to: ByteStream): Promise<void> {
  for (let piece = await from.read(); piece; piece = await from.read()) if (!(await to.write([piece]))) break;
  from.close();
  to.close();
}
