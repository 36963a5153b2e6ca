/** Keys that take seconds to derive, in the real worker: nothing else waits for them, they tell how far they are, Ctrl-C ends them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBrowser, type TestBrowser } from './browser';

const PASSWORD = 'open sesame';

let browser: TestBrowser;
let page: Page;
const folder = mkdtempSync(join(tmpdir(), 'qsd-web-keys-'));

function container(name: string, ...kdf: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, '');
  truncateSync(path, 20 << 20);
  const words = ['luksFormat', '-q', '--disable-locks', '--type', 'luks2', ...kdf, path, '-'];
  execFileSync('cryptsetup', words, {
    input: PASSWORD,
    env: { ...process.env, PATH: `${process.env.PATH}:/sbin:/usr/sbin` },
  });
  return path;
}

beforeAll(async () => {
  browser = await startBrowser();
  page = await browser.newPage('/test/browser/client.html');
  await page.waitForFunction(() => document.title === 'ready');
  const argon2 = ['--pbkdf', 'argon2id', '--pbkdf-memory', '262144', '--pbkdf-parallel', '1'];
  await page.setInputFiles('input[type=file]', [
    container('argon2.luks', ...argon2, '--pbkdf-force-iterations', '4'),
    container('pbkdf2.luks', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '4000000'),
  ]);
  await page.evaluate(() => window.sandbox.take('import'));
  await page.evaluate(
    async (data) =>
      window.sandbox.client.qmp(
        JSON.stringify({ execute: 'object-add', arguments: { 'qom-type': 'secret', id: 's', data } }),
      ),
    PASSWORD,
  );
});
afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
});

test.each(['argon2.luks', 'pbkdf2.luks'])(
  '%s: other commands are answered while it is opened',
  async (filename) => {
    const { reply, answered } = await page.evaluate(async (name) => {
      const qmp = (execute: string, args: object = {}): Promise<readonly string[]> =>
        window.sandbox.client.qmp(JSON.stringify({ execute, arguments: args }));
      const file = { driver: 'file', filename: name };
      let open = true;
      const opening = qmp('blockdev-add', {
        driver: 'luks',
        'node-name': 'disk',
        'read-only': true,
        'key-secret': 's',
        file,
      }).finally(() => (open = false));
      let answered = 0;
      while (open) {
        await qmp(answered % 2 ? 'query-jobs' : 'query-block-exports');
        await window.sandbox.shell('ls');
        answered++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const [reply] = await opening;
      await qmp('blockdev-del', { 'node-name': 'disk' });
      return { reply, answered };
    }, filename);
    expect(JSON.parse(reply ?? '')).toEqual({ return: {} });
    expect(answered).toBeGreaterThan(2);
  },
);

/** Runs a tool that opens a container; answers how far it said it was, and its exit code. */
function open(filename: string, stopAt: number): Promise<{ code: number; told: [number, number][] }> {
  return page.evaluate(
    async ({ name, data, stop }) => {
      const told: [number, number][] = [];
      const controller = new AbortController();
      const words = `--object secret,id=s,data='${data}' --image-opts driver=luks,key-secret=s,file.filename=${name}`;
      const line = `qemu-io -r ${words} -c length`;
      const io = {
        stdout: () => undefined,
        stderr: () => undefined,
        progress(done: number, total: number) {
          told.push([done, total]);
          if (done > stop * total) controller.abort();
        },
        readLine: async () => null,
      };
      const code = await window.sandbox.client.runShell(line, io, controller.signal);
      return { code, told };
    },
    { name: filename, data: PASSWORD, stop: stopAt },
  );
}

test.each(['argon2.luks', 'pbkdf2.luks'])('%s: tools tell how far it is', async (filename) => {
  const { code, told } = await open(filename, 2);
  expect(code).toBe(0);
  expect(told.length).toBeGreaterThan(4);
  for (const [done, total] of told) expect(done / total).toBeLessThanOrEqual(1);
  const shares = told.map(([done, total]) => done / total);
  expect([...shares].sort((a, b) => a - b)).toEqual(shares);
  // It is an estimate of a clock that others share.
  expect(shares.at(-1)).toBeGreaterThan(0.3);
});

test.each(['argon2.luks', 'pbkdf2.luks'])('%s: Ctrl-C ends it', async (filename) => {
  const { code, told } = await open(filename, 0.1);
  expect(code).not.toBe(0);
  const [done, total] = told.at(-1) ?? [1, 1];
  expect(done / total).toBeLessThan(0.9);
});
