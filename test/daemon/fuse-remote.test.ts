/** Nodes on a server that is elsewhere, shown as files: tools wait for what the server has, as the daemon does. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Daemon } from '../../src/daemon';
import { present } from '../../src/files/contract';
import { MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import { qemuImg } from '../../src/tools/img';
import { qemuIo } from '../../src/tools/io';
import { fileCommands } from '../../src/tools/shell';
import { newEngine } from '../engine/support';
import { haveTools } from '../tools/twins';
import { openDaemonOn } from './daemon';

let root: string;
let daemon: Daemon;
let server: number;

const real = (program: string, ...words: string[]): string =>
  execFileSync(program, words, { cwd: root, encoding: 'utf8' });

/** Serves a file with the real program. */
function serve(file: string, format: string): void {
  const pidFile = join(root, 'pid');
  real(
    'qemu-nbd',
    '--fork',
    '--pid-file',
    pidFile,
    '-k',
    join(root, 's'),
    '-t',
    '-e',
    '4',
    '-f',
    format,
    file,
  );
  server = Number(readFileSync(pidFile, 'utf8'));
}

async function qmp(command: string, args: object): Promise<unknown> {
  const reply = await daemon.execute(command, args as never);
  if (reply.error) throw new Error(reply.error.desc);
  return reply.return;
}

/** What a tool prints, in an instance of its own over the files that the daemon shows. */
async function run(line: string): Promise<string> {
  let printed = '';
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '');
  const name = words.shift()!;
  const tools = { 'qemu-img': qemuImg, 'qemu-io': qemuIo };
  const tool =
    tools[name as keyof typeof tools] ?? fileCommands.find((command) => command.name === name)!.run;
  await tool(words, {
    engine: newEngine(),
    files: daemon.environment.files,
    locks: new MemoryLocks(),
    stdout: (text) => (printed += text),
    stderr: (text) => (printed += text),
    signal: new AbortController().signal,
    turn: () => Promise.resolve(),
  });
  return printed;
}

async function show(node: object, options: object = {}): Promise<void> {
  await qmp('blockdev-add', node);
  await qmp('block-export-add', {
    type: 'fuse',
    id: 'e',
    'node-name': 'n',
    mountpoint: 'shown',
    writable: true,
    ...options,
  });
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'fuse-remote-'));
  server = 0;
  const files = new MemoryStore();
  (await files.open('shown', { write: true, create: 'keep' })).close();
  ({ daemon } = openDaemonOn(files, root));
});

afterEach(async () => {
  await daemon.end();
  if (server !== 0) process.kill(server);
  rmSync(root, { recursive: true });
});

const REMOTE = { driver: 'nbd', server: { type: 'unix', path: 's' } };

describe.runIf(haveTools)('a remote node that is shown as a file', () => {
  it('is read and written by tools', async () => {
    real('qemu-img', 'create', '-q', '-f', 'raw', 'a.raw', '4M');
    real('qemu-io', '-f', 'raw', '-c', 'write -P 5 1M 1M', '-c', 'write -P 6 3000k 100', 'a.raw');
    serve('a.raw', 'raw');
    await show({ ...REMOTE, 'node-name': 'n' });
    expect(await run("qemu-io -f raw -r -c 'read -P 5 1M 1M' -c 'read -P 6 3000k 100' shown")).not.toMatch(
      /fail|unavailable/,
    );
    expect(
      await run(
        "qemu-io -f raw -c 'write -P 7 2M 64k' -c 'write -z 1M 4k' -c flush -c 'read -P 7 2M 64k' shown",
      ),
    ).toMatch(/wrote 65536[^]*wrote 4096[^]*read 65536/);
    expect(await run('qemu-img convert -f raw -O qcow2 shown copy.qcow2')).toBe('');
    expect(await run('qemu-img compare -f raw shown copy.qcow2')).toBe('Images are identical.\n');
    expect(await run('cp shown copy.raw')).toBe('');
    const sum = (await run('sha256sum shown')).split(' ')[0];
    expect((await run('sha256sum copy.raw')).split(' ')[0]).toBe(sum);
    expect(await run('hexdump -s 3000k -n 16 shown')).toContain('06 06 06 06');
    // What tools wrote is on the server, which nobody has told to close.
    expect(real('sha256sum', 'a.raw').split(' ')[0]).toBe(sum);
  });

  it('takes an image of its own, made and checked there', async () => {
    real('qemu-img', 'create', '-q', '-f', 'raw', 'a.raw', '8M');
    serve('a.raw', 'raw');
    await show({ ...REMOTE, 'node-name': 'n' });
    await run('qemu-img create -f qcow2 small.qcow2 4M');
    await run("qemu-io -c 'write -P 9 1M 100k' small.qcow2");
    // The disk is what counts; its file system could be anything, here it is an image in an image.
    expect(await run('qemu-img dd -f raw -O raw bs=64k if=small.qcow2 of=bytes.raw')).toBe('');
    expect(await run('qemu-img convert -n -f raw -O raw bytes.raw shown')).toBe('');
    expect(await run('qemu-img check -f qcow2 shown')).toContain('No errors were found');
    expect(await run("qemu-io -f qcow2 -c 'read -P 9 1M 100k' -c 'write -P 3 2M 64k' shown")).not.toContain(
      'fail',
    );
    expect(await run("qemu-io -f qcow2 -r -c 'read -P 3 2M 64k' shown")).not.toContain('fail');
    expect(real('qemu-img', 'check', '-U', '-f', 'qcow2', 'a.raw')).toContain('No errors were found');
  });

  it('is resized where a format is between, and fails as the server does', async () => {
    real('qemu-img', 'create', '-q', '-f', 'qcow2', 'a.qcow2', '2M');
    real('truncate', '-s', '8M', 'a.qcow2');
    serve('a.qcow2', 'raw');
    await show({ driver: 'qcow2', 'node-name': 'n', file: REMOTE }, { growable: true });
    const file = await daemon.environment.files.open('shown', { write: true });
    await present(file, () => file.write(new Uint8Array(65536).fill(5), 2 ** 21));
    expect(file.size()).toBe(2 ** 21 + 65536);
    const back = new Uint8Array(10);
    await present(file, () => file.read(back, 2 ** 21));
    expect(back).toEqual(new Uint8Array(10).fill(5));
    file.close();
    // More than the server has room for.
    expect(await run("qemu-io -f raw -c 'write 0 2M' -c 'write 64M 1M' shown")).toMatch(/failed/);
    expect(real('qemu-img', 'check', '-U', 'a.qcow2')).toMatch(/No errors|leaked/);
  });
});
