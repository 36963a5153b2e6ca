/** The images of the benchmarks: made by the real qemu-img, in a folder that is removed at the end. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Sequence } from './measure';

/** Guest bytes of the image that is read from. */
export const DATA_BYTES = 256 * 2 ** 20;
/** Guest bytes of the image that is opened. */
export const HUGE_BYTES = 2 ** 40;
/** How many places of the huge image hold data: each has an L2 table of its own. */
const HUGE_PIECES = 256;

export interface Images {
  /** {@link DATA_BYTES} of noise. */
  raw: string;
  /** The same as qcow2. */
  qcow2: string;
  /** The same with extended L2 entries. */
  extended: string;
  /** A qcow2 image of {@link HUGE_BYTES} with some data all over it. */
  huge: string;
  remove(): void;
}

function writeNoise(path: string): void {
  const sequence = new Sequence();
  const words = new Uint32Array(2 ** 20);
  const file = openSync(path, 'w');
  for (let written = 0; written < DATA_BYTES; written += words.byteLength) {
    for (let i = 0; i < words.length; i++) words[i] = sequence.next(2 ** 32);
    writeSync(file, words);
  }
  closeSync(file);
}

/** Throws with the tool's message where qemu-img or qemu-io is missing or fails. */
export function makeImages(): Images {
  const folder = mkdtempSync(join(tmpdir(), 'qsd-web-bench-'));
  const [raw, qcow2, extended, huge] = ['data.raw', 'data.qcow2', 'extended.qcow2', 'huge.qcow2'].map(
    (name) => join(folder, name),
  ) as [string, string, string, string];
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    writeNoise(raw);
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2]);
    const options = ['-O', 'qcow2', '-o', 'extended_l2=on'];
    execFileSync('qemu-img', ['convert', '-f', 'raw', ...options, raw, extended]);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', huge, String(HUGE_BYTES)]);
    const step = HUGE_BYTES / HUGE_PIECES;
    const writes = Array.from({ length: HUGE_PIECES }, (_, i) => ['-c', `write -q -P ${i} ${i * step} 64k`]);
    execFileSync('qemu-io', ['-f', 'qcow2', ...writes.flat(), huge]);
  } catch (error) {
    remove();
    throw error;
  }
  return { raw, qcow2, extended, huge, remove };
}
