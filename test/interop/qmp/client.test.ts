/** A QMP client library of others at our monitor: it sees and does the same as at the real daemon. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildProgram, freePort, run, Running, until, type Built } from '../../node/built';

let directory: string;
let built: Built;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'qmp-client-'));
  built = await buildProgram();
  // The library lies where Debian's package puts it; nothing is fetched.
  const cache = join(import.meta.dirname, '../../../node_modules/.cache/go');
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH: '/usr/share/gocode',
    GOCACHE: cache,
    GOFLAGS: '',
  };
  const source = join(import.meta.dirname, 'client.go');
  execFileSync('go-12', ['build', '-gccgoflags', 'all=-O0', '-o', join(directory, 'client'), source], {
    env,
    stdio: 'pipe',
  });
}, 180_000);

afterAll(() => {
  built?.remove();
  rmSync(directory, { recursive: true });
});

/** What the client prints about a daemon at an address. */
async function seen(daemon: string[], address: string, client: string[]): Promise<string> {
  run(['qemu-img', 'create', '-q', '-f', 'qcow2', 'disk.qcow2', '1M'], { cwd: directory });
  const running = new Running(
    [
      ...daemon,
      ...['--blockdev', 'qcow2,node-name=disk,file.driver=file,file.filename=disk.qcow2'],
      ...['--nbd-server', 'addr.type=unix,addr.path=nbd', '--export', 'nbd,id=e,node-name=disk,writable=on'],
      ...['--chardev', `socket,id=c,${address},server=on,wait=off`, '--monitor', 'c', '--pidfile', 'pid'],
    ],
    directory,
  );
  try {
    await until(
      () => existsSync(join(directory, 'pid')),
      () => running.stderr,
    );
    const { stdout, stderr, code } = run([join(directory, 'client'), ...client], { cwd: directory });
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    // The client told it to quit.
    expect((await running.ended).code).toBe(0);
    return stdout.replace(/"actual-size": \d+/g, 'SIZE').replace(/#block\d+/g, '#block');
  } finally {
    running.child.kill();
    await running.ended;
    for (const left of ['overlay.qcow2', 'pid']) rmSync(join(directory, left), { force: true });
  }
}

it.each([
  ['a Unix socket', async () => ['path=monitor', 'unix', 'monitor']],
  [
    'TCP',
    async () => {
      const port = await freePort();
      return [`host=127.0.0.1,port=${port}`, 'tcp', `127.0.0.1:${port}`];
    },
  ],
])('over %s', { timeout: 60_000 }, async (_name, place) => {
  const [address = '', ...client] = await place();
  const expected = await seen(['qemu-storage-daemon'], address, client);
  expect(expected).toContain('JOB_STATUS_CHANGE {"id":"j","status":"null"} true');
  expect(await seen([process.execPath, built.program, 'daemon'], address, client)).toBe(expected);
});
