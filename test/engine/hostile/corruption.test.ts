/** Damage that a request meets: what is done about it, in a writable and in a read-only image. */
import { afterAll, describe, expect, test } from 'vitest';
import type { CorruptionEvent } from '../../../src/engine/contract';
import { load, must, newEngine, openQcow2, run, save, scratchDirectory } from '../support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

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
    const events: CorruptionEvent[] = [];
    engine.onEvent = (event) => void (event.kind === 'image-corrupted' && events.push(event));
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
    const events: CorruptionEvent[] = [];
    engine.onEvent = (event) => void (event.kind === 'image-corrupted' && events.push(event));
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
