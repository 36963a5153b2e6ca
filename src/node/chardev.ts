/** Character devices of the daemon's command line: where a monitor's text comes from and goes to. */
import { createWriteStream, existsSync, fstatSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, Socket, type Server } from 'node:net';
import { dirname } from 'node:path';
import { Errno, strerror } from '../files/contract';
import { ToolFailure } from '../tools/failure';
import { splitOptions } from '../tools/optionlist';
import { strerrorOf } from './strerror';

/** One connection of a character device. */
export interface Channel {
  write(text: string): void;
  /** Hands over what comes in, piece by piece; each piece is waited for. Resolves when no more comes. */
  read(take: (chunk: Uint8Array) => Promise<void>): Promise<void>;
  /** Ends the connection. */
  close(): void;
}

/** A character device. */
export interface Chardev {
  readonly id: string;
  /** It is the standard input and output of the process, which there is once. */
  readonly stdio?: true;
  /** Calls `serve` for each connection, one after the other. */
  serve(serve: (channel: Channel) => Promise<void>): void;
  close(): void;
}

/** Options that take on or off; all others are text. */
const SWITCHES: ReadonlySet<string> = new Set([
  ...[
    'server',
    'wait',
    'delay',
    'nodelay',
    'telnet',
    'tn3270',
    'websocket',
    'signal',
    'mux',
    'append',
    'logappend',
  ],
  ...['ipv4', 'ipv6', 'abstract', 'tight'],
]);
const TEXTS: ReadonlySet<string> = new Set([
  ...[
    'backend',
    'id',
    'path',
    'input-path',
    'host',
    'port',
    'localaddr',
    'localport',
    'to',
    'fd',
    'reconnect',
  ],
  ...[
    'reconnect-ms',
    'tls-creds',
    'tls-authz',
    'width',
    'height',
    'cols',
    'rows',
    'size',
    'chardev',
    'logfile',
    'name',
  ],
]);
const BOOLEANS: Readonly<Record<string, boolean>> = {
  on: true,
  yes: true,
  true: true,
  y: true,
  off: false,
  no: false,
  false: false,
  n: false,
};

/** Character devices of QEMU that are not here. */
const OTHERS: readonly string[] = [
  ...[
    'pty',
    'udp',
    'memory',
    'ringbuf',
    'parallel',
    'pipe',
    'mux',
    'serial',
    'hub',
    'vc',
    'testdev',
    'msmouse',
  ],
  ...['wctablet', 'braille', 'spicevmc', 'spiceport', 'qemu-vdagent', 'dbus'],
];

/** The character devices that can be made, as `--chardev help` shows them. */
export const BACKENDS: readonly string[] = ['file', 'stdio', 'socket', 'null'];

/** The options of one --chardev. */
export type ChardevOptions = ReadonlyMap<string, string>;

/** Reads the value of --chardev. Throws {@link ToolFailure}. */
export function parseChardev(text: string): ChardevOptions {
  const options = new Map<string, string>();
  for (const { key, value } of splitOptions(text, 'backend')) {
    if (SWITCHES.has(key)) {
      if (value !== null && BOOLEANS[value] === undefined) {
        throw new ToolFailure(`Parameter '${key}' expects 'on' or 'off'`);
      }
    } else if (!TEXTS.has(key)) {
      throw new ToolFailure(`Invalid parameter '${key}'`);
    }
    if (key === 'id' && !/^[A-Za-z][A-Za-z0-9._-]*$/.test(value ?? '')) {
      throw new ToolFailure("Parameter 'id' expects an identifier", [
        "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.",
      ]);
    }
    options.set(key, value ?? 'on');
  }
  return options;
}

/** Makes a character device; a server waits for its first client unless told not to. Throws {@link ToolFailure}. */
export async function openChardev(options: ChardevOptions): Promise<Chardev> {
  const id = options.get('id');
  const backend = options.get('backend');
  if (backend === undefined || id === undefined) {
    throw new ToolFailure(
      backend === undefined && id !== undefined ? 'chardev: "" missing backend' : 'chardev: no id specified',
    );
  }
  switch (backend) {
    case 'stdio':
      return { ...single(id, new StreamChannel(process.stdin, process.stdout)), stdio: true };
    case 'null':
      return { id, serve: () => undefined, close: () => undefined };
    case 'file':
      return openFile(id, options.get('path'));
    case 'socket':
      return openSocket(id, options);
    default:
      throw new ToolFailure(
        OTHERS.includes(backend)
          ? `character device '${backend}' is not available`
          : `'${backend}' is not a valid char driver name`,
      );
  }
}

/** A channel over two streams of Node. */
class StreamChannel implements Channel {
  constructor(
    private readonly input: NodeJS.ReadableStream,
    private readonly output: NodeJS.WritableStream,
  ) {}

  write(text: string): void {
    this.output.write(text);
  }

  async read(take: (chunk: Uint8Array) => Promise<void>): Promise<void> {
    try {
      for await (const chunk of this.input)
        await take(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    } catch {
      // A connection that broke has ended.
    }
  }

  close(): void {
    if (this.output instanceof Socket && this.output !== process.stdout) this.output.end();
  }
}

function single(id: string, channel: Channel): Chardev {
  return { id, serve: (serve) => void serve(channel), close: () => channel.close() };
}

function openFile(id: string, path: string | undefined): Promise<Chardev> {
  if (path === undefined) throw new ToolFailure('chardev: file: no filename given');
  const stream = createWriteStream(path);
  return new Promise((resolve, reject) => {
    stream.once('error', (error) =>
      reject(new ToolFailure(`Could not open '${path}': ${strerrorOf(error)}`)),
    );
    stream.once('open', () => {
      // Nothing ever comes out of it.
      const channel = {
        write: (text: string) => void stream.write(text),
        read: async () => undefined,
        close: () => undefined,
      };
      resolve({ id, serve: (serve) => void serve(channel), close: () => void stream.end() });
    });
  });
}

/** Where a socket is: what listen() and connect() of Node take, and its name in messages. */
interface Address {
  target: { path: string } | { host: string; port: number } | { fd: number };
  name: string;
}

function addressOf(options: ChardevOptions): Address {
  const path = options.get('path');
  const host = options.get('host');
  const port = options.get('port');
  const fd = options.get('fd');
  if (path !== undefined) {
    if (host !== undefined) throw new ToolFailure("None or one of 'path', 'fd' or 'host' option required.");
    return { target: { path }, name: path };
  }
  if (host !== undefined || port !== undefined) {
    if (port === undefined) throw new ToolFailure('chardev: socket: no port given');
    if (!/^\d+$/.test(port) || Number(port) > 65535) {
      throw new ToolFailure(
        `address resolution failed for ${host ?? ''}:${port}: Servname not supported for ai_socktype`,
      );
    }
    return { target: { host: host ?? '', port: Number(port) }, name: `${host ?? ''}:${port}` };
  }
  if (fd === undefined || !/^\d+$/.test(fd)) throw new ToolFailure(`Unable to parse FD number ${fd ?? ''}`);
  let isSocket = false;
  try {
    isSocket = fstatSync(Number(fd)).isSocket();
  } catch {
    // No such descriptor: the message is the same.
  }
  if (!isSocket) throw new ToolFailure(`File descriptor '${fd}' is not a socket`);
  return { target: { fd: Number(fd) }, name: fd };
}

async function openSocket(id: string, options: ChardevOptions): Promise<Chardev> {
  const isOn = (name: string): boolean | undefined => {
    const text = options.get(name);
    return text === undefined ? undefined : BOOLEANS[text];
  };
  const server = isOn('server') ?? false;
  if (!server && isOn('wait') !== undefined) {
    throw new ToolFailure("'wait' option is incompatible with socket in client connect mode");
  }
  const address = addressOf(options);
  if (!server) return single(id, await connect(address));
  const chardev = new ServerChardev(id, await listen(address), address);
  if (isOn('wait') ?? true) {
    process.stderr.write(
      `qemu-storage-daemon: info: QEMU waiting for connection on: disconnected:${address.name},server=on\n`,
    );
    await chardev.firstClient;
  }
  return chardev;
}

function connect({ target, name }: Address): Promise<Channel> {
  if ('fd' in target) {
    const socket = new Socket({ fd: target.fd });
    return Promise.resolve(new StreamChannel(socket, socket));
  }
  return new Promise((resolve, reject) => {
    const socket = createConnection(target, () => resolve(new StreamChannel(socket, socket)));
    socket.once('error', (error) =>
      reject(new ToolFailure(`Failed to connect to '${name}': ${strerrorOf(error)}`)),
    );
  });
}

function listen({ target, name }: Address): Promise<Server> {
  // A path that is left over from a process that ended is used again, as QEMU does.
  if ('path' in target) removeSocket(target.path);
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true });
    server.once('error', (error) =>
      reject(new ToolFailure(`Failed to bind socket to ${name}: ${bindReason(error, target)}`)),
    );
    server.listen(target, () => resolve(server));
  });
}

/** Node says EACCES where the directory of a socket is missing. */
function bindReason(error: Error, target: Address['target']): string {
  const missing = 'path' in target && !existsSync(dirname(target.path));
  return missing ? strerror(Errno.ENOENT) : strerrorOf(error);
}

function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was not there, or bind() will say what is wrong with it.
  }
}

/** Serves one client at a time; others wait until it has gone. */
class ServerChardev implements Chardev {
  readonly firstClient: Promise<void>;
  private readonly waiting: Socket[] = [];
  private current: Socket | null = null;
  private handler: ((channel: Channel) => Promise<void>) | null = null;

  constructor(
    readonly id: string,
    private readonly server: Server,
    private readonly address: Address,
  ) {
    this.firstClient = new Promise((resolve) => server.once('connection', () => resolve()));
    server.on('connection', (socket) => {
      // A client that breaks off ends the reading, too.
      socket.on('error', () => socket.destroy());
      this.waiting.push(socket);
      this.next();
    });
  }

  serve(handler: (channel: Channel) => Promise<void>): void {
    this.handler = handler;
    this.next();
  }

  private next(): void {
    if (this.current || !this.handler) return;
    const socket = this.waiting.shift();
    if (!socket) return;
    this.current = socket;
    void this.handler(new StreamChannel(socket, socket)).finally(() => {
      socket.end();
      this.current = null;
      this.next();
    });
  }

  close(): void {
    this.server.close();
    this.current?.end();
    for (const socket of this.waiting) socket.destroy();
    if ('path' in this.address.target) removeSocket(this.address.target.path);
  }
}
