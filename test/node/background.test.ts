/** Programs that go on in the background, sockets of a service manager, and temporary snapshots: as the real ones do it. */
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { haveTools, splitWords } from '../tools/twins';
import { buildProgram, run, Running, until, type Built } from './built';

let directory: string;
let built: Built;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'background-'));
  built = await buildProgram();
  if (!haveTools) return;
  run(['qemu-img', 'create', '-q', '-f', 'qcow2', 'a.qcow2', '1M'], { cwd: directory });
  writeFileSync(
    join(directory, 'pass.py'),
    [
      'import os, socket, sys',
      'for i in range(int(sys.argv[1])):',
      '    s = socket.socket(socket.AF_UNIX)',
      '    s.bind("passed%d.sock" % i)',
      '    s.listen()',
      '    fd = s.detach()',
      '    if fd != 3 + i: os.dup2(fd, 3 + i)',
      '    os.set_inheritable(3 + i, True)',
      'os.environ.update(LISTEN_FDS=sys.argv[1], LISTEN_PID=str(os.getpid() if sys.argv[2] == "me" else 1))',
      'os.execvp(sys.argv[3], sys.argv[3:])',
    ].join('\n'),
  );
});

afterAll(() => {
  built.remove();
  rmSync(directory, { recursive: true });
});

const ours = (tool: string): string[] => [process.execPath, built.program, tool];
const at = (name: string): string => join(directory, name);

/** Ends a process by its number in a file, and waits until it is gone. */
async function end(pidFile: string): Promise<void> {
  process.kill(Number(readFileSync(pidFile, 'utf8')));
  await until(
    () => !existsSync(pidFile),
    () => 'the end',
  );
}

describe.runIf(haveTools)('the daemon', () => {
  it('goes on in the background when all is there', async () => {
    const words = '--daemonize --pidfile d.pid --nbd-server addr.type=unix,addr.path=d.sock';
    const started = run([...ours('daemon'), ...splitWords(words)], { cwd: directory });
    expect(started).toEqual({ stdout: '', stderr: '', code: 0 });
    const pid = Number(readFileSync(at('d.pid'), 'utf8'));
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/');
    expect(run(['qemu-nbd', '-L', '-k', at('d.sock')]).stdout).toBe('exports available: 0\n');
    await end(at('d.pid'));
    expect(existsSync(at('d.sock'))).toBe(false);
  });

  it.each([
    '--daemonize --blockdev foo',
    '--daemonize --pidfile /nonexistent/pid',
    '--daemonize --chardev stdio,id=c --monitor c',
    '--trace nothing --pidfile /nonexistent/pid',
    '--trace nbd* --pidfile /nonexistent/pid',
    '--trace x=y --pidfile /nonexistent/pid',
  ])('%s ends as the real one', (line) => {
    const words = splitWords(line);
    expect(run([...ours('daemon'), ...words])).toEqual(run(['qemu-storage-daemon', ...words]));
  });
});

describe.runIf(haveTools)('qemu-nbd', () => {
  it('goes on in the background, called by that name, too', async () => {
    run(['ln', '-s', built.program, at('qemu-nbd')]);
    const words = ['--fork', '--pid-file', at('n.pid'), '-k', at('f.sock'), '-t', '-x', '--fork', 'a.qcow2'];
    const started = run([process.execPath, at('qemu-nbd'), ...words], {
      cwd: directory,
    });
    expect(started).toEqual({ stdout: '', stderr: '', code: 0 });
    expect(run(['nbdinfo', '--size', `nbd+unix:///--fork?socket=${at('f.sock')}`]).stdout).toBe('1048576\n');
    await end(at('n.pid'));
  });

  it('serves on a socket that was passed', async () => {
    const server = new Running(['python3', 'pass.py', '1', 'me', ...ours('nbd'), 'a.qcow2'], directory);
    await until(
      () => existsSync(at('passed0.sock')),
      () => server.stderr,
    );
    expect(run(['nbdinfo', '--size', `nbd+unix:///?socket=${at('passed0.sock')}`]).stdout).toBe('1048576\n');
    expect(await server.ended).toEqual({ stdout: '', stderr: '', code: 0 });
    rmSync(at('passed0.sock'), { force: true });
  });

  it.each([
    '1 me TOOL -p 1 a.qcow2',
    '1 me TOOL -b 0.0.0.0 a.qcow2',
    '1 me TOOL -k /s a.qcow2',
    '1 me TOOL -c /dev/nbd0 a.qcow2',
    '1 me TOOL -L',
    '2 me TOOL a.qcow2',
    '1 other TOOL -L -k /nonexistent',
  ])('with %s says what the real one says', (line) => {
    const answer = (tool: string[]): unknown => {
      const words = splitWords(line).flatMap((word) => (word === 'TOOL' ? tool : [word]));
      const ended = run(['python3', 'pass.py', ...words], { cwd: directory });
      for (const name of ['passed0.sock', 'passed1.sock']) rmSync(at(name), { force: true });
      return ended;
    };
    expect(answer(ours('nbd'))).toEqual(answer(['qemu-nbd']));
  });

  it('keeps what is written with -s to itself', async () => {
    const before = readFileSync(at('a.qcow2'));
    const server = new Running(
      [...ours('nbd'), '-s', '-k', at('s.sock'), '-f', 'qcow2', 'a.qcow2'],
      directory,
    );
    await until(
      () => existsSync(at('s.sock')),
      () => server.stderr,
    );
    const uri = `nbd+unix:///?socket=${at('s.sock')}`;
    const { stdout } = run(['qemu-io', '-f', 'raw', '-c', 'write -P 3 0 64k', '-c', 'read -P 3 0 64k', uri]);
    expect(stdout.match(/^(wrote|read) 65536/gm)).toHaveLength(2);
    expect(await server.ended).toEqual({ stdout: '', stderr: '', code: 0 });
    expect(readFileSync(at('a.qcow2')).equals(before)).toBe(true);
  });

  it('has -s and -r at once', async () => {
    const server = new Running([...ours('nbd'), '-s', '-r', '-k', at('r.sock'), 'a.qcow2'], directory);
    await until(
      () => existsSync(at('r.sock')),
      () => server.stderr,
    );
    expect(run(['nbdinfo', `nbd+unix:///?socket=${at('r.sock')}`]).stdout).toContain('is_read_only: true');
    expect((await server.ended).code).toBe(0);
  });
});
