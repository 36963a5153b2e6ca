/** Datagrams from and to one address. */
import { lookup } from 'node:dns/promises';
import { createSocket } from 'node:dgram';
import type { ByteStream } from '../../nbd/index';
import { QmpError, type ChardevUdp, type InetSocketAddress } from '../../qapi/index';
import { familyOf } from '../connect';
import { portOf } from '../ports';
import { strerrorOf } from '../strerror';

/** Sends each piece as a datagram to one address, and takes those that come. */
export async function openDatagrams({ remote, local }: ChardevUdp): Promise<ByteStream> {
  if (remote.type !== 'inet' || (local && local.type !== 'inet')) {
    throw new QmpError('socket type unsupported for datagram');
  }
  if (remote.data.port === '') throw new QmpError('remote port not specified');
  const to = await find(remote.data, 'localhost');
  const from = local ? await find(local.data, '(null)') : null;
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

/** Where an address is; `unnamed` stands for a host that is not named. */
async function find(
  { host, ...rest }: InetSocketAddress,
  unnamed: string,
): Promise<{ address?: string; family: number; port: number }> {
  const shown = `${host === '' ? unnamed : host}:${rest.port}`;
  const port = rest.port === '' ? 0 : portOf(rest.port, { ...rest, shown, protocol: 'udp' });
  const family = familyOf(rest);
  if (host === '' && unnamed === '(null)') return { family, port };
  const places = await lookup(host === '' ? unnamed : host, { all: true }).catch(() => {
    throw new QmpError(`address resolution failed for ${shown}: Name or service not known`);
  });
  const place = places.find((candidate) => family === 0 || candidate.family === family);
  // An address of version 4 has one of version 6.
  const [mapped] = places;
  if (!place && mapped && family === 6) return { address: `::ffff:${mapped.address}`, family, port };
  if (!place)
    throw new QmpError(`address resolution failed for ${shown}: Address family for hostname not supported`);
  return { ...place, port };
}
