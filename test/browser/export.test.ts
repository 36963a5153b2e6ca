/** Large files of the sandbox are written where the user says, piece by piece: with progress, and nothing is lost by a stop. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';
import { AppPage } from './page';

declare global {
  interface Window {
    chosen: { name: string; bytes: number; end: string; slow: boolean };
    showSaveFilePicker: unknown;
  }
}

const SIZE = 64 * 2 ** 20;

let browser: TestBrowser;
let app: AppPage;

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());

beforeEach(async () => {
  const page = await browser.newPage('/');
  app = await new AppPage(page).ready();
  // The dialog is not the page's. What stands for the file takes pieces as a disk does, a slow one when it is told to.
  await page.evaluate(() => {
    const chosen = (window.chosen = { name: '', bytes: 0, end: '', slow: false });
    window.showSaveFilePicker = async ({ suggestedName }: { suggestedName: string }) => {
      chosen.name = suggestedName;
      return {
        name: `my-${suggestedName}`,
        createWritable: async () =>
          new WritableStream<Uint8Array>({
            async write(piece) {
              chosen.bytes += piece.length;
              if (chosen.slow) await new Promise((resolve) => setTimeout(resolve, 500));
            },
            close: () => void (chosen.end = 'closed'),
            abort: () => void (chosen.end = 'aborted'),
          }),
      };
    };
  });
  await app.run('qemu-img create -f raw -q big.raw 64M');
});

const chosen = () => app.page.evaluate(() => window.chosen);
const slowDown = (slow: boolean) => app.page.evaluate((value) => void (window.chosen.slow = value), slow);

test('whole', async () => {
  expect(await app.run('export big.raw')).toContain('big.raw: 64 MiB saved as my-big.raw');
  expect(await chosen()).toMatchObject({ name: 'big.raw', bytes: SIZE, end: 'closed' });
});

test('stopped', async () => {
  await slowDown(true);
  await app.type('export big.raw\n');
  await app.shows('%');
  await app.page.keyboard.press('Control+c');
  await expect.poll(async () => (await chosen()).end).toBe('aborted');
  expect((await chosen()).bytes).toBeLessThan(SIZE);
});

test('an image that is written to meanwhile', async () => {
  await slowDown(true);
  await app.type('export big.raw\n');
  await app.shows('%');
  await app.page.evaluate(async () => {
    // As the daemon would: the console waits.
    const root = await navigator.storage.getDirectory();
    const find = async (directory: FileSystemDirectoryHandle): Promise<FileSystemFileHandle | null> => {
      for await (const entry of directory.values()) {
        if (entry instanceof FileSystemFileHandle && entry.name === 'big.raw') return entry;
        const inside = entry instanceof FileSystemDirectoryHandle ? await find(entry) : null;
        if (inside) return inside;
      }
      return null;
    };
    const writable = await (await find(root))?.createWritable({ keepExistingData: true });
    await writable?.write(new Uint8Array(9));
    await writable?.close();
    window.chosen.slow = false;
  });
  await app.shows('export: big.raw: it was written to meanwhile; nothing was saved');
  expect((await chosen()).end).toBe('aborted');
});

test('not at all if no place is chosen; as a download if the browser cannot ask', async () => {
  await app.page.evaluate(() => {
    window.showSaveFilePicker = async () => {
      throw new DOMException('', 'AbortError');
    };
  });
  expect(await app.run('export big.raw')).toContain('export: big.raw: no place was chosen');
  await app.page.evaluate(() => {
    window.showSaveFilePicker = async () => {
      throw new DOMException('', 'SecurityError');
    };
  });
  const saved = app.page.waitForEvent('download');
  expect(await app.run('export big.raw')).toContain('big.raw: 64 MiB to your downloads');
  expect((await saved).suggestedFilename()).toBe('big.raw');
});
