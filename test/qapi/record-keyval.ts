/**
 * Records what the real storage daemon makes of option texts: `npx tsx test/qapi/record-keyval.ts`.
 *
 * Each line of keyval.txt is an option and its value. A line that starts with `+` passes parser and visitor (what the
 * daemon makes of it afterwards is not recorded). The result is fixtures/keyval.json.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const here = import.meta.dirname;
const lines = readFileSync(join(here, 'keyval.txt'), 'utf8')
  .split('\n')
  .filter((line) => line && !line.startsWith('#'));
const directory = mkdtempSync(join(tmpdir(), 'keyval-'));
const cases = lines.map((line) => {
  const passes = line.startsWith('+');
  const [option = '', ...rest] = (passes ? line.slice(1) : line).split(' ');
  const value = rest.join(' ');
  // The monitor on a chardev that is not there ends a daemon that came so far.
  const run = spawnSync('qemu-storage-daemon', [`--${option}`, value, '--monitor', 'nowhere'], {
    encoding: 'utf8',
    cwd: directory,
    timeout: 5000,
  });
  const end = 'qemu-storage-daemon: --monitor nowhere: chardev "nowhere" not found\n';
  const prefix = `qemu-storage-daemon: --${option} ${value}: `;
  let error: string | null = null;
  if (!passes) {
    if (run.stderr === end) throw new Error(`was accepted: ${line}`);
    if (!run.stderr.startsWith(prefix)) throw new Error(`unexpected text for ${line}:\n${run.stderr}`);
    error = run.stderr.slice(prefix.length).trimEnd();
  }
  return { option, value, error };
});
rmSync(directory, { recursive: true });
const version = execFileSync('qemu-storage-daemon', ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
writeFileSync(join(here, 'fixtures/keyval.json'), JSON.stringify({ version, cases }, null, 1) + '\n');
