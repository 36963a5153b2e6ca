import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PageSocket } from '../../src/client/socket';
import { Daemon } from '../../src/daemon';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import type { QmpValue } from '../../src/qapi';
import { PageSockets } from '../../src/worker/sockets';

const MODULE = new WebAssembly.Module(readFileSync('build/engine.wasm'));

function daemonOf(sockets: PageSockets): Daemon {
  return new Daemon({
    engine: createEngine(MODULE),
    files: new MemoryStore(),
    locks: new MemoryLocks(),
    version: 'test',
    now: () => Date.now(),
    turn: () => new Promise((resolve) => setTimeout(resolve, 0)),
    listen: (address, serve) => sockets.listen(address, serve),
    connect: (address) => sockets.dial(address),
    exit: () => undefined,
  });
}

const socket = (data: Record<string, QmpValue>, path = 'qmp'): QmpValue => ({
  type: 'socket',
  data: { addr: { type: 'unix', data: { path } }, ...data },
});

test('a monitor on a socket inside the page, for programs of the page', async () => {
  const sockets = new PageSockets();
  const daemon = daemonOf(sockets);
  const add = (id: string, backend: QmpValue) => daemon.execute('chardev-add', { id, backend });
  expect(await add('s', socket({ server: true }))).toEqual({ return: {} });
  daemon.addMonitor('s', false);
  for (const visit of ['first', 'second']) {
    const { port1, port2 } = new MessageChannel();
    expect(sockets.connect('qmp', port1)).toBeNull();
    const client = new PageSocket(port2);
    await client.write([Buffer.from('{"execute": "qmp_capabilities"}{"execute": "query-jobs"}')]);
    let heard = '';
    while (!heard.endsWith('{"return": []}\r\n')) {
      const piece = await client.read();
      if (!piece) break;
      heard += Buffer.from(piece).toString();
    }
    expect(heard, visit).toMatch(/^\{"QMP"[^]*\{"return": \{\}\}\r\n\{"return": \[\]\}\r\n$/);
    client.close();
  }
  await daemon.end();
  await expect.poll(() => sockets.connect('qmp', new MessageChannel().port1)).toMatch(/No such file/);
});

test('two devices of one page talk to each other', async () => {
  const sockets = new PageSockets();
  const daemon = daemonOf(sockets);
  const add = (id: string, backend: QmpValue) => daemon.execute('chardev-add', { id, backend });
  expect((await add('c', socket({ server: false }))).error?.desc).toBe(
    "Failed to add chardev 'c': Failed to connect to 'qmp': No such file or directory",
  );
  await add('s', socket({ server: true }));
  await add('c', socket({ server: false }));
  const filenames = async () =>
    ((await daemon.execute('query-chardev')).return as { label: string; filename: string }[])
      .map(({ label, filename }) => `${label} ${filename}`)
      .sort();
  expect(await filenames()).toEqual(['c unix:qmp', 's unix:qmp,server=on']);
  await daemon.execute('chardev-remove', { id: 'c' });
  await expect.poll(filenames).toEqual(['s disconnected:unix:qmp,server=on']);
  const inet = { type: 'inet', data: { host: 'localhost', port: '1' } };
  const vsock = { type: 'vsock', data: { cid: '1', port: '1' } };
  for (const [addr, server] of [
    [inet, true],
    [vsock, true],
    [vsock, false],
  ] as const) {
    const { error } = await add('x', { type: 'socket', data: { addr, server } });
    expect(error?.desc).toContain(`Sockets of type ${addr.type} are not available: a browser lets no page`);
  }
  await daemon.end();
});
