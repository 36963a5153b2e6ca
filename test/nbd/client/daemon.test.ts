/** The driver nbd in the daemon: jobs, exports and commands on nodes that another server has. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { QmpObject, QmpValue } from '../../../src/qapi';
import { openDaemonIn } from '../../daemon/daemon';
import { haveTools } from '../../tools/twins';

const runFile = promisify(execFile);

type Opened = ReturnType<typeof openDaemonIn>;

let root: string;
let here: Opened;
/** Programs to be ended. */
let pids: number[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'nbd-client-'));
  here = openDaemonIn(root);
  pids = [];
});

afterEach(async () => {
  await here.daemon.end();
  for (const pid of pids) process.kill(pid);
  rmSync(root, { recursive: true });
});

const run = (program: string, ...words: string[]): string =>
  execFileSync(program, words, { cwd: root, encoding: 'utf8' });

async function must({ daemon }: Opened, execute: string, args: QmpObject = {}): Promise<QmpValue> {
  const reply = await daemon.execute(execute, args);
  if (reply.error) throw new Error(`${execute}: ${reply.error.desc}`);
  return reply.return;
}

/** Resolves when there has been such an event. */
async function sees({ events }: Opened, name: string): Promise<QmpValue> {
  for (;;) {
    const found = events.find(({ event }) => event === name);
    if (found) return found.data as QmpValue;
    await sleep(5);
  }
}

/** Serves a file with the real program. */
function serve(file: string, socket: string, ...words: string[]): void {
  const pidFile = join(root, `${socket}.pid`);
  const path = join(root, socket);
  run('qemu-nbd', '--fork', '--pid-file', pidFile, '-k', path, '-t', '-e', '9', ...words, file);
  pids.push(Number(readFileSync(pidFile, 'utf8')));
}

const nbd = (name: string, path: string, more: QmpObject = {}): QmpObject => ({
  driver: 'nbd',
  'node-name': name,
  server: { type: 'unix', path },
  ...more,
});

const qcow2 = (name: string, filename: string): QmpObject => ({
  driver: 'qcow2',
  'node-name': name,
  file: { driver: 'file', filename },
});

const DISK = ['-c', 'write -P 5 0 1M', '-c', 'write -P 6 5M 300k', '-c', 'write -z 7M 64k'];

describe.runIf(haveTools)('nodes on a real server', () => {
  beforeEach(async () => {
    run('qemu-img', 'create', '-q', '-f', 'qcow2', 'a.qcow2', '8M');
    run('qemu-io', ...DISK, 'a.qcow2');
  });

  it.each(['blockdev-mirror', 'blockdev-backup'])('are the target of %s', async (command) => {
    run('truncate', '-s', '8M', 'b.raw');
    serve('b.raw', 's', '-f', 'raw');
    await must(here, 'blockdev-add', qcow2('a', 'a.qcow2'));
    await must(here, 'blockdev-add', nbd('n', 's'));
    await must(here, command, { 'job-id': 'j', device: 'a', target: 'n', sync: 'full' });
    if (command === 'blockdev-mirror') {
      await sees(here, 'BLOCK_JOB_READY');
      await must(here, 'block-job-cancel', { device: 'j' });
    }
    expect(await sees(here, 'BLOCK_JOB_COMPLETED')).not.toHaveProperty('error');
    await must(here, 'blockdev-del', { 'node-name': 'n' });
    await must(here, 'blockdev-del', { 'node-name': 'a' });
    expect(run('qemu-img', 'compare', 'a.qcow2', 'b.raw')).toBe('Images are identical.\n');
  });

  it('are the source of a mirror, the bottom of a chain that is streamed, and served again', async () => {
    serve('a.qcow2', 's', '-f', 'qcow2', '-r');
    run('qemu-img', 'create', '-q', '-f', 'qcow2', 'm.qcow2', '8M');
    run('qemu-img', 'create', '-q', '-f', 'qcow2', 'top.qcow2', '8M');
    await must(here, 'blockdev-add', nbd('n', 's', { 'read-only': true }));
    await must(here, 'blockdev-add', qcow2('m', 'm.qcow2'));
    await must(here, 'blockdev-mirror', { 'job-id': 'j', device: 'n', target: 'm', sync: 'full' });
    await sees(here, 'BLOCK_JOB_READY');
    await must(here, 'block-job-cancel', { device: 'j' });
    await sees(here, 'BLOCK_JOB_COMPLETED');
    await must(here, 'blockdev-add', { ...qcow2('t', 'top.qcow2'), backing: 'n' });
    here.events.length = 0;
    await must(here, 'nbd-server-start', { addr: { type: 'unix', data: { path: 'again' } } });
    await must(here, 'block-export-add', { id: 'e', type: 'nbd', 'node-name': 't' });
    const again = `nbd+unix:///t?socket=${join(root, 'again')}`;
    await runFile('qemu-img', ['convert', '-O', 'raw', again, 'c.raw'], { cwd: root });
    await must(here, 'nbd-server-stop');
    await must(here, 'block-stream', { 'job-id': 'j', device: 't' });
    expect(await sees(here, 'BLOCK_JOB_COMPLETED')).not.toHaveProperty('error');
    for (const name of ['t', 'm', 'n']) await must(here, 'blockdev-del', { 'node-name': name });
    for (const copy of ['m.qcow2', 'top.qcow2', 'c.raw']) {
      expect(run('qemu-img', 'compare', '-U', 'a.qcow2', copy)).toBe('Images are identical.\n');
    }
    run('qemu-img', 'check', 'top.qcow2');
  });

  it('answer commands while the server is silent', async () => {
    run('truncate', '-s', '1M', 'b.raw');
    serve('b.raw', 's', '-f', 'raw');
    await must(here, 'blockdev-add', nbd('n', 's'));
    const [pid = 0] = pids;
    process.kill(pid, 'SIGSTOP');
    try {
      await must(here, 'blockdev-add', { driver: 'null-co', 'node-name': 'z', size: 1024 * 1024 });
      await must(here, 'blockdev-backup', { 'job-id': 'j', device: 'z', target: 'n', sync: 'full' });
      await sleep(20);
      expect(await must(here, 'query-jobs')).toMatchObject([{ id: 'j', status: 'running' }]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(await sees(here, 'BLOCK_JOB_COMPLETED')).not.toHaveProperty('error');
  });

  it('are what they are said to be, and refuse what the server does', async () => {
    serve('a.qcow2', 's', '-f', 'qcow2', '-r');
    const fails = async (execute: string, args: QmpObject): Promise<string | undefined> =>
      (await here.daemon.execute(execute, args)).error?.desc;
    expect(await fails('blockdev-add', nbd('n', 's'))).toBe('Could not open image: Permission denied');
    expect(await fails('blockdev-add', nbd('n', 'none'))).toBe(
      "Failed to connect to 'none': No such file or directory",
    );
    expect(await fails('blockdev-add', nbd('n', 's', { export: 'x' }))).toBe(
      'Requested export not available',
    );
    await must(here, 'blockdev-add', nbd('n', 's', { 'auto-read-only': true }));
    expect(await fails('blockdev-reopen', { options: [nbd('n', 's')] })).toBe(
      "Can't reopen read-only NBD mount as read/write",
    );
    expect(await fails('block_resize', { 'node-name': 'n', size: 512 })).toBe('Image is read-only');
    expect(await must(here, 'query-named-block-nodes')).toMatchObject([
      { drv: 'nbd', ro: true, file: 'nbd+unix://?socket=s', image: { 'virtual-size': 8 * 1024 * 1024 } },
    ]);
  });
});

describe('two daemons of ours', () => {
  it('move a disk from one to the other', async () => {
    const there = openDaemonIn(root);
    try {
      for (const name of ['a', 'b']) {
        const values = { size: 4 * 1024 * 1024 };
        await here.daemon.graph.createImage({ filename: `${name}.qcow2`, format: 'qcow2', values });
      }
      await must(here, 'blockdev-add', qcow2('a', 'a.qcow2'));
      await must(there, 'blockdev-add', qcow2('b', 'b.qcow2'));
      await must(there, 'nbd-server-start', { addr: { type: 'unix', data: { path: 's' } } });
      await must(there, 'block-export-add', { id: 'e', type: 'nbd', 'node-name': 'b', writable: true });
      await must(here, 'blockdev-add', nbd('n', 's', { export: 'b', 'reconnect-delay': 5 }));
      await must(here, 'blockdev-mirror', { 'job-id': 'j', device: 'a', target: 'n', sync: 'full' });
      await sees(here, 'BLOCK_JOB_READY');
      await must(here, 'block-job-complete', { device: 'j' });
      expect(await sees(here, 'BLOCK_JOB_COMPLETED')).not.toHaveProperty('error');
      await must(here, 'blockdev-del', { 'node-name': 'a' });
      await must(here, 'blockdev-del', { 'node-name': 'n' });
    } finally {
      await there.daemon.end();
    }
  });
});
