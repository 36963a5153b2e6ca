import { createHash } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { defineConfig } from 'vite';

/** Puts the data plane beside the command line, which reads it from there, and makes the files a program to be started. */
const engineBeside = {
  name: 'engine-beside',
  generateBundle(this: {
    emitFile(file: { type: 'asset'; fileName: string; source: string | Uint8Array }): void;
  }) {
    const source = readFileSync(join(import.meta.dirname, 'build/engine.wasm'));
    this.emitFile({ type: 'asset', fileName: 'engine.wasm', source });
    // The package around it is one of modules.
    this.emitFile({ type: 'asset', fileName: 'package.json', source: '{ "type": "commonjs" }\n' });
  },
  writeBundle(options: { dir?: string }) {
    chmodSync(join(options.dir ?? '', 'qsd-web.js'), 0o755);
  },
};

/** Writes the list of the page's files into the service worker, which keeps them for use without a network. */
const offline = {
  name: 'offline',
  enforce: 'post' as const,
  generateBundle(_options: unknown, bundle: Record<string, BuiltFile>) {
    const worker = bundle['service-worker.js'];
    if (worker?.type !== 'chunk') throw new Error('the build has no service worker');
    const hash = createHash('sha256');
    const files: string[] = [];
    for (const [name, file] of Object.entries(bundle).sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (name.endsWith('.map') || file === worker) continue;
      files.push(name);
      hash.update(name).update(file.type === 'chunk' ? file.code : file.source);
    }
    for (const name of readdirSync(PUBLIC)) {
      files.push(name);
      hash.update(name).update(readFileSync(join(PUBLIC, name)));
    }
    const list = JSON.stringify({ version: hash.digest('hex').slice(0, 16), files });
    worker.code = worker.code.replace('QSD_WEB_BUILD', () => `(${list})`);
    if (worker.code.includes('QSD_WEB_BUILD')) throw new Error('the service worker names its files twice');
  },
};

type BuiltFile = { type: 'chunk'; code: string } | { type: 'asset'; source: string | Uint8Array };

const PUBLIC = join(import.meta.dirname, 'public');

/**
 * Two uses of one file: the page (`vite`, `vite build` -> dist/web) and the Node.js command line (`vite build --mode node`
 * -> dist/node).
 */
export default defineConfig(({ mode }) => ({
  // Relative, so that the page works from any folder of any static host.
  base: './',
  publicDir: mode === 'node' ? false : PUBLIC,
  plugins: mode === 'node' ? [engineBeside] : [offline],
  build:
    mode === 'node'
      ? {
          outDir: 'dist/node',
          target: 'node20',
          ssr: 'src/node/main.ts',
          minify: false,
          rollupOptions: {
            external: [...builtinModules, /^node:/],
            // CommonJS without blanks starts a fifth faster than modules as written; the names in stack traces stay.
            output: {
              format: 'cjs',
              entryFileNames: 'qsd-web.js',
              chunkFileNames: '[name].js',
              minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
            },
          },
        }
      : {
          outDir: 'dist/web',
          target: 'es2022',
          sourcemap: true,
          rollupOptions: {
            input: {
              index: 'index.html',
              embed: 'src/ui/embed.ts',
              'service-worker': 'src/offline/service-worker.ts',
            },
            output: {
              // Other pages name one, and the browser the other when it looks for a newer version.
              entryFileNames: ({ name }: { name: string }) =>
                name === 'index' ? 'assets/[name]-[hash].js' : '[name].js',
            },
          },
        },
  // The command line carries what it needs.
  ...(mode === 'node' && { ssr: { noExternal: true } }),
  worker: { format: 'es' },
  server: { host: '127.0.0.1' },
  preview: { host: '127.0.0.1' },
}));
