import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { QsdConsole } from '../../src/ui/console/element';
import { startBrowser, type TestBrowser } from './browser';
import { AppPage } from './page';

let browser: TestBrowser;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'qsd-web-page-'));
  browser = await startBrowser();
});

afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
const tool = (name: string, ...args: string[]): string =>
  execFileSync(name, args, { encoding: 'utf8', cwd: folder });

async function openApp(): Promise<AppPage> {
  return new AppPage(await browser.newPage('/?panes=console,files')).ready();
}

describe('a visit', () => {
  let app: AppPage;

  beforeAll(async () => {
    app = await openApp();
  });
  afterAll(() => app.page.close());

  test('needs no cross-origin isolation', async () => {
    expect(await app.page.evaluate(() => crossOriginIsolated)).toBe(false);
    await app.shows('help lists all commands');
  });

  test('an image of qemu-img is dropped, opened, read, written, and taken away again', async () => {
    tool('qemu-img', 'create', '-q', '-f', 'qcow2', 'disk.qcow2', '64M');
    tool('qemu-io', '-c', 'write -P 0x11 0 1M', '-c', 'write -P 0x22 10M 100k', 'disk.qcow2');
    await app.drop('copy', [{ name: 'disk.qcow2', content: readFileSync(at('disk.qcow2')) }]);
    await app.shows('disk.qcow2: 1.44 MiB copied into the sandbox');
    await app.files.getByText('disk.qcow2').waitFor();

    // Both syntaxes.
    expect(await app.run('blockdev-add driver=file node-name=file filename=disk.qcow2')).toContain(
      '{"return": {}}',
    );
    expect(
      await app.run(
        '{"execute": "blockdev-add", "arguments": {"driver": "qcow2", "node-name": "disk", "file": "file"}}',
      ),
    ).toContain('{"return": {}}');
    expect(await app.run('blockdev-add driver=qcow2 node-name=disk file=file')).toContain(
      `"desc": "Duplicate nodes with node-name='disk'"`,
    );
    expect(await app.run('x-debug-query-block-graph')).toContain('"block-driver"');

    // The daemon has it: qemu-io, another process, is told so.
    expect(await app.run("qemu-io -c 'read 0 4k' disk.qcow2")).toContain('Failed to get');
    expect(await app.run('blockdev-del node-name=disk')).toContain('{"return": {}}');
    expect(await app.run('blockdev-del node-name=file')).toContain('{"return": {}}');

    expect(await app.run("qemu-io -c 'read -P 0x11 0 1M' -c 'read -P 0x22 10M 100k' disk.qcow2")).toContain(
      'read 102400/102400 bytes at offset 10485760',
    );
    expect(await app.run("qemu-io -c 'write -P 0x33 512k 2M' -c 'write -z 10M 64k' disk.qcow2")).toContain(
      'wrote 2097152/2097152 bytes at offset 524288',
    );
    expect(await app.run('qemu-img info disk.qcow2')).toContain('virtual size: 64 MiB (67108864 bytes)');

    const saved = app.page.waitForEvent('download');
    await app.run('export disk.qcow2');
    await (await saved).saveAs(at('back.qcow2'));
    expect(tool('qemu-img', 'check', 'back.qcow2')).toContain('No errors were found on the image.');
    tool('qemu-io', '-c', 'write -P 0x33 512k 2M', '-c', 'write -z 10M 64k', 'disk.qcow2');
    expect(tool('qemu-img', 'compare', 'disk.qcow2', 'back.qcow2')).toContain('Images are identical.');
  });

  test('an image is made by jobs, whose events show', async () => {
    expect(
      await app.run(
        'blockdev-create job-id=j options={"driver": "file", "filename": "new.qcow2", "size": 0}',
      ),
    ).toContain('{"return": {}}');
    await app.shows(/JOB_STATUS_CHANGE \{.*"concluded".*\}/);
    // Events stand where they happened: the job has begun when the command answers, and has not ended.
    const order = (await app.rows()).map((row) => /"status": "(\w+)"|\{"return/.exec(row)?.[1] ?? row);
    expect(order.indexOf('running')).toBeLessThan(order.indexOf('{"return": {}}'));
    expect(order.indexOf('{"return": {}}')).toBeLessThan(order.indexOf('waiting'));
    await app.run('job-dismiss id=j');
    await app.run('blockdev-add driver=file node-name=f filename=new.qcow2');
    // JSON over several lines: it runs when the braces balance.
    await app.clear();
    await app.type('{"execute": "blockdev-create", "arguments": {\n');
    await app.type('"job-id": "k", "options": {"driver": "qcow2", "file": "f", "size": 1048576}\n');
    expect(await app.text()).not.toContain('return');
    await app.type('}}\n');
    await app.shows('{"return": {}}');
    await app.shows(/JOB_STATUS_CHANGE \{.*"concluded".*\}/);
    await app.run('job-dismiss id=k');
    await app.run('blockdev-del node-name=f');
    expect(await app.run('qemu-img info new.qcow2')).toContain('virtual size: 1 MiB (1048576 bytes)');
  });

  test('quit ends the daemon; another one starts', async () => {
    await app.run('blockdev-add driver=null-co node-name=n size=1048576');
    await app.run('quit');
    expect(await app.run('query-named-block-nodes')).toContain('{"return": []}');
  });

  test('a file is read in place, from the picker, without a copy', async () => {
    writeFileSync(at('local.img'), 'local content');
    const chosen = app.chooseFiles([at('local.img')]);
    await app.run('open');
    await chosen;
    expect(await app.run('sha256sum local.img')).toContain(tool('sha256sum', 'local.img').trim());
    expect(await app.run("qemu-io -f raw -c 'write 0 512' local.img")).toMatch(
      /can't open|read-only|Permission denied/,
    );
    await app.files.getByText('in place').waitFor();
    await app.files.getByRole('button', { name: 'Let go of local.img' }).click();
    await expect.poll(() => app.files.getByText('local.img').count()).toBe(0);
  });

  test('files are imported with a picker, listed, and deleted by two clicks', async () => {
    writeFileSync(at('a.raw'), 'one');
    writeFileSync(at('b.raw'), 'two');
    const chosen = app.chooseFiles([at('a.raw'), at('b.raw')]);
    await app.files.getByRole('button', { name: 'Import' }).click();
    await chosen;
    await app.shows('b.raw: 3 B copied into the sandbox');
    // A second file of the name does not replace the first.
    await app.drop('copy', [{ name: 'a.raw', content: Buffer.from('another') }]);
    await app.shows('a-1.raw: 7 B copied into the sandbox');
    await app.clear();
    await app.files.getByRole('button', { name: 'Delete a-1.raw' }).click();
    await app.files.getByText('Delete?').click();
    await app.shows('qsd> rm a-1.raw');
    await expect.poll(() => app.files.getByText('a-1.raw').count()).toBe(0);
    // Names that browsers refuse are changed; the other files come in as well.
    await app.drop('copy', [
      { name: 'we"ird\\name.img', content: Buffer.from('1') },
      { name: 'ü b.img', content: Buffer.alloc(0) },
    ]);
    await app.shows('we"ird_name.img: 1 B copied into the sandbox\nü b.img: 0 B copied');
    // A name that looks like an option is none for the buttons of the panel.
    await app.drop('copy', [{ name: '-r.img', content: Buffer.from('1') }]);
    await app.files.getByRole('button', { name: 'Delete -r.img' }).click();
    await app.files.getByText('Delete?').click();
    await expect.poll(() => app.files.getByText('-r.img').count()).toBe(0);
    expect(await app.run('ls *.raw')).toMatch(/^qsd> ls \*\.raw\na\.raw\nb\.raw\nqsd>$/);
    await app.files.getByRole('button', { name: /^b\.raw/ }).click();
    await app.shows(/qsd> b\.raw$/);
    await app.press('Control+c');
  });

  test('Tab completes commands, arguments, nodes and files', async () => {
    await app.run('blockdev-add driver=null-co node-name=a-node size=512');
    await app.clear();
    await app.type('blockdev-d\t');
    await app.shows(/qsd> blockdev-del$/);
    await app.type('n\t');
    await app.shows(/qsd> blockdev-del node-name=$/);
    await app.type('\t');
    await app.shows(/qsd> blockdev-del node-name=a-node$/);
    await app.press('Enter');
    await app.shows('{"return": {}}');
    await app.clear();
    await app.type('{"execute": "blockdev-add", "arguments": {"driver": "file", "filename": "a.\t');
    await app.shows('"filename": "a.raw"');
    await app.press('Control+c');
    await app.type('blockdev-add driver=qc\t\t');
    await app.shows(/qcow {2,}qcow2/);
    await app.press('Control+c');
  });

  test('the history outlives the page, and can be searched', async () => {
    await app.run('query-version');
    await app.page.reload();
    await app.ready();
    await app.press('ArrowUp');
    await app.shows(/qsd> query-version$/);
    await app.press('Control+c', 'Control+r');
    await app.type('null-co');
    await app.shows(/\(search 'null-co'\) blockdev-add driver=null-co node-name=a-node size=512$/);
    await app.press('Control+g');
    await app.shows(/qsd>$/);
  });

  test('a paste of several lines is entered line by line', async () => {
    await app.clear();
    await app.page.evaluate(() => {
      const clipboard = new DataTransfer();
      clipboard.setData('text/plain', '# a comment\nquery-version\n{"execute":\n "query-jobs"}\nquery-bl');
      const field = document.querySelector('qsd-console')?.shadowRoot?.querySelector('textarea');
      field?.dispatchEvent(
        new ClipboardEvent('paste', { clipboardData: clipboard, bubbles: true, cancelable: true }),
      );
    });
    await app.shows(/"query-jobs"\}\n\{"return": \[\]\}\nqsd> query-bl$/);
    await app.press('Control+c');
  });

  test('qemu-io reads its commands from the console', async () => {
    await app.run('qemu-img create -q -f qcow2 talk.qcow2 1M');
    await app.clear();
    await app.type('qemu-io talk.qcow2\n');
    await app.shows(/^qemu-io>$/m);
    await app.type('write -P 5 0 4k\n');
    await app.shows('wrote 4096/4096 bytes');
    await app.type('length\n');
    await app.shows('1 MiB');
    await app.type('quit\n');
    await app.shows(/qsd>$/);
  });

  test('a long listing can be stopped', async () => {
    await app.run('qemu-img create -q -f raw zeros.raw 1G');
    await app.clear();
    const before = await app.done();
    await app.type('hexdump -v zeros.raw\n');
    await app.shows(/^[0-9a-f]{8} {2}00 00 .*\n.*Ctrl-C stops$/m);
    await app.press('Control+c');
    await vi.waitFor(async () => expect(await app.done()).toBe(before + 1), 5000);
    await app.run('rm zeros.raw');
  });

  test('help explains', async () => {
    await app.page.setViewportSize({ width: 1200, height: 2000 });
    const overview = await app.run('help');
    expect(overview).toContain('x-debug-query-block-graph');
    expect(overview).toMatch(/sha256sum +prints the SHA-256/);
    expect(await app.run('help block_resize')).toMatch(/size +required +integer/);
    expect(await app.run('help blockdev-add driver=qcow2')).toMatch(/lazy-refcounts +optional +boolean/);
    expect(await app.run('help frob')).toContain("help: no command 'frob'");
    expect(await app.run('ls --help')).toContain('usage: ls');
    await app.page.setViewportSize({ width: 1280, height: 720 });
  });
});

describe('long work', () => {
  let app: AppPage;

  beforeAll(async () => {
    writeFileSync(at('big.img'), Buffer.alloc(1 << 20, 7));
    truncateSync(at('big.img'), 16 * 2 ** 30);
    app = await openApp();
    const chosen = app.chooseFiles([at('big.img')]);
    await app.run('open');
    await chosen;
  });
  afterAll(() => app.page.close());

  test.each([
    'sha256sum big.img',
    'cp big.img copy.img',
    'qemu-img convert -f raw -O qcow2 big.img out.qcow2',
  ])(
    '%s shows its progress and stops on Ctrl-C',
    async (line) => {
      await app.clear();
      const before = await app.done();
      await app.type(`${line}\n`);
      await app.shows(/ \d+% .*Ctrl-C stops/, 30_000);
      const stopped = performance.now();
      await app.press('Control+c');
      await expect.poll(() => app.done()).toBe(before + 1);
      expect(performance.now() - stopped).toBeLessThan(8000);
      await app.shows(/\^C\nqsd>$/);
      // Nothing half done is left, and the console goes on.
      expect(await app.run('ls')).not.toMatch(/copy\.img|out\.qcow2|\.part/);
    },
    60_000,
  );

  test('the page is served while work goes on', async () => {
    await app.type('sha256sum big.img\n');
    await app.shows('Ctrl-C stops');
    await app.drop('open', [{ name: 'meanwhile.img', content: Buffer.from('x') }]);
    await app.press('Control+c');
    await app.shows('meanwhile.img: 1 B, read-only');
  });
});

describe('leaving', () => {
  test('the browser asks while work goes on, and not because an image is open', async () => {
    truncateSync(at('big.img'), 16 * 2 ** 30);
    const app = await openApp();
    const chosen = app.chooseFiles([at('big.img')]);
    await app.run('open');
    await chosen;
    await app.run('qemu-img create -q -f qcow2 left.qcow2 1M');
    await app.run('blockdev-add driver=qcow2 node-name=l file.driver=file file.filename=left.qcow2');
    await app.type('sha256sum big.img\n');
    await app.shows('Ctrl-C stops');
    const asked = app.page.waitForEvent('dialog');
    await app.page.close({ runBeforeUnload: true });
    const dialog = await asked;
    expect(dialog.type()).toBe('beforeunload');
    await dialog.dismiss();
    await app.focus();
    await app.press('Control+c');
    await app.shows(/\^C\nqsd>$/);
    const closed = app.page.waitForEvent('close');
    const other = app.page.waitForEvent('dialog').then(() => 'asked');
    await app.page.close({ runBeforeUnload: true });
    expect(await Promise.race([closed.then(() => 'closed'), other.catch(() => 'closed')])).toBe('closed');
  });

  test('images are flushed when the page is hidden', async () => {
    const app = await openApp();
    await app.run('qemu-img create -q -f qcow2 hidden.qcow2 1M');
    await app.run('blockdev-add driver=qcow2 node-name=h file.driver=file file.filename=hidden.qcow2');
    const flushed = await app.console.evaluate(async (element) => {
      const { client } = element as QsdConsole;
      if (!client) throw new Error('the console has no client');
      const flush = client.flush.bind(client);
      const arrived = new Promise<string>((resolve) => {
        client.flush = () => flush().then(() => resolve(document.visibilityState));
      });
      Object.defineProperty(document, 'visibilityState', { value: 'hidden' });
      document.dispatchEvent(new Event('visibilitychange'));
      return arrived;
    });
    expect(flushed).toBe('hidden');
    await app.page.close();
  });
});

describe('tabs and frames', () => {
  test('a second tab says that there is another, and gets the locks of the first told', async () => {
    const first = await openApp();
    const second = await openApp();
    await second.page.getByRole('alert').getByText('open in another tab').waitFor();
    expect(await first.page.getByRole('alert').isVisible()).toBe(false);
    await first.run('qemu-img create -q -f qcow2 shared.qcow2 1M');
    await first.run('blockdev-add driver=qcow2 node-name=s file.driver=file file.filename=shared.qcow2');
    expect(await second.run("qemu-io -c 'write 0 4k' shared.qcow2")).toContain('Failed to get');
    await first.page.close();
    await expect
      .poll(() => second.run("qemu-io -c 'write 0 4k' shared.qcow2"))
      .toContain('wrote 4096/4096 bytes');
    await second.page.getByRole('button', { name: 'Close this notice' }).click();
    expect(await second.page.getByRole('alert').isVisible()).toBe(false);
    await second.page.close();
  });

  test('a screen reader reads what is printed, once it is asked to', async () => {
    const app = await openApp();
    const spoken = () => app.console.locator('.xterm-accessibility').count();
    expect(await spoken()).toBe(0);
    expect(await app.run('announce')).toContain('announce: on or off?');
    await app.run('announce on');
    await app.run('ls -l /');
    expect(await spoken()).toBe(1);
    await app.page.close();
    const again = await openApp();
    expect(await again.console.locator('.xterm-accessibility').count()).toBe(1);
    await again.run('announce off');
    expect(await again.console.locator('.xterm-accessibility').count()).toBe(0);
    await again.page.close();
  });

  test('it works in a frame', async () => {
    const page = await browser.newPage();
    await page.evaluate(() => {
      const frame = document.createElement('iframe');
      frame.src = '/';
      frame.style.cssText = 'width: 800px; height: 500px';
      document.body.append(frame);
    });
    const app = await new AppPage(page, page.frameLocator('iframe')).ready();
    expect(await app.run('query-version')).toContain('"major": 9');
    await page.close();
  });
});
