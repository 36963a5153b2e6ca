/** Driver nbd in the page: nodes whose disk is an export of the same daemon, over a socket that is a name of the page. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';

let browser: TestBrowser;
let page: Page;

beforeAll(async () => {
  browser = await startBrowser();
  page = await browser.newPage('/test/browser/client.html');
  await page.waitForFunction(() => document.title === 'ready');
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

/** A command of the console. */
const shell = (line: string): Promise<{ code: number; stdout: string; stderr: string }> =>
  page.evaluate((text) => window.sandbox.shell(text), line);

const SERVER = { type: 'unix', path: 'n.sock' };
const URI = 'nbd+unix:///d?socket=n.sock';

async function start(): Promise<void> {
  expect(await qmp('nbd-server-start', { addr: { type: 'unix', data: { path: 'n.sock' } } })).toEqual({});
  expect(await qmp('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'd', writable: true })).toEqual(
    {},
  );
}

test('a node over an export: requests, and a mirror to it', async () => {
  for (const line of [
    'qemu-img create -q -f qcow2 d.qcow2 64M',
    'qemu-img create -q -f qcow2 source.qcow2 64M',
    "qemu-io -c 'write -P 5 1M 20M' -c 'write -z 30M 1M' -c 'write -P 6 63M 1M' source.qcow2",
  ])
    expect(await shell(line)).toMatchObject({ code: 0, stderr: '' });
  const image = (name: string) => ({
    driver: 'qcow2',
    'node-name': name[0],
    file: { driver: 'file', filename: name },
  });
  expect(await qmp('blockdev-add', image('d.qcow2'))).toEqual({});
  expect(await qmp('blockdev-add', image('source.qcow2'))).toEqual({});
  await start();
  expect(
    await qmp('blockdev-add', {
      driver: 'nbd',
      'node-name': 'r',
      server: SERVER,
      export: 'd',
      'reconnect-delay': 20,
    }),
  ).toEqual({});
  expect(await qmp('blockdev-mirror', { 'job-id': 'm', device: 's', target: 'r', sync: 'full' })).toEqual({});
  await expect.poll(async () => ((await qmp('query-jobs')) as { status: string }[])[0]?.status).toBe('ready');
  expect(await qmp('job-complete', { id: 'm' })).toEqual({});
  await expect.poll(() => qmp('query-jobs')).toEqual([]);
  const compared = await shell(`qemu-img compare -U -f qcow2 -F raw source.qcow2 ${URI}`);
  expect(compared).toMatchObject({ code: 0, stdout: 'Images are identical.\n' });
});

test('tools take the address of an export', async () => {
  expect((await shell(`qemu-img info ${URI}`)).stdout).toMatch(/file format: raw\nvirtual size: 64 MiB/);
  expect(
    (await shell(`qemu-io -f raw -c 'write -P 9 2M 64k' -c 'read -P 9 2M 64k' ${URI}`)).stdout,
  ).toContain('read 65536/65536 bytes at offset 2097152');
  expect(await shell(`qemu-img convert -f raw -O qcow2 ${URI} copy.qcow2`)).toMatchObject({ code: 0 });
  expect(
    (await shell("qemu-io -r -c 'read -P 9 2M 64k' -c 'read -P 5 3M 1M' copy.qcow2")).stdout,
  ).not.toContain('Pattern verification failed');
  expect(await shell('qemu-img info nbd+unix:///other?socket=n.sock')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("export 'other' not present") as string,
  });
});

test('a server that goes and comes back is connected to again', async () => {
  expect(await qmp('nbd-server-stop')).toEqual({});
  await start();
  // The node is a disk of its own for the page, over the export that is there again.
  expect(
    await qmp('block-export-add', { type: 'nbd', id: 'again', name: 'again', 'node-name': 'r' }),
  ).toEqual({});
  const bytes = await page.evaluate(async () => {
    const disk = await window.sandbox.client.openDisk('n.sock', 'again');
    const read = await disk.read(2 << 20, 3);
    await disk.close();
    return [...read];
  });
  expect(bytes).toEqual([9, 9, 9]);
});

test('what no page can reach is refused with the reason', async () => {
  const server = { type: 'vsock', cid: '1', port: '10809' };
  expect(await qmp('blockdev-add', { driver: 'nbd', 'node-name': 'x', server })).toMatch(
    /^Sockets of type vsock are not available: a browser lets no page connect to them/,
  );
  expect(
    await qmp('blockdev-add', { driver: 'nbd', 'node-name': 'x', server: { ...SERVER, path: 'none' } }),
  ).toBe("Failed to connect to 'none': No such file or directory");
});
