/** Images of which every file is on a server: the tools do with them what the real ones do. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, afterAll, beforeEach, describe, expect, it } from 'vitest';
import { haveTools } from '../tools/twins';
import { buildProgram, run, type Built, type Ended } from './built';

const uri = (name: string): string => `nbd+unix:///?socket=${name}.sock`;
const [A, B, C] = [uri('a'), uri('b'), uri('c')];

/** A directory with three servers of the real program in it. */
class Servers {
  readonly root = mkdtempSync(join(tmpdir(), 'remote-'));
  private readonly pids: number[] = [];

  constructor() {
    for (const name of ['a', 'b', 'c']) {
      const file = join(this.root, `${name}.raw`);
      writeFileSync(file, '');
      truncateSync(file, 24 * 1024 * 1024);
      const pid = join(this.root, `${name}.pid`);
      const words = ['-k', join(this.root, `${name}.sock`), '--fork', '--pid-file', pid, '-t', '-e', '9'];
      run(['qemu-nbd', ...words, '-f', 'raw', file]);
      this.pids.push(Number(readFileSync(pid, 'utf8')));
    }
  }

  end(): void {
    for (const pid of this.pids) process.kill(pid);
    rmSync(this.root, { recursive: true });
  }
}

describe.runIf(haveTools)('a chain on servers', () => {
  let built: Built;
  let one: Servers;
  let other: Servers;
  beforeAll(async () => {
    built = await buildProgram();
  });
  afterAll(() => built.remove());
  beforeEach(() => {
    one = new Servers();
    other = new Servers();
  });
  afterEach(() => {
    one.end();
    other.end();
  });

  /** Without times, and without the places in the file that were chosen for data. */
  const plain = ({ code, stdout, stderr }: Ended): Ended => ({
    code,
    stdout: stdout
      .replace(/\d\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d/g, 'DATE')
      .replace(/^\d.* ops; .*$/gm, 'SPEED')
      .replace(/, [\d.]+% fragmented|^Image end offset: \d+$/gm, '')
      .replace(/^(0[x\d]\S*\s+0x\S+\s+)0x\S+\s+/gm, '$1'),
    stderr,
  });

  /** The same by both; how it ended. */
  function both(tool: 'img' | 'io', ...words: string[]): Ended {
    const ours = run([built.program, tool, ...words], { cwd: one.root });
    const real = run([`qemu-${tool}`, ...words], { cwd: other.root });
    expect([words, plain(ours)]).toEqual([words, plain(real)]);
    return ours;
  }
  const works = (tool: 'img' | 'io', ...words: string[]): string => {
    const { code, stdout, stderr } = both(tool, ...words);
    expect([words, code, stderr]).toEqual([words, 0, '']);
    return stdout;
  };

  beforeEach(() => {
    works('img', 'create', '-q', '-f', 'qcow2', A, '12M');
    works('io', '-f', 'qcow2', '-c', 'write -P 5 0 6M', A);
    works('img', 'create', '-q', '-f', 'qcow2', '-b', A, '-F', 'qcow2', B, '12M');
    works('io', '-f', 'qcow2', '-c', 'write -P 6 4M 3M', '-c', 'write -z 1M 64k', '-c', 'read -P 5 2M 2M', B);
  });

  it('is looked at, with snapshots and bitmaps, and changed', () => {
    for (const name of ['x', 'y']) works('img', 'bitmap', '--add', '-f', 'qcow2', B, name);
    works('io', '-f', 'qcow2', '-c', 'write -P 7 9M 100k', B);
    works('img', 'bitmap', '--merge', 'x', '-f', 'qcow2', B, 'y');
    works('img', 'bitmap', '--remove', '-f', 'qcow2', B, 'x');
    works('img', 'snapshot', '-c', 's', B);
    for (const verb of ['info', 'check', 'map', 'measure'])
      works('img', verb, '-f', 'qcow2', ...(verb === 'measure' ? ['-O', 'qcow2'] : []), B);
    expect(works('img', 'snapshot', '-l', B)).toContain('s');
    works('io', '-f', 'qcow2', '-c', 'info', B);
    works('img', 'amend', '-f', 'qcow2', '-o', 'lazy_refcounts=on', B);
    works('img', 'snapshot', '-d', 's', B);
    works('img', 'resize', '-f', 'qcow2', B, '14M');
    works('img', 'check', '-f', 'qcow2', B);
  });

  it('is converted with its bitmaps to another server, and compared', () => {
    works('img', 'bitmap', '--add', '-f', 'qcow2', B, 'x');
    works('io', '-f', 'qcow2', '-c', 'write -P 7 9M 100k', B);
    works('img', 'snapshot', '-c', 's', B);
    works('img', 'create', '-q', '-f', 'qcow2', C, '12M');
    works('img', 'convert', '--bitmaps', '-f', 'qcow2', '-O', 'qcow2', '-n', B, C);
    expect(works('img', 'compare', '-f', 'qcow2', '-F', 'qcow2', B, C)).toBe('Images are identical.\n');
    expect(works('img', 'info', '-f', 'qcow2', C)).toContain('name: x');
    works('img', 'check', '-f', 'qcow2', C);
  });

  it('is rebased to nothing, and to another server', () => {
    works('img', 'snapshot', '-c', 's', B);
    works('img', 'create', '-q', '-f', 'qcow2', C, '12M');
    works('io', '-f', 'qcow2', '-c', 'write -P 5 0 1M', C);
    works('img', 'rebase', '-f', 'qcow2', '-b', C, '-F', 'qcow2', B);
    works('img', 'rebase', '-f', 'qcow2', '-b', '', B);
    works('io', '-f', 'qcow2', '-c', 'read -P 5 2M 2M', '-c', 'read -P 6 4M 3M', '-c', 'read -P 0 1M 64k', B);
    works('img', 'check', '-f', 'qcow2', B);
  });

  it('is committed', () => {
    works('img', 'snapshot', '-c', 's', A);
    works('img', 'commit', '-q', '-f', 'qcow2', B);
    works('io', '-f', 'qcow2', '-c', 'read -P 6 4M 3M', '-c', 'read -P 5 2M 2M', A);
    works('img', 'check', '-f', 'qcow2', A);
  });
});
