import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Engine, NodeHandle } from '../../src/engine/contract';
import { memoryFile, newEngine } from './support';

const MIB = 1 << 20;
const BLOCK = 65536;

async function image(engine: Engine, size: number, backing: NodeHandle | null = null): Promise<NodeHandle> {
  const file = engine.openFile(await memoryFile(), { readOnly: false });
  engine.createQcow2(file, {
    size,
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

function fill(engine: Engine, node: NodeHandle, block: number, value: number): void {
  const buffer = engine.alloc(BLOCK);
  buffer.view().fill(value);
  engine.write(node, block * BLOCK, BLOCK, buffer);
  buffer.free();
}

function content(engine: Engine, node: NodeHandle, blocks: number): number[] {
  const buffer = engine.alloc(blocks * BLOCK);
  engine.read(node, 0, blocks * BLOCK, buffer);
  const values = Array.from({ length: blocks }, (_, i) => {
    const view = buffer.view(i * BLOCK, BLOCK);
    return view.every((byte) => byte === view[0]) ? (view[0] ?? -1) : -1;
  });
  buffer.free();
  return values;
}

describe('copying from node to node', () => {
  it('copies what is asked for, and nothing else, from any chain', async () => {
    const blocks = 8;
    // What each layer holds of a block: nothing, zeros, or data.
    const layer = fc.array(fc.constantFrom(null, 0, 1, 2), { minLength: blocks, maxLength: blocks });
    await fc.assert(
      fc.asyncProperty(
        layer,
        layer,
        layer,
        fc.boolean(),
        fc.boolean(),
        async (base, top, old, above, keep) => {
          const engine = newEngine();
          const put = (node: NodeHandle, values: (number | null)[], add: number) => {
            values.forEach((value, i) => {
              if (value === 0) engine.writeZeroes(node, i * BLOCK, BLOCK);
              else if (value !== null) fill(engine, node, i, value + add);
            });
          };
          const low = await image(engine, blocks * BLOCK);
          put(low, base, 10);
          const source = await image(engine, blocks * BLOCK, low);
          put(source, top, 20);
          const target = await image(engine, blocks * BLOCK);
          put(target, old, 30);
          const before = content(engine, target, blocks);
          const read = content(engine, source, blocks);
          const result = engine.copy({
            source,
            target,
            offset: 0,
            bytes: blocks * BLOCK,
            keepTarget: keep,
            ...(above && { above: low }),
          });
          expect(result.failure).toBeNull();
          expect(result.done).toBe(blocks * BLOCK);
          const copied = top.map((value, i) => (!above || value !== null) && !(keep && old[i] !== null));
          expect(content(engine, target, blocks)).toEqual(copied.map((is, i) => (is ? read[i] : before[i])));
          expect(result.written).toBe(copied.filter(Boolean).length * BLOCK);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('writes zeros as zeros, those of data too where that is asked for', async () => {
    const engine = newEngine();
    const source = await image(engine, 4 * MIB);
    fill(engine, source, 0, 0);
    fill(engine, source, 1, 7);
    for (const detectZeroes of [false, true]) {
      const target = await image(engine, 4 * MIB);
      engine.copy({ source, target, offset: 0, bytes: BLOCK, detectZeroes });
      engine.copy({ source, target, offset: BLOCK, bytes: 4 * MIB - BLOCK, detectZeroes });
      const status = engine.blockStatus(target, 0, BLOCK);
      expect(status.flags & 3).toBe(detectZeroes ? 2 : 1);
      expect(engine.blockStatus(target, 2 * BLOCK, 4 * MIB)).toMatchObject({ bytes: 4 * MIB - 2 * BLOCK });
      expect(content(engine, target, 3)).toEqual([0, 7, 0]);
    }
  });

  it('reads zeros behind the end of the source, and refuses targets that cannot take it', async () => {
    const engine = newEngine();
    const source = await image(engine, BLOCK);
    fill(engine, source, 0, 5);
    const target = await image(engine, 2 * BLOCK);
    fill(engine, target, 1, 9);
    expect(engine.copy({ source, target, offset: 0, bytes: 2 * BLOCK }).failure).toBeNull();
    expect(content(engine, target, 2)).toEqual([5, 0]);
    const long = engine.copy({ source, target, offset: BLOCK, bytes: 2 * BLOCK });
    expect(long).toMatchObject({ done: 0, written: 0, failure: { operation: 'write' } });
    engine.setReadOnly(target, true);
    const refused = engine.copy({ source, target, offset: 0, bytes: BLOCK });
    expect(refused.failure).toMatchObject({ operation: 'write', error: { message: 'Permission denied' } });
  });
});
