import { builtinModules } from 'node:module';
import { defineConfig } from 'vitest/config';

/**
 * Three uses of one file: the page (`vite`, `vite build` -> dist/web), the Node.js command line (`vite build --mode node`
 * -> dist/node) and the tests (`vitest`).
 */
export default defineConfig(({ mode }) => ({
  // Relative, so that the page works from any folder of any static host.
  base: './',
  publicDir: false,
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
  ssr: { noExternal: true },
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
