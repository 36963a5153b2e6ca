/** A node of the daemon in the worker as a disk of the page, and of a worker of the page. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';

let browser: TestBrowser;
let page: Page;

beforeAll(async () => {
  browser = await startBrowser();
  page = await browser.newPage('/test/browser/client.html');
  await page.waitForFunction(() => document.title === 'ready');
  const created = await page.evaluate(() => window.sandbox.shell('qemu-img create -q -f qcow2 d.qcow2 64M'));
  expect(created.code).toBe(0);
});
afterAll(() => browser.close());

/** A QMP command; what it returned, or its error's text. */
function qmp(command: string, args: object = {}): Promise<unknown> {
  return page.evaluate(
    async ([name, given]) => {
      const [reply] = await window.sandbox.client.qmp(JSON.stringify({ execute: name, arguments: given }));
      const { return: value, error } = JSON.parse(reply ?? '{}') as {
        return?: unknown;
        error?: { desc: string };
      };
      return error ? error.desc : value;
    },
    [command, args] as const,
  );
}

test('sockets have names; others are refused with the reason', async () => {
  expect(await qmp('nbd-server-start', { addr: { type: 'inet', data: { host: '::', port: '1' } } })).toBe(
    'Sockets of type inet are not available: a browser lets no page listen on them; use type unix, whose path is a name for programs of this page',
  );
  const failure = await page.evaluate(() =>
    window.sandbox.client.connectPort('n.sock').catch((error: unknown) => String(error)),
  );
  expect(failure).toBe("Error: Failed to connect to 'n.sock': No such file or directory");
});

test('the page reads and writes a node', async () => {
  const file = { driver: 'file', filename: 'd.qcow2' };
  expect(await qmp('blockdev-add', { driver: 'qcow2', 'node-name': 'd', file })).toEqual({});
  expect(await qmp('nbd-server-start', { addr: { type: 'unix', data: { path: 'n.sock' } } })).toEqual({});
  expect(await qmp('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'd', writable: true })).toEqual(
    {},
  );
  const found = await page.evaluate(async () => {
    const disk = await window.sandbox.client.openDisk('n.sock', 'd');
    await disk.write(5_000_000, new Uint8Array(3_000_000).fill(7));
    await disk.writeZeroes(6_000_000, 1000);
    await disk.flush();
    const pieces = await Promise.all(
      Array.from({ length: 300 }, (_, i) => disk.read(5_000_000 + i * 10_000, 10_000)),
    );
    const large = await disk.read(0, 32 * 1024 * 1024);
    const sums = pieces.map((piece) => piece.reduce((sum, byte) => sum + byte, 0));
    const beyond = await disk.read(disk.size, 1).catch((error: unknown) => String(error));
    const { size, readOnly } = disk;
    await disk.close();
    return {
      sums: [...new Set(sums)],
      total: large.reduce((sum, byte) => sum + byte, 0),
      beyond,
      size,
      readOnly,
    };
  });
  expect(found).toEqual({
    sums: [70_000, 63_000],
    total: 7 * (3_000_000 - 1000),
    beyond: 'DiskError: The request failed (error 22)',
    size: 64 * 1024 * 1024,
    readOnly: false,
  });
});

test('a port can be handed on to a worker, and is cut off with the export', async () => {
  const heard = await page.evaluate(async () => {
    // It says nothing itself, and tells how many bytes the server greets with.
    const source =
      'onmessage = ({ ports: [port] }) => { port.onmessage = ({ data }) => postMessage(data && data.length); };';
    const worker = new Worker(URL.createObjectURL(new Blob([source])));
    const port = await window.sandbox.client.connectPort('n.sock');
    const answer = new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
    worker.postMessage(null, [port]);
    const bytes = await answer;
    worker.terminate();
    return bytes;
  });
  expect(heard).toBe(18);
  const waiting = page.evaluate(async () => {
    const disk = await window.sandbox.client.openDisk('n.sock', 'd');
    document.title = 'open';
    await new Promise((resolve) => setTimeout(resolve, 300));
    return disk.read(0, 512).then(String, String);
  });
  await page.waitForFunction(() => document.title === 'open');
  expect(await qmp('block-export-del', { id: 'e' })).toBe("export 'e' still in use");
  expect(await qmp('block-export-del', { id: 'e', mode: 'hard' })).toEqual({});
  expect(await waiting).toBe('DiskError: The connection has ended');
  expect(await qmp('nbd-server-stop')).toEqual({});
  expect(await qmp('blockdev-del', { 'node-name': 'd' })).toEqual({});
  const checked = await page.evaluate(() => window.sandbox.shell('qemu-img check d.qcow2'));
  expect(checked.stdout).toContain('No errors were found');
});
