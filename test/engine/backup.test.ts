import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Engine, NodeHandle } from '../../src/engine/contract';
import { Errno } from '../../src/files/contract';
import { memoryFile, newEngine } from './support';

const BLOCK = 65536;
const BLOCKS = 12;
const SIZE = BLOCK * BLOCKS - 1024;

async function image(engine: Engine, backing: NodeHandle | null = null): Promise<NodeHandle> {
  const file = engine.openFile(await memoryFile(), { readOnly: false });
  engine.createQcow2(file, {
    size: SIZE,
    version: 3,
    clusterSize: BLOCK,
    refcountBits: 16,
    lazyRefcounts: false,
    preallocation: 0,
    backingFile: null,
    backingFormat: null,
    compressionType: 'zlib',
  });
  const node = engine.openQcow2(file, { readOnly: false });
  engine.setBacking(node, backing);
  return node;
}

function content(engine: Engine, node: NodeHandle): Uint8Array {
  const buffer = engine.alloc(SIZE);
  try {
    engine.read(node, 0, SIZE, buffer);
    return buffer.view().slice();
  } finally {
    buffer.free();
  }
}

/** What a guest does. */
interface GuestRequest {
  kind: 'write' | 'zero' | 'discard';
  offset: number;
  bytes: number;
  value: number;
}

function run(engine: Engine, node: NodeHandle, { kind, offset, bytes, value }: GuestRequest): void {
  const n = Math.min(bytes, SIZE - offset);
  if (kind === 'zero') engine.writeZeroes(node, offset, n);
  else if (kind === 'discard') engine.discard(node, offset, n);
  else {
    const buffer = engine.alloc(n);
    buffer.view().fill(value);
    engine.write(node, offset, n, buffer);
    buffer.free();
  }
}

const request: fc.Arbitrary<GuestRequest> = fc.record({
  kind: fc.constantFrom('write', 'write', 'zero', 'discard'),
  offset: fc.integer({ min: 0, max: SIZE / 512 - 1 }).map((sector) => sector * 512),
  bytes: fc.integer({ min: 1, max: 400 }).map((sectors) => sectors * 512),
  value: fc.integer({ min: 1, max: 255 }),
});
const requests = fc.array(request, { maxLength: 12 });

/** A bitmap that holds these clusters. */
function bitmapWith(engine: Engine, node: NodeHandle, clusters: readonly number[]) {
  const bitmap = engine.bitmaps.create(node, BLOCK);
  engine.bitmaps.setEnabled(bitmap, false);
  for (const cluster of clusters) engine.bitmaps.set(bitmap, cluster * BLOCK, 1);
  return bitmap;
}

describe('a copy-before-write filter', () => {
  it('keeps what was there, readable at any time, and a job copies the rest', async () => {
    await fc.assert(
      fc.asyncProperty(
        requests,
        requests,
        requests,
        fc.boolean(),
        fc.boolean(),
        async (low, first, during, compress, topOnly) => {
          const engine = newEngine();
          const base = await image(engine);
          for (const each of low) run(engine, base, each);
          const source = await image(engine, base);
          for (const each of first) run(engine, source, each);
          const target = await image(engine, topOnly ? base : null);
          const before = content(engine, source);
          const filter = engine.backup.open(source, target, { readOnly: false, cluster: BLOCK });
          engine.backup.setMode(filter, { topOnly, compress, discardSource: false });
          engine.backup.select(filter, null);
          const reader = engine.backup.openReader(filter, false);
          if (topOnly) for (let at = 0; at < SIZE;) at = engine.backup.skipUnallocated(filter, at);
          let at = 0;
          for (const each of during) {
            run(engine, filter, each);
            if (!topOnly) expect(Buffer.compare(content(engine, reader), before)).toBe(0);
            if (at < SIZE) at = engine.backup.copyNext(filter, at, BLOCK).next;
          }
          while (at < SIZE) {
            const step = engine.backup.copyNext(filter, at, 4 * BLOCK);
            expect(step.failure).toBeNull();
            at = step.next;
          }
          expect(engine.backup.progress(filter).left).toBe(0);
          expect(Buffer.compare(content(engine, target), before)).toBe(0);
          expect(Buffer.compare(content(engine, filter), content(engine, source))).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('keeps, and lets read, what a bitmap says only', async () => {
    await fc.assert(
      fc.asyncProperty(
        requests,
        requests,
        fc.uniqueArray(fc.integer({ min: 0, max: BLOCKS - 1 })),
        async (first, during, clusters) => {
          const engine = newEngine();
          const source = await image(engine);
          for (const each of first) run(engine, source, each);
          const target = await image(engine);
          const before = content(engine, source);
          const filter = engine.backup.open(source, target, { readOnly: false, cluster: BLOCK });
          engine.backup.select(filter, bitmapWith(engine, source, clusters));
          const reader = engine.backup.openReader(filter, false);
          for (const each of during) run(engine, filter, each);
          const buffer = engine.alloc(BLOCK);
          for (let i = 0; i < BLOCKS; i++) {
            const n = Math.min(BLOCK, SIZE - i * BLOCK);
            const read = () => engine.read(reader, i * BLOCK, n, buffer);
            if (clusters.includes(i)) {
              read();
              const kept = before.subarray(i * BLOCK, i * BLOCK + n);
              expect(Buffer.compare(buffer.view(0, n), kept)).toBe(0);
            } else {
              expect(read).toThrow(expect.objectContaining({ errno: Errno.EACCES }));
              expect(() => engine.blockStatus(reader, i * BLOCK, n)).toThrow();
            }
          }
          buffer.free();
        },
      ),
      { numRuns: 30 },
    );
  });

  it('fails the write, or ends the snapshot, if it cannot copy', async () => {
    for (const breakSnapshot of [false, true]) {
      const engine = newEngine();
      const source = await image(engine);
      const target = await image(engine);
      // No rule for reads: only what goes to the target fails.
      const bad = engine.filters.openBlkdebug(target, {
        readOnly: false,
        limits: {
          align: 512,
          maxTransfer: 0,
          optWriteZero: 0,
          maxWriteZero: 0,
          optDiscard: 0,
          maxDiscard: 0,
        },
        rules: [
          { event: 47, state: 0, action: { errno: Errno.ENOSPC, types: 2 | 4, sector: -1, once: false } },
        ],
        none: 47,
      });
      run(engine, source, { kind: 'write', offset: 0, bytes: BLOCK, value: 1 });
      const filter = engine.backup.open(source, bad, { readOnly: false, cluster: BLOCK, breakSnapshot });
      engine.backup.select(filter, null);
      const reader = engine.backup.openReader(filter, false);
      const before = content(engine, reader);
      const write = () => run(engine, filter, { kind: 'write', offset: 512, bytes: 512, value: 2 });
      if (breakSnapshot) {
        write();
        expect(() => content(engine, reader)).toThrow(expect.objectContaining({ errno: Errno.EACCES }));
      } else {
        expect(write).toThrow(expect.objectContaining({ errno: Errno.ENOSPC }));
        expect(Buffer.compare(content(engine, reader), before)).toBe(0);
      }
      const step = engine.backup.copyNext(filter, 0, SIZE);
      expect(step).toMatchObject({ next: 0, failure: { operation: 'write' } });
    }
  });
});
