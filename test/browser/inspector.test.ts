/** The inspector in the page. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { QsdInspector } from '../../src/ui/inspector/element';
import { startBrowser, type TestBrowser } from './browser';
import { atRest, AppPage } from './page';

let browser: TestBrowser;
let app: AppPage;
const directory = mkdtempSync(join(tmpdir(), 'qsd-web-inspector-'));

beforeAll(async () => {
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/?panes=console,graph,files')).ready();
  app.page.setDefaultTimeout(20_000);
  await app.page.setViewportSize({ width: 1600, height: 1000 });
  for (const line of [
    'qemu-img create -q -f qcow2 d.qcow2 256M',
    'qemu-io -c "write -P 1 0 9M" -c "write -z 20M 2M" -c "write -c -P 5 40M 64k" d.qcow2',
    'qemu-img snapshot -c first d.qcow2',
    'qemu-img bitmap --add d.qcow2 marks',
    'qemu-io -c "write -P 7 100M 1M" d.qcow2',
  ])
    await app.run(line);
});
afterAll(async () => {
  await browser.close();
  rmSync(directory, { recursive: true, force: true });
});

const inspector = () => app.page.locator('qsd-inspector');
const tab = (name: string) => inspector().getByRole('tab', { name, exact: true });
const heading = () => inspector().locator('h2').textContent();

async function violations(): Promise<unknown> {
  await app.page.evaluate(axe.source);
  await atRest(app.page);
  const { violations: found } = await app.page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run({ exclude: ['.xterm'] }),
  );
  return found.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}

describe('an image of the sandbox', () => {
  test('its code is not there before it is needed; the files panel opens it', async () => {
    expect(await inspector().count()).toBe(0);
    await app.files.getByRole('button', { name: 'Inspect d.qcow2' }).click();
    await expect.poll(heading).toBe('d.qcow2');
    await inspector().getByText('256 MiB (268435456 bytes)', { exact: true }).waitFor();
    await inspector().getByText('Snapshots', { exact: true }).waitFor();
    const lazy = inspector().locator('.fields li', { hasText: 'compatible_features' }).last();
    expect(await lazy.innerText()).toMatch(/off\s+lazy refcounts/);
  });

  test('a field leads to its bytes, with the field told; where it points one can go', async () => {
    await inspector().getByRole('button', { name: 'l1_table_offset', exact: true }).click();
    const status = inspector().locator('.hex .status');
    await status.getByText('l1_table_offset').waitFor();
    expect(await inspector().locator('.bytes .marked').count()).toBe(8);
    await status.getByRole('button', { name: 'Go there' }).click();
    await status.getByText('L1[0]').waitFor();
    await app.press('Tab');
    await inspector().getByRole('application').focus();
    await app.press('Enter');
    await status.getByText('L2[0]').waitFor();
    await app.press('ArrowDown');
    await status.getByText('L2[2]').waitFor();
  });

  test('bytes of the disk at an offset', async () => {
    await inspector().getByRole('button', { name: 'Disk', exact: true }).click();
    const offset = inspector().getByLabel('Offset', { exact: true });
    await offset.fill('100M');
    await app.press('Enter');
    await expect.poll(() => inspector().locator('.bytes .current').textContent()).toBe('07');
    await offset.fill('1T');
    await app.press('Enter');
    await inspector().getByText('There is no byte at 1T').waitFor();
  });

  test('the map: all kinds of the file; keys move and tell, zoom, and open the bytes', async () => {
    await tab('Map').click();
    await inspector().getByRole('button', { name: 'File', exact: true }).click();
    await inspector().locator('.map[data-known]').waitFor();
    const legend = () => inspector().locator('.legend li').allInnerTexts();
    await expect
      .poll(legend)
      .toEqual(
        expect.arrayContaining([
          'Header',
          'L1 table',
          'L2 table',
          'Snapshot L1',
          'Compressed',
          'Shared with a snapshot',
        ]),
      );
    expect(await legend()).not.toContain('Leaked');
    const canvas = inspector().getByRole('slider', { name: 'Cluster map' });
    await canvas.focus();
    await app.press('Home', 'ArrowRight', 'ArrowLeft');
    await expect.poll(() => canvas.getAttribute('aria-valuetext')).toBe('Header at 0x0 (0 B), 64 KiB');
    const drawn = () =>
      canvas.evaluate((element: HTMLCanvasElement) => [
        ...(element.getContext('2d')?.getImageData(4, 4, 1, 1).data ?? []),
      ]);
    await expect.poll(drawn).toEqual([0x1c, 0x24, 0x30, 255]);
    await inspector().getByRole('button', { name: 'Disk', exact: true }).click();
    await expect.poll(legend).toEqual(expect.arrayContaining(['Zeros', 'Dirty in a bitmap']));
    const scale = () => inspector().locator('.scale').textContent();
    await canvas.focus();
    const before = await scale();
    await app.press('-');
    await expect.poll(scale).not.toBe(before);
    await app.press('0', 'Home', 'Enter');
    await expect.poll(() => inspector().locator('.bytes .current').textContent()).toBe('01');
  });

  test('a check of a leak, its preview, and the line of the repair', async () => {
    await app.run('qemu-img create -q -f qcow2 l.qcow2 64M');
    await app.run('qemu-io -c "write 0 1M" l.qcow2');
    // The entry of a cluster is taken out of its table: nobody uses it any more, and it is still counted.
    const entry = await app.page.evaluate(async () => {
      const client = document.querySelector<QsdInspector>('qsd-inspector')?.client;
      const seen = await client?.inspect({ path: 'l.qcow2' });
      const overview = await seen?.refresh();
      const l1 = overview?.sections[0]?.fields.find(({ name }) => name === 'l1_table_offset')?.target?.offset;
      const [first] = (await seen?.fields(l1 ?? 0, 8)) ?? [];
      await seen?.close();
      return (first?.target?.offset ?? 0) + 8;
    });
    await app.run(`qemu-io -f raw -c "write -P 0 ${entry} 8" l.qcow2`);
    await app.page.evaluate(() =>
      document.querySelector<QsdInspector>('qsd-inspector')?.inspect({ path: 'l.qcow2' }),
    );
    await tab('Check').click();
    await inspector().getByRole('button', { name: 'Check', exact: true }).click();
    await inspector().getByText('Found: 1 leaked cluster.').waitFor();
    await inspector().getByRole('button', { name: 'Preview: repair leaks' }).click();
    await inspector()
      .getByText('It would repair: 1 leaked cluster. Then there would be nothing wrong.')
      .waitFor();
    expect(await inspector().locator('.changes li').innerText()).toMatch(
      /^0x[0-9a-f]+ 1 byte: refcount\[\d+\]: 1$/,
    );
    await inspector().getByRole('button', { name: 'Repair…' }).click();
    await app.shows('qsd> qemu-img check -r leaks l.qcow2');
    await app.press('Enter');
    await app.shows(/No errors were found on the image/);
    await inspector().getByRole('button', { name: 'Refresh' }).click();
    await inspector().getByRole('button', { name: 'Check', exact: true }).click();
    await inspector().getByText('No errors were found.').waitFor();
  });

  test('an encrypted image asks for its passphrase, and shows its disk', async () => {
    const secret = '--object secret,id=s,data=opensesame';
    const options = 'key-secret=s,iter-time=10';
    await app.run(`qemu-img create -q -f luks ${secret} -o ${options} vault.luks 2M`);
    const image = 'driver=luks,key-secret=s,file.filename=vault.luks';
    await app.run(`qemu-io ${secret} -c "write -P 0x6b 0 4k" --image-opts ${image}`);
    await app.page.getByRole('tab', { name: 'Files' }).click();
    await app.files.getByRole('button', { name: 'Inspect vault.luks' }).click();
    await expect.poll(heading).toBe('vault.luks');
    await tab('Disk').click();
    const box = inspector().locator('.panel-disk .unlock');
    await box.getByLabel('Passphrase').fill('opensesam');
    await app.press('Enter');
    await box.getByText('Invalid password, cannot unlock any keyslot').waitFor();
    expect(await violations()).toEqual([]);
    await box.getByLabel('Passphrase').fill('opensesame');
    await box.getByRole('button', { name: 'Unlock' }).click();
    await box.waitFor({ state: 'detached' });
    await tab('Overview').click();
    await inspector().getByText('The disk is shown decrypted.').waitFor();
    await tab('Hex').click();
    await inspector().getByLabel('Bytes of').getByRole('button', { name: 'Disk', exact: true }).click();
    await inspector().getByLabel('Offset', { exact: true }).fill('0x10');
    await app.press('Enter');
    await expect.poll(() => inspector().locator('.bytes .current').textContent()).toBe('6b');
    // It was not entered in the console.
    expect(await app.text()).not.toContain('opensesame"');
    await app.run('rm vault.luks');
  });

  test('a node, from its details; what was just written is seen after a refresh; it may go', async () => {
    await app.run('blockdev-add driver=qcow2 node-name=n file.driver=file file.filename=d.qcow2');
    await app.page.locator('qsd-graph .card[data-key="node:n"]').click();
    await app.page.locator('qsd-graph').getByRole('button', { name: 'Inspect', exact: true }).click();
    await expect.poll(heading).toBe('n');
    await tab('Overview').click();
    await inspector().getByText("Bitmap 'marks' is in use").waitFor();
    await app.press('Escape');
    await app.run('blockdev-del node-name=n');
    await inspector().getByRole('button', { name: 'Refresh' }).click();
    await inspector().getByText("Cannot find node 'n'").waitFor();
  });
});

test.each(['light', 'dark'] as const)('axe finds nothing wrong (%s)', async (colorScheme) => {
  await app.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
  await app.page.evaluate(() =>
    document.querySelector<QsdInspector>('qsd-inspector')?.inspect({ path: 'd.qcow2' }),
  );
  for (const name of ['Overview', 'Map', 'Hex', 'Disk', 'Check']) {
    await tab(name).click();
    if (name === 'Map') await inspector().locator('.map[data-known]').waitFor();
    if (name === 'Hex') await inspector().locator('.bytes').first().waitFor();
    expect(await violations()).toEqual([]);
  }
});

test('the keyboard alone goes from tab to tab', async () => {
  await tab('Check').focus();
  await app.press('Home');
  expect(await tab('Overview').getAttribute('aria-selected')).toBe('true');
  await app.press('ArrowRight', 'ArrowRight');
  expect(await tab('Hex').getAttribute('aria-selected')).toBe('true');
});

describe('dropped files', () => {
  test('an image is looked into where it is: nothing comes into the sandbox', async () => {
    const file = join(directory, 'dropped.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, '8M']);
    await app.drop('inspect', [{ name: 'dropped.qcow2', content: readFileSync(file) }]);
    await expect.poll(heading).toBe('dropped.qcow2');
    expect(await app.run('ls')).not.toContain('dropped.qcow2');
  });

  test('20 GB: the summary is there at once, and little memory is needed', async () => {
    const file = join(directory, 'large.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', file, '20G']);
    if (statSync(file).size < 20 * 2 ** 30) truncateSync(file, 20 * 2 ** 30 + 65536);
    const page = await browser.newPage('/?panes=console,inspector');
    const large = await new AppPage(page).ready();
    const place = page.locator('qsd-inspector');
    await place.waitFor();
    await page.evaluate(() => {
      const input = document.createElement('input');
      input.type = 'file';
      input.id = 'large';
      document.body.append(input);
    });
    await page.setInputFiles('#large', file);
    const measured = await page.evaluate(async () => {
      const chosen = document.querySelector<HTMLInputElement>('#large')?.files?.[0];
      const element = document.querySelector<QsdInspector>('qsd-inspector');
      if (!chosen || !element) throw new Error('no file');
      const begun = performance.now();
      await element.inspect(chosen);
      return { summary: performance.now() - begun };
    });
    await place.getByText('20 GiB (21474836480 bytes)').waitFor();
    await place.getByRole('tab', { name: 'Map' }).click();
    await place.getByRole('button', { name: 'File', exact: true }).click();
    await place.locator('.map[data-known]').waitFor({ timeout: 20_000 });
    const session = await browser.devtools(page);
    await session.send('HeapProfiler.collectGarbage');
    const worker = page.workers()[0];
    if (!worker) throw new Error('no worker');
    // All of the worker: its heap, and what arrays and the engine take beside it.
    const pageHeap = await session.send('Runtime.getHeapUsage');
    const workerHeap = await workerMemory(page);
    const figures = {
      ...measured,
      page: mib(pageHeap.usedSize + pageHeap.backingStorageSize),
      worker: mib(workerHeap),
    };
    console.log(
      `20 GB image: summary ${figures.summary.toFixed(0)} ms, page ${figures.page} MiB, worker ${figures.worker} MiB`,
    );
    // The aim is 300 ms on a quiet machine.
    expect(figures.summary).toBeLessThan(1500);
    expect(figures.page + figures.worker).toBeLessThan(64);
    await large.page.close();
  });
});

const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);

/** Bytes of the heap of a page's worker and of its array buffers, the engine's memory among them. */
async function workerMemory(page: AppPage['page']): Promise<number> {
  const session = await browser.devtools(page);
  const used = new Promise<number>((resolve, reject) => {
    session.on('Target.attachedToTarget', ({ sessionId }) => {
      const ids = new Map([[2, 'Runtime.getHeapUsage']]);
      session.on('Target.receivedMessageFromTarget', ({ sessionId: from, message }) => {
        if (from !== sessionId) return;
        const answer = JSON.parse(message) as {
          id?: number;
          result?: { usedSize: number; backingStorageSize: number };
        };
        if (answer.id !== undefined && ids.has(answer.id) && answer.result)
          resolve(answer.result.usedSize + answer.result.backingStorageSize);
      });
      const send = (id: number, method: string): Promise<unknown> =>
        session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method }) });
      send(1, 'HeapProfiler.collectGarbage')
        .then(() => send(2, 'Runtime.getHeapUsage'))
        .catch(reject);
    });
  });
  await session.send('Target.setAutoAttach', {
    autoAttach: true,
    waitForDebuggerOnStart: false,
    flatten: false,
  });
  return used;
}
