import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/files/contract';
import { Permission } from '../../src/files/locks';
import type { QmpValue } from '../../src/qapi';
import { openDaemon } from './daemon';

const BLOCK = 65536;
const BLOCKS = 10;
const clusters = fc.uniqueArray(fc.integer({ min: 0, max: BLOCKS - 1 }));
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
