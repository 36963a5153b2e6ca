import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ImplicitOpen } from '../../src/graph/index';
import { MIB, refused, withReadOnly, World } from './support';

let world: World;
beforeEach(() => {
  world = new World();
});

const file = (filename: string, more: Record<string, string | boolean> = {}) => ({
  driver: 'file',
  filename,
  ...more,
});

describe('implicit opens', () => {
  test('each passes the policy, with who asks and what for', async () => {
    await world.image('base');
    await world.image('mid', { file: 'base', format: 'qcow2' });
    await world.image('top', {
      file: 'json:{"driver":"qcow2","file":{"driver":"file","filename":"mid"}}',
      format: 'qcow2',
    });
    const asked: ImplicitOpen[] = [];
    const graph = world.graph({ policy: (request) => (asked.push(request), null) });
    await graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', file: file('top') });
    expect(asked).toEqual([
      { reason: 'json', origin: 'a', filename: 'mid', driver: 'file' },
      { reason: 'backing', origin: graph.find('a')?.backing?.name, filename: 'base', driver: 'file' },
    ]);
    await graph.close();
  });

  test('what the policy refuses is not opened, and nothing stays behind', async () => {
    await world.image('base');
    await world.image('top', { file: 'base', format: 'qcow2' });
    const graph = world.graph({ policy: ({ filename }) => (filename === 'base' ? 'not this one' : null) });
    const add = () => graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', file: file('top') });
    await refused(add(), 'Could not open backing file: not this one');
    expect(graph.nodes()).toEqual([]);
    // Whoever names the file may open it.
    await graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'b', file: file('base') });
    await graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'c', file: file('top'), backing: 'b' });
    await graph.close();
  });

  test('an image cannot take a node of the daemon by its name', async () => {
    await world.image('top', { file: 'json:{"driver":"raw","file":"secret"}', format: 'raw' });
    const graph = world.graph({
      policy: ({ reason, filename }) => (reason === 'json' ? `no ${filename}` : null),
    });
    await graph.blockdevAdd({ driver: 'null-co', 'node-name': 'secret' });
    const add = graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', file: file('top') });
    await refused(add, 'Could not open backing file: no secret');
    await graph.close();
  });

  test.each([1, 2, 5])('a circle of %i backing files ends with an error', async (length) => {
    for (let i = 0; i < length; i++) {
      await world.image(`c${i}`, { file: `c${(i + 1) % length}`, format: 'qcow2' });
    }
    const graph = world.graph();
    const add = graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', 'read-only': true, file: file('c0') });
    await refused(add, /^(Could not open backing file: )+Backing file 'c\d' creates an infinite loop\.$/);
    expect(graph.nodes()).toEqual([]);
  });

  test('a circle whose names grow ends with an error too', async () => {
    await world.files.makeDirectory('d');
    await world.image('d/a', { file: './b', format: 'qcow2' });
    await world.image('d/b', { file: '../d/a', format: 'qcow2' });
    const graph = world.graph();
    const add = graph.blockdevAdd({
      driver: 'qcow2',
      'node-name': 'a',
      'read-only': true,
      file: file('d/a'),
    });
    await refused(add, /^(Could not open backing file: ){3}Backing file 'd\/.*' creates an infinite loop\.$/);
  });

  test('a chain of 60 images opens and closes', async () => {
    await world.image('i0');
    for (let i = 1; i < 60; i++) await world.image(`i${i}`, { file: `i${i - 1}`, format: 'qcow2' });
    const graph = world.graph();
    await graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', file: file('i59') });
    expect(graph.namedBlockNodes(false)).toHaveLength(120);
    expect(graph.namedBlockNodes(false).find((node) => node['node-name'] === 'a')?.backing_file_depth).toBe(
      59,
    );
    await graph.blockdevDel('a');
    expect(graph.nodes()).toEqual([]);
  });
});

describe('processes', () => {
  test('lock each other out, and name the image to a person', async () => {
    await world.image('a');
    const daemon = world.graph();
    const tool = world.graph();
    await daemon.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', file: file('a') });
    const failure = await refused(
      tool.openImage({ filename: 'a', readOnly: true }),
      'Failed to get shared "write" lock',
    );
    expect(failure.hints).toEqual(['Is another process using the image [a]?']);
    await refused(tool.openImage({ filename: 'a' }), 'Failed to get "write" lock');
    const values = { size: MIB };
    const over = await refused(
      tool.createImage({ filename: 'a', format: 'raw', values }),
      'Failed to get "write" lock',
    );
    expect(over.hints).toEqual(['Is another process using the image [a]?']);
    const shared = await tool.openImage({ filename: 'a', readOnly: true, forceShare: true });
    await shared.close();
    await daemon.blockdevDel('a');
    const free = await tool.openImage({ filename: 'a' });
    await refused(
      daemon.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', file: file('a') }),
      'Failed to get "write" lock',
    );
    await free.close();
    await daemon.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', file: file('a') });
    await daemon.close();
    await (await tool.openImage({ filename: 'a' })).close();
  });

  test('a refused change leaves permissions and locks as they were', async () => {
    await world.file('a', MIB);
    const graph = world.graph();
    const other = world.graph();
    await graph.blockdevAdd({ ...file('a'), 'node-name': 'f' });
    await graph.blockdevAdd({ driver: 'raw', 'node-name': 'r', file: 'f' });
    const reader = await graph.attach({ nodeName: 'r' }, { perm: 1, shared: 1 });
    const before = graph.debugGraph();
    const conflict = "Permission conflict on node 'r': permissions 'write, resize' are both required by";
    await refused(graph.attach({ nodeName: 'r' }, { perm: 11, shared: 15 }), new RegExp(`^${conflict}`));
    const foreign = await other.openImage({
      filename: 'a',
      format: 'raw',
      permissions: { perm: 1, shared: 1 },
    });
    await refused(reader.setPermissions(3, 15), 'Failed to get "write" lock');
    await foreign.close();
    await reader.setPermissions(1, 1);
    expect(graph.debugGraph()).toEqual(before);
    await reader.close();
    // Nothing is held any more: another process may write.
    const writer = await other.openImage({
      filename: 'a',
      format: 'raw',
      permissions: { perm: 11, shared: 0 },
    });
    await writer.close();
    await graph.close();
  });

  test('changes of one graph run one after the other', async () => {
    await world.image('a');
    const graph = world.graph();
    const results = await Promise.allSettled([
      graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', file: file('a') }),
      graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'a', file: file('a', { locking: 'off' }) }),
      graph.blockdevDel('a'),
      graph.blockdevDel('a'),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
    expect(graph.nodes()).toEqual([]);
  });
});

describe('x-debug-query-block-graph', () => {
  test('with a user: numbers and order as the real daemon gave them for an NBD export', async () => {
    await world.image('a');
    const graph = world.graph();
    await graph.blockdevAdd({ ...file('a'), 'node-name': 'f' });
    await graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'A', file: 'f', 'read-only': true });
    await graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'B', file: 'f', 'read-only': true });
    await graph.blockdevAdd({ driver: 'raw', 'node-name': 'R', file: 'f' });
    const user = await graph.attach({ nodeName: 'A' }, { perm: 1, shared: 7 });
    const all = ['resize', 'write-unchanged', 'write', 'consistent-read'];
    const edge = (parent: number, child: number, name: string, perm: string[], shared: string[]) => ({
      ...{ parent, child, name, perm },
      'shared-perm': shared,
    });
    const node = (id: number, name: string) => ({ id, type: 'block-driver', name });
    expect(graph.debugGraph()).toEqual({
      nodes: [
        node(5, 'R'),
        node(4, 'B'),
        node(2, 'A'),
        node(3, 'f'),
        { id: 1, type: 'block-backend', name: '' },
      ],
      edges: [
        edge(5, 3, 'file', [], all),
        edge(4, 3, 'file', ['consistent-read'], ['write-unchanged', 'consistent-read']),
        edge(2, 3, 'file', ['consistent-read'], ['write-unchanged', 'consistent-read']),
        edge(1, 2, 'root', ['consistent-read'], all.slice(1)),
      ],
    });
    await refused(graph.blockdevDel('A'), 'Node A is in use');
    await user.close();
    await graph.blockdevDel('A');
    await graph.close();
  });
});

describe('auto-read-only', () => {
  const readOnly = new Set(['a']);

  test('opens for reading what cannot be written, and refuses a writer when it comes', async () => {
    await world.image('a');
    const graph = world.graph({ files: withReadOnly(world.files, readOnly) });
    await refused(
      graph.blockdevAdd({ ...file('a'), 'node-name': 'f' }),
      "Could not open 'a': Permission denied",
    );
    await graph.blockdevAdd({ ...file('a', { 'auto-read-only': true }), 'node-name': 'f' });
    expect(graph.namedBlockNodes(true)[0]?.ro).toBe(false);
    const writer = () => graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'q', file: 'f' });
    await refused(writer(), "Could not open 'a': Permission denied");
    await graph.blockdevAdd({ driver: 'qcow2', 'node-name': 'q', file: 'f', 'read-only': true });
    await graph.blockdevDel('q');
    // Now the file may be written: the same node does it, in place.
    readOnly.delete('a');
    await writer();
    const user = await graph.attach({ nodeName: 'q' }, { perm: 3, shared: 15 });
    const buffer = world.engine.alloc(512);
    buffer.view().fill(7);
    user.write(0, 512, buffer);
    await user.close();
    await graph.close();
    const check = await world.graph().openImage({ filename: 'a', format: 'qcow2', readOnly: true });
    check.read(0, 512, buffer);
    expect([...new Set(buffer.view())]).toEqual([7]);
  });
});

describe('node names', () => {
  test('any text is a name or is refused by the rules', async () => {
    const graph = world.graph();
    const name = fc.oneof(fc.string(), fc.stringMatching(/^[a-z][a-z0-9._-]{0,40}$/));
    await fc.assert(
      fc.asyncProperty(name, async (text) => {
        const valid = /^[A-Za-z][A-Za-z0-9._-]*$/.test(text);
        const add = graph.blockdevAdd({ driver: 'null-co', 'node-name': text });
        if (!valid) await refused(add, `Invalid node-name: '${text}'`);
        else if (text.length > 31) await refused(add, 'Node name too long');
        else {
          await add;
          await refused(
            graph.blockdevAdd({ driver: 'null-co', 'node-name': text }),
            `Duplicate nodes with node-name='${text}'`,
          );
          await graph.blockdevDel(text);
        }
      }),
    );
    expect(graph.nodes()).toEqual([]);
  });

  test('generated ones count up and end in two digits', async () => {
    const graph = world.graph();
    await world.file('a', 512);
    for (let i = 0; i < 3; i++) {
      await graph.blockdevAdd({ driver: 'raw', 'node-name': `r${i}`, file: file('a') });
      expect(graph.find(`r${i}`)?.primary?.name).toMatch(new RegExp(`^#block${i}\\d\\d$`));
    }
    await graph.close();
  });
});

describe('drivers to come', () => {
  test('are told from unknown ones', async () => {
    const graph = world.graph();
    await world.file('a', 512);
    const vmdk = { driver: 'vmdk', 'node-name': 'v', file: file('a') };
    await refused(graph.blockdevAdd(vmdk), "Not available yet: block driver 'vmdk'");
    await refused(graph.openImage({ filename: 'ssh://h/x' }), "Not available yet: block driver 'ssh'");
    await refused(
      graph.openImage({ filename: 'nbd://h/x' }),
      'There are no NBD servers here: nothing can be connected to',
    );
    await refused(graph.openImage({ filename: 'a', format: 'ext2' }), "Unknown driver 'ext2'");
    await refused(graph.openImage({ filename: 'ext2:a' }), "Unknown protocol 'ext2'");
    await refused(() => graph.checkCreatable('vdi'), 'Not available yet: creation of vdi images');
    await refused(() => graph.checkCreatable('raw'), 'Driver does not support blockdev-create');
    expect(graph.nodes()).toEqual([]);
  });
});
