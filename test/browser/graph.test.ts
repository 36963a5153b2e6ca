/** The block graph in the page, live. */
import axe from 'axe-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';
import { atRest, AppPage } from './page';

let browser: TestBrowser;
let app: AppPage;

beforeAll(async () => {
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/?panes=console,graph,files')).ready();
  app.page.setDefaultTimeout(20_000);
  // Wide enough for the console to show a command in one line.
  await app.page.setViewportSize({ width: 2000, height: 1000 });
});
afterAll(() => browser.close());

const graph = () => app.page.locator('qsd-graph');
const card = (key: string) => graph().locator(`.card[data-key="${key}"]`);

/** What a screen reader reads of a card. */
const words = (key: string) => card(key).locator('.words').textContent();

/** Names of the cards, sorted. */
async function cards(): Promise<string[]> {
  const keys = await graph()
    .locator('.card[data-key]')
    .evaluateAll((all) => all.map((one) => one.getAttribute('data-key') ?? ''));
  return keys.filter((key) => !key.startsWith('node:#')).sort();
}

describe('the graph', () => {
  test('offers a way to begin; the command waits in the console', async () => {
    const make = graph().getByRole('button', { name: 'Make an image' });
    await make.click();
    await app.shows('qsd> qemu-img create -f qcow2 disk.qcow2 256M');
    await app.press('Enter');
    const open = graph().getByRole('button', { name: 'Open disk.qcow2' });
    await open.click();
    await app.shows(/qsd> blockdev-add .*filename=disk.qcow2/);
    await app.press('Enter');
    await card('node:disk').waitFor();
    expect(await words('node:disk')).toMatch(
      /^Node disk, qcow2, disk.qcow2, 256 MiB, .* allocated, uses file: #block\d+$/,
    );
  });

  test('a snapshot moves the user to the overlay; the node is still the same card', async () => {
    await app.run('nbd-server-start addr={"type":"unix","data":{"path":"n.sock"}}');
    await app.run('block-export-add type=nbd id=exp node-name=disk writable=true');
    await card('export:exp').waitFor();
    await card('node:disk').evaluate((element) => element.setAttribute('data-known', 'yes'));
    await app.run('block-dirty-bitmap-add node=disk name=marks persistent=true');
    await card('node:disk').locator('.bitmap', { hasText: 'marks: 0 B dirty' }).waitFor();
    await app.run(
      'blockdev-snapshot-sync node-name=disk snapshot-file=over.qcow2 snapshot-node-name=over format=qcow2',
    );
    await card('node:over').waitFor();
    expect(await card('node:disk').getAttribute('data-known')).toBe('yes');
    expect(await words('node:disk')).toContain('read-only');
    expect(await words('export:exp')).toBe('Export exp, nbd, uses root: over');
    expect(await words('node:over')).toContain('backing: disk');
    // It moves, and comes to rest.
    const place = () => card('node:disk').evaluate((element) => element.style.transform);
    await vi.waitFor(async () => {
      const before = await place();
      await app.page.waitForTimeout(100);
      expect(await place()).toBe(before);
    });
  });

  test('details, permissions and commands of a node', async () => {
    await card('node:over').click();
    const details = graph().getByRole('complementary', { name: 'Details' });
    await details.getByText('takes consistent-read, write, resize').waitFor();
    await details.getByRole('button', { name: 'Commit into disk (the active layer)' }).click();
    await app.shows('block-commit job-id=commit device=over base-node=disk');
    await app.press('Enter');
    await app.shows('BLOCK_JOB_READY');
    await card('job:commit').waitFor();
    await card('job:commit').click();
    await details.getByRole('button', { name: 'Complete' }).click();
    await app.shows('job-complete id=commit');
    await app.press('Enter');
    await expect.poll(cards).toEqual(['export:exp', 'node:disk']);
    expect(await words('export:exp')).toBe('Export exp, nbd, uses root: disk');
    await expect.poll(() => details.count()).toBe(0);
  });

  test('a mirror: its filter is seen, and the end moves the user to the target', async () => {
    await app.run('qemu-img create -q -f qcow2 m.qcow2 256M');
    await app.run('blockdev-add driver=qcow2 node-name=m file.driver=file file.filename=m.qcow2');
    await app.run('blockdev-mirror job-id=j device=disk target=m sync=full filter-node-name=filter');
    await card('node:filter').waitFor();
    await app.shows('BLOCK_JOB_READY');
    expect(await words('job:j')).toContain('uses main node: filter');
    await app.run('job-complete id=j');
    await expect.poll(() => words('export:exp')).toBe('Export exp, nbd, uses root: m');
    await expect.poll(cards).toEqual(['export:exp', 'node:disk', 'node:m']);
  });

  test.each(['light', 'dark'] as const)('axe finds nothing wrong (%s)', async (colorScheme) => {
    // Cards that fade have too little contrast meanwhile.
    await app.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await card('node:m').click();
    await app.page.evaluate(axe.source);
    await atRest(app.page);
    const { violations } = await app.page.evaluate(() =>
      (window as unknown as { axe: typeof axe }).axe.run({ exclude: ['.xterm'] }),
    );
    expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    await app.press('Escape');
  });

  test('the keyboard alone', async () => {
    await card('export:exp').focus();
    await app.press('ArrowDown', 'ArrowRight');
    const name = () =>
      graph().evaluate((element) => element.shadowRoot?.activeElement?.getAttribute('data-key'));
    expect(await name()).toBe('node:m');
    await app.press('Enter');
    const details = graph().getByRole('complementary', { name: 'Details' });
    await details.getByText('m.qcow2').first().waitFor();
    await app.press('Escape');
    await expect.poll(() => details.count()).toBe(0);
    // F6 goes round the panes.
    const pane = () => app.page.evaluate(() => document.activeElement?.closest('.pane')?.id);
    expect(await pane()).toBe('pane-graph');
    await app.press('F6');
    expect(await pane()).toBe('pane-files');
    await app.press('F6');
    expect(await pane()).toBe('pane-console');
    await app.press('Shift+F6');
    expect(await pane()).toBe('pane-files');
  });

  test('what is closed goes', async () => {
    await app.run('block-export-del id=exp');
    await app.run('blockdev-del node-name=m');
    await app.run('blockdev-del node-name=disk');
    await graph().getByText('Nothing is open').waitFor();
  });
});
