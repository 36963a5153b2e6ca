import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Permission } from '../../src/files/locks';
import type { QmpValue } from '../../src/qapi';
import { openDaemon } from './daemon';

const BLOCK = 65536;
const BLOCKS = 10;
const clusters = fc.uniqueArray(fc.integer({ min: 0, max: BLOCKS - 1 }));
const sorted = (list: Iterable<number>): number[] => [...new Set(list)].sort((a, b) => a - b);

describe('a backup by bitmap', () => {
  it('leaves in the bitmap what its mode says, while a guest writes, also when it is cancelled', async () => {
    await fc.assert(
      fc.asyncProperty(
        clusters,
        clusters,
        fc.constantFrom('on-success', 'never', 'always'),
        fc.boolean(),
        async (dirty, during, mode, cancel) => {
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
            const file = { driver: 'file', filename: name };
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
          for (const cluster of during) write(cluster, 2);
          const running = (await qmp('query-jobs')) as QmpValue[];
          if (running.length > 0) {
            if (cancel) await qmp('job-cancel', { id: 'j' });
            else await qmp('block-job-set-speed', { device: 'j', speed: 0 });
          }
          while (((await qmp('query-jobs')) as QmpValue[]).length > 0)
            await new Promise((resolve) => setTimeout(resolve, 1));
          const cancelled = events.some(({ event }) => event === 'BLOCK_JOB_CANCELLED');

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
          if (!cancelled) expect(copied).toEqual(dirty);
          const lost = mode === 'always' ? dirty.filter((cluster) => !copied.includes(cluster)) : dirty;
          const synced = mode === 'always' || (mode === 'on-success' && !cancelled);
          expect(left).toEqual(sorted([...during, ...(synced ? (cancelled ? lost : []) : dirty)]));
          buffer.free();
          await daemon.end();
        },
      ),
      { numRuns: 40 },
    );
  });
});
