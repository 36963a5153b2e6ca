import { chmodSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** Puts the data plane beside the command line, which reads it from there, and makes the program executable. */
const engineBeside = {
  name: 'engine-beside',
  generateBundle(this: { emitFile(file: { type: 'asset'; fileName: string; source: Uint8Array }): void }) {
    const source = readFileSync(join(import.meta.dirname, 'build/engine.wasm'));
    this.emitFile({ type: 'asset', fileName: 'engine.wasm', source });
  },
  writeBundle(options: { dir?: string }) {
    chmodSync(join(options.dir ?? '', 'qsd-web.js'), 0o755);
  },
};

/**
 * Three uses of one file: the page (`vite`, `vite build` -> dist/web), the Node.js command line (`vite build --mode node`
 * -> dist/node) and the tests (`vitest`).
 */
export default defineConfig(({ mode }) => ({
  // Relative, so that the page works from any folder of any static host.
  base: './',
  publicDir: false,
  plugins: mode === 'node' ? [engineBeside] : [],
  build:
    mode === 'node'
      ? {
          outDir: 'dist/node',
          target: 'node20',
          ssr: 'src/node/main.ts',
          minify: false,
          rollupOptions: {
            external: [...builtinModules, /^node:/],
            output: { entryFileNames: 'qsd-web.js', chunkFileNames: '[name].js' },
          },
        }
      : { outDir: 'dist/web', target: 'es2022', sourcemap: true },
  // The command line carries what it needs. Tests must not: Playwright sends functions of its own to the page as text.
  ...(mode === 'node' && { ssr: { noExternal: true } }),
  worker: { format: 'es' },
  server: { host: '127.0.0.1' },
  preview: { host: '127.0.0.1' },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/setup/global.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // The tests start real tools and a browser on machines with few cores.
    maxWorkers: 2,
  },
}));
