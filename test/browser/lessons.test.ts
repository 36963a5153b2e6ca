/** Lessons in the page: opened by their address, set up, followed in the console, solved. */
import axe from 'axe-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LESSONS } from '../../src/lessons';
import { startBrowser, type TestBrowser } from './browser';
import { AppPage } from './page';

let browser: TestBrowser;
let app: AppPage;

beforeAll(async () => {
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/#lesson=stream')).ready();
  app.page.setDefaultTimeout(20_000);
  // Cards of the graph that fade away have no contrast.
  await app.page.emulateMedia({ reducedMotion: 'reduce' });
  await app.page.setViewportSize({ width: 1500, height: 1000 });
});
afterAll(() => browser.close());

const lessons = () => app.page.locator('qsd-lessons');
const step = (number: number) =>
  lessons()
    .locator('.steps > li')
    .nth(number - 1);
const ticked = () => lessons().locator('.steps > li.ticked').count();

async function solve(id: string): Promise<void> {
  const lesson = LESSONS.find((one) => one.id === id);
  for (const [index, { solution }] of (lesson?.steps ?? []).entries()) {
    for (const line of solution) await app.run(line);
    await expect.poll(ticked).toBe(index + 1);
  }
  await lessons().locator('.done').waitFor();
}

test('an address opens a lesson; Start sets it up in the console', async () => {
  await lessons().getByRole('heading', { name: 'Shorten a chain from above: stream' }).waitFor();
  expect(await app.page.locator('#tab-lessons').getAttribute('aria-selected')).toBe('true');
  await lessons().getByRole('button', { name: 'Start', exact: true }).click();
  await lessons().getByRole('status').getByText('The lesson is set up.').waitFor({ state: 'attached' });
  expect(await app.text()).toContain('node-name=c backing=b');
  expect(await ticked()).toBe(0);
});

test('a solution is put into the console, not run; what is entered ticks its step off', async () => {
  await step(1).getByText('Solution').click();
  await step(1)
    .getByRole('button', { name: /^Put into the console/ })
    .click();
  await app.shows(/qsd> block-stream device=c base-node=a job-id=up$/);
  expect(await ticked()).toBe(0);
  await app.press('Enter');
  await expect.poll(ticked).toBe(1);
  expect(await step(2).getAttribute('aria-current')).toBe('step');
});

test('the rest solves it, and that is kept', async () => {
  await app.run('blockdev-del node-name=b');
  await expect.poll(ticked).toBe(2);
  await app.run('block-stream device=c job-id=rest');
  await lessons().locator('.done').waitFor();
  await app.page.reload();
  await app.ready();
  await lessons().locator('.steps > li.ticked').first().waitFor();
  await lessons().getByRole('button', { name: 'All lessons' }).click();
  await lessons().getByText(`1 of ${LESSONS.length} solved`).waitFor();
  expect(new URL(app.page.url()).hash).toBe('');
});

test('a new start asks before it deletes files', async () => {
  await lessons().locator('[data-id="stream"]').click();
  await lessons().getByRole('button', { name: 'Start', exact: true }).click();
  await lessons().getByText('This will delete a.qcow2, b.qcow2, c.qcow2, ref.raw.').waitFor();
  await lessons().getByRole('button', { name: 'Cancel' }).click();
  expect(await app.run('ls')).toContain('c.qcow2');
  await lessons().getByRole('button', { name: 'Start', exact: true }).click();
  await lessons().getByRole('button', { name: 'Yes, start' }).click();
  await lessons().getByRole('status').getByText('The lesson is set up.').waitFor({ state: 'attached' });
  expect(await ticked()).toBe(0);
});

test.each(['crash', 'fleecing'])('%s is solved in the page', async (id) => {
  await app.page.evaluate((hash) => (location.hash = hash), `#lesson=${id}`);
  await lessons().getByRole('button', { name: 'Start', exact: true }).click();
  await lessons().getByRole('button', { name: 'Yes, start' }).click();
  await lessons().getByRole('status').getByText('The lesson is set up.').waitFor({ state: 'attached' });
  await solve(id);
});

test.each(['light', 'dark'] as const)('axe finds nothing wrong (%s)', async (colorScheme) => {
  await app.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
  await app.page.evaluate(axe.source);
  const { violations } = await app.page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run({ exclude: ['.xterm'] }),
  );
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
});
