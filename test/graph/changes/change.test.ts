import { beforeEach, describe, expect, test } from 'vitest';
import { Permission } from '../../../src/files/locks';
import { GraphChange } from '../../../src/graph/changes/change';
import type { BlockGraph } from '../../../src/graph/index';
import { Role, type BlockNode } from '../../../src/graph/node';
import { MIB, refused, World } from '../support';

let world: World;
let graph: BlockGraph;
const READ = { perm: Permission.CONSISTENT_READ, shared: Permission.ALL };
const WRITER = { perm: Permission.CONSISTENT_READ | Permission.WRITE, shared: Permission.ALL };

beforeEach(async () => {
  world = new World();
  graph = world.graph();
  for (const name of ['a', 'b', 'c']) {
    await world.image(name);
    await graph.blockdevAdd({ driver: 'qcow2', 'node-name': name, file: { driver: 'file', filename: name } });
  }
});

const node = (name: string): BlockNode => graph.opener.table.named(name);
const change = () => new GraphChange(graph.opener);

function byteAt(user: { read(offset: number, bytes: number, buffer: never): void }, offset: number): number {
  const buffer = world.engine.alloc(512);
  try {
    user.read(offset, 512, buffer as never);
    return buffer.view(0, 1)[0] ?? -1;
  } finally {
    buffer.free();
  }
}

async function fill(name: string, value: number, offset = 0): Promise<void> {
  const user = await graph.attach({ nodeName: name }, WRITER);
  const buffer = world.engine.alloc(65536);
  buffer.view().fill(value);
  user.write(offset, 65536, buffer);
  buffer.free();
  await user.close();
}

/** Everything that a change moves. */
const picture = () => JSON.stringify([graph.debugGraph(), graph.namedBlockNodes(true)]);

describe('changes of the graph', () => {
  test('a node put above another has all its users, who read through it', async () => {
    await fill('a', 0xaa);
    await fill('b', 0xbb, 65536);
    const user = await graph.attach({ nodeName: 'a' }, WRITER);
    const append = change();
    append.append(node('b'), node('a'));
    await append.apply();
    expect(user.node.name).toBe('b');
    expect([byteAt(user, 0), byteAt(user, 65536)]).toEqual([0xaa, 0xbb]);
    expect(node('a').parents.map(({ parent, name }) => [parent, name])).toEqual([[node('b'), 'backing']]);
    expect(node('b').filename).toBe(
      'json:{"backing": {"driver": "qcow2", "file": {"driver": "file", "filename": "a"}}, "driver": "qcow2", "file": {"driver": "file", "filename": "b"}}',
    );
    await user.close();
    await graph.close();
    expect(graph.nodes()).toEqual([]);
  });

  test('what was prepared can be taken back whole', async () => {
    await fill('a', 0xaa);
    const user = await graph.attach({ nodeName: 'a' }, READ);
    const before = picture();
    const append = change();
    append.append(node('b'), node('a'));
    await append.prepare();
    expect(picture()).not.toBe(before);
    await append.abort();
    expect(picture()).toBe(before);
    expect(byteAt(user, 0)).toBe(0xaa);
    await user.close();
    await graph.close();
  });

  test('a conflict of permissions leaves all as it was', async () => {
    const alone = await graph.attach({ nodeName: 'b' }, { perm: 0, shared: 0 });
    const user = await graph.attach({ nodeName: 'a' }, READ);
    const before = picture();
    const replace = change();
    replace.replaceNode(node('a'), node('b'));
    await refused(
      replace.apply(),
      "Permission conflict on node 'b': permissions 'consistent read' are both required by an unnamed block device " +
        "(uses node 'b' as 'root' child) and unshared by an unnamed block device (uses node 'b' as 'root' child).",
    );
    expect(picture()).toBe(before);
    await alone.close();
    await user.close();
    await graph.close();
  });

  test('a conflict of image locks too', async () => {
    const other = world.graph();
    for (const [process, name] of [
      [graph, 'mine'],
      [graph, 'taken'],
      [other, 'taken'],
    ] as const) {
      if (process === graph) await world.file(name, MIB);
      await process.blockdevAdd({ driver: 'file', 'node-name': name, filename: name });
    }
    await other.attach({ nodeName: 'taken' }, { perm: 0, shared: Permission.CONSISTENT_READ });
    const user = await graph.attach({ nodeName: 'mine' }, WRITER);
    const before = picture();
    const replace = change();
    replace.replaceNode(node('mine'), node('taken'));
    await refused(replace.apply(), 'Failed to get "write" lock');
    expect(picture()).toBe(before);
    expect(user.node.name).toBe('mine');
    await other.close();
    const again = change();
    again.replaceNode(node('mine'), node('taken'));
    await again.apply();
    expect(user.node.name).toBe('taken');
    await user.close();
    await graph.close();
  });

  test('no circles, no frozen links', async () => {
    const append = change();
    append.append(node('b'), node('a'));
    await append.apply();
    const circle = change();
    expect(() => circle.setChild(node('a'), 'backing', Role.COW, node('b'))).toThrow(
      "Making 'b' a backing child of 'a' would create a cycle",
    );
    await circle.abort();
    const link = node('b').links.find(({ name }) => name === 'backing');
    if (!link) throw new Error('no link');
    link.frozen = true;
    const frozen = change();
    expect(() => frozen.setChild(node('b'), 'backing', Role.COW, null)).toThrow(
      "Cannot change frozen 'backing' link from 'b' to 'a'",
    );
    expect(() => frozen.replaceNode(node('a'), node('c'))).toThrow("Cannot change 'backing' link to 'a'");
    await frozen.abort();
    link.frozen = false;
    const detach = change();
    detach.setChild(node('b'), 'backing', Role.COW, null);
    await detach.apply();
    expect(node('b').backing).toBeNull();
    await graph.close();
  });

  test('the file of a format is replaced under it, and what was written is in the old one', async () => {
    await graph.blockdevAdd({ driver: 'raw', 'node-name': 'copy', file: { driver: 'null-co', size: MIB } });
    await graph.blockdevAdd({ driver: 'raw', 'node-name': 'r', file: 'copy' });
    const user = await graph.attach({ nodeName: 'r' }, WRITER);
    await fill('a', 0x11);
    const swap = change();
    swap.setChild(node('r'), 'file', Role.PRIMARY | Role.FILTERED, node('a'));
    await swap.apply();
    expect(byteAt(user, 0)).toBe(0x11);
    expect(node('copy').parents).toEqual([]);
    await user.close();
    await graph.close();
    expect(graph.nodes()).toEqual([]);
  });
});
