// Compiles the data plane: wasm/index.ts -> build/engine.wasm (and its source map). Does nothing if it is up to date.
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'build', 'engine.wasm');

/** Time of the newest source, milliseconds. */
function newest() {
  const sources = readdirSync(join(root, 'wasm'), { recursive: true, withFileTypes: true });
  const times = sources.filter((f) => f.isFile()).map((f) => statSync(join(f.parentPath, f.name)).mtimeMs);
  return Math.max(...times, statSync(fileURLToPath(import.meta.url)).mtimeMs);
}

/** Compiles if needed; answers whether it did. Rejects with the compiler's report. */
export async function buildWasm() {
  const built = statSync(output, { throwIfNoEntry: false });
  if (built && built.mtimeMs > newest()) return false;
  mkdirSync(dirname(output), { recursive: true });
  const options = [
    join(root, 'wasm', 'index.ts'),
    '--baseDir',
    root,
    '--outFile',
    output,
    '-O3',
    '--runtime',
    'minimal',
    '--enable',
    'simd',
    '--debug',
    '--sourceMap',
  ];
  const { error, stderr } = await asc
    .main(
      options.map((o) => o.replace(`${root}/`, '')),
      {},
    )
    .catch((error) => ({ error, stderr: '' }));
  if (error) throw new Error(`${stderr.toString()}\n${error.message}`);
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(root);
  await buildWasm();
}
