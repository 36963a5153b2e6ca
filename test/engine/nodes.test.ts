/** Nodes and the request path: file, raw, null; bounds, flags, counters, block status. */
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { BlockError, RequestFlag, Status } from '../../src/engine/contract';
import { Errno, FileError } from '../../src/files/contract';
import { MemoryStore } from '../../src/files/memory';
import { bytesOf, contentOf, keptOpen, load, mapOf, memoryFile, must, newEngine } from './support';
import { openQcow2, run, save, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());
const engine = newEngine();
const buffer = engine.alloc(65536);

/** The errno and text of what a call throws. */
function failure(call: () => void): [number, string] | null {
  try {
    call();
    return null;
  } catch (error) {
    if (error instanceof BlockError) return [error.errno, error.message];
    throw error;
  }
}

describe('file', () => {
  test('a size that is no multiple of 512 is rounded up, the rest reads as zeros', async () => {
    const path = scratch.path('odd.raw');
    writeFileSync(path, new Uint8Array(1200).fill(7));
    const node = engine.openFile(await load(path), { readOnly: true });
    expect(engine.length(node)).toBe(1536);
    const content = contentOf(engine, node, 1000);
    expect(content.subarray(0, 1200).every((byte) => byte === 7)).toBe(true);
    expect(content.subarray(1200).every((byte) => byte === 0)).toBe(true);
    const raw = engine.openRaw(node, { readOnly: true });
    expect(mapOf(engine, [raw])).toEqual(
      JSON.parse(must('qemu-img', 'map', '-f', 'raw', '--output=json', path)),
    );
    engine.close(raw);
    engine.close(node);
  });

  test('bounds and flags', async () => {
    const node = engine.openFile(await memoryFile(new Uint8Array(4096)), { readOnly: false });
    const eio = [Errno.EIO, 'Input/output error'];
    expect(failure(() => engine.read(node, 4095, 2, buffer))).toEqual(eio);
    expect(failure(() => engine.read(node, -1, 1, buffer))).toEqual(eio);
    expect(failure(() => engine.write(node, 4096, 1, buffer))).toEqual(eio);
    expect(failure(() => engine.writeZeroes(node, 2 ** 53, 512))).toEqual(eio);
    expect(failure(() => engine.discard(node, 0, 2 ** 52))).toEqual(eio);
    expect(failure(() => engine.read(node, 0.5, 1, buffer))).toEqual(eio);
    expect(failure(() => engine.write(node, 0, 1, buffer, 0, 64))?.[0]).toBe(Errno.EINVAL);
    expect(failure(() => engine.read(node, 0, 65537, buffer))?.[0]).toBe(Errno.EINVAL);
    expect(failure(() => engine.read(node, 0, 16, buffer, 65530))?.[0]).toBe(Errno.EINVAL);
    engine.read(node, 4096, 0, buffer);
    engine.write(node, 4096, 0, buffer);
    engine.close(node);
    expect(failure(() => engine.length(node))?.[0]).toBe(Errno.EINVAL);
  });

  test('a read-only node', async () => {
    const node = engine.openFile(await memoryFile(new Uint8Array(4096)), { readOnly: true });
    const text = [Errno.EACCES, 'Block node is read-only'];
    expect(failure(() => engine.write(node, 0, 1, buffer))).toEqual(text);
    expect(failure(() => engine.writeZeroes(node, 0, 1))).toEqual(text);
    expect(failure(() => engine.discard(node, 0, 1))).toEqual(text);
    expect(failure(() => engine.truncate(node, 0))).toEqual([Errno.EACCES, 'Image is read-only']);
    engine.setReadOnly(node, false);
    engine.write(node, 0, 1, buffer);
    engine.close(node);
  });

  test('zero writes and discards make holes, where asked to', async () => {
    const file = await memoryFile(new Uint8Array(1 << 20).fill(1));
    const node = engine.openFile(file, { readOnly: false });
    const before = engine.allocated(node);
    engine.writeZeroes(node, 0, 65536);
    expect(engine.allocated(node)).toBe(before);
    engine.writeZeroes(node, 0, 65536, RequestFlag.MAY_UNMAP);
    expect(engine.allocated(node)).toBe(before - 65536);
    engine.discard(node, 65536, 65536);
    expect(engine.allocated(node)).toBe(before - 131072);
    expect(engine.blockStatus(node, 0, 1 << 20)).toMatchObject({ bytes: 131072, map: 0, file: node });
    expect(engine.blockStatus(node, 0, 1 << 20).flags & Status.ZERO).toBe(Status.ZERO);
    expect(engine.blockStatus(node, 131072, 1 << 20).flags & Status.DATA).toBe(Status.DATA);
    engine.close(node);
  });

  test('counters', async () => {
    const file = engine.openFile(await memoryFile(new Uint8Array(65536)), { readOnly: false });
    const node = engine.openRaw(file, { readOnly: false });
    engine.read(node, 0, 4096, buffer);
    engine.read(node, 0, 512, buffer);
    engine.write(node, 1024, 512, buffer, 0, RequestFlag.FUA);
    engine.writeZeroes(node, 8192, 4096);
    engine.discard(node, 0, 1024);
    engine.flush(node);
    expect(failure(() => engine.read(node, 65536, 1, buffer))).not.toBeNull();
    const counted = {
      reads: 2,
      readBytes: 4608,
      writes: 1,
      writtenBytes: 512,
      unmaps: 1,
      unmappedBytes: 1024,
      flushes: 2,
      failedWrites: 0,
      highestWrite: 12288,
    };
    expect(engine.stats(node)).toMatchObject({ ...counted, failedReads: 1 });
    expect(engine.stats(file)).toMatchObject({ ...counted, failedReads: 0 });
    engine.close(node);
    engine.close(file);
  });
});

describe('raw', () => {
  test('a window', async () => {
    const bytes = Uint8Array.from({ length: 4096 }, (_, i) => i >> 4);
    const file = await memoryFile(bytes);
    const node = engine.openFile(keptOpen(file), { readOnly: false });
    const raw = engine.openRaw(node, { offset: 1000, size: 1024, readOnly: false });
    expect(Buffer.compare(contentOf(engine, raw), bytes.subarray(1000, 2024))).toBe(0);
    buffer.view().fill(0xee);
    engine.write(raw, 1000, 24, buffer);
    expect(bytesOf(file).indexOf(0xee)).toBe(2000);
    expect(failure(() => engine.write(raw, 1000, 25, buffer))?.[0]).toBe(Errno.EIO);
    expect(failure(() => engine.truncate(raw, 2048))?.[1]).toBe('Cannot resize fixed-size raw disks');
    expect(engine.blockStatus(raw, 512, 4096)).toMatchObject({ bytes: 512, map: 1512, file: node });
    expect(failure(() => engine.close(node))?.[0]).toBe(Errno.EBUSY);
    engine.close(raw);
    engine.close(node);
  });

  test('windows that do not fit, in the words of QEMU', async () => {
    const path = scratch.path('window.raw');
    writeFileSync(path, new Uint8Array(5000));
    const node = engine.openFile(await load(path), { readOnly: true });
    for (const window of [{ offset: 6000 }, { offset: 1000, size: 4500 }, { offset: 0, size: 1000 }]) {
      const options = Object.entries(window).map(([name, value]) => `,${name}=${value}`);
      const words = [
        '--image-opts',
        '-c',
        'quit',
        `driver=raw,file.driver=file,file.filename=${path}${options.join('')}`,
      ];
      const { stderr } = run('qemu-io', '-r', ...words);
      const text = failure(() => engine.openRaw(node, { ...window, readOnly: true }))?.[1];
      expect(stderr.trimEnd().endsWith(`: ${text}`), `${stderr} / ${text}`).toBe(true);
    }
    engine.close(node);
  });
});

describe('null', () => {
  test('reads zeros if it is to', () => {
    const node = engine.openNull({ size: 1 << 30, readZeroes: true });
    buffer.view().fill(9);
    engine.read(node, 1 << 29, 100, buffer);
    expect(buffer.view(0, 101)).toEqual(Uint8Array.from({ length: 101 }, (_, i) => (i < 100 ? 0 : 9)));
    engine.write(node, 0, 100, buffer);
    expect(engine.blockStatus(node, 5, 10)).toMatchObject({ bytes: 10, map: 5, file: node });
    expect(engine.blockStatus(node, 5, 10).flags).toBe(Status.ZERO | Status.OFFSET_VALID | Status.ALLOCATED);
    engine.close(node);
  });
});

describe('qcow2', () => {
  test('discards reach the file where they are to', async () => {
    const path = scratch.path('discard.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', path, '8M');
    must('qemu-io', '-c', 'write -P 1 0 4M', path);
    for (const passDiscard of [false, true]) {
      const file = await load(path);
      const image = openQcow2(engine, file, { readOnly: false, passDiscard });
      const before = engine.allocated(image.node);
      engine.discard(image.node, 1 << 20, 2 << 20);
      engine.flush(image.node);
      expect(before - engine.allocated(image.node)).toBe(passDiscard ? 2 << 20 : 0);
      image.close();
    }
  });

  test('cache options, in the words of QEMU', async () => {
    const path = scratch.path('cache.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', path, '8M');
    const file = await load(path);
    for (const entry of [256, 1000, 131072]) {
      const words = `driver=qcow2,l2-cache-entry-size=${entry},file.driver=file,file.filename=${path}`;
      const { stderr } = run('qemu-io', '-r', '--image-opts', '-c', 'quit', words);
      const text = failure(() => openQcow2(engine, file, { readOnly: true, l2CacheEntrySize: entry }))?.[1];
      expect(stderr.trimEnd().endsWith(`: ${text}`), `${stderr} / ${text}`).toBe(true);
    }
    const v2 = scratch.path('v2.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', v2, '8M');
    const old = await load(v2);
    expect(failure(() => openQcow2(engine, old, { readOnly: false, lazyRefcounts: true }))?.[1]).toBe(
      'Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level',
    );
  });
});

describe('failing files', () => {
  test('out of space is ENOSPC and leaves a sound image', async () => {
    const path = scratch.path('space.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', path, '8M');
    const start = bytesOf(await load(path));
    const store = new MemoryStore({ quota: 3 << 20 });
    const file = store.openSync('image', { write: true, create: 'truncate' });
    file.write(start, 0);
    const image = openQcow2(engine, file, { readOnly: false });
    buffer.view().fill(0x5a);
    let written = 0;
    const full = failure(() => {
      for (; written < 8 << 20; written += 65536) engine.write(image.node, written, 65536, buffer);
    });
    expect(full).toEqual([Errno.ENOSPC, 'No space left on device']);
    expect(written).toBeGreaterThan(2 << 20);
    expect(engine.stats(image.node).failedWrites).toBe(1);
    image.close();
    save(file, path);
    expect(run('qemu-img', 'check', path).stdout).not.toMatch(/corrupt|ERROR/);
    must('qemu-io', '-c', `read -P 90 0 ${written}`, path);
  });

  test('an error of the file is the error of the request', async () => {
    const file = await memoryFile(new Uint8Array(8192));
    let broken = false;
    const faulty = new Proxy(file, {
      get(target, key) {
        if (broken && key === 'read') {
          return () => {
            throw new FileError(Errno.EIO);
          };
        }
        if (broken && key === 'write') {
          return () => {
            throw new TypeError('no file error at all');
          };
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const node = engine.openFile(faulty, { readOnly: false });
    broken = true;
    expect(failure(() => engine.read(node, 0, 512, buffer))).toEqual([Errno.EIO, 'Input/output error']);
    expect(failure(() => engine.write(node, 0, 512, buffer))).toEqual([Errno.EIO, 'Input/output error']);
    broken = false;
    engine.read(node, 0, 512, buffer);
    expect(engine.stats(node)).toMatchObject({ failedReads: 1, failedWrites: 1, reads: 2 });
    engine.close(node);
  });
});

describe('buffers', () => {
  test('runs of zeros and of data', () => {
    const piece = engine.alloc(8192);
    piece.view().fill(0);
    expect(engine.zeroRun(piece, 0, 8192)).toBe(8192);
    piece.view()[5000] = 1;
    expect(engine.zeroRun(piece, 0, 8192)).toBe(4608);
    expect(engine.zeroRun(piece, 4608, 3584)).toBe(-512);
    expect(engine.zeroRun(piece, 5120, 3072)).toBe(3072);
    piece.view().fill(1);
    expect(engine.zeroRun(piece, 100, 700)).toBe(-700);
    piece.free();
    expect(
      failure(() => engine.read(engine.openNull({ size: 512, readZeroes: true }), 0, 1, piece)),
    ).not.toBeNull();
  });

  test('more memory than there is', () => {
    const fresh = newEngine();
    const held = [];
    const full = failure(() => {
      for (let i = 0; i < 16; i++) held.push(fresh.alloc(1 << 29));
    });
    expect(full?.[0]).toBe(Errno.ENOMEM);
    expect(held.length).toBeGreaterThan(0);
    // The engine lives on.
    expect(fresh.length(fresh.openNull({ size: 512, readZeroes: true }))).toBe(512);
  });
});
