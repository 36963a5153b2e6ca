import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/files/contract';
import { Permission } from '../../src/files/locks';
import type { QmpValue } from '../../src/qapi';
import { openDaemon } from './daemon';

const BLOCK = 65536;
const BLOCKS = 10;
const clusters = fc.uniqueArray(fc.integer({ min: 0, max: BLOCKS - 1 }));
interface Change {
  kind: string;
  at: number;
  count: number;
}

/** The write of the n-th cluster of data that the target gets fails, once. */
const fault = (n: number) => ({
  event: 'write_aio',
  errno: 5,
  once: true,
  sector: (5 + n) * (BLOCK / 512),
});
const isFailure = (data: unknown): boolean => typeof data === 'object' && data !== null && 'error' in data;
const sorted = (list: Iterable<number>): number[] => [...new Set(list)].sort((a, b) => a - b);

describe('a backup by bitmap', () => {
  it('leaves in the bitmap what its mode says, while a guest writes, also when it fails or is cancelled', async () => {
    let failures = 0;
    await fc.assert(
      fc.asyncProperty(
        clusters,
        clusters,
        fc.constantFrom('on-success', 'never', 'always'),
        fc.boolean(),
        fc.option(fc.nat(BLOCKS - 1)),
        async (dirty, during, mode, cancel, faulty) => {
          const { daemon, events } = await openDaemon();
          const { engine } = daemon.environment;
          const qmp = async (name: string, args: Record<string, QmpValue> = {}) => {
            const reply = await daemon.execute(name, args);
            expect(reply.error).toBeUndefined();
            return reply.return;
          };
          for (const name of ['n', 't']) {
            const values = { size: BLOCK * BLOCKS };
            await daemon.graph.createImage({ filename: name, format: 'qcow2', values });
            const image = { driver: 'file', filename: name };
            const fails = name === 't' && faulty !== null;
            const file = fails ? { driver: 'blkdebug', image, 'inject-error': [fault(faulty)] } : image;
            await qmp('blockdev-add', { driver: 'qcow2', 'node-name': name, file });
          }
          const perm = Permission.CONSISTENT_READ | Permission.WRITE;
          const shared = Permission.ALL;
          const guest = await daemon.graph.attach({ nodeName: 'n' }, { perm, shared });
          const buffer = engine.alloc(BLOCK);
          const write = (cluster: number, value: number) => {
            buffer.view().fill(value);
            guest.write(cluster * BLOCK, BLOCK, buffer);
          };
          await qmp('block-dirty-bitmap-add', { node: 'n', name: 'b' });
          for (const cluster of dirty) write(cluster, 1);
          await qmp('blockdev-backup', {
            'job-id': 'j',
            device: 'n',
            target: 't',
            sync: 'bitmap',
            bitmap: 'b',
            'bitmap-mode': mode,
            // The first cluster goes at once, nothing more.
            speed: 1,
            'x-perf': { 'max-chunk': BLOCK },
          });
          for (const cluster of during) {
            try {
              write(cluster, 2);
            } catch (error) {
              // What was there could not be kept, so it still is there.
              expect(faulty).not.toBe(null);
              expect(error).toMatchObject({ errno: Errno.EIO });
              write(cluster, 2);
            }
          }
          const running = (await qmp('query-jobs')) as QmpValue[];
          if (running.length > 0) {
            if (cancel) await qmp('job-cancel', { id: 'j' });
            else await qmp('block-job-set-speed', { device: 'j', speed: 0 });
          }
          while (((await qmp('query-jobs')) as QmpValue[]).length > 0)
            await new Promise((resolve) => setTimeout(resolve, 1));
          const [end] = events.filter(
            ({ event }) => event === 'BLOCK_JOB_CANCELLED' || event === 'BLOCK_JOB_COMPLETED',
          );
          const failed = end?.event !== 'BLOCK_JOB_COMPLETED' || isFailure(end.data);
          if (failed) failures++;

          const { handle } = daemon.graph.bitmaps.lookup('n', 'b');
          const left = Array.from({ length: BLOCKS }, (_, i) => i).filter((i) =>
            engine.bitmaps.get(handle, i * BLOCK),
          );
          const target = await daemon.graph.attach({ nodeName: 't' }, { perm: 1, shared });
          const copied = dirty.filter((cluster) => {
            target.read(cluster * BLOCK, BLOCK, buffer);
            const [value] = buffer.view();
            expect(value === 0 || value === 1).toBe(true);
            return value === 1;
          });
          if (!failed) expect(copied).toEqual(dirty);
          const lost = mode === 'always' ? dirty.filter((cluster) => !copied.includes(cluster)) : dirty;
          const synced = mode === 'always' || (mode === 'on-success' && !failed);
          expect(left).toEqual(sorted([...during, ...(synced ? (failed ? lost : []) : dirty)]));
          buffer.free();
          await daemon.end();
        },
      ),
      { numRuns: 60 },
    );
    expect(failures).toBeGreaterThan(5);
  });
});

describe('a full backup', () => {
  it('is the disk as it was when it began, whatever a guest does meanwhile', async () => {
    const UNIT = 4096;
    const UNITS = 256;
    const change = fc.record({
      kind: fc.constantFrom('write', 'zero', 'discard'),
      at: fc.nat(UNITS - 1),
      count: fc.integer({ min: 1, max: 40 }),
    });
    const before = fc.array(change, { maxLength: 8 });
    const meanwhile = fc.array(fc.oneof(change, fc.constant('copy' as const)), { maxLength: 20 });
    const cluster = fc.constantFrom(4096, 65536, 131072);
    await fc.assert(
      fc.asyncProperty(before, meanwhile, cluster, fc.boolean(), async (first, then, size, compress) => {
        const { daemon } = await openDaemon();
        const { engine } = daemon.environment;
        const qmp = async (name: string, args: Record<string, QmpValue> = {}) => {
          const reply = await daemon.execute(name, args);
          expect(reply.error).toBeUndefined();
          return reply.return;
        };
        for (const [name, bytes] of [
          ['n', 65536],
          ['t', size],
        ] as const) {
          const values = { size: UNIT * UNITS, cluster_size: bytes };
          await daemon.graph.createImage({ filename: name, format: 'qcow2', values });
          const file = { driver: 'file', filename: name };
          await qmp('blockdev-add', { driver: 'qcow2', 'node-name': name, discard: 'unmap', file });
        }
        const shared = Permission.ALL;
        const perm = Permission.CONSISTENT_READ | Permission.WRITE;
        const guest = await daemon.graph.attach({ nodeName: 'n' }, { perm, shared });
        const buffer = engine.alloc(UNIT * UNITS);
        let value = 1;
        const apply = ({ kind, at, count }: Change) => {
          const [offset, bytes] = [at * UNIT, Math.min(count, UNITS - at) * UNIT];
          buffer.view(0, bytes).fill(value++);
          if (kind === 'write') guest.write(offset, bytes, buffer);
          else if (kind === 'zero') guest.writeZeroes(offset, bytes);
          else guest.discard(offset, bytes);
        };
        const read = (user: typeof guest): Buffer => {
          user.read(0, UNIT * UNITS, buffer);
          return Buffer.from(buffer.view());
        };
        for (const one of first) apply(one);
        const was = read(guest);
        // One piece goes at once, and one more with each change of the speed.
        const speed = 1;
        const options = { speed, compress, 'x-perf': { 'max-chunk': Math.max(size, 65536) } };
        await qmp('blockdev-backup', { 'job-id': 'j', device: 'n', target: 't', sync: 'full', ...options });
        const running = async () => ((await qmp('query-jobs')) as QmpValue[]).length > 0;
        for (const [i, one] of then.entries()) {
          if (one !== 'copy') apply(one);
          else if (await running())
            await daemon.execute('block-job-set-speed', { device: 'j', speed: 2 + i });
        }
        if (await running()) await daemon.execute('block-job-set-speed', { device: 'j', speed: 0 });
        while (await running()) await new Promise((resolve) => setTimeout(resolve, 1));
        const target = await daemon.graph.attach({ nodeName: 't' }, { perm: 1, shared });
        expect(read(target).equals(was)).toBe(true);
        buffer.free();
        await daemon.end();
      }),
      { numRuns: 40 },
    );
  });
});
