/** The caches of an image stay within the sizes that its options say, whatever is read and written. */
import { afterAll, expect, test } from 'vitest';
import type { Qcow2OpenOptions } from '../../src/engine/contract';
import { load, must, newEngine, openQcow2, random, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const CLUSTER = 4096;
/** Of this many bytes the tables alone take 4 MiB for L2 and 1 MiB for refcounts. */
const SIZE = 2 ** 31;

test.each<[Partial<Qcow2OpenOptions>, number, number]>([
  [{ l2CacheSize: 65536, refcountCacheSize: 65536 }, 65536, 65536],
  [{ l2CacheSize: 65536, refcountCacheSize: 65536, l2CacheEntrySize: 512 }, 65536, 65536],
  // The least that works: two slices, four refcount blocks.
  [{ l2CacheSize: 0, refcountCacheSize: 0 }, 2 * CLUSTER, 4 * CLUSTER],
  [{ l2CacheSize: 1 << 20 }, 1 << 20, 4 * CLUSTER],
  [{}, 4 << 20, 4 * CLUSTER],
])('%o', async (options, l2, refcounts) => {
  const engine = newEngine();
  const path = scratch.path('image.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `cluster_size=${CLUSTER}`, path, String(SIZE));
  const image = openQcow2(engine, await load(path), { readOnly: false, ...options });
  const buffer = engine.alloc(CLUSTER);
  const pick = random(5);
  let most = 0;
  for (let i = 0; i < 3000; i++) {
    const at = pick(SIZE / CLUSTER) * CLUSTER;
    if (pick(3)) engine.write(image.node, at, 512, buffer);
    else engine.read(image.node, at, 512, buffer);
    if (i % 100 === 0) most = Math.max(most, engine.qcow2Info(image.node).cacheBytes);
  }
  const { l1Entries, cacheBytes } = engine.qcow2Info(image.node);
  const entry = options.l2CacheEntrySize ?? CLUSTER;
  // Besides the tables: the header, L1 and refcount table, and 48 bytes of bookkeeping for each slot (a power of two).
  const slots = Math.max(16, 2 * (l2 / entry)) + Math.max(16, 2 * (refcounts / CLUSTER));
  const rest = CLUSTER + l1Entries * 8 + 16 * CLUSTER + slots * 48;
  expect(Math.max(most, cacheBytes)).toBeLessThanOrEqual(l2 + refcounts + rest);
  // They are used, too.
  expect(cacheBytes).toBeGreaterThan(l2 / 2);
  image.close();
});
