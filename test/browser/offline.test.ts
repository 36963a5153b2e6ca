/** The built page without a network, and when a newer version of it is there. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, startBrowser, type TestBrowser } from './browser';
import { startHost } from './host';
import { AppPage } from './page';

let browser: TestBrowser;
let host: Awaited<ReturnType<typeof startHost>>;
const folder = mkdtempSync(join(tmpdir(), 'qsd-web-offline-'));

beforeAll(async () => {
  cpSync(join(ROOT, 'dist/web'), folder, { recursive: true });
  host = await startHost(folder);
  browser = await startBrowser();
});
afterAll(async () => {
  await browser.close();
  host.close();
  rmSync(folder, { recursive: true });
});

/** Opens the page and waits until it could do without the network. */
async function visit(): Promise<AppPage> {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto(host.address);
  const app = await new AppPage(page).ready();
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  return app;
}

test('once seen it works without a network, with what it loads later', async () => {
  const first = await visit();
  await first.run('qemu-img create -f qcow2 kept.qcow2 1M');
  await first.page.close();
  host.close();
  const page = await browser.context.newPage();
  const failed: string[] = [];
  page.on('requestfailed', (request) => failed.push(request.url()));
  await page.goto(`${host.address}?panes=console,graph,files#lesson=stream`);
  const app = await new AppPage(page).ready();
  expect(await app.run('qemu-img info kept.qcow2')).toContain('file format: qcow2');
  // Chunks of their own: help, completion, the layout of the graph, the dialog, zstd.
  expect(await app.run('help blockdev-add')).toContain('Returns: nothing');
  expect(await app.run('qemu-img create -q -f qcow2 -o compression_type=zstd z.qcow2 1M')).not.toContain(
    'rror',
  );
  await app.run('blockdev-add driver=null-co node-name=n');
  await page.locator('qsd-graph .card[data-key="node:n"]').waitFor();
  await page.getByRole('button', { name: 'Share' }).click();
  await page.getByRole('dialog').waitFor();
  await app.press('Escape');
  // The inspector, and the worker that reads volumes.
  await page.getByRole('tab', { name: 'Files' }).click();
  await page.getByRole('button', { name: 'Inspect kept.qcow2' }).click();
  const inspector = page.locator('qsd-inspector');
  await inspector.getByText('1 MiB (1048576 bytes)', { exact: true }).waitFor();
  await inspector.getByRole('tab', { name: 'Disk', exact: true }).click();
  await inspector.getByText(/^Disk of 1 MiB/).waitFor();
  expect(failed).toEqual([]);
  await page.close();
  host = await startHost(folder);
});

test('a newer version is offered, and used when the user says so', async () => {
  const app = await visit();
  // Another file makes another version.
  const index = join(folder, 'index.html');
  writeFileSync(index, readFileSync(index, 'utf8').replace('<h1>qsd-web</h1>', '<h1>qsd-web newer</h1>'));
  const worker = join(folder, 'service-worker.js');
  writeFileSync(worker, readFileSync(worker, 'utf8').replace(/("?version"?:\s*["'`])\w+/, '$1newer'));
  await app.page.evaluate(async () => void (await (await navigator.serviceWorker.ready).update()));
  await app.page.getByText('A newer version of this page is there.').waitFor();
  expect(await app.page.locator('h1').textContent()).toBe('qsd-web');
  await app.page.getByRole('button', { name: 'Use it' }).click();
  await expect.poll(() => app.page.locator('h1').textContent()).toBe('qsd-web newer');
  // The older one is forgotten.
  expect(await app.page.evaluate(async () => (await caches.keys()).length)).toBe(1);
  await app.page.close();
});

test('it can be installed: the manifest and its icons are there', async () => {
  const app = await visit();
  const session = await browser.context.newCDPSession(app.page);
  const { errors, url } = await session.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  expect(url).toBe(`${host.address}manifest.webmanifest`);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  expect(installabilityErrors).toEqual([]);
  await app.page.close();
});
