/** `qemu-storage-daemon` as a command of the console: what its options do, and what becomes of the daemon that ran. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { daemonCommand } from '../../src/tools/daemon/restart';
import { Shell } from '../../src/tools/shell';
import { openDaemonIn, type TestDaemon } from '../daemon/daemon';
import { TestContext } from './shell/context';

const directory = mkdtempSync(join(tmpdir(), 'qsd-web-restart-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let current: Omit<TestDaemon, 'files'>;
let starts: number;
const shell = new Shell([
  daemonCommand({
    async restart() {
      starts++;
      await current.daemon.end();
      current = openDaemonIn(directory);
      return current.daemon;
    },
    warn: () => undefined,
  }),
]);

beforeEach(() => {
  current = openDaemonIn(directory);
  starts = 0;
});

async function run(line: string): Promise<{ code: number; out: string; err: string }> {
  const context = new TestContext();
  const code = await shell.run(`qemu-storage-daemon ${line}`, context);
  return { code, out: context.out, err: context.err };
}

async function nodes(): Promise<string[]> {
  const reply = await current.daemon.execute('query-named-block-nodes', { flat: true });
  return (reply.return as { 'node-name': string }[]).map((node) => node['node-name']);
}

test('a start replaces the daemon that ran, with what its options say', async () => {
  await current.daemon.execute('blockdev-add', { driver: 'null-co', 'node-name': 'before' });
  const line =
    '--object iothread,id=t --blockdev null-co,node-name=disk,size=1048576 --chardev stdio,id=m --monitor chardev=m ' +
    '--blockdev driver=raw,node-name=fmt,file=disk';
  expect(await run(line)).toEqual({ code: 0, out: '', err: '' });
  expect((await nodes()).sort()).toEqual(['disk', 'fmt']);
  expect(starts).toBe(1);
});

test('help, version and a wrong line leave it alone', async () => {
  await current.daemon.execute('blockdev-add', { driver: 'null-co', 'node-name': 'before' });
  expect((await run('--help')).out).toMatch(/^Usage: qemu-storage-daemon /);
  expect((await run('--version')).out).toMatch(/^qemu-storage-daemon version /);
  expect(await run('--foo')).toMatchObject({ code: 1 });
  expect(starts).toBe(0);
  expect(await nodes()).toEqual(['before']);
});

test.each([
  '--blockdev driver=null-co,node-name=a --blockdev driver=null-co,node-name=a',
  '--blockdev driver=file,filename=nope,node-name=a',
  '--export nbd,id=e,node-name=nope',
  '--object secret,id=s',
  '--monitor chardev=nope',
  '--foo',
  'extra',
])('%s is refused as by the real one, and nothing of it stays', async (line) => {
  const { code, err } = await run(line);
  const real = spawnSync('qemu-storage-daemon', line.split(' '), { encoding: 'utf8', cwd: directory });
  expect({ code, err }).toEqual({ code: real.status, err: real.stderr });
  expect(await nodes()).toEqual([]);
});
