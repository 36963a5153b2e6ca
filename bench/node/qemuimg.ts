/** Our qemu-img in this process, and the real one, for benches. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { NodeStore } from '../../src/files/node/store';
import { nodeAccelerator } from '../../src/node/accelerator';
import { qemuImg } from '../../src/tools/img';

const module = new WebAssembly.Module(readFileSync(new URL('../../build/engine.wasm', import.meta.url)));

/** Runs a command line of ours; throws unless it succeeds. */
export async function ourImg(words: string[]): Promise<void> {
  const code = await qemuImg(words, {
    engine: createEngine(module, nodeAccelerator),
    files: new NodeStore(),
    locks: new MemoryLocks(),
    stdout: () => undefined,
    stderr: (message) => process.stderr.write(message),
    readLine: () => Promise.resolve(null),
    signal: new AbortController().signal,
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  });
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}`);
}

/** Runs a command line of the real one; throws unless it succeeds. */
export function realImg(words: string[]): void {
  execFileSync('qemu-img', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}
