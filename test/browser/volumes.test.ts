/** Partitions and files in the inspector: a disk made by the real tools, dropped on the page. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blank, place, tool } from '../inspect/volumes/support';
import { startBrowser, type TestBrowser } from './browser';
import { atRest, AppPage } from './page';

const MIB = 2 ** 20;
let browser: TestBrowser;
let app: AppPage;
const directory = mkdtempSync(join(tmpdir(), 'qsd-web-volumes-'));
/** A picture of one pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);

beforeAll(async () => {
  const tree = join(directory, 'tree');
  mkdirSync(join(tree, 'etc'), { recursive: true });
  writeFileSync(join(tree, 'etc/hostname'), 'example\n');
  writeFileSync(join(tree, 'picture.png'), PNG);
  writeFileSync(join(tree, 'data.bin'), Buffer.alloc(3 * MIB, 'ab\0'));
  const ext = blank(join(directory, 'ext'), 64 * MIB);
  tool('mkfs.ext4', ['-q', '-L', 'system', '-d', tree, ext]);
  const fat = blank(join(directory, 'fat'), 32 * MIB);
  tool('mkfs.vfat', ['-n', 'ESP', fat]);
  // As large as a real one, and almost empty.
  const disk = blank(join(directory, 'disk.raw'), 20 * 1024 * MIB);
  tool(
    'sfdisk',
    ['-q', '--no-reread', '--no-tell-kernel', disk],
    'label: gpt\nsize=32M, type=uefi, name=boot\nsize=64M, name=root\nsize=8G, type=swap\n',
  );
  place(disk, MIB, fat);
  place(disk, 33 * MIB, ext);
  browser = await startBrowser();
  app = await new AppPage(await browser.newPage('/?panes=console,graph,files')).ready();
  app.page.setDefaultTimeout(20_000);
  await app.page.setViewportSize({ width: 1400, height: 1000 });
  const chooser = app.page.waitForEvent('filechooser');
  await app.files.getByRole('button', { name: 'Open', exact: true }).click();
  await (await chooser).setFiles(disk);
  await app.files.getByRole('button', { name: 'Inspect disk.raw' }).click();
  await inspector().getByRole('tab', { name: 'Disk', exact: true }).click();
});
afterAll(async () => {
  await browser.close();
  rmSync(directory, { recursive: true, force: true });
});

const inspector = () => app.page.locator('qsd-inspector');
const volumes = () => inspector().getByRole('list', { name: 'Volumes' });
const entries = () => inspector().getByRole('list', { name: 'Entries' });

test('the partitions of a disk of 20 GiB, and what lies in them', async () => {
  await inspector()
    .getByText(/^Disk of 20 GiB · GPT partition table · 3 partitions/)
    .waitFor();
  const rows = await volumes().locator('li').allInnerTexts();
  expect(rows).toHaveLength(3);
  expect(rows[0]).toMatch(/1 · boot\s+FAT16\s+“ESP”\s+EFI system/);
  expect(rows[1]).toMatch(/2 · root\s+ext4\s+“system”\s+Linux file system/);
  expect(rows[2]).toMatch(/3\s+not recognised\s+Linux swap/);
  expect(await inspector().locator('.volume-bar > div').count()).toBe(5);
});

test('files are listed, looked at and saved, by keys alone', async () => {
  await inspector().getByRole('button', { name: 'Files of 2 · root · system' }).focus();
  await app.press('Enter');
  const etc = entries().getByRole('button', { name: /^etc\// });
  await etc.waitFor();
  await expect.poll(() => etc.evaluate((element) => element.matches(':focus'))).toBe(true);
  await app.press('ArrowDown', 'ArrowUp', 'Enter');
  await entries()
    .getByRole('button', { name: /^hostname/ })
    .waitFor();
  await app.press('Enter');
  await expect.poll(() => inspector().locator('.look pre').textContent()).toBe('example\n');
  await inspector().getByRole('button', { name: '/', exact: true }).click();
  await entries()
    .getByRole('button', { name: /^picture/ })
    .click();
  await inspector().locator('.look img').waitFor();
  await entries().getByRole('button', { name: /^data/ }).click();
  await expect.poll(() => inspector().locator('.look pre').textContent()).toMatch(/^000000 {2}61 62 00/);
  const saved = app.page.waitForEvent('download');
  await inspector().getByRole('button', { name: 'Save', exact: true }).click();
  const download = await saved;
  expect(download.suggestedFilename()).toBe('data.bin');
  tool('cmp', [await download.path(), join(directory, 'tree/data.bin')]);
});

test('axe finds nothing wrong, in light and dark, wide and narrow', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1400, 420]) {
      await app.page.emulateMedia({ colorScheme });
      await app.page.setViewportSize({ width, height: 1000 });
      await app.page.evaluate(axe.source);
      await atRest(app.page);
      const { violations } = await app.page.evaluate(() =>
        (window as unknown as { axe: typeof axe }).axe.run({ exclude: ['.xterm'] }),
      );
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    }
  }
});

test('its bytes are one click away', async () => {
  await app.page.setViewportSize({ width: 1400, height: 1000 });
  await inspector().getByRole('button', { name: 'Bytes of 1 · boot · ESP' }).click();
  await inspector().getByRole('application').waitFor();
  await expect
    .poll(() =>
      inspector()
        .locator('.bytes')
        .allInnerTexts()
        .then((all) => all.join()),
    )
    .toMatch(/eb/i);
});
