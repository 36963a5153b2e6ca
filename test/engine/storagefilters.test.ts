import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prealloc, type EngineEvent } from '../../src/engine/contract';
import { Errno } from '../../src/files/contract';
import { memoryFile, newEngine } from './support';

const K = 1024;

/** Options of new images that do not matter here. */
const QCOW2 = {
  version: 3,
  refcountBits: 16,
  lazyRefcounts: false,
  preallocation: Prealloc.OFF,
  backingFile: null,
  backingFormat: null,
} as const;

describe('preallocate', () => {
  async function preallocated(ahead: number, align: number) {
    const engine = newEngine();
    const file = await memoryFile(new Uint8Array(4 * K).fill(7));
    const below = engine.openFile(file, { readOnly: false });
    const node = engine.storageFilters.openPreallocate(below, { readOnly: false, ahead, align });
    const buffer = engine.alloc(64 * K);
    buffer.view().fill(1);
    return { engine, file, node, buffer };
  }

  it('makes the file longer ahead of a format, and cuts it when the writer goes', async () => {
    const { engine, file, node } = await preallocated(100 * K, 8 * K);
    engine.storageFilters.allowPreallocate(node, true);
    engine.createQcow2(node, { ...QCOW2, size: 1024 * K, clusterSize: 4 * K });
    const image = engine.openQcow2(node, { readOnly: false });
    const buffer = engine.alloc(4 * K);
    buffer.view().fill(5);
    for (let at = 0; at < 256 * K; at += 4 * K) engine.write(image, at, 4 * K, buffer);
    const shown = engine.length(node);
    expect(file.size()).toBeGreaterThan(shown);
    expect(file.size() % (8 * K)).toBe(0);
    expect(file.size()).toBeLessThanOrEqual(shown + 108 * K);
    engine.flush(image);
    // What a crash leaves is a good image with zeros behind it.
    const left = new Uint8Array(file.size());
    file.read(left, 0);
    const other = newEngine();
    const again = other.openQcow2(other.openFile(await memoryFile(left), { readOnly: false }), {
      readOnly: false,
    });
    const check = other.alloc(4 * K);
    other.read(again, 252 * K, 4 * K, check);
    expect(check.view()).toEqual(buffer.view());
    engine.storageFilters.allowPreallocate(node, false);
    expect(file.size()).toBe(shown);
    engine.write(image, 512 * K, 4 * K, buffer);
    expect(file.size()).toBeLessThan(shown + 16 * K);
  });

  it('changes the length as it is told, whatever was done ahead', async () => {
    const { engine, file, node, buffer } = await preallocated(0, 64 * K);
    engine.storageFilters.allowPreallocate(node, true);
    engine.createQcow2(node, { ...QCOW2, size: 64 * K, clusterSize: 512 });
    const image = engine.openQcow2(node, { readOnly: false });
    engine.write(image, 0, 4 * K, buffer);
    engine.flush(image);
    const shown = engine.length(node);
    expect(file.size()).toBe(64 * K);
    engine.truncate(node, shown + 512, Prealloc.FALLOC);
    expect([engine.length(node), file.size()]).toEqual([shown + 512, 64 * K]);
    engine.truncate(node, 65 * K, Prealloc.FALLOC);
    expect([engine.length(node), file.size()]).toEqual([65 * K, 65 * K]);
    engine.truncate(node, 2 * K, Prealloc.OFF);
    expect([engine.length(node), file.size()]).toEqual([2 * K, 2 * K]);
    engine.truncate(node, 70 * K, Prealloc.OFF);
    expect([engine.length(node), file.size()]).toEqual([70 * K, 70 * K]);
    const all = engine.alloc(68 * K);
    engine.read(node, 2 * K, 68 * K, all);
    expect(all.view().every((byte) => byte === 0)).toBe(true);
  });
});

describe('blkverify', () => {
  async function verified() {
    const engine = newEngine();
    const events: EngineEvent[] = [];
    engine.onEvent = (event) => events.push(event);
    const open = async () => engine.openFile(await memoryFile(new Uint8Array(64 * K)), { readOnly: false });
    const raw = await open();
    const test = await open();
    const node = engine.storageFilters.openBlkverify(raw, test, false);
    return { engine, events, raw, test, node, buffer: engine.alloc(4 * K) };
  }

  it('writes to both, zeros as data, and compares what they read', async () => {
    const { engine, events, raw, test, node, buffer } = await verified();
    buffer.view().fill(3);
    engine.write(node, 4 * K, 4 * K, buffer);
    engine.writeZeroes(node, 5 * K, K);
    for (const child of [raw, test]) {
      engine.read(child, 4 * K, 4 * K, buffer);
      expect([...new Set(buffer.view())].sort()).toEqual([0, 3]);
    }
    engine.discard(node, 4 * K, 4 * K);
    engine.read(node, 4 * K, 4 * K, buffer);
    expect(buffer.view()[0]).toBe(3);
    expect(events).toEqual([]);
  });

  it('tells the first byte that differs', async () => {
    const { engine, events, raw, node, buffer } = await verified();
    buffer.view()[0] = 9;
    engine.write(raw, 1000, 1, buffer);
    expect(() => engine.read(node, 0, 4 * K, buffer)).toThrow(expect.objectContaining({ errno: Errno.EIO }));
    const range = { operation: 'read', offset: 0, bytes: 4 * K };
    expect(events).toEqual([{ kind: 'verify-mismatch', node, ...range, mismatch: { at: 1000 } }]);
  });

  it('tells when one fails and the other does not', async () => {
    const engine = newEngine();
    const events: EngineEvent[] = [];
    engine.onEvent = (event) => events.push(event);
    const raw = engine.openFile(await memoryFile(new Uint8Array(64 * K)), { readOnly: false });
    const node = engine.storageFilters.openBlkverify(
      raw,
      engine.filters.openBlkdebug(
        engine.openFile(await memoryFile(new Uint8Array(64 * K)), { readOnly: false }),
        {
          readOnly: false,
          limits: {
            align: 0,
            maxTransfer: 0,
            optWriteZero: 0,
            maxWriteZero: 0,
            optDiscard: 0,
            maxDiscard: 0,
          },
          rules: [{ event: 47, state: 0, action: { errno: 28, types: 3, sector: -1, once: false } }],
          none: 47,
        },
      ),
      false,
    );
    const buffer = engine.alloc(512);
    expect(() => engine.read(node, 0, 512, buffer)).toThrow(expect.objectContaining({ errno: Errno.EIO }));
    expect(() => engine.write(node, 512, 512, buffer)).toThrow(expect.objectContaining({ errno: Errno.EIO }));
    const mismatch = { test: -28, raw: 0 };
    expect(events).toEqual([
      { kind: 'verify-mismatch', node, operation: 'read', offset: 0, bytes: 512, mismatch },
      { kind: 'verify-mismatch', node, operation: 'write', offset: 512, bytes: 512, mismatch },
    ]);
  });
});

/** Plays a log on a disk of zeros; answers the disk. */
function replay(log: Uint8Array, size: number): Uint8Array {
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength);
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  const entries = u64(16);
  const sector = view.getUint32(24, true);
  const disk = new Uint8Array(size);
  let at = sector;
  for (let i = 0; i < entries; i++) {
    const [start, count, flags] = [u64(at), u64(at + 8), u64(at + 16)];
    at += sector;
    if (flags & 4) {
      disk.fill(0, start * sector, (start + count) * sector);
      continue;
    }
    disk.set(log.subarray(at, at + count * sector), start * sector);
    at += count * sector;
  }
  return disk;
}

describe('blklogwrites', () => {
  const SIZE = 32 * K;
  const contents = (file: { size(): number; read(to: Uint8Array, at: number): unknown }) => {
    const bytes = new Uint8Array(file.size());
    file.read(bytes, 0);
    return bytes;
  };

  it('logs what makes the same disk again, also when it goes on with a log', async () => {
    const request = fc.record({
      kind: fc.constantFrom('write', 'zero', 'discard', 'flush', 'reopen'),
      offset: fc.nat(SIZE - 1),
      bytes: fc.integer({ min: 1, max: 8 * K }),
      fill: fc.integer({ min: 1, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { maxLength: 20 }),
        fc.constantFrom(32, 512, 4096),
        fc.integer({ min: 1, max: 5 }),
        async (requests, sector, interval) => {
          const engine = newEngine();
          const file = await memoryFile(new Uint8Array(SIZE));
          const log = await memoryFile();
          const below = engine.openFile(file, { readOnly: false });
          const logNode = engine.openFile(log, { readOnly: false });
          const options = { readOnly: false, sector, interval };
          let node = engine.storageFilters.openBlklogwrites(below, logNode, options);
          const buffer = engine.alloc(8 * K);
          for (const { kind, offset, bytes, fill } of requests) {
            const n = Math.min(bytes, SIZE - offset);
            if (kind === 'write') {
              buffer.view().fill(fill);
              engine.write(node, offset, n, buffer);
            } else if (kind === 'zero') engine.writeZeroes(node, offset, n);
            else if (kind === 'discard') engine.discard(node, offset, n);
            else if (kind === 'flush') engine.flush(node);
            else {
              engine.close(node);
              const logged = log.size() > 0;
              node = engine.storageFilters.openBlklogwrites(below, logNode, { ...options, sector: 512 });
              const found = engine.storageFilters.appendLog(node);
              expect(found).toBe(logged ? sector : 512);
              if (!logged) {
                engine.close(node);
                node = engine.storageFilters.openBlklogwrites(below, logNode, options);
              }
            }
          }
          engine.close(node);
          if (log.size() === 0) return;
          expect(Buffer.compare(replay(contents(log), SIZE), contents(file))).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('takes no log that cannot be one, and reads no further than it goes', async () => {
    const header = (version: bigint, entries: bigint, sector: number) => {
      const bytes = new Uint8Array(4096);
      const view = new DataView(bytes.buffer);
      view.setBigUint64(0, 0x6a736677736872n, true);
      view.setBigUint64(8, version, true);
      view.setBigUint64(16, entries, true);
      view.setUint32(24, sector, true);
      return { bytes, view };
    };
    const append = async (bytes: Uint8Array) => {
      const engine = newEngine();
      const open = async (content: Uint8Array) =>
        engine.openFile(await memoryFile(content), { readOnly: false });
      const options = { readOnly: false, sector: 512, interval: 1 };
      const node = engine.storageFilters.openBlklogwrites(
        await open(new Uint8Array(4096)),
        await open(bytes),
        options,
      );
      return engine.storageFilters.appendLog(node);
    };
    await expect(append(new Uint8Array(4096))).rejects.toThrow('Invalid log superblock magic');
    await expect(append(header(2n, 0n, 512).bytes)).rejects.toThrow('Unsupported log version 2');
    await expect(append(header(1n, 0n, 1000).bytes)).rejects.toThrow('Invalid log sector size 1000');
    await expect(append(header(1n, 0n, 16).bytes)).rejects.toThrow('Invalid log sector size 16');
    const flags = header(1n, 2n, 512);
    flags.view.setBigUint64(512 + 16, 64n, true);
    await expect(append(flags.bytes)).rejects.toThrow('Invalid flags 0x40 in log entry 0');
    await expect(append(header(1n, (1n << 64n) - 1n, 512).bytes)).rejects.toThrow(
      'Invalid number of log entries',
    );
    const long = header(1n, 1n, 512);
    long.view.setBigUint64(512 + 8, (1n << 64n) - 1n, true);
    await expect(append(long.bytes)).rejects.toThrow('Invalid number of sectors');
    expect(await append(header(1n, 1n << 43n, 512).bytes)).toBe(512);
  });

  it('goes on with a log of hostile bytes or refuses it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 24, maxLength: 200 }), async (rest) => {
        const bytes = new Uint8Array(8 + rest.length);
        new DataView(bytes.buffer).setBigUint64(0, 0x6a736677736872n, true);
        bytes.set(rest, 8);
        // Most are refused for their version, which is no news.
        if (rest[23]! & 1) bytes.set([1, 0, 0, 0, 0, 0, 0, 0], 8);
        const engine = newEngine();
        const disk = engine.openFile(await memoryFile(new Uint8Array(4096)), { readOnly: false });
        const log = engine.openFile(await memoryFile(bytes), { readOnly: false });
        const node = engine.storageFilters.openBlklogwrites(disk, log, {
          readOnly: false,
          sector: 512,
          interval: 1,
        });
        try {
          engine.storageFilters.appendLog(node);
        } catch (error) {
          expect(error).toMatchObject({ name: 'BlockError' });
        }
        engine.close(node);
      }),
      { numRuns: 100 },
    );
  });
});
