/** What discards and freed clusters do to the file below, by the options of the image. */
import { expect, test } from 'vitest';
import type { Engine, Qcow2OpenOptions } from '../../src/engine/contract';
import { MemoryStore } from '../../src/files/memory';
import { keptOpen, newEngine, openQcow2 } from './support';
import type { OpenImage } from './support';

const CLUSTER = 65536;

/**
 * An image of 2 MiB with data in its first 16 clusters; the answer says how many clusters of its file are in use less
 * than that after `work`.
 */
async function given(
  options: Partial<Qcow2OpenOptions>,
  work: (image: OpenImage, engine: Engine) => void,
): Promise<number> {
  const engine = newEngine();
  const file = await new MemoryStore().open('image', { write: true, create: 'truncate' });
  const protocol = engine.openFile(keptOpen(file), { readOnly: false });
  engine.createQcow2(protocol, {
    size: 2 << 20,
    version: 3,
    clusterSize: CLUSTER,
    refcountBits: 16,
    lazyRefcounts: false,
    preallocation: 0,
    backingFile: null,
    backingFormat: null,
  });
  engine.close(protocol);
  const image = openQcow2(engine, file, { readOnly: false, ...options });
  const buffer = engine.alloc(CLUSTER);
  buffer.view().fill(1);
  for (let i = 0; i < 16; i++) engine.write(image.node, i * CLUSTER, CLUSTER, buffer);
  engine.flush(image.node);
  const before = file.allocated();
  work(image, engine);
  engine.flush(image.node);
  const after = file.allocated();
  image.close();
  return (before - after) / CLUSTER;
}

test('a discard goes on to the file only where it may', async () => {
  const work = (image: OpenImage, engine: Engine) => {
    engine.discard(image.node, 0, 2 * CLUSTER);
    engine.writeZeroes(image.node, 4 * CLUSTER, CLUSTER, 2);
  };
  expect(await given({ passDiscard: true }, work)).toBe(3);
  expect(await given({ passDiscard: false }, work)).toBe(0);
  expect(await given({ passDiscard: false, passDiscardOther: true }, work)).toBe(0);
});

test('with discard-no-unref places stay taken, and what they held goes', async () => {
  const work = (image: OpenImage, engine: Engine) => {
    engine.discard(image.node, 0, 2 * CLUSTER);
    engine.writeZeroes(image.node, 4 * CLUSTER, CLUSTER, 2);
    const status = engine.blockStatus(image.node, 0, CLUSTER);
    expect(status.flags & 6).toBe(6);
    expect(engine.blockStatus(image.node, 4 * CLUSTER, CLUSTER).flags & 6).toBe(6);
  };
  expect(await given({ passDiscard: true, discardNoUnref: true }, work)).toBe(3);
  expect(await given({ passDiscard: false, discardNoUnref: true }, work)).toBe(0);
});

test('what tables give back goes with pass-discard-other alone', async () => {
  // The L1 table moves when the disk grows beyond what it can hold.
  const work = (image: OpenImage, engine: Engine) => {
    engine.truncate(image.node, 8192 * 512 * 2 ** 20);
    const held = engine.qcow2Info(image.node);
    expect(held.l1Entries).toBe(8192);
  };
  const without = await given({}, work);
  expect(await given({ passDiscardOther: true }, work)).toBeGreaterThan(without);
});

test('what a snapshot gives back goes with pass-discard-snapshot alone', async () => {
  const work = (image: OpenImage, engine: Engine) => {
    const buffer = engine.alloc(CLUSTER);
    engine.createSnapshot(image.node, {
      name: 's',
      dateSec: 0,
      dateNsec: 0,
      vmClockSec: 0,
      vmClockNsec: 0,
      icount: null,
    });
    for (let i = 0; i < 16; i++) engine.write(image.node, i * CLUSTER, CLUSTER, buffer);
    engine.flush(image.node);
    engine.deleteSnapshot(image.node, 0);
  };
  const without = await given({}, work);
  expect((await given({ passDiscardSnapshot: true }, work)) - without).toBeGreaterThanOrEqual(16);
});

test('with discard-no-unref a snapshot keeps what it holds', async () => {
  // QEMU 10.0 discards it in the file.
  const work = (image: OpenImage, engine: Engine) => {
    engine.createSnapshot(image.node, {
      name: 's',
      dateSec: 0,
      dateNsec: 0,
      vmClockSec: 0,
      vmClockNsec: 0,
      icount: null,
    });
    engine.discard(image.node, 0, 4 * CLUSTER);
    engine.revertSnapshot(image.node, 0);
    const buffer = engine.alloc(4 * CLUSTER);
    engine.read(image.node, 0, 4 * CLUSTER, buffer);
    expect(buffer.view().every((byte) => byte === 1)).toBe(true);
  };
  await given({ passDiscard: true, discardNoUnref: true }, work);
});
