import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from '../measure';
import { type Line, rate } from '../report';
import { ourImg, realImg } from './qemuimg';

const CLUSTERS = 2 ** 20;
const CLUSTER = 65536;
const ROUNDS = 11;

/** `qemu-img check` of an image with a million clusters, by ours (in this process) and by the real one. */
export async function checkLines(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'qsd-web-bench-'));
  const path = join(folder, 'million.qcow2');
  try {
    const size = String(CLUSTERS * CLUSTER);
    const options = `cluster_size=${CLUSTER},preallocation=metadata`;
    realImg(['create', '-q', '-f', 'qcow2', '-o', options, path, size]);
    const words = ['check', path];
    const result = await compare(ROUNDS, { run: () => ourImg(words) }, { run: () => realImg(words) });
    return [
      {
        what: 'check of 1,048,576 clusters, against qemu-img',
        ours: rate(CLUSTERS, result.ours, '/s'),
        reference: rate(CLUSTERS, result.reference, '/s'),
        value: result.ratio,
        unit: '',
        target: { least: 0.5 },
      },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
