/** Named cases that run in a worker of Chromium, each as a test of vitest. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { projectPath, startBrowser } from './browser';
import type { TestBrowser, TestWorker } from './browser';

/**
 * A suite of cases that run one after the other in one dedicated worker. `module` exports the same list as `cases`.
 */
export function testInBrowser(title: string, module: URL, cases: readonly { name: string }[]): void {
  describe(title, () => {
    let browser: TestBrowser;
    let worker: TestWorker;
    beforeAll(async () => {
      browser = await startBrowser();
      worker = await browser.startWorker(
        await browser.newPage(),
        new URL('cases.worker.ts', import.meta.url),
      );
      await worker.call('load', projectPath(module));
    });
    afterAll(() => browser.close());
    for (const { name } of cases) test(name, () => worker.call('run', name));
  });
}
