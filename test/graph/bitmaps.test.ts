/** How a job holds a bitmap, and lets it go. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Permission } from '../../src/files/locks';
import { checkUsable, dirtyInfo, type NodeBitmap } from '../../src/graph/bitmaps';
import { openDaemon, type TestDaemon } from '../daemon/daemon';

const MIB = 1024 * 1024;
const CLUSTER = 65536;

let test: TestDaemon;
let bitmap: NodeBitmap;
let write: (cluster: number) => void;

beforeEach(async () => {
  test = await openDaemon();
  const { daemon } = test;
  await daemon.graph.createImage({ filename: 'd.qcow2', format: 'qcow2', values: { size: MIB } });
  const file = { driver: 'file', filename: 'd.qcow2' };
  await daemon.execute('blockdev-add', { driver: 'qcow2', 'node-name': 'd', file });
  (await daemon.graph.bitmaps.add({ node: 'd', name: 'b' })).commit();
  bitmap = daemon.graph.bitmaps.lookup('d', 'b');
  const perm = Permission.CONSISTENT_READ | Permission.WRITE;
  const user = await daemon.graph.attach({ nodeName: 'd' }, { perm, shared: Permission.ALL });
  const buffer = daemon.environment.engine.alloc(CLUSTER);
  write = (cluster) => user.write(cluster * CLUSTER, CLUSTER, buffer);
});

/** The dirty clusters. */
function dirty(): number[] {
  const { bitmaps } = test.daemon.environment.engine;
  return Array.from({ length: MIB / CLUSTER }, (_, cluster) => cluster).filter((cluster) =>
    bitmaps.get(bitmap.handle, cluster * CLUSTER),
  );
}

describe('a bitmap that a job holds', () => {
  it('stays as it is; what is written goes to a successor, seen without a name', async () => {
    write(1);
    bitmap.freeze();
    write(2);
    expect(dirty()).toEqual([1]);
    expect(dirtyInfo(bitmap.node)).toMatchObject([
      { count: CLUSTER, recording: true, busy: false },
      { name: 'b', count: CLUSTER, recording: true, busy: true },
    ]);
    expect(() => checkUsable(bitmap)).toThrow(
      "Bitmap 'b' is currently in use by another operation and cannot be used",
    );
    expect(() => test.daemon.graph.bitmaps.clear('d', 'b')).toThrow('currently in use');
    await expect(test.daemon.graph.bitmaps.remove('d', 'b')).rejects.toThrow('currently in use');
  });

  it('holds what was written meanwhile when the job is done', () => {
    write(1);
    bitmap.freeze();
    write(2);
    bitmap.abdicate();
    write(3);
    expect(dirty()).toEqual([2, 3]);
    expect(dirtyInfo(bitmap.node)).toMatchObject([
      { name: 'b', count: 2 * CLUSTER, recording: true, busy: false },
    ]);
  });

  it('holds both when the job failed', () => {
    write(1);
    bitmap.freeze();
    write(2);
    bitmap.reclaim();
    write(3);
    expect(dirty()).toEqual([1, 2, 3]);
    expect(dirtyInfo(bitmap.node)).toMatchObject([
      { name: 'b', count: 3 * CLUSTER, recording: true, busy: false },
    ]);
  });

  it.each(['abdicate', 'reclaim'] as const)('that was disabled is so after %s', (end) => {
    bitmap.setEnabled(false);
    bitmap.freeze();
    write(2);
    bitmap[end]();
    write(3);
    expect(dirty()).toEqual([]);
    expect(dirtyInfo(bitmap.node)).toMatchObject([{ name: 'b', count: 0, recording: false }]);
  });

  it('can be held again and again', () => {
    for (let cluster = 0; cluster < 8; cluster++) {
      write(cluster);
      bitmap.freeze();
      write(cluster + 1);
      if (cluster % 2 === 0) bitmap.reclaim();
      else bitmap.abdicate();
    }
    expect(dirty()).toEqual([8]);
    expect(dirtyInfo(bitmap.node)).toHaveLength(1);
  });
});
