import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Compiles one file of wasm/ by itself, with the options of the build, so that its exports can be called. */
export async function compileWasm(entry: string): Promise<WebAssembly.Module> {
  let binary: Uint8Array | null = null;
  const options = [
    entry,
    '--baseDir',
    root,
    '--outFile',
    'out.wasm',
    '-O3',
    '--runtime',
    'minimal',
    '--enable',
    'simd',
  ];
  let report = '';
  const { error } = await asc.main(options, {
    stderr: { write: (text) => void (report += text.toString()) },
    writeFile: (_name, contents) => {
      if (typeof contents !== 'string') binary = contents;
    },
  });
  if (error) throw new Error(`${report}\n${error.message}`);
  if (!binary) throw new Error(`${entry}: the compiler wrote nothing`);
  return new WebAssembly.Module(binary);
}
