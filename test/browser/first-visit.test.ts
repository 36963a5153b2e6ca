/** A first visitor: from a blank page to a watched commit of the image in use, by nothing but what the page shows. */
import type { Locator } from 'playwright-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';
import { AppPage } from './page';

let browser: TestBrowser;

// Nothing is left of the visit before.
beforeEach(async () => {
  browser = await startBrowser();
});
afterEach(() => browser.close());

/** A person reads and finds for as long before each click or key, seconds. */
const THINKING = 10;

test.each([
  ['on a wide screen', 1300, 800],
  ['on a small one', 420, 800],
])('a commit of the image in use, %s', async (_title, width, height) => {
  const page = await browser.newPage('/');
  page.setDefaultTimeout(20_000);
  await page.setViewportSize({ width, height });
  const app = await new AppPage(page).ready();
  const begun = performance.now();
  let acts = 0;
  const click = async (target: Locator): Promise<void> => {
    acts++;
    await target.click();
  };
  // A small screen shows one panel; the graph is seen on a wide one.
  if (width > 700) {
    await click(page.getByRole('link', { name: 'Commit the layer in use' }));
  } else {
    await click(page.getByRole('tab', { name: 'Lessons' }));
    await click(page.locator('qsd-lessons').getByText('Commit the layer in use'));
  }
  await click(page.getByRole('button', { name: 'Start', exact: true }));
  await page.getByText('The lesson is set up.').waitFor({ state: 'attached' });
  const graph = page.locator('qsd-graph');
  const steps = page.locator('qsd-lessons .steps > li');
  for (let index = 0; index < (await steps.count()); index++) {
    const step = steps.nth(index);
    await click(step.getByText('Solution'));
    await click(step.getByText('Use', { exact: true }));
    acts++;
    await app.press('Enter');
    await expect.poll(() => step.getAttribute('class')).toContain('ticked');
    if (index > 0) continue;
    // The job is to be seen at work: as a user of the nodes in the graph, and with its state among the jobs.
    await click(page.getByRole('tab', { name: 'Jobs' }));
    await page.locator('qsd-jobs').getByText('down', { exact: true }).waitFor();
    await page.locator('qsd-jobs').getByText('ready', { exact: true }).first().waitFor();
    await click(page.getByRole('tab', { name: 'Lessons' }));
  }
  await page.locator('qsd-lessons .done').waitFor();
  if (width < 700) await click(page.getByRole('tab', { name: 'Graph' }));
  await graph.locator('.card[data-key="node:a"]').waitFor();
  const seconds = (performance.now() - begun) / 1000 + acts * THINKING;
  expect(seconds).toBeLessThan(180);
  await page.close();
});
