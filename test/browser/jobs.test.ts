/** Jobs in the page: their states, verbs and refusals. */
import axe from 'axe-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { QsdJobs } from '../../src/ui/jobs/element';
import { startBrowser, type TestBrowser } from './browser';
import { atRest, AppPage } from './page';

let browser: TestBrowser;
let app: AppPage;

beforeAll(async () => {
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/')).ready();
  app.page.setDefaultTimeout(20_000);
  await app.page.setViewportSize({ width: 2000, height: 1000 });
});
afterAll(() => browser.close());

const jobs = () => app.page.locator('qsd-jobs');
const job = (id: string) => jobs().locator(`article[data-id="${id}"]`);
const verb = (id: string, name: string) => job(id).getByRole('button', { name });
const lit = (id: string) => job(id).locator('.state.current text').textContent();

test('a job shows by itself: progress, the state that it is in, its verbs', async () => {
  await app.run('qemu-img create -q -f qcow2 a.qcow2 64M');
  await app.run("qemu-io -c 'write 0 32M' a.qcow2");
  await app.run('blockdev-add driver=qcow2 node-name=a file.driver=file file.filename=a.qcow2');
  await app.run('blockdev-add driver=null-co node-name=t size=67108864');
  await app.run('blockdev-backup job-id=b device=a target=t sync=full speed=2097152 auto-dismiss=false');
  await job('b').waitFor();
  await expect.poll(() => lit('b')).toBe('running');
  await expect.poll(() => job('b').locator('.numbers').textContent()).toMatch(/ MiB of 64 MiB$/);
  expect(await app.page.locator('#tab-jobs').textContent()).toBe('Jobs1');

  await verb('b', 'Pause').click();
  await app.shows('qsd> job-pause id=b');
  await expect.poll(() => lit('b')).toBe('paused');
  await expect.poll(() => verb('b', 'Resume').getAttribute('aria-disabled')).toBeNull();
});

test('what is forbidden says why', async () => {
  const pause = verb('b', 'Pause');
  await expect.poll(() => pause.getAttribute('aria-description')).toBe('Job is already paused');
  // Playwright takes it for disabled; people can click it.
  await verb('b', 'Dismiss').click({ force: true });
  await job('b').getByText("Job 'b' in state 'paused' cannot accept command verb 'dismiss'").waitFor();
  expect(await app.text()).not.toContain('job-dismiss');
});

test.each(['light', 'dark'] as const)('axe finds nothing wrong (%s)', async (colorScheme) => {
  // Cards that fade have too little contrast meanwhile.
  await app.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
  await app.page.evaluate(axe.source);
  await atRest(app.page);
  const { violations } = await app.page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run({ exclude: ['.xterm'] }),
  );
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
});

test('a speed is proposed, the end is on the time line', async () => {
  await verb('b', 'Speed').click();
  await app.shows(/qsd> block-job-set-speed device=b speed=0$/);
  await app.press('Enter');
  await verb('b', 'Resume').click();
  await expect.poll(() => lit('b')).toBe('concluded');
  await job('b').getByText('Time line').click();
  const history = await job('b').locator('.history li').allInnerTexts();
  expect(history.map((text) => text.replace(/^\S+ s /, ''))).toEqual([
    'created',
    'running',
    'paused',
    'running',
    'paused',
    'running',
    'waiting',
    'pending',
    'BLOCK_JOB_COMPLETED',
    'concluded',
  ]);
  expect(await job('b').locator('.machine').getAttribute('aria-label')).toBe(
    'Job b is concluded; it was created, running, paused, waiting, pending, concluded',
  );
  await verb('b', 'Dismiss').click();
  await expect.poll(() => lit('b')).toBe('null');
  expect(await app.page.locator('#tab-jobs').textContent()).toBe('Jobs');
  await jobs().getByRole('button', { name: 'Clear' }).click();
  await jobs().getByText('No jobs').waitFor();
});

test('alone in a page it has a daemon of its own, and does what its buttons say', async () => {
  const page = await browser.newPage('/?panes=console');
  page.setDefaultTimeout(20_000);
  await new AppPage(page).ready();
  await page.evaluate(async () => {
    const element = document.createElement('qsd-jobs') as QsdJobs;
    document.body.replaceChildren(element);
    const { client } = element;
    if (!client) throw new Error('no daemon');
    for (const node of ['a', 'b'])
      await client.execute('blockdev-add', { driver: 'null-co', 'node-name': node, size: 1 << 30 });
    await client.execute('blockdev-backup', {
      'job-id': 'm',
      device: 'a',
      target: 'b',
      sync: 'full',
      speed: 1,
    });
  });
  const card = page.locator('qsd-jobs article[data-id="m"]');
  await card.getByRole('button', { name: 'Pause' }).click();
  await expect.poll(() => card.locator('.state.current text').textContent()).toBe('paused');
  await card.getByRole('button', { name: 'Cancel' }).click();
  await expect.poll(() => card.locator('.state.current text').textContent()).toBe('null');
  await page.close();
});
