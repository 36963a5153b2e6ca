/** Datagrams from and to one address. */
import { lookup } from 'node:dns/promises';
import { createSocket } from 'node:dgram';
import type { ByteStream } from '../../nbd/index';
import { QmpError, type ChardevUdp } from '../../qapi/index';
import { strerrorOf } from '../strerror';

/** Sends each piece as a datagram to one address, and takes those that come. */
export async function openDatagrams({ remote, local }: ChardevUdp): Promise<ByteStream> {
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
