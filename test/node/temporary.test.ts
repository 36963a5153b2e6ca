/** qemu-io -s by the built program: what is written goes to a file that has no name, and is gone with the process. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { haveTools } from '../tools/twins';
import { type Built, buildProgram, run, Running } from './built';

const folder = mkdtempSync(join(tmpdir(), 'qsd-web-temporary-'));
const place = join(folder, 'tmp');
const image = join(folder, 'disk.qcow2');
let built: Built;
const { TMPDIR } = process.env;

beforeAll(async () => {
  built = await buildProgram();
  mkdirSync(place);
  expect(run([built.program, 'img', 'create', '-q', '-f', 'qcow2', image, '8G']).code).toBe(0);
  process.env.TMPDIR = place;
});
afterAll(() => {
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
  built.remove();
  rmSync(folder, { recursive: true });
});

/** Open files of a process that are in the place and have no name any more. */
function unnamed(pid: number): string[] {
  const folderOfOpen = `/proc/${pid}/fd`;
  const isOurs = (name: string): boolean => {
    const target = readlinkSync(join(folderOfOpen, name));
    return target.startsWith(place) && target.endsWith('(deleted)');
  };
  return readdirSync(folderOfOpen).filter((name) => {
    try {
      return isOurs(name);
    } catch {
      // It was closed meanwhile.
      return false;
    }
  });
}

test('what is written is read, is in a file on the disk, and is forgotten', async () => {
  const before = readFileSync(image);
  const running = new Running([built.program, 'io', '-s', image]);
  running.child.stdin.write('write -P 7 5G 1M\nread -P 7 5G 1M\n');
  await running.sees(/read 1048576\/1048576/);
  const pid = running.child.pid!;
  const [file = ''] = unnamed(pid);
  expect(statSync(`/proc/${pid}/fd/${file}`).size).toBeGreaterThan(1 << 20);
  expect(readdirSync(place)).toEqual([]);
  running.child.stdin.write('reopen -r\nread -P 7 5G 4k\nreopen -w\nwrite -P 8 5G 4k\nread -P 8 5G 4k\n');
  await running.sees(/(read 4096\/4096[^]*){2}/);
  running.child.stdin.write(`close\nopen -s ${image}\nread -P 0 5G 4k\n`);
  await running.sees(/(read 4096\/4096[^]*){3}/);
  expect(unnamed(pid)).toHaveLength(1);
  running.child.kill('SIGKILL');
  const { stdout } = await running.ended;
  expect(stdout).not.toMatch(/fail/);
  expect(readdirSync(place)).toEqual([]);
  expect(readFileSync(image).equals(before)).toBe(true);
});

test.runIf(haveTools)('a place that is not there is told as by the real tool', () => {
  const env = { ...process.env, TMPDIR: join(folder, 'nowhere') };
  const said = (program: string, ...words: string[]): string => {
    try {
      execFileSync(program, words, { env, stdio: 'pipe', encoding: 'utf8' });
      return '';
    } catch (error) {
      return (error as { stderr: string }).stderr.replace(/vl\.\w+/g, 'vl');
    }
  };
  const theirs = said('qemu-io', '-s', image, '-c', 'length');
  expect(theirs).toContain('Could not open temporary file');
  expect(said(built.program, 'io', '-s', image, '-c', 'length')).toBe(theirs);
});
