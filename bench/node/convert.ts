import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from '../measure';
import { type Line, rate } from '../report';
import { ourImg, realImg } from './qemuimg';

const MIB = 2 ** 20;
/** Bytes of machine code, and with them all of the program text; so many that starting qemu-img does not matter. */
const CODE_BYTES = 24 * MIB;
const ROUNDS = 7;

/** `qemu-img convert -c`, and reading what it made, by ours and by the real one with one request at a time. */
export async function convertLines(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'qsd-web-bench-'));
  const path = (name: string): string => join(folder, name);
  const lines: Line[] = [];
  try {
    const code = readFileSync(process.execPath).subarray(20 * MIB, 20 * MIB + CODE_BYTES);
    const text = readFileSync(createRequire(import.meta.url).resolve('typescript'));
    const content = Buffer.concat([code, text.subarray(0, text.length - (text.length % 512))]);
    writeFileSync(path('plain.raw'), content);
    realImg(['convert', '-c', '-f', 'raw', '-O', 'qcow2', path('plain.raw'), path('small.qcow2')]);

    const measure = async (what: string, words: string[]): Promise<void> => {
      const result = await compare(
        ROUNDS,
        { run: () => ourImg([...words, path('ours')]) },
        { run: () => realImg([...words, path('theirs')]) },
      );
      lines.push({
        what: `${what}, against qemu-img -m 1`,
        ours: rate(content.length, result.ours, 'MB/s'),
        reference: rate(content.length, result.reference, 'MB/s'),
        value: result.ratio,
        unit: '',
        target: { least: 1 },
      });
    };
    const all = ['convert', '-m', '1', '-O', 'qcow2'];
    await measure('convert -c to qcow2', [...all, '-c', '-f', 'raw', path('plain.raw')]);
    await measure('convert from compressed qcow2', [...all, '-f', 'qcow2', path('small.qcow2')]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return lines;
}
