import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from '../measure';
import { type Line, rate } from '../report';
import { ourImg, realImg } from './qemuimg';

const CLUSTERS = 2 ** 20;
const CLUSTER = 65536;
const ROUNDS = 5;
/** What a round does: twice a snapshot is taken, one is applied, both are deleted. */
const CALLS = [
  ['-c', 'one'],
  ['-c', 'two'],
  ['-a', 'one'],
  ['-d', 'one'],
  ['-d', 'two'],
];

/** `qemu-img snapshot` of 64 GiB whose clusters all have a place, by ours (in this process) and by the real one. */
export async function snapshotLines(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'qsd-web-bench-'));
  const [mine, theirs] = ['ours', 'reference'].map((name) => join(folder, name)) as [string, string];
  const ours = async (): Promise<void> => {
    for (const words of CALLS) await ourImg(['snapshot', ...words, mine]);
  };
  const reference = (): void => {
    for (const words of CALLS) realImg(['snapshot', ...words, theirs]);
  };
  try {
    const options = `cluster_size=${CLUSTER},preallocation=metadata`;
    for (const path of [mine, theirs]) {
      realImg(['create', '-q', '-f', 'qcow2', '-o', options, path, String(CLUSTERS * CLUSTER)]);
    }
    const result = await compare(ROUNDS, { run: ours }, { run: reference });
    return [
      {
        what: 'internal snapshots of 64 GiB (taken, applied, deleted), against qemu-img',
        ours: rate(CALLS.length, result.ours, '/s'),
        reference: rate(CALLS.length, result.reference, '/s'),
        value: result.ratio,
        unit: '',
        target: { least: 1 },
      },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
