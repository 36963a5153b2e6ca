/**
 * A real Chromium for tests and benchmarks: Vite's dev server on 127.0.0.1, a fresh profile on disk (in a private window,
 * which a plain context of Playwright is, OPFS would be kept in memory), pages that share it like tabs do, and modules
 * run in a dedicated worker.
 *
 * ```ts
 * const browser = await startBrowser();
 * const page = await browser.newPage();                  // an empty page of the right origin
 * await browser.newPage('/');                            // the app
 * const worker = await browser.startWorker(page, new URL('thing.worker.ts', import.meta.url));
 * await worker.call('exportedFunction', argument);       // arguments and results: plain data
 * ```
 *
 * Named cases as tests of vitest: `testInBrowser` of suite.ts.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import type { BrowserContext, CDPSession, Page } from 'playwright-core';
import { createServer } from 'vite';
import { dependencies } from '../../package.json';

/** The folder of the project. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The flags beyond Playwright's own: nothing that reaches for the network, no sandbox as tests often run as root. */
export const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The browser's program: `QSD_WEB_CHROMIUM`, else the first one in `PATH`. Undefined: none is installed. */
export function findChromium(): string | undefined {
  const given = process.env.QSD_WEB_CHROMIUM;
  if (given) return given;
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
      const path = join(directory, name);
      if (directory !== '' && existsSync(path)) return path;
    }
  }
  return undefined;
}

/** A browser with one profile, and the server it talks to. */
export interface TestBrowser {
  /** The server's origin, without a slash at the end. */
  readonly origin: string;
  /** For everything that Playwright can do. */
  readonly context: BrowserContext;
  /** Opens a tab; without a path an empty page of the origin. Errors of the page are printed. */
  newPage(path?: string): Promise<Page>;
  /** Starts a dedicated worker of a page with a module of this project; its exported functions can be called. */
  startWorker(page: Page, module: URL): Promise<TestWorker>;
  /** The DevTools protocol of a page. */
  devtools(page: Page): Promise<CDPSession>;
  close(): Promise<void>;
}

/** A module in a dedicated worker. */
export interface TestWorker {
  /** Calls an exported function; plain data (structured clone and JSON) goes both ways. Rejects as the function does. */
  call<T = unknown>(name: string, ...args: unknown[]): Promise<T>;
  /** Calls an exported function with the files chosen in a file picker, real files on this machine's disk. */
  callWithFiles<T = unknown>(name: string, files: string[], ...args: unknown[]): Promise<T>;
  /** Ends the worker, as closing the tab would. */
  terminate(): Promise<void>;
}

/** The path of one of this project's files on the server. */
export function projectPath(file: URL): string {
  return `/${relative(ROOT, fileURLToPath(file)).replaceAll('\\', '/')}`;
}

/** Starts server and browser. Takes one to three seconds; close() gives all back. */
export async function startBrowser(): Promise<TestBrowser> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    throw new Error('Chromium was not found in PATH; install it or name it in QSD_WEB_CHROMIUM');
  }
  const server = await createServer({
    root: ROOT,
    configFile: join(ROOT, 'vite.config.ts'),
    cacheDir: mkdtempSync(join(tmpdir(), 'qsd-web-vite-')),
    logLevel: 'warn',
    appType: 'mpa',
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    // All at once and before the first page: a package that is found later would make pages load anew.
    optimizeDeps: { include: Object.keys(dependencies), noDiscovery: true },
  });
  await server.listen();
  const address = server.httpServer?.address();
  if (!address || typeof address === 'string') throw new Error('the server has no port');
  const origin = `http://127.0.0.1:${address.port}`;

  const profile = mkdtempSync(join(tmpdir(), 'qsd-web-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: FLAGS,
  });

  return {
    origin,
    context,
    newPage: async (path = '/test/browser/empty.html') => {
      const page = await context.newPage();
      page.on('console', (message) => {
        if (message.type() === 'error') console.error(`[page] ${message.text()}`);
      });
      page.on('pageerror', (error) => console.error('[page]', error));
      await page.goto(origin + path);
      return page;
    },
    startWorker: async (page, module) => {
      const path = projectPath(module);
      const id = await page.evaluate((url) => window.testWorkers.start(url), path);
      return {
        call: (name, ...args) =>
          page.evaluate(([id, name, args]) => window.testWorkers.call(id, name, args) as never, [
            id,
            name,
            args,
          ] as const),
        callWithFiles: async (name, files, ...args) => {
          await page.setInputFiles('input[type=file]', files);
          return page.evaluate(
            ([id, name, args]) =>
              window.testWorkers.call(id, name, [window.testWorkers.files(), ...args]) as never,
            [id, name, args] as const,
          );
        },
        terminate: () => page.evaluate((id) => window.testWorkers.terminate(id), id),
      };
    },
    devtools: (page) => context.newCDPSession(page),
    close: async () => {
      await context.close();
      await server.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
      rmSync(server.config.cacheDir, { recursive: true, force: true });
    },
  };
}
