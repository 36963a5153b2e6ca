/** `qsd-web daemon`: the command line against the real daemon, monitors on sockets and standard streams, the end. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { haveTools, splitWords } from '../tools/twins';
import { buildProgram, freePort, run, Running, until, type Built } from './built';

let built: Built;
let directory: string;
beforeAll(async () => {
  built = await buildProgram();
});
afterAll(() => built.remove());
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsd-daemon-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const daemon = (...words: string[]): Running => new Running([built.program, 'daemon', ...words], directory);

/** A client of a monitor. */
class Client {
  text = '';
  constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => (this.text += chunk.toString()));
  }

  static async open(target: string | number): Promise<Client> {
    const socket =
      typeof target === 'string' ? createConnection(target) : createConnection(target, '127.0.0.1');
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Client(socket);
  }

  async sees(pattern: RegExp): Promise<void> {
    await until(
      () => pattern.test(this.text),
      () => `${pattern}: ${this.text}`,
    );
  }

  async asks(request: string, reply: RegExp): Promise<void> {
    this.text = '';
    this.socket.write(request);
    await this.sees(reply);
  }
}

describe.runIf(haveTools)('wrong options', () => {
  const lines = readFileSync(join(import.meta.dirname, 'daemon-options.txt'), 'utf8')
    .trim()
    .split('\n');
  it.each(lines)('%s', (line) => {
    const words = splitWords(line);
    const real = run(['qemu-storage-daemon', ...words], { cwd: directory });
    expect(run([built.program, 'daemon', ...words], { cwd: directory })).toEqual(real);
  });
});

describe('monitors', () => {
  it('takes commands from standard input, in both layouts', async () => {
    const running = daemon('--chardev', 'stdio,id=s', '--monitor', 'chardev=s,pretty=on');
    await running.sees(/"QMP": \{/);
    running.child.stdin.write('{"execute": "qmp_capabilities"}');
    await running.sees(/"return": \{\r?\n {4}\}/);
    running.child.stdin.write('{"execute": "quit"}');
    const { code, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('says among the replies what images it makes, as the real one does', () => {
    const input = [
      ['qmp_capabilities', {}],
      ['blockdev-add', { driver: 'qcow2', 'node-name': 'a', file: { driver: 'file', filename: 'base.q' } }],
      ...['top.q', 'nowhere/top.q'].map((file) => [
        'blockdev-snapshot-sync',
        { 'node-name': 'a', 'snapshot-file': file, 'snapshot-node-name': 'b' },
      ]),
      ['quit', {}],
    ]
      .map(([name, args]) => JSON.stringify({ execute: name, arguments: args }))
      .join('\n');
    const [real, ours] = [['qemu-storage-daemon'], [built.program, 'daemon']].map((words) => {
      run([built.program, 'img', 'create', '-q', '-f', 'qcow2', 'base.q', '1M'], { cwd: directory });
      const all = [...words, '--chardev', 'stdio,id=s', '--monitor', 's'];
      const { stdout } = run(all, { cwd: directory, input });
      // Without the greeting, which has the version.
      return stdout.split('\r\n').slice(1);
    });
    expect(ours?.join('\n')).toContain("Formatting 'top.q'");
    expect(ours).toEqual(real);
  });

  it('stays when its input ends, until a signal', async () => {
    const running = daemon('--chardev', 'stdio,id=s', '--monitor', 's');
    await running.sees(/"QMP"/);
    running.child.stdin.end();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(running.child.exitCode).toBeNull();
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(0);
  });

  it('serves one client of a socket after the other', async () => {
    const path = join(directory, 'qmp');
    const running = daemon('--chardev', `socket,id=s,path=${path},server=on,wait=off`, '--monitor', 's');
    await until(
      () => existsSync(path),
      () => path,
    );
    const first = await Client.open(path);
    await first.sees(/"QMP"/);
    const second = await Client.open(path);
    await first.asks('{"execute":"qmp_capabilities"}', /"return": \{\}/);
    expect(second.text).toBe('');
    first.socket.end();
    await second.sees(/"QMP"/);
    await second.asks('{"execute":"qmp_capabilities"}', /"return": \{\}/);
    await second.asks('{"execute":"quit"}', /"return": \{\}/);
    expect((await running.ended).code).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  it('waits for the first client unless told not to', async () => {
    const path = join(directory, 'qmp');
    const pidFile = join(directory, 'pid');
    const running = daemon(
      '--chardev',
      `socket,id=s,path=${path},server=on`,
      '--monitor',
      's',
      '--pidfile',
      pidFile,
    );
    await until(
      () => existsSync(path),
      () => path,
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(existsSync(pidFile)).toBe(false);
    const client = await Client.open(path);
    await client.sees(/"QMP"/);
    await until(
      () => existsSync(pidFile),
      () => pidFile,
    );
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(0);
  });

  it('talks to several monitors at once, on TCP and on a Unix socket', async () => {
    const path = join(directory, 'qmp');
    const port = await freePort();
    const running = daemon(
      ...['--chardev', `socket,id=t,host=127.0.0.1,port=${port},server=on,wait=off`, '--monitor', 't'],
      ...['--chardev', `socket,id=u,path=${path},server=on,wait=off`, '--monitor', 'chardev=u,pretty=on'],
    );
    await until(
      () => existsSync(path),
      () => path,
    );
    const tcp = await Client.open(port);
    const unix = await Client.open(path);
    await tcp.sees(/"QMP"/);
    await unix.sees(/"QMP"/);
    await tcp.asks('{"execute":"qmp_capabilities"}', /"return": \{\}/);
    await unix.asks('{"execute":"qmp_capabilities"}', /"return": \{/);
    unix.text = '';
    await tcp.asks(
      JSON.stringify({
        execute: 'blockdev-create',
        arguments: { 'job-id': 'j', options: { driver: 'file', filename: 'made.img', size: 4096 } },
      }),
      /"status": "concluded", "id": "j"/,
    );
    // The other monitor gets the events too, in its own layout.
    await unix.sees(/"status": "concluded",\r?\n/);
    await unix.asks('{"execute":"query-jobs"}', /"id": "j"/);
    await tcp.asks('{"execute":"quit"}', /"return": \{\}/);
    expect((await running.ended).code).toBe(0);
  });

  it('connects to a server, and serves on TCP', async () => {
    const path = join(directory, 'qmp');
    const server = daemon(
      '--chardev',
      `socket,id=s,host=127.0.0.1,port=0,server=on,wait=off`,
      '--chardev',
      `socket,id=u,path=${path},server=on,wait=off`,
      '--monitor',
      'u',
    );
    await until(
      () => existsSync(path),
      () => path,
    );
    const pidFile = join(directory, 'pid');
    const client = daemon('--chardev', `socket,id=s,path=${path}`, '--monitor', 's', '--pidfile', pidFile);
    await until(
      () => existsSync(pidFile),
      () => pidFile,
    );
    // Two daemons greet each other; neither understands the other, and both live on.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([server.child.exitCode, client.child.exitCode]).toEqual([null, null]);
    for (const running of [client, server]) {
      running.child.kill('SIGHUP');
      expect((await running.ended).code).toBe(0);
    }
  });
});

describe('nodes of the command line', () => {
  it('opens images in both syntaxes, and stores what was written at the end', async () => {
    run([built.program, 'img', 'create', '-q', '-f', 'qcow2', 'a.q', '1M'], { cwd: directory });
    const pidFile = join(directory, 'pid');
    const running = daemon(
      ...['--blockdev', 'driver=file,filename=a.q,node-name=f'],
      ...['--blockdev', '{"driver":"qcow2","file":"f","node-name":"q"}'],
      ...['--chardev', 'stdio,id=s', '--monitor', 's', '--pidfile', pidFile],
    );
    await running.sees(/"QMP"/);
    // The file is made first and written then.
    await until(
      () => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n'),
      () => pidFile,
    );
    expect(readFileSync(pidFile, 'utf8')).toBe(`${running.child.pid}\n`);
    running.child.stdin.write(
      '{"execute":"qmp_capabilities"}{"execute":"block_resize","arguments":{"node-name":"q","size":2097152}}',
    );
    await running.sees(/"return": \{\}[^]*"return": \{\}/);
    // Another process is told that the image is in use.
    const other = run([built.program, 'io', '-c', 'length', 'a.q'], { cwd: directory });
    expect(other.stderr).toContain('Failed to get');
    expect(other.stderr).toContain('Is another process using the image [a.q]?');
    running.child.stdin.write('{"execute":"quit"}');
    expect((await running.ended).code).toBe(0);
    expect(existsSync(pidFile)).toBe(false);
    expect(run([built.program, 'io', '-c', 'length', 'a.q'], { cwd: directory }).stdout).toBe('2 MiB\n');
  });
});
