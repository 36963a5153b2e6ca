/** Random sequences of changes of one graph: permissions, locks, references and names fit at every moment. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Permission } from '../../src/files/locks';
import type { BlockGraph } from '../../src/graph/index';
import { GraphError, type BlockUser } from '../../src/graph/index';
import type { PlacedOverlay } from '../../src/graph/api';
import { refreshPermissions } from '../../src/graph/permissions';
import { World } from './support';

const IMAGES = ['a', 'b', 'c', 'd'];
const CLUSTER = 65536;
const NODES = [...IMAGES, 'raw', 'new0', 'new1', 'new2'];
const name = fc.constantFrom(...NODES);

type Step =
  | { do: 'add'; image: string; backing: string | null; readOnly: boolean }
  | { do: 'raw'; file: string; readOnly: boolean }
  | { do: 'del'; node: string }
  | { do: 'reopen'; nodes: { node: string; backing: string | null; readOnly: boolean }[] }
  | { do: 'reraw'; file: string; readOnly: boolean }
  | { do: 'snapshot'; node: string; overlay: string; keep: boolean }
  | { do: 'sync'; node: string; overlay: string; keep: boolean }
  | { do: 'attach'; node: string; write: boolean; shared: number }
  | { do: 'write'; user: number; cluster: number; value: number }
  | { do: 'close'; user: number };

const backing = fc.option(name);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('add' as const),
    image: fc.constantFrom(...IMAGES),
    backing,
    readOnly: fc.boolean(),
  }),
  fc.record({ do: fc.constant('raw' as const), file: name, readOnly: fc.boolean() }),
  fc.record({ do: fc.constant('del' as const), node: name }),
  fc.record({
    do: fc.constant('reopen' as const),
    nodes: fc.array(fc.record({ node: fc.constantFrom(...IMAGES), backing, readOnly: fc.boolean() }), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  fc.record({ do: fc.constant('reraw' as const), file: name, readOnly: fc.boolean() }),
  fc.record({ do: fc.constant('snapshot' as const), node: name, overlay: name, keep: fc.boolean() }),
  fc.record({
    do: fc.constant('sync' as const),
    node: name,
    overlay: fc.constantFrom('new0', 'new1', 'new2'),
    keep: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('attach' as const),
    node: name,
    write: fc.boolean(),
    shared: fc.constantFrom(Permission.ALL, Permission.ALL & ~Permission.RESIZE, Permission.CONSISTENT_READ),
  }),
  fc.record({
    do: fc.constant('write' as const),
    user: fc.nat(5),
    cluster: fc.nat(7),
    value: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ do: fc.constant('close' as const), user: fc.nat(5) }),
);

/** One graph under test, and what its users have written. */
class Subject {
  readonly world = new World();
  readonly graph: BlockGraph = this.world.graph();
  readonly users: { user: BlockUser; seen: Map<number, number> }[] = [];

  picture(): string {
    return JSON.stringify([this.graph.debugGraph(), this.graph.namedBlockNodes(true)]);
  }

  /** Ends a snapshot the one way or the other. */
  private async end(placed: PlacedOverlay, keep: boolean, before: string): Promise<void> {
    if (keep) return placed.commit();
    await placed.abort();
    expect(this.picture()).toBe(before);
  }

  private qcow2(node: string, backingNode: string | null, readOnly: boolean) {
    return {
      driver: 'qcow2',
      'node-name': node,
      'read-only': readOnly,
      backing: backingNode,
      file: { driver: 'file', filename: node },
    };
  }

  private raw(file: string, readOnly: boolean) {
    return { driver: 'raw', 'node-name': 'raw', 'read-only': readOnly, file };
  }

  async run(what: Step): Promise<void> {
    const { graph } = this;
    const before = this.picture();
    switch (what.do) {
      case 'add':
        return graph.blockdevAdd(this.qcow2(what.image, what.backing, what.readOnly));
      case 'raw':
        return graph.blockdevAdd(this.raw(what.file, what.readOnly));
      case 'reraw':
        return graph.blockdevReopen([this.raw(what.file, what.readOnly)]);
      case 'del':
        return graph.blockdevDel(what.node);
      case 'reopen':
        return graph.blockdevReopen(
          what.nodes.map(({ node, backing, readOnly }) => this.qcow2(node, backing, readOnly)),
        );
      case 'snapshot':
        return this.end(await graph.placeOverlay(what.node, what.overlay), what.keep, before);
      case 'sync': {
        const wanted = {
          nodeName: what.node,
          file: what.overlay,
          overlayName: what.overlay,
          existing: false,
        };
        return this.end(await graph.placeNewOverlay(wanted), what.keep, before);
      }
      case 'attach': {
        const perm = Permission.CONSISTENT_READ | (what.write ? Permission.WRITE : 0);
        const user = await graph.attach({ nodeName: what.node }, { perm, shared: what.shared });
        this.users.push({ user, seen: new Map() });
        return;
      }
      case 'write':
        return this.write(what.user, what.cluster, what.value);
      case 'close':
        for (const { user } of this.users.splice(what.user, 1)) await user.close();
    }
  }

  private write(index: number, cluster: number, value: number): void {
    const writer = this.users[index]?.user;
    if (!writer || !(writer.perm & Permission.WRITE)) return;
    const buffer = this.world.engine.alloc(CLUSTER);
    buffer.view().fill(value);
    writer.write(cluster * CLUSTER, CLUSTER, buffer);
    buffer.free();
    // Nobody else may see this if he holds another node, and everybody who holds the same must.
    for (const { user, seen } of this.users) {
      if (user.node === writer.node) seen.set(cluster, value);
      else seen.delete(cluster);
    }
  }

  /** It is not known any more what users see. */
  forget(): void {
    for (const { seen } of this.users) seen.clear();
  }

  /** What must hold between any two steps. */
  async check(): Promise<void> {
    const { table } = this.graph.opener;
    for (const node of table.all()) {
      expect(node.references).toBe(node.parents.length + Number(node.monitorOwned));
      for (const link of node.links) expect(link.node.parents).toContain(link);
      for (const link of node.parents) {
        expect(link.node).toBe(node);
        for (const other of node.parents) if (other !== link) expect(link.perm & ~other.shared).toBe(0);
      }
      expect(node.engine.length(node.handle)).toBeGreaterThan(0);
    }
    const before = this.picture();
    await refreshPermissions(table.all());
    expect(this.picture()).toBe(before);
    const buffer = this.world.engine.alloc(512);
    for (const { user, seen } of this.users) {
      for (const [cluster, value] of seen) {
        user.read(cluster * CLUSTER, 512, buffer);
        expect(buffer.view(0, 1)[0]).toBe(value);
      }
    }
    buffer.free();
  }

  /** Everything is let go of, and others can have all images. */
  async finish(): Promise<void> {
    for (const { user } of this.users) await user.close();
    await this.graph.close();
    expect(this.graph.nodes()).toEqual([]);
    const other = this.world.graph();
    for (const image of IMAGES) {
      await other.blockdevAdd({ ...this.qcow2(image, null, false) });
      await other.attach({ nodeName: image }, { perm: Permission.WRITE, shared: 0 });
    }
    await other.close();
  }
}

test('any sequence of changes', { timeout: 60_000 }, async () => {
  let changed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const subject = new Subject();
      for (const image of IMAGES) await subject.world.image(image);
      for (const image of IMAGES.slice(0, 3))
        await subject.run({ do: 'add', image, backing: null, readOnly: false });
      for (const what of steps) {
        const before = subject.picture();
        try {
          await subject.run(what);
          changed++;
          // An overlay, or another file, may have data of its own there.
          if (what.do === 'reraw' || (what.do === 'snapshot' && what.keep)) subject.forget();
        } catch (error) {
          if (!(error instanceof GraphError)) throw error;
          // A refusal has changed nothing.
          expect(subject.picture()).toBe(before);
        }
        await subject.check();
      }
      await subject.finish();
    }),
    { numRuns: 60 },
  );
  expect(changed).toBeGreaterThan(200);
});
