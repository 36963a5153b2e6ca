/** The built program: its names, standard streams, exit codes, signals. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { version } from '../../package.json';
import { haveTools } from '../tools/twins';
import { buildProgram, run, Running, until, type Built } from './built';

let built: Built;
let directory: string;
beforeAll(async () => {
  built = await buildProgram();
});
afterAll(() => built.remove());
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsd-program-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const ours = (words: string[], input?: string) =>
  run([built.program, ...words], { cwd: directory, ...(input !== undefined && { input }) });

describe('names', () => {
  it('tells its version and how it is used', () => {
    expect(ours(['--version'])).toEqual({ stdout: `qsd-web ${version}\n`, stderr: '', code: 0 });
    expect(ours(['--help']).stdout).toContain('qsd-web daemon');
    expect(ours([]).code).toBe(1);
    expect(ours(['nonsense']).stderr).toContain("unknown command 'nonsense'");
    for (const tool of ['img', 'io', 'daemon']) {
      expect(ours([tool, '--version']).stdout).toMatch(/^qemu-\S+ version 9\.1\.0/);
      expect(ours([tool, '--help']).code).toBe(0);
    }
  });

  it.each(['qemu-img', 'qemu-io', 'qemu-storage-daemon'])('is %s when called so', (name) => {
    const link = join(directory, name);
    symlinkSync(built.program, link);
    const { stdout, code } = run([link, '--version'], { cwd: directory });
    expect(stdout.startsWith(`${name} version`)).toBe(true);
    expect(code).toBe(0);
  });
});

describe.runIf(haveTools)('as the real tools', () => {
  const real = (words: string[], input?: string) =>
    run(words, { cwd: directory, ...(input !== undefined && { input }) });

  it('makes, writes, reads and converts an image', () => {
    const made = real(['qemu-img', 'create', '-f', 'qcow2', 'a.q', '3M']);
    expect(ours(['img', 'create', '-f', 'qcow2', 'a.q', '3M'])).toEqual(made);
    expect(ours(['io', '-c', 'write -q -P 7 1M 100k', 'a.q']).code).toBe(0);
    expect(real(['qemu-io', '-c', 'read -P 7 1M 100k', 'a.q']).code).toBe(0);
    expect(real(['qemu-img', 'check', 'a.q']).code).toBe(0);
    expect(ours(['img', 'convert', '-O', 'raw', 'a.q', 'a.raw']).code).toBe(0);
    expect(real(['qemu-img', 'compare', 'a.q', 'a.raw']).code).toBe(0);
    expect(ours(['img', 'info', '--output=json', 'a.q']).stdout).toBe(
      real(['qemu-img', 'info', '--output=json', 'a.q']).stdout,
    );
    expect(ours(['img', 'map', '--output=json', 'a.q']).stdout).toBe(
      real(['qemu-img', 'map', '--output=json', 'a.q']).stdout,
    );
  });

  it('reads commands from standard input', () => {
    real(['qemu-img', 'create', '-q', '-f', 'qcow2', 'a.q', '3M']);
    const input = 'length\nfoo\n\nmap\nquit\nlength\n';
    expect(ours(['io', 'a.q'], input)).toEqual(real(['qemu-io', 'a.q'], input));
  });

  it('respects the locks of a real tool', async () => {
    real(['qemu-img', 'create', '-q', '-f', 'qcow2', 'a.q', '3M']);
    const holder = new Running(['qemu-io', 'a.q'], directory);
    holder.child.stdin.write('length\n');
    await holder.sees(/MiB/);
    expect(ours(['io', '-c', 'length', 'a.q'])).toEqual(real(['qemu-io', '-c', 'length', 'a.q']));
    expect(ours(['img', 'info', 'a.q'])).toEqual(real(['qemu-img', 'info', 'a.q']));
    expect(ours(['img', 'info', '-U', 'a.q'])).toEqual(real(['qemu-img', 'info', '-U', 'a.q']));
    holder.child.stdin.end();
    await holder.ended;
  });
});

describe('signals', () => {
  it('stops a conversion and leaves no half image', async () => {
    writeFileSync(join(directory, 'big.raw'), Buffer.alloc(64 * 1024 * 1024, 1));
    const running = new Running(
      [built.program, 'img', 'convert', '-p', '-r', '4M', 'big.raw', 'half.raw'],
      directory,
    );
    await until(
      () => existsSync(join(directory, 'half.raw')),
      () => 'the target',
    );
    await running.sees(/\([1-9]/);
    running.child.kill('SIGINT');
    const { code } = await running.ended;
    expect(code).toBe(130);
    expect(existsSync(join(directory, 'half.raw'))).toBe(false);
  });

  it('stops at a prompt', async () => {
    const running = new Running([built.program, 'io'], directory);
    await running.sees(/qemu-io> /);
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(143);
  });
});

describe('signals of qemu-io', () => {
  it.each([
    ['sigraise 12', 'SIGUSR2'],
    ['sigraise 15', 'SIGTERM'],
    ['sigraise 9', 'SIGKILL'],
    ['abort', 'SIGABRT'],
  ])('%s ends the process by %s', (command, signal) => {
    const ended = spawnSync(built.program, ['io', '-c', command, '-c', 'help'], { encoding: 'utf8' });
    expect({ signal: ended.signal, stdout: ended.stdout }).toEqual({ signal, stdout: '' });
  });
});

describe('requests of qemu-io', () => {
  it('waits for one that never comes until it is interrupted, and loses nothing that was written', async () => {
    expect(ours(['img', 'create', '-q', '-f', 'qcow2', 'a.q', '1M']).code).toBe(0);
    const commands = ['write -P 5 0 64k', 'break write_aio A', 'aio_write -P 6 0 512', 'wait_break B'];
    const words = commands.flatMap((command) => ['-c', command]);
    const waiting = new Running([built.program, 'io', '-f', 'qcow2', ...words, 'blkdebug::a.q'], directory);
    await waiting.sees(/Suspended request 'A'/);
    waiting.child.kill('SIGINT');
    expect((await waiting.ended).code).toBe(130);
    expect(ours(['io', '-c', 'read -P 5 0 64k', 'a.q']).code).toBe(0);
    expect(ours(['img', 'check', 'a.q']).code).toBe(0);
  });

  it('prints a result while it waits for a line', async () => {
    expect(ours(['img', 'create', '-q', '-f', 'qcow2', 'a.q', '1M']).code).toBe(0);
    const asking = new Running([built.program, 'io', 'a.q'], directory);
    asking.child.stdin.write('aio_write 0 512\n');
    await asking.sees(/wrote 512\/512/);
    expect(asking.stdout.startsWith('qemu-io> qemu-io> wrote 512/512 bytes at offset 0\n')).toBe(true);
    asking.child.stdin.end();
    expect((await asking.ended).code).toBe(0);
  });
});
