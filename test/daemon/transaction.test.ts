import { describe, expect, it } from 'vitest';
import type { CommandContext } from '../../src/daemon/commands/registry';
import { runTransaction, type Actions } from '../../src/daemon/transaction';
import { Permission } from '../../src/files/locks';
import type { QmpValue } from '../../src/qapi';
import { openDaemon, type TestDaemon } from './daemon';

const MIB = 1024 * 1024;
const CLUSTER = 65536;

/** A daemon with empty qcow2 images of these names, and a node for each of the same name. */
async function withImages(...names: string[]): Promise<TestDaemon> {
  const test = await openDaemon();
  for (const name of names) {
    const values = { size: MIB };
    await test.daemon.graph.createImage({ filename: `${name}.qcow2`, format: 'qcow2', values });
    await must(test, 'blockdev-add', {
      driver: 'qcow2',
      'node-name': name,
      file: { driver: 'file', filename: `${name}.qcow2` },
    });
  }
  return test;
}

async function must({ daemon }: TestDaemon, command: string, args: QmpValue): Promise<QmpValue> {
  const reply = await daemon.execute(command, args);
  if (reply.error) throw new Error(reply.error.desc);
  return reply.return;
}

/** A guest on a node: writes and reads whole clusters of one value. */
async function guest({ daemon }: TestDaemon, nodeName: string) {
  const perm = Permission.CONSISTENT_READ | Permission.WRITE;
  const user = await daemon.graph.attach({ nodeName }, { perm, shared: Permission.ALL & ~Permission.RESIZE });
  const buffer = daemon.environment.engine.alloc(CLUSTER);
  return {
    user,
    write: (value: number, cluster: number) => {
      buffer.view().fill(value);
      user.write(cluster * CLUSTER, CLUSTER, buffer);
    },
    read: (cluster: number) => {
      user.read(cluster * CLUSTER, CLUSTER, buffer);
      return buffer.view(0, 1)[0];
    },
  };
}

describe('transactions', () => {
  it('begin in order, and end in the reverse order', async () => {
    const { daemon } = await openDaemon();
    const context = { graph: daemon.graph } as CommandContext;
    const log: string[] = [];
    const actions: Actions = {
      'blockdev-snapshot': async ({ node }) => {
        log.push(`begin ${node}`);
        return {
          commit: () => void log.push(`commit ${node}`),
          abort: async () => void log.push(`abort ${node}`),
          clean: () => void log.push(`clean ${node}`),
        };
      },
      abort: async () => {
        throw new Error('no');
      },
    };
    const snapshot = (node: string) => ({ type: 'blockdev-snapshot', data: { node, overlay: '' } }) as const;
    await runTransaction(actions, [snapshot('a'), snapshot('b')], {}, context);
    expect(log.splice(0)).toEqual(['begin a', 'begin b', 'commit b', 'commit a', 'clean b', 'clean a']);
    const failing = [snapshot('a'), snapshot('b'), { type: 'abort', data: {} } as const, snapshot('c')];
    await expect(runTransaction(actions, failing, {}, context)).rejects.toThrow('no');
    expect(log).toEqual(['begin a', 'begin b', 'abort b', 'abort a', 'clean b', 'clean a']);
  });

  it('snapshot-chain: a guest stays on top of a chain that grows under it', async () => {
    const test = await withImages('a');
    const disk = await guest(test, 'a');
    const chain = ['a', 'b', 'c', 'd'];
    disk.write(1, 0);
    for (const [at, name] of chain.slice(1).entries()) {
      await must(test, 'blockdev-snapshot-sync', {
        'node-name': chain[at] ?? '',
        'snapshot-file': `${name}.qcow2`,
        'snapshot-node-name': name,
        format: 'qcow2',
      });
      disk.write(at + 2, at + 1);
    }
    expect(disk.user.node.name).toBe('d');
    expect([0, 1, 2, 3].map(disk.read)).toEqual([1, 2, 3, 4]);
    for (const name of chain) {
      expect(test.daemon.graph.find(name)?.readOnly).toBe(name !== 'd');
    }
    await disk.user.close();
    // Overlays that the command opened go with their last user.
    expect(test.daemon.graph.nodes().map(({ name }) => name)).toEqual(expect.arrayContaining(['a']));
    expect(test.daemon.graph.find('d')).toBeNull();
    expect(test.events).toEqual([]);
    // Each image has what was written while it was on top.
    const alone = await test.daemon.graph.openImage({ filename: 'c.qcow2', readOnly: true, noBacking: true });
    const status = [0, 1, 2, 3].map((cluster) => alone.blockStatus(cluster * CLUSTER, CLUSTER).flags & 1);
    expect(status).toEqual([0, 0, 1, 0]);
    await alone.close();
    await test.daemon.end();
  });

  it('snapshot-prepared: an overlay that is there already takes the guest over', async () => {
    const test = await withImages('d', 'e');
    const disk = await guest(test, 'd');
    disk.write(1, 0);
    await must(test, 'blockdev-snapshot', { node: 'd', overlay: 'e' });
    disk.write(2, 1);
    expect(disk.user.node.name).toBe('e');
    expect([0, 1].map(disk.read)).toEqual([1, 2]);
    await disk.user.close();
    await must(test, 'blockdev-del', { 'node-name': 'e' });
    await must(test, 'blockdev-del', { 'node-name': 'd' });
    await test.daemon.end();
  });

  it('snapshot-group: all or nothing, though files that were made stay', async () => {
    const test = await withImages('x', 'y');
    const disks = [await guest(test, 'x'), await guest(test, 'y')];
    disks.forEach((disk, i) => disk.write(i + 1, 0));
    const snapshot = (node: string, file: string) => ({
      type: 'blockdev-snapshot-sync',
      data: { 'node-name': node, 'snapshot-file': file, 'snapshot-node-name': `ov-${node}` },
    });
    const actions = [snapshot('x', 'ovx'), snapshot('y', 'missing/ovy')];
    const before = test.daemon.graph.debugGraph();
    expect(await test.daemon.execute('transaction', { actions })).toEqual({
      error: { class: 'GenericError', desc: "Could not create 'missing/ovy': No such file or directory" },
    });
    expect(test.daemon.graph.debugGraph()).toEqual(before);
    const made = await test.files.open('ovx', { write: false });
    expect(made.size()).toBeGreaterThan(0);
    made.close();
    disks.forEach((disk, i) => disk.write(i + 3, 1));
    expect(disks.map((disk) => [disk.read(0), disk.read(1)])).toEqual([
      [1, 3],
      [2, 4],
    ]);
    await must(test, 'transaction', { actions: [snapshot('x', 'ovx'), snapshot('y', 'ovy')] });
    expect(disks.map((disk) => disk.user.node.name)).toEqual(['ov-x', 'ov-y']);
    for (const disk of disks) await disk.user.close();
    await test.daemon.end();
  });

  it('internal snapshots are deleted again', async () => {
    const test = await withImages('x');
    const snapshot = (name: string) => ({
      type: 'blockdev-snapshot-internal-sync',
      data: { device: 'x', name },
    });
    const actions = [snapshot('s1'), snapshot('s2'), snapshot('s1')];
    expect(await test.daemon.execute('transaction', { actions })).toEqual({
      error: { class: 'GenericError', desc: "Snapshot with name 's1' already exists on device 'x'" },
    });
    const nodes = (await test.daemon.execute('query-named-block-nodes')).return as { image: object }[];
    expect(nodes.some(({ image }) => 'snapshots' in image)).toBe(false);
    await test.daemon.end();
  });
});

describe('write thresholds', () => {
  it('are reported once, with how far the write goes beyond', async () => {
    const test = await withImages('x');
    const disk = await guest(test, 'x');
    const threshold = () =>
      test.daemon.graph.namedBlockNodes(true).find((node) => node['node-name'] === 'x')?.write_threshold;
    await must(test, 'block-set-write-threshold', { 'node-name': 'x', 'write-threshold': 2 * CLUSTER });
    expect(threshold()).toBe(2 * CLUSTER);
    disk.write(1, 1);
    disk.user.discard(8 * CLUSTER, CLUSTER);
    expect(test.events).toEqual([]);
    disk.write(1, 4);
    disk.write(1, 5);
    expect(test.events.map(({ event, data }) => [event, data])).toEqual([
      [
        'BLOCK_WRITE_THRESHOLD',
        { 'node-name': 'x', 'amount-exceeded': 3 * CLUSTER, 'write-threshold': 2 * CLUSTER },
      ],
    ]);
    expect(threshold()).toBe(0);
    await must(test, 'block-set-write-threshold', { 'node-name': 'x', 'write-threshold': 1 });
    await must(test, 'block-set-write-threshold', { 'node-name': 'x', 'write-threshold': 0 });
    disk.write(1, 6);
    disk.user.writeZeroes(0, CLUSTER);
    expect(test.events).toHaveLength(1);
    await must(test, 'block-set-write-threshold', { 'node-name': 'x', 'write-threshold': 100 });
    disk.user.writeZeroes(0, CLUSTER);
    expect(test.events).toHaveLength(2);
    await disk.user.close();
    await test.daemon.end();
  });
});
