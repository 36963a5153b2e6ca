/** Caches of qcow2 nodes: unused tables are freed in the interval that options say, and what is changed stays. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MIB, World } from './support';

let world: World;
beforeEach(async () => {
  world = new World();
  vi.useFakeTimers();
  await world
    .graph()
    .createImage({ filename: 'a', format: 'qcow2', values: { size: 64 * MIB, cluster_size: 512 } });
});
afterEach(() => {
  vi.useRealTimers();
});

const options = (more: Record<string, number>) => ({
  driver: 'qcow2',
  'node-name': 'q',
  file: { driver: 'file', filename: 'a' },
  ...more,
});

async function opened(more: Record<string, number>) {
  const graph = world.graph();
  await graph.blockdevAdd(options(more));
  const user = await graph.attach({ nodeName: 'q' }, { perm: 3, shared: 15 });
  const buffer = world.engine.alloc(512);
  const bytes = () => world.engine.qcow2Info(user.node.handle).cacheBytes;
  const pass = (seconds: number) => vi.advanceTimersByTime(seconds * 1000);
  /** A table of L2 entries covers 32 KiB. */
  const use = (from: number, to: number) => {
    for (let at = from; at < to; at += 32768) user.read(at, 512, buffer);
  };
  for (let at = 0; at < 16 * MIB; at += 32768) {
    buffer.view().fill(at / 32768 + 1);
    user.write(at, 512, buffer);
  }
  user.flush();
  return { graph, user, buffer, bytes, pass, use };
}

test('what was not used in an interval is freed at its end, and read again when it is needed', async () => {
  const { graph, user, buffer, bytes, pass, use } = await opened({ 'cache-clean-interval': 2 });
  const full = bytes();
  expect(full).toBeGreaterThan(512 * 512);
  pass(2);
  expect(bytes()).toBe(full);
  use(0, 4 * MIB);
  pass(2);
  const kept = bytes();
  expect(kept).toBeLessThan(full - 300 * 512);
  expect(kept).toBeGreaterThan(128 * 512);
  pass(4);
  expect(bytes()).toBeLessThan(kept - 100 * 512);
  for (let at = 0; at < 16 * MIB; at += 32768) {
    user.read(at, 512, buffer);
    expect(buffer.view().every((byte) => byte === ((at / 32768 + 1) & 255))).toBe(true);
  }
  expect(bytes()).toBeLessThanOrEqual(full);
  await user.close();
  await graph.close();
  expect(vi.getTimerCount()).toBe(0);
});

test('changed tables stay until they are written', async () => {
  const { graph, user, buffer, pass } = await opened({ 'cache-clean-interval': 1 });
  buffer.view().fill(99);
  for (let at = 32 * MIB; at < 40 * MIB; at += 32768) user.write(at, 512, buffer);
  pass(10);
  for (let at = 32 * MIB; at < 40 * MIB; at += 32768) {
    user.read(at, 512, buffer);
    expect(buffer.view()[0]).toBe(99);
  }
  await user.close();
  await graph.close();
  const check = await world.graph().openImage({ filename: 'a', format: 'qcow2', check: true });
  const work = check.check({ leaks: false, errors: false }, () => undefined);
  while (work.step());
  expect(work.end()).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  await check.close();
});

test('reopening changes the interval; the default is ten minutes, 0 is never', async () => {
  const { graph, user, bytes, pass, use } = await opened({});
  const reopen = (more: Record<string, number>) => graph.blockdevReopen([options(more)]);
  const full = bytes();
  pass(1199);
  expect(bytes()).toBe(full);
  pass(1);
  expect(bytes()).toBeLessThan(full);
  await reopen({ 'cache-clean-interval': 0 });
  use(0, 16 * MIB);
  const used = bytes();
  pass(100_000);
  expect(bytes()).toBe(used);
  await reopen({ 'cache-clean-interval': 1 });
  use(0, 16 * MIB);
  pass(2);
  expect(bytes()).toBeLessThan(used - 400 * 512);
  await reopen({ 'cache-clean-interval': 4294967295 });
  use(0, 16 * MIB);
  pass(100_000);
  expect(bytes()).toBe(used);
  await expect(reopen({ 'cache-clean-interval': 4294967296 })).rejects.toThrow(
    'Cache clean interval too big',
  );
  await user.close();
  await graph.close();
  expect(vi.getTimerCount()).toBe(0);
});

test.each<[Record<string, number>, number]>([
  [{ 'cache-size': 65536 }, 65536],
  [{ 'cache-size': 65536, 'l2-cache-size': 32768 }, 65536],
  [{ 'cache-size': 65536, 'refcount-cache-size': 16384 }, 65536],
])('%o holds for tables and counts together', async (more, most) => {
  const { graph, user, bytes, use } = await opened(more);
  use(0, 64 * MIB);
  const { l1Entries } = world.engine.qcow2Info(user.node.handle);
  // Besides: the header's cluster, L1 and refcount table, bookkeeping of 64 bytes for each slot (a power of two).
  const rest = 512 + l1Entries * 8 + 4096 + 2 * (most / 512) * 64;
  expect(bytes()).toBeLessThanOrEqual(most + rest);
  expect(bytes()).toBeGreaterThan(most / 2);
  await user.close();
  await graph.close();
});
