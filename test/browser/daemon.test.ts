/** The real worker in Chromium, against the real tools: locks of two tabs, images that both write, a full quota. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startBrowser } from './browser';
import type { TestBrowser } from './browser';
import type { Ran } from './client';

let browser: TestBrowser;
const folder = mkdtempSync(join(tmpdir(), 'qsd-web-daemon-'));
const children: ChildProcess[] = [];

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(async () => {
  for (const child of children) child.kill();
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A tab with a daemon of its own. */
async function tab(): Promise<Page> {
  const page = await browser.newPage('/test/browser/client.html');
  await page.waitForFunction(() => document.title === 'ready');
  return page;
}

function shell(page: Page, line: string): Promise<Ran> {
  return page.evaluate((text) => window.sandbox.shell(text), line);
}

/** Sends one QMP command; the reply without the braces of its JSON. */
async function qmp(page: Page, command: string, args: object): Promise<unknown> {
  const text = JSON.stringify({ execute: command, arguments: args });
  const [reply] = await page.evaluate((line) => window.sandbox.client.qmp(line), text);
  return JSON.parse(reply ?? 'null');
}

function blockdev(filename: string, readOnly: boolean): object {
  return { driver: 'qcow2', 'node-name': 'disk', 'read-only': readOnly, file: { driver: 'file', filename } };
}

async function importFile(page: Page, path: string): Promise<void> {
  await page.setInputFiles('input[type=file]', [path]);
  await page.evaluate(() => window.sandbox.take('import'));
}

async function download(page: Page, name: string, to: string): Promise<string> {
  const [saved] = await Promise.all([
    page.waitForEvent('download'),
    page.evaluate((path) => window.sandbox.download(path), name),
  ]);
  await saved.saveAs(to);
  return to;
}

/** Runs a real tool; what a `Ran` holds. */
function real(command: string, ...words: string[]): Ran {
  const { status, stdout, stderr } = spawnSync(command, words, { cwd: folder, encoding: 'utf8' });
  return { code: status ?? -1, stdout, stderr };
}

/** The real daemon, holding a node over an image until it is killed. */
async function realDaemon(image: string, readOnly: boolean): Promise<ChildProcess> {
  const options = `qcow2,node-name=disk,read-only=${readOnly ? 'on' : 'off'},file.driver=file,file.filename=${image}`;
  const words = ['--blockdev', options, '--chardev', 'stdio,id=qmp', '--monitor', 'qmp'];
  const child = spawn('qemu-storage-daemon', words, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  await new Promise((done) => child.stdout.once('data', done));
  return child;
}

describe('two tabs', () => {
  test('get the answers that two real processes get', async () => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(folder, 'disk.qcow2'), '1M']);
    const [one, two] = [await tab(), await tab()];
    await importFile(one, join(folder, 'disk.qcow2'));
    const failure = (text: string) => ({ error: { class: 'GenericError', desc: text } });
    const commands = [
      'qemu-img info disk.qcow2',
      'qemu-img info -U disk.qcow2',
      'qemu-img map --output=json disk.qcow2',
      "qemu-io -c 'read 0 512' disk.qcow2",
      "qemu-io -r -c 'length' disk.qcow2",
      'qemu-img create -f qcow2 disk.qcow2 2M',
    ];
    for (const readOnly of [false, true]) {
      expect(await qmp(one, 'blockdev-add', blockdev('disk.qcow2', readOnly))).toEqual({ return: {} });
      const holder = await realDaemon('disk.qcow2', readOnly);
      expect(await qmp(two, 'blockdev-add', blockdev('disk.qcow2', false))).toEqual(
        failure('Failed to get "write" lock'),
      );
      const reader = await qmp(two, 'blockdev-add', blockdev('disk.qcow2', true));
      expect(reader).toEqual(readOnly ? { return: {} } : failure('Failed to get shared "write" lock'));
      if (readOnly) expect(await qmp(two, 'blockdev-del', { 'node-name': 'disk' })).toEqual({ return: {} });
      for (const command of commands) {
        const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(
          ([, quoted, plain]) => quoted ?? plain ?? '',
        );
        const expected = real(words[0] ?? '', ...words.slice(1));
        const ran = await shell(two, command);
        expect({ command, code: ran.code, stderr: ran.stderr }).toEqual({
          command,
          code: expected.code,
          stderr: expected.stderr,
        });
      }
      expect(await qmp(one, 'blockdev-del', { 'node-name': 'disk' })).toEqual({ return: {} });
      holder.kill();
      await new Promise((done) => holder.once('exit', done));
    }
    expect(await qmp(two, 'blockdev-add', blockdev('disk.qcow2', false))).toEqual({ return: {} });
    await two.close();
    await expect.poll(() => qmp(one, 'blockdev-add', blockdev('disk.qcow2', false))).toEqual({ return: {} });
    await one.close();
  });
});

describe('local files in place', () => {
  async function open(page: Page, paths: string[]): Promise<void> {
    await page.setInputFiles('input[type=file]', paths);
    await page.evaluate(() => window.sandbox.take('open'));
  }

  test('a chain of images is read as the real tools read it, and cannot be written', async () => {
    const base = join(folder, 'base.qcow2');
    const top = join(folder, 'top.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', base, '3M']);
    execFileSync('qemu-io', ['-c', 'write -q -P 5 1M 70k', base]);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', top]);
    execFileSync('qemu-io', ['-c', 'write -q -P 6 1030k 7k', top]);
    const page = await tab();
    await open(page, [top, base]);
    const sizes = (text: string) => text.replace(/^( *disk size: ).*$/gm, '$1');
    for (const command of [
      'qemu-img info --backing-chain top.qcow2',
      'qemu-img map top.qcow2',
      'qemu-img map --output=json top.qcow2',
      "qemu-io -r -c 'read -v 1030k 16' -c 'alloc 0 3M' -c map top.qcow2",
    ]) {
      const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(
        ([, quoted, plain]) => quoted ?? plain ?? '',
      );
      const ran = await shell(page, command);
      const expected = real(words[0] ?? '', ...words.slice(1));
      const times = (text: string) => text.replace(/^.* \(.* ops\/sec\)$/gm, '');
      expect(ran.stderr).toBe(expected.stderr);
      expect(times(sizes(ran.stdout))).toBe(times(sizes(expected.stdout)));
    }
    // As the real daemon answers for files that their owner made read-only: auto-read-only helps a node that does not
    // write by itself, and a qcow2 node does.
    const denied = {
      error: { class: 'GenericError', desc: "Could not open 'top.qcow2': Permission denied" },
    };
    const qcow2 = blockdev('top.qcow2', false);
    expect(await qmp(page, 'blockdev-add', qcow2)).toEqual(denied);
    expect(await qmp(page, 'blockdev-add', { ...qcow2, 'auto-read-only': true })).toEqual(denied);
    const raw = { ...qcow2, driver: 'raw', 'node-name': 'raw', 'auto-read-only': true };
    expect(await qmp(page, 'blockdev-add', raw)).toEqual({ return: {} });
    expect(await qmp(page, 'blockdev-add', blockdev('top.qcow2', true))).toEqual({ return: {} });
    await page.close();
  });

  test('a file that changes on the disk can no longer be read: EIO', async () => {
    const path = join(folder, 'changing.raw');
    appendFileSync(path, new Uint8Array(1024 * 1024));
    const page = await tab();
    await open(page, [path]);
    const read = "qemu-io -r -f raw -c 'read -q -P 0 0 4k' changing.raw";
    expect(await shell(page, read)).toEqual({ code: 0, stdout: '', stderr: '' });
    appendFileSync(path, new Uint8Array(1024 * 1024));
    const after = await shell(page, read);
    expect(after.stdout + after.stderr).toBe('read failed: Input/output error\n');
    await page.close();
  });
});

/** A linear congruential generator: the same numbers in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Commands of qemu-io on a disk of so many sectors: writes, zeroes, discards, of all sizes and places. */
function randomCommands(next: (below: number) => number, sectors: number, count: number): string[] {
  return Array.from({ length: count }, () => {
    const length = 1 + next(next(8) === 0 ? 700 : 40);
    const at = next(sectors - length);
    const range = `${at * 512} ${length * 512}`;
    switch (next(8)) {
      case 0:
        return `write -q -z ${range}`;
      case 1:
        return `write -q -z -u ${range}`;
      case 2:
        return `discard -q ${range}`;
      case 3:
        return `read -q ${range}`;
      default:
        return `write -q -P ${1 + next(255)} ${range}`;
    }
  });
}

describe('images that both write', () => {
  const cases: [string, string[]][] = [
    ['version 3', []],
    ['version 2, small clusters', ['-o', 'compat=0.10,cluster_size=512']],
    ['version 3, clusters of 4 KiB, refcounts of 1 bit', ['-o', 'cluster_size=4096,refcount_bits=1']],
  ];

  test.each(cases)('%s', async (_name, options) => {
    const SECTORS = 8 * 2048;
    const page = await tab();
    const next = numbers(options.length + SECTORS);
    const [ours, theirs] = [join(folder, 'ours.qcow2'), join(folder, 'theirs.qcow2')];
    for (const image of [ours, theirs]) {
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...options, image, `${SECTORS * 512}`]);
    }
    // Each round is written to both images: to one by ours, to the other by the real tool; then they change places.
    let [here, there] = [ours, theirs];
    for (let round = 0; round < 4; round++) {
      const commands = randomCommands(next, SECTORS, 250).flatMap((command) => ['-c', command]);
      await importFile(page, here);
      const name = here === ours ? 'ours.qcow2' : 'theirs.qcow2';
      const ran = await shell(page, `qemu-io ${commands.map((word) => `'${word}'`).join(' ')} ${name}`);
      expect(ran).toEqual({ code: 0, stdout: '', stderr: '' });
      await download(page, name, here);
      await shell(page, `rm ${name}`);
      expect(real('qemu-io', '-f', 'qcow2', ...commands, there)).toEqual({ code: 0, stdout: '', stderr: '' });
      expect(real('qemu-img', 'compare', '-f', 'qcow2', '-F', 'qcow2', ours, theirs).stdout).toBe(
        'Images are identical.\n',
      );
      for (const image of [ours, theirs]) {
        const check = real('qemu-img', 'check', '-f', 'qcow2', image);
        expect(check.stdout + check.stderr).toMatch(/^No errors were found on the image\.\n/);
      }
      [here, there] = [there, here];
    }
    await page.close();
  });
});

describe('out of quota', () => {
  test('writes fail with ENOSPC, and the image is whole', async () => {
    const MIB = 1024 * 1024;
    const page = await tab();
    const devtools = await browser.devtools(page);
    expect(await shell(page, 'qemu-img create -q -f qcow2 full.qcow2 64M')).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect((await shell(page, "qemu-io -c 'write -q -P 1 0 4M' -c flush full.qcow2")).code).toBe(0);
    await devtools.send('Storage.overrideQuotaForOrigin', { origin: browser.origin, quotaSize: 12 * MIB });
    const writes = Array.from({ length: 60 }, (_, i) => `-c 'write -q -P ${i + 2} ${i + 4}M 1M'`).join(' ');
    const ran = await shell(page, `qemu-io ${writes} full.qcow2`);
    expect(ran.stdout + ran.stderr).toContain('write failed: No space left on device');
    expect(ran.code).toBe(1);
    // Neither can a new file be made where there is no room for one, nor is the old one touched by the attempt.
    expect((await shell(page, 'cp full.qcow2 copy.qcow2')).code).toBe(1);
    expect((await shell(page, 'ls')).stdout).not.toContain('copy.qcow2');
    await devtools.send('Storage.overrideQuotaForOrigin', { origin: browser.origin });
    const image = await download(page, 'full.qcow2', join(folder, 'full.qcow2'));
    const check = real('qemu-img', 'check', '-f', 'qcow2', image);
    // 0: clean; 3: clusters that were taken and never used, which cost space and nothing else.
    expect([0, 3]).toContain(check.code);
    expect(
      real('qemu-io', '-f', 'qcow2', '-c', 'read -P 1 0 4M', '-c', 'read -P 2 4M 1M', image).stdout,
    ).not.toMatch(/Pattern verification failed/);
    // It can be written on, by both.
    expect((await shell(page, "qemu-io -c 'write -q -P 9 0 64k' full.qcow2")).code).toBe(0);
    await page.close();
  });
});
