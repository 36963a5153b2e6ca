import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Daemon } from '../../../src/daemon';
import type { QmpValue } from '../../../src/qapi';
import { openDaemonIn } from '../../daemon/daemon';

const GREETING = /^\{"QMP"/;
const ASK = '{"execute": "qmp_capabilities"}{"execute": "query-jobs"}';
const ANSWERED = /\{"return": \{\}\}\r\n\{"return": \[\]\}\r\n$/;

let directory: string;
let daemon: Daemon;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chardevs-'));
  daemon = openDaemonIn(directory).daemon;
});
afterEach(async () => {
  await daemon.end();
  rmSync(directory, { recursive: true });
});

async function monitor(backend: QmpValue): Promise<void> {
  const reply = await daemon.execute('chardev-add', { id: 'c', backend });
  expect(reply).toEqual({ return: {} });
  daemon.addMonitor('c', false);
}

const filename = async () =>
  ((await daemon.execute('query-chardev')).return as { filename: string }[]).map((info) => info.filename);

/** All that a socket says. */
function listening(socket: Socket): () => string {
  let heard = '';
  socket.on('data', (piece: Buffer) => (heard += piece.toString()));
  return () => heard;
}

it('a monitor on a pair of pipes, as a tool of the shell uses it', async () => {
  execFileSync('mkfifo', ['m.in', 'm.out'], { cwd: directory });
  await monitor({ type: 'pipe', data: { device: 'm' } });
  const output = openSync(join(directory, 'm.out'), constants.O_RDONLY | constants.O_NONBLOCK);
  const input = openSync(join(directory, 'm.in'), constants.O_WRONLY);
  writeSync(input, ASK);
  let heard = '';
  const buffer = Buffer.alloc(65536);
  await expect
    .poll(() => {
      try {
        heard += buffer.toString('utf8', 0, readSync(output, buffer));
      } catch {
        // Nothing new has come.
      }
      return heard;
    })
    .toMatch(ANSWERED);
  expect(heard).toMatch(GREETING);
  for (const fd of [input, output]) closeSync(fd);
});

it('a monitor on files', async () => {
  execFileSync('sh', ['-c', `printf '%s' '${ASK}' > in`], { cwd: directory });
  await monitor({ type: 'file', data: { out: 'out', in: 'in' } });
  await expect.poll(() => readFileSync(join(directory, 'out'), 'utf8')).toMatch(ANSWERED);
});

it('a monitor on datagrams', async () => {
  const peer = createSocket('udp4');
  peer.bind(0, '127.0.0.1');
  await once(peer, 'listening');
  let heard = '';
  let from = 0;
  peer.on('message', (message, { port }) => {
    heard += message.toString();
    from = port;
  });
  const at = (port: number) => ({ type: 'inet', data: { host: '127.0.0.1', port: String(port) } });
  await monitor({ type: 'udp', data: { remote: at(peer.address().port), local: at(0) } });
  await expect.poll(() => heard).toMatch(GREETING);
  peer.send(ASK, from, '127.0.0.1');
  await expect.poll(() => heard).toMatch(ANSWERED);
  peer.close();
});

it('a monitor on a port of TCP that the system chooses', async () => {
  const addr = { type: 'inet', data: { host: '127.0.0.1', port: '0' } };
  await monitor({ type: 'socket', data: { addr, server: true, wait: false } });
  const place = (await daemon.execute('qom-get', { path: '/chardevs/c', property: 'addr' })).return as {
    port: string;
  };
  expect(place).toMatchObject({ type: 'inet', host: '127.0.0.1', ipv4: true });
  expect(await filename()).toEqual([`disconnected:tcp:127.0.0.1:${place.port},server=on`]);
  const client = connect(Number(place.port), '127.0.0.1');
  const heard = listening(client);
  client.write(ASK);
  await expect.poll(heard).toMatch(ANSWERED);
  expect(await filename()).toEqual([
    `tcp:127.0.0.1:${place.port},server=on <-> 127.0.0.1:${client.localPort}`,
  ]);
  client.destroy();
  await expect.poll(filename).toEqual([`disconnected:tcp:127.0.0.1:${place.port},server=on`]);
});

it('a monitor that calls a server, and calls again when it was cut off', async () => {
  const path = join(directory, 'server');
  const server = createServer();
  const greeted: (() => string)[] = [];
  server.on('connection', (socket) => {
    const heard = listening(socket);
    greeted.push(heard);
    if (greeted.length === 1) socket.on('data', () => socket.destroy());
    socket.on('error', () => undefined);
  });
  const addr = { type: 'unix', data: { path: 'server' } };
  await monitor({ type: 'socket', data: { addr, server: false, reconnect: 1 } });
  expect(await filename()).toEqual(['disconnected:unix:server']);
  server.listen(path);
  await expect.poll(() => greeted.map((heard) => heard()).join('')).toMatch(/QMP[^]*QMP/);
  expect(await filename()).toEqual(['unix:server']);
  server.close();
});

it('a command that waits for a client', async () => {
  const addr = { type: 'unix', data: { path: 's' } };
  const added = daemon.execute('chardev-add', {
    id: 'c',
    backend: { type: 'socket', data: { addr, server: true, wait: true } },
  });
  let isThere = false;
  void added.then(() => (isThere = true));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(isThere).toBe(false);
  const client = connect(join(directory, 's'));
  expect(await added).toEqual({ return: {} });
  client.destroy();
});
