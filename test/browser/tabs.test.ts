/** Two tabs of one origin, and an origin that runs out of space. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Permission } from '../../src/files/locks';
import { startBrowser } from './browser';
import type { TestBrowser, TestWorker } from './browser';

/** What a qcow2 node claims on its file, read-write and read-only. */
const WRITER = [
  Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE,
  Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED,
] as const;
const READER = [Permission.CONSISTENT_READ, Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED] as const;

const MODULE = new URL('tabs.worker.ts', import.meta.url);
let browser: TestBrowser;

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());

async function tab(): Promise<TestWorker> {
  return browser.startWorker(await browser.newPage(), MODULE);
}

describe('two tabs', () => {
  let one: TestWorker;
  let two: TestWorker;
  beforeEach(async () => {
    one = await tab();
    two = await tab();
    await one.call('put', 'disk', [1, 2, 3, 4]);
    return async () => {
      await one.terminate();
      await two.terminate();
    };
  });

  test('both can read an image; who writes it has it alone', async () => {
    expect(await one.call('claim', 'disk', ...READER)).toBe('ok');
    expect(await two.call('claim', 'disk', ...READER)).toBe('ok');
    expect(await two.call('change', ...WRITER)).toBe('Failed to get "write" lock');
    await one.call('release');
    expect(await two.call('change', ...WRITER)).toBe('ok');
    expect(await one.call('claim', 'disk', ...READER)).toBe('Failed to get shared "write" lock');
    expect(await one.call('claim', 'disk', ...WRITER)).toBe('Failed to get "write" lock');
    expect(await one.call('claim', 'disk', Permission.CONSISTENT_READ, Permission.ALL)).toBe('ok');
    expect(await two.call('change', ...READER)).toBe('ok');
    expect(await one.call('claim', 'disk', ...READER)).toBe('ok');
  });

  test('the claims of a tab end with it', async () => {
    expect(await one.call('claim', 'disk', ...WRITER)).toBe('ok');
    expect(await two.call('claim', 'disk', ...READER)).toBe('Failed to get shared "write" lock');
    await one.terminate();
    await expect.poll(() => two.call('claim', 'disk', ...WRITER)).toBe('ok');
  });

  test('what one tab writes the other reads at once', async () => {
    expect(await one.call('open', 'disk')).toBe('ok');
    expect(await two.call('open', 'disk')).toBe('ok');
    expect(await one.call('write', [9, 8, 7], 3)).toBe('ok');
    expect(await two.call('read', 0, 10)).toEqual([1, 2, 3, 9, 8, 7]);
    expect(await two.call('write', [5], 5000)).toBe('ok');
    expect(await one.call('read', 4999, 10)).toEqual([0, 5]);
    expect(await one.call('truncate', 2)).toBe('ok');
    expect(await two.call('read', 0, 10)).toEqual([1, 2]);
  });

  test('a file that another tab has open can be neither removed nor renamed', async () => {
    await one.call('makeDirectory', 'folder');
    await one.call('makeDirectory', 'folder/sub');
    await one.call('put', 'folder/a', [1]);
    await one.call('put', 'folder/sub/b', [2]);
    await one.call('put', 'folder/c', [3]);
    expect(await one.call('open', 'folder/sub/b')).toBe('ok');
    expect(await two.call('remove', 'folder/sub/b')).toBe('Device or resource busy');
    expect(await two.call('rename', 'folder/sub/b', 'b')).toBe('Device or resource busy');
    // A directory moves as a whole or not at all.
    expect(await two.call('rename', 'folder', 'moved')).toBe('Device or resource busy');
    expect(await two.call('names', '.')).toEqual(['disk 4', 'folder 0']);
    expect(await two.call('names', 'folder')).toEqual(['a 1', 'c 1', 'sub 0']);
    expect(await two.call('names', 'folder/sub')).toEqual(['b 1']);
    await one.call('close');
    expect(await two.call('rename', 'folder', 'moved')).toBe('ok');
    expect(await two.call('names', 'moved/sub')).toEqual(['b 1']);
  });

  test('an image in use in another tab cannot be replaced by an import', async () => {
    expect(await one.call('claim', 'disk', ...READER)).toBe('ok');
    expect(await two.call('importBytes', 'disk', 10)).toBe('Failed to get "write" lock');
    await one.call('release');
    await expect.poll(() => two.call('importBytes', 'disk', 10)).toBe('ok');
  });

  test('where a browser lets one tab alone open a file, the other one gets the texts of locks', async () => {
    expect(await one.call('openExclusive', 'disk', false)).toBe('ok');
    expect(await two.call('openExclusive', 'disk', true)).toBe('Failed to get "write" lock');
    expect(await two.call('openExclusive', 'disk', false)).toBe('Failed to get shared "write" lock');
    expect(await two.call('open', 'disk')).toBe('Failed to get "write" lock');
    await one.call('close');
    expect(await two.call('openExclusive', 'disk', true)).toBe('ok');
  });
});

describe('out of quota', () => {
  const MIB = 1024 * 1024;

  test('is ENOSPC, and what was there stays', async () => {
    const page = await browser.newPage();
    const worker = await browser.startWorker(page, MODULE);
    expect(await worker.call('storage')).toBe(true);
    await worker.call('put', 'image', []);
    const devtools = await browser.devtools(page);
    await devtools.send('Storage.overrideQuotaForOrigin', { origin: browser.origin, quotaSize: 20 * MIB });
    try {
      expect(await worker.call('open', 'image')).toBe('ok');
      expect(await worker.call('fill', 64 * MIB)).toBe('No space left on device');
      const [size] = await worker.call<[number, boolean]>('check', 9, 0);
      expect(size).toBeGreaterThan(4 * MIB);
      expect(size).toBeLessThanOrEqual(20 * MIB);
      expect(await worker.call('check', 9, size)).toEqual([size, true]);
      expect(await worker.call('truncate', 64 * MIB)).toBe('No space left on device');
      expect(await worker.call('check', 9, size)).toEqual([size, true]);
      // What is there can still be written, and after a cut there is room again.
      expect(await worker.call('write', [9, 9, 9], 1000)).toBe('ok');
      expect(await worker.call('importBytes', 'copy', 30 * MIB)).toBe('No space left on device');
      expect(await worker.call('names', '.')).not.toContain('copy.part 0');
      expect((await worker.call<string[]>('names', '.')).filter((name) => name.startsWith('copy'))).toEqual(
        [],
      );
      expect(await worker.call('truncate', MIB)).toBe('ok');
      expect(await worker.call('importBytes', 'copy', MIB)).toBe('ok');
      expect(await worker.call('check', 9, MIB)).toEqual([MIB, true]);
    } finally {
      await devtools.send('Storage.overrideQuotaForOrigin', { origin: browser.origin });
      await worker.terminate();
    }
  });
});
