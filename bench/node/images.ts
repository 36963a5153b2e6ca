import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from '../measure';
import { type Line, rate } from '../report';
import { ourImg, realImg } from './qemuimg';

const MIB = 2 ** 20;
/** So many that starting qemu-img does not matter. */
const DATA_BYTES = 128 * MIB;
const ROUNDS = 7;
const SECRET = ['--object', 'secret,id=s,data=correct horse'];

/** qemu-img on whole images: convert, compare, map, commit, rebase; by ours (in this process) and by the real one. */
export async function imageLines(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'qsd-web-bench-'));
  const path = (name: string): string => join(folder, name);
  /** Files that every round begins with. */
  const start = (names: readonly string[]): void => {
    for (const name of names) copyFileSync(path(`${name}.start`), path(name));
  };
  const lines: Line[] = [];
  const measure = async (
    what: string,
    words: string[],
    fresh: readonly string[] = [],
    least = 1,
  ): Promise<void> => {
    const prepare = (): void => start(fresh);
    const result = await compare(
      ROUNDS,
      { prepare, run: () => ourImg(words) },
      { prepare, run: () => realImg(words) },
    );
    lines.push({
      what: `qemu-img ${what} of 128 MiB`,
      ours: rate(DATA_BYTES, result.ours, 'MB/s'),
      reference: rate(DATA_BYTES, result.reference, 'MB/s'),
      value: result.ratio,
      unit: '',
      target: { least },
    });
  };
  try {
    makeImages(path);
    const [raw, full] = [path('data'), path('full.start')];
    const to = (format: string): string[] => ['-O', format, path(`target.${format}`)];
    await measure('convert, raw to qcow2', ['convert', '-f', 'raw', raw, ...to('qcow2')]);
    await measure('convert, qcow2 to raw', ['convert', '-f', 'qcow2', full, ...to('raw')]);
    await measure('convert, qcow2 to qcow2', ['convert', '-f', 'qcow2', full, ...to('qcow2')]);
    await measure('compare', ['compare', '-q', '-f', 'raw', '-F', 'qcow2', raw, full]);
    await measure('map', ['map', '-f', 'qcow2', '--output=json', path('pieces.start')]);
    await measure('commit', ['commit', '-q', path('committed')], ['empty', 'committed']);
    await measure(
      'rebase',
      ['rebase', '-F', 'qcow2', '-b', 'empty', path('rebased')],
      ['empty', 'full', 'rebased'],
    );
    const luks = (name: string): string => `driver=luks,key-secret=s,file.filename=${path(name)}`;
    const fromLuks = ['convert', ...SECRET, '--image-opts', luks('locked'), ...to('raw')];
    await measure('convert, LUKS to raw', fromLuks, [], 0.5);
    // Into a container that is there: making one is mostly key derivation, which has a row of its own.
    const toLuks = ['convert', ...SECRET, '-n', '-f', 'raw', raw, '--target-image-opts', luks('target.luks')];
    await measure('convert, raw to LUKS', toLuks, [], 0.5);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return lines;
}

function makeImages(path: (name: string) => string): void {
  writeFileSync(path('data'), Buffer.alloc(DATA_BYTES, 'data of a disk '));
  realImg(['convert', '-f', 'raw', '-O', 'qcow2', path('data'), path('full.start')]);
  const size = String(DATA_BYTES);
  realImg(['create', '-q', '-f', 'qcow2', path('empty.start'), size]);
  // Every second cluster has a place: as many entries of a map as there can be.
  const holes = Buffer.alloc(DATA_BYTES);
  for (let at = 0; at < DATA_BYTES; at += 8192) holes.fill(1, at, at + 4096);
  writeFileSync(path('holes'), holes);
  const clusters = ['-o', 'cluster_size=4k'];
  realImg(['convert', '-f', 'raw', '-O', 'qcow2', ...clusters, path('holes'), path('pieces.start')]);
  const quick = [...SECRET, '-o', 'key-secret=s,iter-time=10'];
  realImg(['convert', ...quick, '-f', 'raw', '-O', 'luks', path('data'), path('locked')]);
  realImg(['create', '-q', ...quick, '-f', 'luks', path('target.luks'), size]);
  // The names in the headers are found beside the images.
  copyFileSync(path('full.start'), path('committed.start'));
  realImg(['rebase', '-q', '-u', '-F', 'qcow2', '-b', 'empty', path('committed.start')]);
  realImg(['create', '-q', '-f', 'qcow2', '-u', '-b', 'full', '-F', 'qcow2', path('rebased.start'), size]);
}
