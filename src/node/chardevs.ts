/** Character devices that the system brings: the standard input and output, files of any kind, pipes and datagrams. */
import { lookup } from 'node:dns/promises';
import { createSocket } from 'node:dgram';
import { closeSync, constants, createReadStream, createWriteStream, existsSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { ChardevKind, PlatformChardevs } from '../daemon/chardevs/device';
import type { ByteStream } from '../nbd/index';
import { QmpError, type ChardevBackend, type ChardevFile, type ChardevUdp } from '../qapi/index';
import { strerrorOf } from './strerror';

const KINDS: readonly ChardevKind[] = ['file', 'pipe', 'stdio', 'udp'];

const REASONS: Readonly<Partial<Record<ChardevKind, string>>> = {
  pty: 'Node.js cannot make pseudo terminals; use socket or pipe, and socat(1) for a terminal',
  serial: 'Node.js cannot set up serial lines',
  parallel: 'Node.js cannot drive parallel ports',
};

/** @param directory where relative paths begin */
export function nodeChardevs(directory = ''): PlatformChardevs {
  let hasStdio = false;
  return {
    kinds: KINDS,
    reason: (kind) => REASONS[kind],
    async open(backend: ChardevBackend): Promise<ByteStream> {
      switch (backend.type) {
        case 'stdio':
          if (hasStdio) throw new QmpError('cannot use stdio by multiple character devices');
          hasStdio = true;
          return new DuplexStream(process.stdin, process.stdout, () => (hasStdio = false));
        case 'file':
          return openFile(backend.data, directory);
        case 'pipe':
          return openPipe(backend.data.device, directory);
        case 'udp':
          return openDatagrams(backend.data);
        default:
          throw new TypeError(`no character device of kind ${backend.type}`);
      }
    },
  };
}

/** A stream of bytes over two of Node. */
class DuplexStream implements ByteStream {
  private readonly pieces: AsyncIterator<Uint8Array> | null;
  private over: () => void = () => undefined;
  private readonly ended = new Promise<null>((resolve) => (this.over = () => resolve(null)));

  /** @param input null: nothing ever comes in */
  constructor(
    input: Readable | null,
    private readonly output: Writable,
    private readonly closed: () => void,
  ) {
    // A reader that has gone, a full disk: what is written is lost, and the daemon works on.
    output.on('error', () => undefined);
    input?.on('error', () => undefined);
    this.pieces = input ? (input[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>) : null;
  }

  async read(): Promise<Uint8Array | null> {
    const next = this.pieces?.next().then(
      (piece) => (piece.done ? null : piece.value),
      () => null,
    );
    return next ? Promise.race([next, this.ended]) : this.ended;
  }

  async write(pieces: readonly Uint8Array[]): Promise<boolean> {
    for (const piece of pieces) this.output.write(piece);
    return this.output.writable;
  }

  close(): void {
    this.over();
    this.closed();
  }

  destroy(): void {
    this.close();
  }
}

function openAt(directory: string, path: string, flags: number): number {
  try {
    if (path === '') throw new QmpError(`Could not open '': No such file or directory`);
    return openSync(resolve(directory, path), flags, 0o666);
  } catch (error) {
    throw error instanceof QmpError ? error : new QmpError(`Could not open '${path}': ${strerrorOf(error)}`);
  }
}

function openFile(options: ChardevFile, directory: string): ByteStream {
  const behind = (options.append ?? false) ? constants.O_APPEND : constants.O_TRUNC;
  const output = openAt(directory, options.out, constants.O_WRONLY | constants.O_CREAT | behind);
  let input: number | null = null;
  try {
    if (options.in !== undefined) input = openAt(directory, options.in, constants.O_RDONLY);
  } catch (error) {
    closeSync(output);
    throw error;
  }
  const reader = input === null ? null : createReadStream('', { fd: input });
  const writer = createWriteStream('', { fd: output });
  return new DuplexStream(reader, writer, () => {
    writer.end();
    reader?.destroy();
  });
}

/** PATH.in and PATH.out if they are there, else PATH for both. */
function openPipe(path: string, directory: string): ByteStream {
  const flags = constants.O_RDWR | constants.O_NONBLOCK;
  const isPair = ['.in', '.out'].every((end) => existsSync(resolve(directory, path + end)));
  const input = openAt(directory, isPair ? `${path}.in` : path, flags);
  const output = openAt(directory, isPair ? `${path}.out` : path, flags);
  try {
    const reader = new Socket({ fd: input, readable: true, writable: false });
    const writer = new Socket({ fd: output, readable: false, writable: true });
    return new DuplexStream(reader, writer, () => {
      writer.end();
      writer.destroySoon();
      reader.destroy();
    });
  } catch {
    throw new QmpError(`Could not open '${path}': it is no pipe`);
  }
}

/** Sends each piece as a datagram to one address, and takes those that come. */
async function openDatagrams({ remote, local }: ChardevUdp): Promise<ByteStream> {
  if (remote.type !== 'inet' || (local && local.type !== 'inet')) {
    throw new QmpError('socket type unsupported for datagram');
  }
  const find = async ({ host, port }: { host: string; port: string }) => {
    const failed = `address resolution failed for ${host}:${port}`;
    if (!/^\d*$/.test(port)) throw new QmpError(`${failed}: Servname not supported for ai_socktype`);
    const { address, family } = await lookup(host === '' ? 'localhost' : host).catch(() => {
      throw new QmpError(`${failed}: Name or service not known`);
    });
    return { address, family, port: Number(port) % 0x10000 };
  };
  const to = await find(remote.data);
  const from = local ? await find(local.data) : null;
  const socket = createSocket(to.family === 6 ? 'udp6' : 'udp4');
  const arrived: Uint8Array[] = [];
  const readers: ((piece: Uint8Array | null) => void)[] = [];
  let isOver = false;
  socket.on('message', (message) => {
    const reader = readers.shift();
    if (reader) reader(message);
    // What nobody reads in time is lost, as datagrams are.
    else if (arrived.length < 64) arrived.push(message);
  });
  await new Promise<void>((done, fail) => {
    socket.once('error', (error) => fail(new QmpError(`Failed to bind socket: ${strerrorOf(error)}`)));
    socket.bind(from?.port ?? 0, from?.address, done);
  });
  // A datagram that nobody took is answered with an error, which is none of a sender.
  socket.on('error', () => undefined);
  const close = (): void => {
    if (isOver) return;
    isOver = true;
    socket.close();
    for (const reader of readers.splice(0)) reader(null);
  };
  return {
    read: () =>
      new Promise((resolvePiece) => {
        const piece = arrived.shift();
        if (piece || isOver) resolvePiece(piece ?? null);
        else readers.push(resolvePiece);
      }),
    async write(pieces) {
      for (const piece of pieces) if (!isOver) socket.send(piece, to.port, to.address);
      return !isOver;
    },
    close,
    destroy: close,
  };
}
