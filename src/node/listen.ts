/** Listening on an address of QMP. */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { existsSync, fstatSync, unlinkSync } from 'node:fs';
import { createServer, type AddressInfo, type ListenOptions, type Server } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { Errno, strerror } from '../files/contract';
import type { ByteStream, Listener } from '../nbd/index';
import { QmpError, type SocketAddress } from '../qapi/index';
import { portOf } from './ports';
import { SocketStream } from './socketstream';
import { strerrorOf } from './strerror';

/** Bytes of the path of a Unix socket, at most. */
const MAX_PATH = 107;
/** Clients that the system keeps waiting. */
const BACKLOG = 512;

/**
 * Listens, and hands over each connection. Refusals are {@link QmpError}s with the texts of QEMU.
 * @param directory where relative paths of sockets begin
 */
export async function listenOn(
  address: SocketAddress,
  serve: (stream: ByteStream) => void,
  directory = '',
): Promise<Listener> {
  switch (address.type) {
    case 'unix':
      return listenUnix(address, serve, directory);
    case 'inet':
      return listenInet(address, serve);
    case 'fd':
      return listenFd(address.str, serve);
    case 'vsock':
      checkVsock(address);
      throw new QmpError('Sockets of type vsock are not available: Node.js has none; use inet or unix');
  }
}

/** What is wrong with an address is said before there are none. */
export function checkVsock({ cid, port }: { cid: string; port: string }): void {
  if (!/^\d+$/.test(cid)) throw new QmpError(`Failed to parse cid '${cid}'`);
  if (!/^\d+$/.test(port)) throw new QmpError(`Failed to parse port '${port}'`);
}

function makeServer(serve: (stream: ByteStream) => void): Server {
  return createServer({ allowHalfOpen: true }, (socket) => serve(new SocketStream(socket)));
}

function open(server: Server, options: ListenOptions | { fd: number }): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen({ ...options, backlog: BACKLOG }, () => {
      server.off('error', fail);
      done();
    });
  });
}

async function listenUnix(
  { path, abstract }: { path: string; abstract?: boolean },
  serve: (stream: ByteStream) => void,
  directory: string,
): Promise<Listener> {
  if (Buffer.byteLength(path) > MAX_PATH) {
    const hint = `Path must be less than ${MAX_PATH + 1} bytes`;
    throw new QmpError(`UNIX socket path '${path}' is too long`, 'GenericError', [hint]);
  }
  // No path is a new one in the directory for temporary files.
  const target = abstract ? `\0${path}` : path === '' ? temporaryPath() : resolve(directory, path);
  // A path that is left over from a process that ended is used again.
  if (!abstract) remove(target);
  const server = makeServer(serve);
  try {
    await open(server, { path: target });
  } catch (error) {
    const missing = !abstract && !existsSync(dirname(target));
    const reason = missing ? strerror(Errno.ENOENT) : strerrorOf(error);
    throw new QmpError(`Failed to bind socket to ${path}: ${reason}`);
  }
  // Node removes the path when it closes the server.
  return { close: () => void server.close(), ...(path === '' && !abstract && { path: target }) };
}

function temporaryPath(): string {
  const random = randomBytes(6).toString('base64url').slice(0, 6);
  return join(process.env.TMPDIR ?? '/tmp', `qemu-socket-${random}`);
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was not there, or bind() will say what is wrong with it.
  }
}

async function listenInet(
  address: { host: string; port: string; numeric?: boolean; to?: number; ipv4?: boolean; ipv6?: boolean },
  serve: (stream: ByteStream) => void,
): Promise<Listener> {
  const { host, port, to, ipv4, ipv6 } = address;
  const failed = (reason: string): QmpError =>
    new QmpError(`address resolution failed for ${host}:${port}: ${reason}`);
  // No port is any port.
  const first = port === '' ? 0 : portOf(port, { ...address, shown: `${host}:${port}`, protocol: 'tcp' });
  const family = ipv4 === false || (ipv6 === true && ipv4 !== true) ? 6 : ipv6 === false ? 4 : 0;
  let places: { address: string; family: number }[];
  try {
    places =
      host === ''
        ? [{ address: family === 4 ? '0.0.0.0' : '::', family: 6 }]
        : await lookup(host, { all: true });
  } catch {
    throw failed('Name or service not known');
  }
  places = places.filter((place) => family === 0 || host === '' || place.family === family);
  if (places.length === 0) throw failed('Address family for hostname not supported');
  let failure: unknown = null;
  for (const { address: found } of places) {
    for (let number = first; number <= Math.max(first, to ?? 0); number++) {
      const server = makeServer(serve);
      try {
        await open(server, { host: found, port: number });
        const { address: host, port: bound } = server.address() as AddressInfo;
        return { close: () => void server.close(), place: { host, port: bound } };
      } catch (error) {
        failure = error;
      }
    }
  }
  throw new QmpError(`Failed to bind socket: ${strerrorOf(failure)}`);
}

/** The number of a descriptor that is a socket; throws the text for the user if it is none. */
export function socketDescriptor(text: string): number {
  if (!/^\d+$/.test(text)) throw new QmpError(`Unable to parse FD number ${text}`);
  const fd = Number(text);
  let isSocket = false;
  try {
    isSocket = fstatSync(fd).isSocket();
  } catch {
    // No such descriptor: the message is the same.
  }
  if (!isSocket) throw new QmpError(`File descriptor '${text}' is not a socket`);
  return fd;
}

async function listenFd(text: string, serve: (stream: ByteStream) => void): Promise<Listener> {
  const fd = socketDescriptor(text);
  const server = makeServer(serve);
  try {
    await open(server, { fd });
  } catch (error) {
    throw new QmpError(`Failed to listen on fd socket: ${strerrorOf(error)}`);
  }
  return { close: () => void server.close() };
}
