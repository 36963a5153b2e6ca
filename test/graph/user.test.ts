import { beforeEach, describe, expect, test } from 'vitest';
import { BlockError, RequestFlag, Status, type IoBuffer } from '../../src/engine/contract';
import type { OpenMode } from '../../src/files/contract';
import type { BlockUser, OpenImageRequest } from '../../src/graph/index';
import { MIB, World } from './support';

let world: World;
let buffer: IoBuffer;
beforeEach(() => {
  world = new World();
  buffer = world.engine.alloc(65536);
});

const fill = (value: number) => buffer.view().fill(value);
const open = (request: OpenImageRequest): Promise<BlockUser> => world.graph().openImage(request);
const fails = (action: () => void, text: string) => {
  expect(action).toThrow(BlockError);
  expect(action).toThrow(text);
};

describe('requests', () => {
  test('need their permission', async () => {
    await world.image('a');
    const user = await open({ filename: 'a', permissions: { perm: 1, shared: 15 } });
    for (const request of [
      () => user.write(0, 512, buffer),
      () => user.writeZeroes(0, 512),
      () => user.discard(0, 512),
      () => user.truncate(2 * MIB),
    ])
      fails(request, 'Operation not permitted');
    await user.setPermissions(11, 15);
    user.write(0, 512, buffer);
    user.truncate(2 * MIB);
    expect(user.length()).toBe(2 * MIB);
    await user.close();
    fails(() => user.read(0, 512, buffer), 'No medium found');
  });

  test('reach the node behind them, and its status says so', async () => {
    await world.image('base');
    await world.image('top', { file: 'base', format: 'qcow2' });
    const below = await open({ filename: 'base', format: 'qcow2' });
    fill(3);
    below.write(65536, 65536, buffer);
    await below.close();
    const user = await open({ filename: 'top', format: 'qcow2' });
    user.read(65536, 65536, buffer);
    expect(buffer.view().every((byte) => byte === 3)).toBe(true);
    expect(user.blockStatus(65536, 65536).flags & Status.ALLOCATED).toBe(0);
    const status = user.blockStatusAbove(null, 65536, 65536);
    expect(status.depth).toBe(2);
    expect(status.file === null ? null : user.nodeOf(status.file)?.filename).toBe('base');
    await user.close();
  });

  test('detect-zeroes turns zeros into zero writes', async () => {
    for (const detectZeroes of ['off', 'on', 'unmap'] as const) {
      await world.image('a');
      const user = await open({ filename: 'a', format: 'qcow2', detectZeroes, discard: 'unmap' });
      fill(1);
      user.write(0, 65536, buffer);
      fill(0);
      user.write(0, 65536, buffer);
      user.write(65536, 65536, buffer);
      const second = user.blockStatus(65536, 65536).flags;
      expect(Boolean(second & Status.ZERO)).toBe(detectZeroes !== 'off');
      expect(Boolean(second & Status.OFFSET_VALID)).toBe(detectZeroes === 'off');
      // The cluster that was there is given back only if it may be.
      expect(Boolean(user.blockStatus(0, 65536).flags & Status.OFFSET_VALID)).toBe(detectZeroes !== 'unmap');
      await user.close();
    }
  });

  test('discard=ignore keeps data, whichever layer says so', async () => {
    const file = { driver: 'file', filename: 'a' };
    for (const options of [
      { driver: 'raw', discard: 'ignore', file },
      { driver: 'raw', discard: 'unmap', file: { ...file, discard: 'ignore' } },
      { driver: 'raw', discard: 'unmap', file },
    ]) {
      await world.file('a', new Uint8Array(65536).fill(9));
      const user = await open({ options });
      user.discard(0, 65536);
      user.read(0, 512, buffer);
      const kept = options.discard === 'ignore' || 'discard' in options.file;
      expect(buffer.view()[0]).toBe(kept ? 9 : 0);
      await user.close();
    }
  });

  test('reopening changes what a node below does about zeros and discards', async () => {
    await world.image('a');
    const graph = world.graph();
    const node = (options: Record<string, string>) => ({
      driver: 'qcow2',
      'node-name': 'q',
      file: { driver: 'file', filename: 'a' },
      ...options,
    });
    await graph.blockdevAdd(node({}));
    await graph.blockdevAdd({ driver: 'raw', 'node-name': 'r', file: 'q', discard: 'unmap' });
    const user = await graph.attach({ nodeName: 'r' }, { perm: 3, shared: 15 });
    const placed = (offset: number) => Boolean(user.blockStatus(offset, 65536).flags & Status.OFFSET_VALID);
    const zeros = (offset: number) => {
      fill(1);
      user.write(offset, 65536, buffer);
      fill(0);
      user.write(offset, 65536, buffer);
      return placed(offset);
    };
    const discards = (offset: number) => {
      fill(1);
      user.write(offset, 65536, buffer);
      user.discard(offset, 65536);
      return !placed(offset);
    };
    expect([zeros(0), discards(0)]).toEqual([true, false]);
    await graph.blockdevReopen([node({ 'detect-zeroes': 'unmap', discard: 'unmap' })]);
    expect([zeros(0), discards(0)]).toEqual([false, true]);
    // All or nothing.
    const list = [node({ discard: 'unmap' }), { driver: 'raw', 'node-name': 'r', file: 'missing' }];
    await expect(graph.blockdevReopen(list)).rejects.toThrow();
    expect([zeros(0), discards(0)]).toEqual([false, true]);
    await graph.blockdevReopen([node({})]);
    expect([zeros(0), discards(0)]).toEqual([true, false]);
    await user.close();
    await graph.close();
  });

  test('zero writes without discard keep the space', async () => {
    for (const discard of ['ignore', 'unmap'] as const) {
      await world.file('a', new Uint8Array(65536).fill(9));
      const user = await open({ filename: 'a', format: 'raw', discard });
      user.writeZeroes(0, 65536, RequestFlag.MAY_UNMAP);
      user.read(0, 512, buffer);
      expect(buffer.view()[0]).toBe(0);
      await user.close();
    }
  });
});

describe('caches', () => {
  test('unsafe leaves flushes out, writethrough flushes each write', async () => {
    const flushes = async (cache: 'writeback' | 'unsafe' | 'writethrough'): Promise<[number, number]> => {
      await world.file('a', MIB);
      let count = 0;
      const files = new Proxy(world.files, {
        get(target, key) {
          const member: unknown = Reflect.get(target, key);
          if (key !== 'open') return typeof member === 'function' ? (member.bind(target) as unknown) : member;
          return async (path: string, mode: OpenMode) => {
            const file = await target.open(path, mode);
            const flush = file.flush.bind(file);
            file.flush = () => (count++, flush());
            return file;
          };
        },
      });
      const user = await world.graph({ files }).openImage({ filename: 'a', format: 'raw', cache });
      user.write(0, 512, buffer);
      const written = count;
      user.flush();
      const flushed = count;
      await user.close();
      return [written, flushed];
    };
    expect(await flushes('writeback')).toEqual([0, 1]);
    expect(await flushes('unsafe')).toEqual([0, 0]);
    const [written] = await flushes('writethrough');
    expect(written).toBe(1);
  });
});

describe('a format that was guessed', () => {
  test('raw: a warning, and the first sector must not become another format', async () => {
    await world.file('a', MIB);
    const user = await open({ filename: 'a' });
    expect(user.node.driver).toBe('raw');
    expect(world.warnings).toEqual([
      "WARNING: Image format was not specified for 'a' and probing guessed raw.\n" +
        '         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.\n' +
        "         Specify the 'raw' format explicitly to remove the restrictions.",
    ]);
    fill(0);
    buffer.view().set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]);
    fails(() => user.write(0, 512, buffer), 'Operation not permitted');
    user.write(512, 512, buffer);
    // In two pieces it is no better.
    user.write(0, 4, buffer);
    fails(() => user.write(4, 4, buffer, 4), 'Operation not permitted');
    await user.close();
    const told = await open({ filename: 'a', format: 'raw' });
    told.write(0, 512, buffer);
    await told.close();
    expect(world.warnings).toHaveLength(1);
  });

  test('no warning for readers', async () => {
    await world.file('a', MIB);
    await (await open({ filename: 'a', readOnly: true })).close();
    expect(world.warnings).toEqual([]);
  });
});
