/** Monitors over TLS: `openssl s_client` and the real daemon at our sockets, ours at the real daemon's. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { haveTools } from '../../tools/twins';
import { buildProgram, freePort, run, Running, until, type Built } from '../built';
import { Authorities } from '../tls/authority';

const haveAll = haveTools && spawnSync('openssl', ['version']).status === 0;

let directory: string;
let built: Built;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'chardev-tls-'));
  built = await buildProgram();
  if (!haveAll) return;
  const authorities = new Authorities(directory);
  for (const folder of ['good', 'other']) {
    authorities.found(folder);
    authorities.certify(folder, 'server', '/O=Test/CN=localhost', 'DNS:localhost,IP:127.0.0.1');
    authorities.certify(folder, 'client', '/O=Test/CN=client', '');
  }
}, 60_000);

afterAll(() => {
  built?.remove();
  rmSync(directory, { recursive: true });
});

const REAL = ['qemu-storage-daemon'];
const ours = (): string[] => [process.execPath, built.program, 'daemon'];
const creds = (endpoint: string): string[] => [
  '--object',
  `tls-creds-x509,id=t,dir=good,endpoint=${endpoint}`,
];
const monitor = (socket: string): string[] => ['--chardev', `socket,id=c,${socket}`, '--monitor', 'c'];

/** A daemon whose monitor is a server on this port. */
async function serving<T>(program: string[], port: number, use: () => Promise<T>): Promise<T> {
  const authz = ['--object', 'authz-simple,id=us,identity=O=Test,,CN=client'];
  const socket = `host=127.0.0.1,port=${port},server=on,wait=off,tls-creds=t,tls-authz=us`;
  const daemon = new Running(
    [...program, ...authz, ...creds('server'), ...monitor(socket), '--pidfile', 'pid'],
    directory,
  );
  try {
    await until(
      () => existsSync(join(directory, 'pid')),
      () => daemon.stderr,
    );
    return await use();
  } finally {
    daemon.child.kill();
    await daemon.ended;
    rmSync(join(directory, 'pid'), { force: true });
  }
}

/** What a client of OpenSSL gets to see that shows a certificate of this authority. */
async function seen(port: number, folder: string): Promise<string> {
  const file = (name: string): string => join(folder, `${name}.pem`);
  const client = new Running(
    [
      ...['openssl', 's_client', '-quiet', '-verify_return_error', '-connect', `127.0.0.1:${port}`],
      ...['-CAfile', 'good/ca-cert.pem', '-cert', file('client-cert'), '-key', file('client-key')],
    ],
    directory,
  );
  client.child.stdin.on('error', () => undefined).write('{"execute": "qmp_capabilities"}\n');
  let isOver = false;
  void client.ended.then(() => (isOver = true));
  await until(
    () => isOver || client.stdout.includes('{"return": {}}'),
    () => client.stderr,
  );
  client.child.kill();
  await client.ended;
  return client.stdout.replace(/\{"QMP".*\}/, 'GREETING');
}

describe.runIf(haveAll)('over TLS', { timeout: 60_000 }, () => {
  it('clients of OpenSSL are served as by the real daemon, one after the other', async () => {
    const answers = async (program: string[]): Promise<string[]> => {
      const port = await freePort();
      return serving(program, port, async () => [
        await seen(port, 'other'),
        await seen(port, 'good'),
        await seen(port, 'good'),
      ]);
    };
    const expected = await answers(REAL);
    expect(expected).toEqual(['', ...Array<string>(2).fill('GREETING\r\n{"return": {}}\r\n')]);
    expect(await answers(ours())).toEqual(expected);
  });

  it.each([
    ['the real daemon at ours', () => [REAL, ours()]],
    ['ours at the real daemon', () => [ours(), REAL]],
  ])('%s: two monitors greet each other', async (_name, programs) => {
    const [client = [], server = []] = programs();
    const port = await freePort();
    await serving(server, port, async () => {
      // A monitor that is greeted by a monitor answers that this is no command.
      const socket = `host=localhost,port=${port},server=off,tls-creds=t,logfile=log,logappend=off`;
      const daemon = new Running([...client, ...creds('client'), ...monitor(socket)], directory);
      const log = () => run(['cat', 'log'], { cwd: directory }).stdout;
      await until(
        () => log().includes(`QMP input member 'QMP' is unexpected`),
        () => daemon.stderr,
      );
      daemon.child.kill();
      await daemon.ended;
      rmSync(join(directory, 'log'));
    });
  });

  it('a client that does not begin TLS is not served', async () => {
    const port = await freePort();
    await serving(ours(), port, async () => {
      const { stdout } = run([
        'sh',
        '-c',
        `printf hello | openssl s_client -connect 127.0.0.1:${port} -tls1_1 2>&1`,
      ]);
      expect(stdout).not.toContain('QMP');
      expect(await seen(port, 'good')).toContain('GREETING');
    });
  });

  it('sockets of the kind unix have none', () => {
    const words = [...creds('server'), '--chardev', 'socket,id=c,path=s,server=on,wait=off,tls-creds=t'];
    const expected = run([...REAL, ...words], { cwd: directory });
    expect(expected.stderr).toContain("'tls_creds' option is incompatible with 'unix' address type");
    expect(run([...ours(), ...words], { cwd: directory })).toEqual(expected);
  });

  it('a server that is no one to be believed is not talked to', async () => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).end('hello, this is no TLS');
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    const words = [...creds('client'), ...monitor(`host=127.0.0.1,port=${port},server=off,tls-creds=t`)];
    const daemon = new Running([...ours(), ...words], directory);
    expect((await daemon.ended).stderr).toContain(
      'TLS handshake failed: An unexpected TLS packet was received.',
    );
    for (const socket of sockets) socket.destroy();
    server.close();
  });
});
