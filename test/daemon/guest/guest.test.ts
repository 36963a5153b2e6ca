import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GuestStats } from '../../../src/daemon/guest/guest';
import type { Workload } from '../../../src/daemon/guest/workload';
import type { QmpValue } from '../../../src/qapi';
import { openDaemon, type TestDaemon } from '../daemon';

const workload: Workload = {
  pattern: 'random',
  blockSize: 4096,
  rate: 0,
  mix: { read: 3, write: 6, flush: 1, discard: 1 },
};

let open: TestDaemon;

async function run(command: string, args?: QmpValue): Promise<QmpValue> {
  const reply = await open.daemon.execute(command, args);
  if (reply.error) throw new Error(reply.error.desc);
  return reply.return;
}

beforeEach(async () => {
  open = await openDaemon();
  await run('blockdev-create', {
    'job-id': 'file',
    options: { driver: 'file', filename: 'a', size: 0 },
  });
  await run('blockdev-add', { driver: 'file', 'node-name': 'f', filename: 'a' });
  await run('blockdev-create', { 'job-id': 'image', options: { driver: 'qcow2', file: 'f', size: 4194304 } });
  await expect
    .poll(() => open.events.filter(({ data }) => JSON.stringify(data).includes('concluded')).length)
    .toBe(2);
  await run('blockdev-add', { driver: 'qcow2', 'node-name': 'disk', file: 'f' });
});
afterEach(() => open.daemon.end());

/** A guest until it has done so much, or for a moment. */
async function work(
  node: string,
  change: Partial<Workload>,
  enough: (stats: GuestStats) => boolean,
): Promise<GuestStats> {
  const controller = new AbortController();
  return open.daemon.guest(node, { ...workload, ...change }, controller.signal, (stats) => {
    if (enough(stats)) controller.abort();
  });
}

describe('a guest', () => {
  test('works until it is told to stop, and is a user of the node meanwhile', async () => {
    let graph: QmpValue = null;
    const stats = await work('disk', {}, ({ writes }) => {
      void run('x-debug-query-block-graph').then((answer) => (graph = answer));
      return writes > 20 && graph !== null;
    });
    expect(stats).toMatchObject({ errors: 0, lastError: '', bytesWritten: stats.writes * 4096 });
    expect(Math.min(stats.reads, stats.flushes, stats.discards)).toBeGreaterThan(0);
    expect(JSON.stringify(graph)).toContain('"name":"guest"');
    // It has let go.
    await run('blockdev-del', { 'node-name': 'disk' });
  });

  test('without a rate it does not rest', async () => {
    const seen: number[] = [];
    await work('disk', {}, ({ writes }) => seen.push(writes) >= 4);
    for (const [index, writes] of seen.slice(1).entries()) expect(writes).toBeGreaterThan(seen[index] ?? 0);
  });

  test('keeps to its rate', async () => {
    const began = performance.now();
    const stats = await work('disk', { rate: 100 }, () => performance.now() - began > 900);
    const requests = stats.reads + stats.writes + stats.flushes + stats.discards;
    expect(requests).toBeGreaterThan(20);
    expect(requests).toBeLessThan(((performance.now() - began) / 1000) * 100 + 5);
  });

  test('moves to the overlay with a snapshot, and goes on', async () => {
    let taken = 0;
    const stats = await work('disk', {}, ({ writes }) => {
      if (taken++ === 0)
        void run('blockdev-snapshot-sync', {
          'node-name': 'disk',
          'snapshot-file': 'b',
          'snapshot-node-name': 'over',
          format: 'qcow2',
        });
      return taken > 2 && writes > 0;
    });
    expect(stats.errors).toBe(0);
    const nodes = (await run('query-named-block-nodes', { flat: true })) as {
      'node-name': string;
      ro: boolean;
    }[];
    expect(nodes.find((node) => node['node-name'] === 'disk')?.ro).toBe(true);
  });

  test('counts requests that fail, and goes on', async () => {
    await run('blockdev-add', {
      driver: 'blkdebug',
      'node-name': 'bad',
      image: 'disk',
      'inject-error': [{ event: 'none', iotype: 'write', errno: 28 }],
    });
    const stats = await work(
      'bad',
      { mix: { read: 1, write: 1, flush: 0, discard: 0 } },
      ({ errors, reads }) => errors > 5 && reads > 5,
    );
    expect(stats.lastError).toBe('No space left on device');
    expect(stats.reads).toBeGreaterThan(5);
    expect(stats.writes).toBe(0);
  });

  test('refuses what cannot be, with the words of the graph', async () => {
    await expect(work('nope', {}, () => true)).rejects.toThrow("Cannot find device='' nor node-name='nope'");
    await expect(work('disk', { blockSize: 7 }, () => true)).rejects.toThrow('a multiple of 512');
    await run('blockdev-add', { driver: 'raw', 'node-name': 'ro', 'read-only': true, file: 'disk' });
    await expect(work('ro', {}, () => true)).rejects.toThrow('Block node is read-only');
    // The refused ones hold nothing.
    await run('blockdev-del', { 'node-name': 'ro' });
    await run('blockdev-del', { 'node-name': 'disk' });
  });

  test('ends with the daemon', async () => {
    const ended = work('disk', {}, () => false);
    await run('quit');
    expect((await ended).errors).toBe(0);
  });
});
