import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { NodeStore } from '../../src/files/node/store';
import { qemuImg } from '../../src/tools/img';
import { compare } from '../measure';
import { type Line, rate } from '../report';

const CLUSTERS = 2 ** 20;
const CLUSTER = 65536;
const ROUNDS = 11;

/** `qemu-img check` of an image with a million clusters, by ours (in this process) and by the real one. */
export async function checkLines(): Promise<Line[]> {
  const module = new WebAssembly.Module(readFileSync(new URL('../../build/engine.wasm', import.meta.url)));
  const folder = mkdtempSync(join(tmpdir(), 'qsd-web-bench-'));
  const path = join(folder, 'million.qcow2');
  const ours = async (): Promise<void> => {
    const code = await qemuImg(['check', path], {
      engine: createEngine(module),
      files: new NodeStore(),
      locks: new MemoryLocks(),
      stdout: () => undefined,
      stderr: (message) => process.stderr.write(message),
      readLine: () => Promise.resolve(null),
      signal: new AbortController().signal,
      turn: () => new Promise((resolve) => setImmediate(resolve)),
    });
    if (code !== 0) throw new Error(`check ended with ${code}`);
  };
  try {
    const size = String(CLUSTERS * CLUSTER);
    const options = `cluster_size=${CLUSTER},preallocation=metadata`;
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', options, path, size]);
    const reference = (): void => void execFileSync('qemu-img', ['check', path]);
    const result = await compare(ROUNDS, { run: ours }, { run: reference });
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
