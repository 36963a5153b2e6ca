/** The page stays smooth while jobs work. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';
import { measureFrames } from './inspectorframes';
import { AppPage } from './page';

let browser: TestBrowser;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());

test('graph and cluster map while four jobs work', async () => {
  const app = await new AppPage(await browser.newPage('/?panes=console,graph,inspector')).ready();
  await app.page.setViewportSize({ width: 1600, height: 1000 });
  await app.page.locator('qsd-inspector').waitFor();
  const { frames, longestTask } = await measureFrames(app.page);
  console.log(`four jobs: ${frames.toFixed(1)} frames a second, longest task ${longestTask.toFixed(0)} ms`);
  // The aims are 60 frames and 50 ms on a quiet machine.
  expect(frames).toBeGreaterThan(10);
  expect(longestTask).toBeLessThan(600);
});
