/** pty, serial and parallel: terminals are made and used; what cannot be says why. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReadStream } from 'node:tty';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Daemon } from '../../../src/daemon';
import { Monitor } from '../../../src/daemon/monitor';
import type { QmpObject, QmpValue } from '../../../src/qapi';
import { openDaemonIn } from '../../daemon/daemon';

const ASK = '{"execute": "qmp_capabilities"}{"execute": "query-jobs"}';
const ANSWERED = /^\{"QMP".*\r\n\{"return": \{\}\}\r\n\{"return": \[\]\}\r\n$/;

let directory: string;
let daemon: Daemon;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'terminals-'));
  daemon = openDaemonIn(directory).daemon;
});
afterEach(async () => {
  await daemon.end();
  rmSync(directory, { recursive: true });
});

const add = (id: string, type: string, data: QmpObject = {}) =>
  daemon.execute('chardev-add', { id, backend: { type, data } as QmpValue });

/** A new terminal of the daemon. */
async function terminal(id: string): Promise<string> {
  const { return: made } = await add(id, 'pty');
  expect(made).toMatchObject({ pty: expect.stringMatching(/^\/dev\//) as string });
  return (made as { pty: string }).pty;
}

/** A program that has a terminal open. */
function user(path: string): { heard: () => string; say(text: string): void; close(): void } {
  const fd = openSync(path, 'r+');
  const reader = new ReadStream(fd);
  let heard = '';
  reader.on('data', (piece: Buffer) => (heard += piece.toString())).on('error', () => undefined);
  const output = openSync(path, 'w');
  return {
    heard: () => heard,
    say: (text) => void writeSync(output, text),
    close: () => {
      reader.destroy();
      // The stream has opened the terminal for itself.
      for (const each of [fd, output]) closeSync(each);
    },
  };
}

const WAIT = { timeout: 20_000 };

describe('a terminal', { timeout: 60_000 }, () => {
  it('carries a monitor for each program that opens it', async () => {
    const path = await terminal('p');
    daemon.addMonitor('p', false);
    const closed = vi.spyOn(Monitor.prototype, 'close');
    for (let i = 0; i < 2; i++) {
      const program = user(path);
      await expect.poll(program.heard, WAIT).toMatch(/^\{"QMP".*\r\n$/);
      program.say(ASK);
      await expect.poll(program.heard, WAIT).toMatch(ANSWERED);
      program.close();
      // The next one is greeted when it was seen that this one has gone.
      await expect.poll(() => closed.mock.calls.length, WAIT).toBe(i + 1);
    }
    expect((await daemon.execute('query-chardev')).return).toEqual([
      { label: 'p', filename: `pty:${path}`, 'frontend-open': true },
    ]);
  });

  it('takes more than it holds, as fast as it is read', async () => {
    const path = await terminal('p');
    daemon.addMonitor('p', false);
    const program = user(path);
    program.say('{"execute": "qmp_capabilities"}{"execute": "query-qmp-schema"}{"execute": "query-jobs"}');
    await expect.poll(() => program.heard().endsWith('{"return": []}\r\n'), WAIT).toBe(true);
    expect(program.heard().length).toBeGreaterThan(100_000);
    program.close();
  });

  it('is a serial line to another device', async () => {
    const path = await terminal('p');
    expect(await add('s', 'serial', { device: path })).toEqual({ return: {} });
    // Nothing is echoed: the line was set up.
    const settings = execFileSync('stty', ['-F', path, '-a']).toString();
    expect(settings).toMatch(/speed 115200 baud[^]* -icanon[^]* -echo /);
    expect(await daemon.execute('chardev-send-break', { id: 's' })).toEqual({ return: {} });
    daemon.addMonitor('p', false);
    expect(await daemon.execute('chardev-remove', { id: 's' })).toEqual({ return: {} });
  });

  it('is changed for another one', async () => {
    await terminal('p');
    const { return: changed } = await daemon.execute('chardev-change', {
      id: 'p',
      backend: { type: 'pty', data: {} },
    });
    expect(changed).toMatchObject({ pty: expect.any(String) as string });
    expect(await daemon.execute('chardev-change', { id: 'p', backend: { type: 'null', data: {} } })).toEqual({
      return: {},
    });
  });
});

describe('what cannot be', () => {
  it('says so, or what is wrong with the path', async () => {
    writeFileSync(join(directory, 'file'), '');
    const refusals = [];
    for (const [type, device] of [
      ['serial', '/nope'],
      ['serial', 'file'],
      ['parallel', '/nope'],
      ['parallel', '/dev/null'],
      ['parallel', 'file'],
    ] as const)
      refusals.push((await add('x', type, { device })).error?.desc);
    expect(refusals).toEqual([
      "Failed to add chardev 'x': Could not open '/nope': No such file or directory",
      "Failed to add chardev 'x': Could not open 'file': Inappropriate ioctl for device",
      "Failed to add chardev 'x': Could not open '/nope': No such file or directory",
      "Failed to add chardev 'x': not a parallel port: Inappropriate ioctl for device",
      "Failed to add chardev 'x': not a parallel port: Inappropriate ioctl for device",
    ]);
  });

  it('is a terminal where nobody makes one', async () => {
    const { PATH } = process.env;
    process.env.PATH = directory;
    try {
      expect((await add('x', 'pty')).error?.desc).toMatch(
        /^Failed to add chardev 'x': 'pty' is not available: Node.js cannot make a terminal, and python3/,
      );
    } finally {
      process.env.PATH = PATH;
    }
  });
});
