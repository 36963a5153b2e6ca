/** The built program as qemu-nbd: mistakes as by the real one, and images served until their clients have gone. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { haveTools, splitWords } from '../tools/twins';
import { buildProgram, run, Running, until, type Built } from './built';

let built: Built;
let folder: string;
let tool: string[];

beforeAll(async () => {
  built = await buildProgram();
  folder = mkdtempSync(join(tmpdir(), 'qsd-nbd-'));
  tool = [process.execPath, built.program, 'nbd'];
  if (!haveTools) return;
  run(['qemu-img', 'create', '-q', '-f', 'qcow2', 'a.qcow2', '8M'], { cwd: folder });
  run(['qemu-io', '-c', 'write -P 1 0 1M', 'a.qcow2'], { cwd: folder });
  run(['qemu-img', 'snapshot', '-c', 'before', 'a.qcow2'], { cwd: folder });
  run(['qemu-io', '-c', 'write -P 2 0 1M', 'a.qcow2'], { cwd: folder });
  run(['qemu-img', 'bitmap', '--add', 'a.qcow2', 'b0'], { cwd: folder });
  run(['qemu-img', 'create', '-q', '-f', 'raw', 'r.img', '1M'], { cwd: folder });
});

afterAll(() => {
  built.remove();
  rmSync(folder, { recursive: true });
});

const lines = readFileSync(join(import.meta.dirname, 'nbd-errors.txt'), 'utf8')
  .trimEnd()
  .split('\n');

describe.runIf(haveTools)('mistakes', () => {
  it.each(['', ...lines])('qemu-nbd %s', (line) => {
    const words = splitWords(line.replace('SOCKET', join(folder, 'e.sock')));
    const real = run(['qemu-nbd', ...words], { cwd: folder });
    expect(run([...tool, ...words], { cwd: folder })).toEqual(real);
  });
});

/** Serves an image while clients do something. */
async function serving(words: string[], use: (uri: string) => void): Promise<Running> {
  const socket = join(folder, 'n.sock');
  const server = new Running([...tool, '-k', socket, ...words], folder);
  await until(
    () => existsSync(socket),
    () => server.stderr,
  );
  use(`nbd+unix:///?socket=${socket}`);
  return server;
}

const io = (uri: string, ...commands: string[]) =>
  run(['qemu-io', '-f', 'raw', ...commands.flatMap((command) => ['-c', command]), uri]);

describe.runIf(haveTools)('an image', () => {
  it('is served to one client, and then no more', async () => {
    const server = await serving(['-f', 'qcow2', '-A', '-D', 'a disk', 'a.qcow2'], (uri) => {
      expect(io(uri, 'read -P 2 0 1M', 'write -P 3 1M 1M').stdout).toContain('wrote');
    });
    expect(await server.ended).toEqual({ stdout: '', stderr: '', code: 0 });
    expect(existsSync(join(folder, 'n.sock'))).toBe(false);
    expect(run(['qemu-io', '-c', 'read -P 3 1M 1M', 'a.qcow2'], { cwd: folder }).stdout).not.toContain(
      'failed',
    );
  });

  it('is served on, with what clients ask for by name, until a signal', async () => {
    const server = await serving(
      ['-t', '-e', '0', '-r', '-A', '-B', 'b0', '-D', 'a disk', '--pid-file', 'pid', 'a.qcow2'],
      (uri) => {
        expect(io(uri, 'read 0 1M').stderr).toContain('Permission denied');
        const { stdout } = run(['nbdinfo', uri]);
        for (const text of ['a disk', 'qemu:allocation-depth', 'qemu:dirty-bitmap:b0', 'is_read_only: true'])
          expect(stdout).toContain(text);
      },
    );
    expect(readFileSync(join(folder, 'pid'), 'utf8')).toBe(`${server.child.pid}\n`);
    server.child.kill();
    expect((await server.ended).code).toBe(0);
    expect(existsSync(join(folder, 'pid'))).toBe(false);
  });

  it('is served as it was at a snapshot, and from an offset on', async () => {
    const first = await serving(['-l', 'before', 'a.qcow2'], (uri) => {
      expect(run(['qemu-io', '-r', '-f', 'raw', '-c', 'read -P 1 0 1M', uri]).stdout).not.toContain('failed');
    });
    expect((await first.ended).code).toBe(0);
    const second = await serving(['-f', 'raw', '-o', '4096', 'r.img'], (uri) => {
      expect(run(['nbdinfo', '--size', uri]).stdout).toBe(`${1024 * 1024 - 4096}\n`);
    });
    expect((await second.ended).code).toBe(0);
  });

  it('is served by a process of its own', () => {
    const socket = join(folder, 'f.sock');
    expect(run([...tool, '--fork', '-k', socket, '-f', 'raw', 'r.img'], { cwd: folder }).code).toBe(0);
    expect(io(`nbd+unix:///?socket=${socket}`, 'write -P 5 0 4k').stdout).toContain('wrote');
  });

  it('is no kernel device', () => {
    expect(run([...tool, '-c', '/dev/nbd0', 'r.img']).stderr).toMatch(
      /^qemu-nbd: kernel devices are not available/,
    );
  });
});
