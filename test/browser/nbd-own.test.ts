/** The daemon of the page as a client of its own server: changes of the graph and its end wait for nothing of themselves. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';

let browser: TestBrowser;
let page: Page;

beforeAll(async () => {
  browser = await startBrowser();
  page = await browser.newPage('/test/browser/client.html');
  await page.waitForFunction(() => document.title === 'ready');
  for (const line of [
    'qemu-img create -q -f qcow2 served.qcow2 16M',
    'qemu-io -c "write -P 7 1M 2M" served.qcow2',
    'qemu-img create -q -f qcow2 copy.qcow2 16M',
  ])
    await run(line);
});
afterAll(() => browser.close());

/** What a line of the console prints; it must succeed. */
async function run(line: string): Promise<string> {
  const ran = await page.evaluate((text) => window.sandbox.shell(text), line);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return ran.stdout;
}

/** A QMP command; what it returned, or its error's text. */
function qmp(execute: string, args: object = {}): Promise<unknown> {
  return page.evaluate(
    async (command) => {
      const [reply] = await window.sandbox.client.qmp(JSON.stringify(command));
      const { return: value, error } = JSON.parse(reply ?? '{}') as {
        return?: unknown;
        error?: { desc: string };
      };
      return error ? error.desc : value;
    },
    { execute, arguments: args },
  );
}

const nbd = (name: string, path: string, more: object = {}) => ({
  driver: 'nbd',
  'node-name': name,
  server: { type: 'unix', path },
  export: 'served',
  ...more,
});

test('a node reads and writes another node of the same daemon, and jobs copy it', async () => {
  const file = (filename: string) => ({ driver: 'file', filename });
  const steps: [string, object][] = [
    ['blockdev-add', { driver: 'qcow2', 'node-name': 'served', file: file('served.qcow2') }],
    ['nbd-server-start', { addr: { type: 'unix', data: { path: 'n.sock' } } }],
    ['block-export-add', { type: 'nbd', id: 'e', 'node-name': 'served', writable: true }],
    ['blockdev-add', nbd('n', 'n.sock', { 'reconnect-delay': 3600 })],
    ['blockdev-add', { driver: 'qcow2', 'node-name': 'copy', file: file('copy.qcow2') }],
    // A client of an export of the node is served through both servers.
    ['block-export-add', { type: 'nbd', id: 'f', 'node-name': 'n', writable: true }],
    ['blockdev-mirror', { 'job-id': 'm', device: 'n', target: 'copy', sync: 'full' }],
  ];
  for (const [name, args] of steps) expect([name, await qmp(name, args)]).toEqual([name, {}]);
  await expect.poll(() => qmp('query-block-jobs')).toMatchObject([{ ready: true }]);
  const read = await page.evaluate(async () => {
    const disk = await window.sandbox.client.openDisk('n.sock', 'n');
    await disk.write(5_000_000, new Uint8Array(300_000).fill(9));
    await disk.flush();
    const bytes = await disk.read(1_048_000, 1000);
    const written = await disk.read(4_999_999, 300_002);
    await disk.close();
    return [...bytes.slice(575, 577), ...written.slice(0, 2), ...written.slice(-2)];
  });
  expect(read).toEqual([0, 7, 0, 9, 9, 0]);
  expect(await qmp('block-job-complete', { device: 'm' })).toEqual({});
  await expect.poll(() => qmp('query-block-jobs')).toEqual([]);
  // The job has put the copy in the place of the node.
  expect(await qmp('block-export-del', { id: 'f' })).toEqual({});
  expect(await qmp('blockdev-del', { 'node-name': 'copy' })).toEqual({});
  // A change of the graph, for which clients of the server have to wait, but not the daemon itself.
  expect(await qmp('blockdev-add', { driver: 'raw', 'node-name': 'r', file: 'n' })).toEqual({});
  expect(
    await qmp('blockdev-reopen', {
      options: [{ driver: 'raw', 'node-name': 'r', file: 'n', 'read-only': true }],
    }),
  ).toEqual({});
  expect(await qmp('blockdev-del', { 'node-name': 'r' })).toEqual({});
});

test('it starts anew while it is its own client', async () => {
  expect(await qmp('query-block-exports')).toMatchObject([{ id: 'e' }]);
  await page.evaluate(() => window.sandbox.client.qmp('{"execute": "quit"}'));
  await expect.poll(() => qmp('query-named-block-nodes')).toEqual([]);
  expect(await run('qemu-img check served.qcow2')).toContain('No errors');
});
