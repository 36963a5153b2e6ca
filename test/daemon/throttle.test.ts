import { describe, expect, it } from 'vitest';
import type { QmpValue } from '../../src/qapi';
import { openDaemon } from './daemon';

describe('jobs over throttle nodes', () => {
  it('keeps the rate of the group within 5 percent, and ends at once when limits go', async () => {
    const { daemon, files, events } = await openDaemon();
    const must = async (name: string, args: QmpValue) => {
      const reply = await daemon.execute(name, args);
      expect(reply).not.toHaveProperty('error');
      return reply.return;
    };
    const base = await files.open('base', { write: true, create: 'truncate' });
    base.write(new Uint8Array(64 << 20).fill(1), 0);
    base.close();
    const rate = 16 << 20;
    await must('object-add', { 'qom-type': 'throttle-group', id: 'g', limits: { 'bps-total': rate } });
    await must('blockdev-add', {
      driver: 'throttle',
      'node-name': 'slow',
      'throttle-group': 'g',
      file: { driver: 'file', filename: 'base' },
    });
    const create = async (id: string, options: QmpValue): Promise<void> => {
      await must('blockdev-create', { 'job-id': id, options });
      while (((await must('query-jobs', {})) as { status: string }[])[0]?.status !== 'concluded')
        await new Promise((resolve) => setTimeout(resolve, 1));
      await must('job-dismiss', { id });
    };
    await create('c', { driver: 'file', filename: 'top', size: 0 });
    await must('blockdev-add', { driver: 'file', 'node-name': 'top-file', filename: 'top' });
    await create('d', { driver: 'qcow2', file: 'top-file', size: 64 << 20 });
    await must('blockdev-add', { driver: 'qcow2', 'node-name': 'top', file: 'top-file', backing: 'slow' });
    const start = performance.now();
    await must('block-stream', { 'job-id': 'j', device: 'top' });
    const offset = async (): Promise<number> => {
      const jobs = (await must('query-block-jobs', {})) as { offset: number }[];
      return jobs[0]?.offset ?? 64 << 20;
    };
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const seconds = (performance.now() - start) / 1000;
    const done = await offset();
    // What passes at once is a tenth of a second; a piece of the job may be under way.
    const piece = 512 * 1024;
    expect(done).toBeLessThan(rate * (seconds + 0.1) * 1.05 + piece);
    expect(done).toBeGreaterThan(rate * (seconds + 0.1) * 0.95 - piece);
    expect(await daemon.execute('object-del', { id: 'g' })).toHaveProperty('error');
    await must('qom-set', { path: 'g', property: 'limits', value: { 'bps-total': 0 } });
    while (!events.some(({ event }) => event === 'BLOCK_JOB_COMPLETED')) {
      expect(performance.now() - start).toBeLessThan(5000);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await daemon.end();
  });
});
