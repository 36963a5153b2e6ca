/** Servers of others in the page: through a WebSocket, which the bridge of the command line passes on. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';

const PROGRAM = join(import.meta.dirname, '../../dist/node/qsd-web.js');

let browser: TestBrowser;
let page: Page;
let root: string;
let server: ChildProcess | null = null;
let bridge: ChildProcess;
let port: string;

/** The real server, on the same socket each time. */
async function serve(): Promise<void> {
  server = spawn(
    'qemu-nbd',
    ['-k', join(root, 's'), '-t', '-e', '0', '-f', 'qcow2', '-x', 'disk', 'disk.qcow2'],
    {
      cwd: root,
      stdio: 'ignore',
    },
  );
  await vi.waitFor(() => expect(existsSync(join(root, 's'))).toBe(true), { timeout: 20_000 });
}

async function end(child: ChildProcess | null): Promise<void> {
  if (child?.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill();
  await ended;
}

/** Starts a bridge; answers it, and the port that it says. */
async function startBridge(...words: string[]): Promise<[ChildProcess, string]> {
  const child = spawn(process.execPath, [PROGRAM, 'bridge', '-p', '0', ...words, join(root, 's')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  const [, given = ''] = /:(\d+)\/$/.exec(text.toString().trim()) ?? [];
  return [child, given];
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'bridge-'));
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', 'disk.qcow2', '32M'], { cwd: root });
  execFileSync('qemu-io', ['-c', 'write -P 7 1M 20M', 'disk.qcow2'], { cwd: root });
  await serve();
  [bridge, port] = await startBridge();
  browser = await startBrowser();
  page = await browser.newPage('/test/browser/client.html');
  await page.waitForFunction(() => document.title === 'ready');
});
afterAll(async () => {
  await browser.close();
  await end(bridge);
  await end(server);
  rmSync(root, { recursive: true });
});

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

const shell = (line: string): Promise<{ code: number; stdout: string; stderr: string }> =>
  page.evaluate((text) => window.sandbox.shell(text), line);

test('tools read and write an export of the real server', async () => {
  const uri = `nbd://127.0.0.1:${port}/disk`;
  expect((await shell(`qemu-img info ${uri}`)).stdout).toContain('virtual size: 32 MiB');
  expect(await shell(`qemu-img convert -O qcow2 ${uri} here.qcow2`)).toMatchObject({ code: 0, stderr: '' });
  expect(await shell(`qemu-img compare -F raw here.qcow2 ${uri}`)).toMatchObject({
    stdout: 'Images are identical.\n',
  });
  expect((await shell(`qemu-io -f raw -c 'write -P 9 3M 5M' -c flush ${uri}`)).stdout).toContain(
    'wrote 5242880/5242880',
  );
  expect((await shell(`qemu-img info nbd://127.0.0.1:${port}/other`)).stderr).toContain(
    "export 'other' not present",
  );
});

test('a node over it: its server goes, comes back, and is connected to again', async () => {
  const node = {
    driver: 'nbd',
    'node-name': 'far',
    server: { type: 'inet', host: '127.0.0.1', port },
    export: 'disk',
    'reconnect-delay': 30,
  };
  expect(await qmp('blockdev-add', node)).toEqual({});
  await end(server);
  rmSync(join(root, 's'), { force: true });
  await serve();
  expect(await shell('qemu-img create -q -f qcow2 near.qcow2 32M')).toMatchObject({ code: 0 });
  const near = { driver: 'qcow2', 'node-name': 'near', file: { driver: 'file', filename: 'near.qcow2' } };
  expect(await qmp('blockdev-add', near)).toEqual({});
  expect(
    await qmp('blockdev-backup', { 'job-id': 'b', device: 'far', target: 'near', sync: 'full' }),
  ).toEqual({});
  await expect.poll(() => qmp('query-jobs')).toEqual([]);
  for (const name of ['near', 'far']) expect(await qmp('blockdev-del', { 'node-name': name })).toEqual({});
  const { stdout } = await shell(
    "qemu-io -r -c 'read -P 9 3M 5M' -c 'read -P 7 8M 1M' -c 'read -P 0 0 1M' near.qcow2",
  );
  expect(stdout).toContain('read 5242880/5242880');
  expect(stdout).not.toContain('Pattern verification failed');
});

test('where nothing answers, and where pages of this origin are not wanted', async () => {
  const server = { type: 'inet', host: '127.0.0.1', port: '9' };
  expect(await qmp('blockdev-add', { driver: 'nbd', 'node-name': 'x', server })).toBe(
    `Failed to connect to '127.0.0.1:9': no WebSocket answers this page at ws://127.0.0.1:9/ (a browser reaches servers only through one; 'qsd-web bridge' makes it, and takes pages of other hosts with --origin=${browser.origin})`,
  );
  const answers = await Promise.all(
    ['http://127.0.0.1:1', 'https://example.org', 'http://localhost.example.org'].map((origin) =>
      statusFor(port, origin),
    ),
  );
  expect(answers).toEqual([101, 403, 403]);
  const [open, other] = await startBridge('-o', 'https://example.org');
  expect(await statusFor(other, 'https://example.org')).toBe(101);
  await end(open);
});

/** The status of HTTP that a page of an origin gets when it asks for a WebSocket. */
function statusFor(at: string, origin: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      Origin: origin,
    };
    const asked = request({ host: '127.0.0.1', port: at, headers });
    asked.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response.statusCode ?? 0);
    });
    asked.on('response', ({ statusCode }) => resolve(statusCode ?? 0));
    asked.on('error', reject);
    asked.end();
  });
}
