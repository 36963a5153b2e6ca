/** A daemon that is a client of its own server: requests, jobs, changes of the graph and the end wait for nothing of themselves. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { QmpObject, QmpValue } from '../../../src/qapi';
import { openDaemonIn } from '../../daemon/daemon';
import { haveTools } from '../../tools/twins';

let root: string;
let here: ReturnType<typeof openDaemonIn>;

const MIB = 1024 * 1024;
/** Nobody waits that long. */
const DELAY = 3600;
const remote = {
  driver: 'nbd',
  'node-name': 'n',
  server: { type: 'unix', path: 's' },
  export: 'served',
  'reconnect-delay': DELAY,
};
const qcow2 = { driver: 'qcow2', 'node-name': 'q', file: 'n' };

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'nbd-own-'));
  here = openDaemonIn(root);
  await here.daemon.graph.createImage({ filename: 'c.raw', format: 'raw', values: { size: 8 * MIB } });
  await must('blockdev-add', { driver: 'file', filename: 'c.raw', 'node-name': 'served' });
  await must('nbd-server-start', { addr: { type: 'unix', data: { path: 's' } }, 'max-connections': 2 });
  await must('block-export-add', { id: 'e', type: 'nbd', 'node-name': 'served', writable: true });
  await must('blockdev-add', remote);
  await must('blockdev-create', { 'job-id': 'c', options: { driver: 'qcow2', file: 'n', size: 4 * MIB } });
  await expect.poll(() => must('query-jobs')).toMatchObject([{ status: 'concluded' }]);
  await must('job-dismiss', { id: 'c' });
  await must('blockdev-add', qcow2);
});

afterEach(async () => {
  await here.daemon.end();
  rmSync(root, { recursive: true });
});

async function must(execute: string, args: QmpObject = {}): Promise<QmpValue> {
  const reply = await here.daemon.execute(execute, args);
  if (reply.error) throw new Error(`${execute}: ${reply.error.desc}`);
  return reply.return;
}

async function sees(name: string): Promise<QmpValue> {
  for (;;) {
    const found = here.events.find(({ event }) => event === name);
    if (found) return found.data as QmpValue;
    await sleep(5);
  }
}

const bitmap = (name: string): QmpObject => ({ node: 'q', name, persistent: true });

it('changes the graph over it: reopens, resizes, takes snapshots, streams', async () => {
  await must('blockdev-reopen', { options: [{ ...qcow2, 'read-only': true }] });
  await must('blockdev-reopen', { options: [qcow2] });
  await must('block_resize', { 'node-name': 'q', size: 5 * MIB });
  const values = { size: 5 * MIB };
  await here.daemon.graph.createImage({ filename: 'top.qcow2', format: 'qcow2', values });
  const file = { driver: 'file', filename: 'top.qcow2' };
  await must('blockdev-add', { driver: 'qcow2', 'node-name': 't', file, backing: null });
  await must('transaction', {
    actions: [
      { type: 'blockdev-snapshot-internal-sync', data: { device: 'q', name: 's' } },
      { type: 'block-dirty-bitmap-add', data: bitmap('x') },
      { type: 'blockdev-snapshot', data: { node: 'q', overlay: 't' } },
    ],
  });
  // The table of snapshots is read for it.
  const nodes = (await must('query-named-block-nodes', { flat: true })) as QmpObject[];
  expect(nodes.find((node) => node['node-name'] === 'q')).toMatchObject({
    image: { snapshots: [{ name: 's' }] },
  });
  await must('block-stream', { 'job-id': 'j', device: 't' });
  expect(await sees('BLOCK_JOB_COMPLETED')).not.toHaveProperty('error');
});

it.runIf(haveTools)('keeps bitmaps there, and loses nothing of them', async () => {
  for (const name of ['a', 'b', 'c']) await must('block-dirty-bitmap-add', bitmap(name));
  // They are stored, loaded and stored anew.
  await must('blockdev-reopen', { options: [{ ...qcow2, 'read-only': true }] });
  await must('blockdev-reopen', { options: [qcow2] });
  await must('blockdev-reopen', { options: [{ ...qcow2, 'read-only': true }] });
  const [info] = (await must('query-named-block-nodes')) as QmpObject[];
  expect(info).toMatchObject({
    'node-name': 'q',
    image: { 'format-specific': { data: { bitmaps: [{}, {}, {}] } } },
  });
  await must('blockdev-reopen', { options: [qcow2] });
  await must('block-dirty-bitmap-remove', { node: 'q', name: 'b' });
  await must('transaction', {
    actions: [
      { type: 'block-dirty-bitmap-add', data: bitmap('d') },
      { type: 'block-dirty-bitmap-remove', data: { node: 'q', name: 'a' } },
    ],
  });
  await must('blockdev-del', { 'node-name': 'q' });
  const real = (...words: string[]) => execFileSync('qemu-img', words, { cwd: root, encoding: 'utf8' });
  expect(real('check', '-U', '-f', 'qcow2', 'c.raw')).toContain('No errors were found');
  const told = real('info', '-U', '-f', 'qcow2', 'c.raw');
  expect([...told.matchAll(/ name: (.)/g)].map(([, name]) => name).sort()).toEqual(['c', 'd']);
});

it.runIf(haveTools)('ends in order: what is above is written before the server goes', async () => {
  await must('block-dirty-bitmap-add', bitmap('a'));
  await must('block-export-add', { id: 'f', type: 'nbd', 'node-name': 'q', writable: true });
  await here.daemon.end();
  const real = (...words: string[]) => execFileSync('qemu-img', words, { cwd: root, encoding: 'utf8' });
  expect(real('check', '-f', 'qcow2', 'c.raw')).toContain('No errors were found');
  expect(real('info', '-f', 'qcow2', 'c.raw')).toMatch(/flags:\s+\[0\]: auto\s+name: a/);
  expect(here.events.map(({ event, data }) => [event, data]).slice(-2)).toEqual([
    ['BLOCK_EXPORT_DELETED', { id: 'f' }],
    ['BLOCK_EXPORT_DELETED', { id: 'e' }],
  ]);
});

it('removes all exports in the order in which they need each other', async () => {
  await must('block-export-add', { id: 'f', type: 'nbd', 'node-name': 'q', writable: true });
  await must('blockdev-del', { 'node-name': 'q' }).catch(() => undefined);
  await must('nbd-server-stop');
  expect(await must('query-block-exports')).toEqual([]);
  // The way back is open as soon as the server is.
  await must('nbd-server-start', { addr: { type: 'unix', data: { path: 's' } } });
  await must('block-export-add', { id: 'e', type: 'nbd', 'node-name': 'served', writable: true });
  await must('blockdev-reopen', { options: [{ ...qcow2, 'read-only': true }] });
});

it('does not wait for a connection that it would have to give up itself', async () => {
  await must('blockdev-add', { ...remote, 'node-name': 'm' });
  const { error } = await here.daemon.execute('blockdev-add', { ...remote, 'node-name': 'o' });
  expect(error?.desc).toBe('Failed to connect to the own NBD server: it has no connection left');
});
