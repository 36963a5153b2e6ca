/**
 * Damaged images: bits of the header and of the tables are changed at random, then the image is used. Requests may
 * fail, but the engine does not trap, does not hang and leaves an image that was not changed readable.
 */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { BlockError } from '../../src/engine/contract';
import type { EngineEvent } from '../../src/engine/contract';
import { keptOpen, load, must, newEngine, openQcow2, random, save, scratchDirectory } from './support';
import { run } from './support';
import { MemoryStore } from '../../src/files/memory';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const ROUNDS = 400;

/** An image with data, zeros and, by kind, compressed clusters or a snapshot. */
function makeImage(cluster: string, kind: string): Buffer {
  const path = scratch.path('victim.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `cluster_size=${cluster}`, path, '1M');
  must('qemu-io', '-c', 'write -P 3 0 200k', '-c', 'write -P 4 600k 100k', '-c', 'write -z 300k 64k', path);
  if (kind === 'snapshot') {
    must('qemu-img', 'snapshot', '-c', 's', path);
    must('qemu-io', '-c', 'write -P 5 0 100k', path);
  }
  if (kind !== 'compressed') return readFileSync(path);
  const packed = scratch.path('packed.qcow2');
  must('qemu-img', 'convert', '-c', '-O', 'qcow2', '-o', `cluster_size=${cluster}`, path, packed);
  return readFileSync(packed);
}

describe.each(['512', '4k', '64k'])('cluster size %s', (cluster) => {
  test.each(['plain', 'compressed', 'snapshot'])('%s', (kind) => {
    const original = makeImage(cluster, kind);
    const size = 1 << original.readUInt32BE(20);
    const engine = newEngine();
    const buffer = engine.alloc(65536);
    const pick = random(size + kind.length);
    let opened = 0;
    /** Runs a request; it may fail, but not because of the engine. */
    const attempt = (request: () => void) => {
      try {
        request();
      } catch (error) {
        expect(error).toBeInstanceOf(BlockError);
        expect((error as BlockError).message).not.toMatch(/Internal error/);
      }
    };
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = Buffer.from(original);
      for (let i = 1 + pick(6); i > 0; i--) {
        const bases = [
          pick(112),
          size + pick(64),
          2 * size + pick(Math.min(size, 600)),
          3 * size + pick(128),
        ];
        const at = Math.min(bases[pick(5)] ?? pick(bytes.length), bytes.length - 8) & ~(7 * pick(2));
        const value = [
          BigInt(pick(2 ** 32)) << 32n,
          (1n << 63n) | BigInt(pick(40) * size),
          BigInt(pick(40) * size),
        ];
        if (pick(3) === 0) bytes[at]! ^= 1 << pick(8);
        else bytes.writeBigUInt64BE(value[pick(3)]! | BigInt(pick(2)), at);
      }
      const file = new MemoryStore({ quota: 64 << 20 }).openSync('x', { write: true, create: 'truncate' });
      file.write(bytes, 0);
      const start = performance.now();
      const node = engine.openFile(keptOpen(file), { readOnly: false });
      attempt(() => {
        const image = engine.openQcow2(node, { readOnly: pick(4) === 0 });
        opened++;
        const length = engine.length(image);
        for (let i = 0; i < 12; i++) {
          const offset = pick(Math.max(1, Math.min(length, 1 << 21) / 512)) * 512;
          const n = Math.min(length - offset, 512 * (1 + pick(100)));
          if (n <= 0) continue;
          const requests = [
            () => engine.read(image, offset, n, buffer),
            () => engine.write(image, offset, n, buffer),
            () => engine.writeCompressed(image, offset & -size, Math.min(size, buffer.bytes), buffer),
            () => engine.writeZeroes(image, offset, n, pick(2) * 2),
            () => engine.discard(image, offset, n),
            () => expect(engine.blockStatus(image, offset, n).bytes).toBeGreaterThan(0),
          ];
          attempt(requests[pick(6)]!);
        }
        attempt(() => engine.truncate(image, pick(2) ? length + pick(100) * 65536 : pick(2000) * 512));
        attempt(() => engine.close(image));
      });
      engine.close(node);
      expect(performance.now() - start).toBeLessThan(10_000);
    }
    expect(opened).toBeGreaterThan(ROUNDS / 4);
  });
});

describe('corruption that is found in use', () => {
  test('a write over metadata is refused, the image is marked and unusable', async () => {
    const path = scratch.path('overlap.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', path, '1M');
    must('qemu-io', '-c', 'write -P 1 0 64k', path);
    const file = await load(path);
    // The data cluster's entry points to the refcount block.
    const entry = new Uint8Array([0x80, 0, 0, 0, 0, 2, 0, 0]);
    file.write(entry, 4 * 65536);
    const engine = newEngine();
    const events: EngineEvent[] = [];
    engine.onEvent = (event) => events.push(event);
    const image = openQcow2(engine, file, { readOnly: false });
    const buffer = engine.alloc(512);
    expect(() => engine.write(image.node, 0, 512, buffer)).toThrow('Input/output error');
    expect(events).toEqual([
      {
        kind: 'image-corrupted',
        node: image.node,
        message: 'Preventing invalid write on metadata (overlaps with refcount block)',
        offset: 131072,
        size: 512,
        fatal: true,
      },
    ]);
    expect(() => engine.read(image.node, 0, 512, buffer)).toThrow('No medium found');
    image.close();
    save(file, path);
    expect(run('qemu-img', 'info', path).stdout).toContain('corrupt: true');
    expect(() => openQcow2(engine, file, { readOnly: false })).toThrow(
      'qcow2: Image is corrupt; cannot be opened read/write',
    );
  });

  test('read-only, it is told once and the rest can be read', async () => {
    const path = scratch.path('unaligned.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', path, '1M');
    must('qemu-io', '-c', 'write -P 1 0 128k', path);
    const file = await load(path);
    file.write(new Uint8Array([0x80, 0, 0, 0, 0, 5, 2, 0]), 4 * 65536);
    const engine = newEngine();
    const events: EngineEvent[] = [];
    engine.onEvent = (event) => events.push(event);
    const image = openQcow2(engine, file, { readOnly: true });
    const buffer = engine.alloc(65536);
    for (let i = 0; i < 3; i++)
      expect(() => engine.read(image.node, 0, 512, buffer)).toThrow('Input/output error');
    engine.read(image.node, 65536, 65536, buffer);
    expect(buffer.view().every((byte) => byte === 1)).toBe(true);
    expect(events.map((event) => [event.message, event.fatal])).toEqual([
      ['Cluster allocation offset 0x50200 unaligned (L2 offset: 0x40000, L2 index: 0)', false],
    ]);
    image.close();
  });
});
