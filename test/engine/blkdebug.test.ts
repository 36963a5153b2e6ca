/** blkdebug in the data plane: after a failure at any event an image is sound and holds what was written. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BlockError, Prealloc, type Engine, type NodeHandle } from '../../src/engine/contract';
import type { BlkdebugRule } from '../../src/engine/filters';
import type { BlockFile } from '../../src/files/contract';
import { DebugEvent, DebugIo } from '../../wasm/abi';
import { keptOpen, memoryFile, newEngine, openQcow2 } from './support';

const schema = JSON.parse(
  readFileSync(new URL('../../src/qapi/schema/block.json', import.meta.url), 'utf8'),
) as { enums: Record<string, string[]> };
const EVENTS = schema.enums.BlkdebugEvent ?? [];

const NO_LIMITS = {
  align: 0,
  maxTransfer: 0,
  optWriteZero: 0,
  maxWriteZero: 0,
  optDiscard: 0,
  maxDiscard: 0,
};
const ALL = DebugIo.READ | DebugIo.WRITE | DebugIo.WRITE_ZEROES | DebugIo.DISCARD | DebugIo.FLUSH;
const CLUSTER = 4096;
const DISK = 64 * CLUSTER;

function blkdebug(engine: Engine, file: BlockFile, rules: BlkdebugRule[], limits = NO_LIMITS): NodeHandle {
  const below = engine.openFile(keptOpen(file), { readOnly: false });
  return engine.filters.openBlkdebug(below, { readOnly: false, limits, rules, none: DebugEvent.NONE });
}

async function newImage(engine: Engine): Promise<BlockFile> {
  const file = await memoryFile();
  const node = engine.openFile(keptOpen(file), { readOnly: false });
  engine.createQcow2(node, {
    size: DISK,
    version: 3,
    clusterSize: CLUSTER,
    refcountBits: 16,
    lazyRefcounts: false,
    preallocation: Prealloc.OFF,
    backingFile: null,
    backingFormat: null,
  });
  engine.close(node);
  return file;
}

/** What was written: -1 where a failed write leaves it open which of two things is there. */
type Model = Int16Array;

/** Does things to an image that pass all kinds of events; failures are counted. */
function work(engine: Engine, node: NodeHandle, model: Model): number {
  const buffer = engine.alloc(8 * CLUSTER);
  let failures = 0;
  const attempt = (offset: number, bytes: number, value: number, run: () => void) => {
    try {
      run();
      model.fill(value, offset, offset + bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(BlockError);
      failures++;
      model.fill(-1, offset, offset + bytes);
    }
  };
  const write = (offset: number, bytes: number, value: number) =>
    attempt(offset, bytes, value, () => {
      buffer.view(0, bytes).fill(value);
      engine.write(node, offset, bytes, buffer);
    });
  const quiet = (run: () => void) => attempt(0, 0, 0, run);
  write(100, 5000, 1);
  write(10 * CLUSTER, 8 * CLUSTER, 2);
  attempt(20 * CLUSTER, CLUSTER, 3, () => {
    buffer.view(0, CLUSTER).fill(3);
    engine.writeCompressed(node, 20 * CLUSTER, CLUSTER, buffer);
  });
  quiet(() => engine.read(node, 0, 8 * CLUSTER, buffer));
  quiet(() => engine.read(node, 20 * CLUSTER + 5, 100, buffer));
  quiet(() => engine.flush(node));
  quiet(() =>
    engine.createSnapshot(node, {
      name: 's',
      dateSec: 0,
      dateNsec: 0,
      vmClockSec: 0,
      vmClockNsec: 0,
      icount: null,
    }),
  );
  write(11 * CLUSTER + 7, 100, 4);
  write(20 * CLUSTER + 9, 100, 5);
  attempt(12 * CLUSTER, 2 * CLUSTER, 0, () => engine.writeZeroes(node, 12 * CLUSTER, 2 * CLUSTER));
  quiet(() => engine.deleteSnapshot(node, 0));
  quiet(() => engine.flush(node));
  // Beyond one L2 table and one L1 cluster: tables grow.
  quiet(() => engine.truncate(node, 1024 * 512 * CLUSTER));
  quiet(() => engine.truncate(node, DISK));
  write(30 * CLUSTER, CLUSTER, 6);
  quiet(() => engine.flush(node));
  buffer.free();
  return failures;
}

describe('blkdebug', () => {
  it('has the events of the schema in their order', () => {
    expect(EVENTS[DebugEvent.L1_UPDATE]).toBe('l1_update');
    expect(EVENTS[DebugEvent.WRITE_AIO]).toBe('write_aio');
    expect(EVENTS[DebugEvent.PWRITEV_DONE]).toBe('pwritev_done');
    expect(EVENTS[DebugEvent.COR_WRITE]).toBe('cor_write');
    expect(EVENTS[DebugEvent.NONE]).toBe('none');
    expect(EVENTS).toHaveLength(DebugEvent.NONE + 1);
  });

  const failed = new Set<string>();
  it.each(EVENTS.map((name, event) => [name, event] as const))(
    'an image survives a failure at %s',
    async (name, event) => {
      const engine = newEngine();
      for (const once of [true, false]) {
        const file = await newImage(engine);
        const below = blkdebug(engine, file, [
          // The header is read before the rule holds.
          { event: DebugEvent.REFTABLE_LOAD, state: 1, action: { newState: 2 } },
          { event, state: 2, action: { errno: 5, types: ALL, sector: -1, once } },
        ]);
        const node = engine.openQcow2(below, { readOnly: false });
        const model = new Int16Array(DISK);
        if (work(engine, node, model) > 0) failed.add(name);
        try {
          engine.close(node);
        } catch (error) {
          // What could not be written back may be missing, but nothing else may be there.
          expect(error).toBeInstanceOf(BlockError);
          model.fill(-1);
        }
        engine.close(below);

        const image = openQcow2(engine, file, { readOnly: true });
        engine.checkStart(image.node, { leaks: false, errors: false });
        while (engine.checkStep(image.node));
        expect(engine.checkEnd(image.node)).toMatchObject({ corruptions: 0, checkErrors: 0 });
        if (engine.length(image.node) >= DISK) {
          const buffer = engine.alloc(DISK);
          engine.read(image.node, 0, DISK, buffer);
          const wrong = buffer.view().findIndex((byte, i) => model[i] !== -1 && model[i] !== byte);
          expect(wrong).toBe(-1);
        }
        image.close();
      }
    },
  );

  it('most events come while an image is used', () => {
    expect(failed.size).toBeGreaterThanOrEqual(24);
  });

  it('breakpoints stop a request before it has done anything, once', async () => {
    const engine = newEngine();
    const file = await newImage(engine);
    const below = blkdebug(engine, file, []);
    const node = engine.openQcow2(below, { readOnly: false });
    const buffer = engine.alloc(512);
    buffer.view().fill(7);
    const { filters } = engine;
    filters.setBreakpoint(below, DebugEvent.WRITE_AIO, 5);
    expect(() => engine.write(node, 0, 512, buffer)).toThrow(BlockError);
    expect(filters.takeStopped(below)).toBe(5);
    expect(filters.takeStopped(below)).toBeNull();
    engine.write(node, 0, 512, buffer);
    filters.setBreakpoint(below, DebugEvent.WRITE_AIO, 6);
    filters.removeBreakpoint(below, 6);
    expect(() => filters.removeBreakpoint(below, 6)).toThrow('No such file or directory');
    expect(() => filters.setBreakpoint(node, DebugEvent.WRITE_AIO, 6)).toThrow('Operation not supported');
    engine.write(node, 0, 512, buffer);
    engine.close(node);
  });

  it('a request that stopped and is sent again has its events once', async () => {
    const engine = newEngine();
    const file = await newImage(engine);
    const write = DebugEvent.WRITE_AIO;
    const sets = (state: number, newState: number): BlkdebugRule => ({
      event: write,
      state,
      action: { newState },
    });
    const fails = (state: number, errno: number): BlkdebugRule => ({
      event: DebugEvent.READ_AIO,
      state,
      action: { errno, types: DebugIo.READ, sector: -1, once: false },
    });
    const below = blkdebug(engine, file, [sets(1, 2), sets(2, 3), fails(2, 5), fails(3, 28)]);
    const node = engine.openQcow2(below, { readOnly: false });
    const buffer = engine.alloc(65536);
    const { filters } = engine;
    filters.setBreakpoint(below, write, 1);
    const send = () => engine.write(node, 0, 65536, buffer);
    filters.beginDebugged(below, 'new');
    expect(send).toThrow(BlockError);
    expect(filters.takeStopped(below)).toBe(1);
    // Whoever asks meanwhile comes to no event.
    filters.beginDebugged(below, 'none');
    engine.read(node, 0, 512, buffer);
    filters.setBreakpoint(below, DebugEvent.PWRITEV, 2);
    filters.beginDebugged(below, 1);
    expect(send).toThrow(BlockError);
    expect(filters.takeStopped(below)).toBe(2);
    filters.beginDebugged(below, 2);
    send();
    expect(filters.takeStopped(below)).toBeNull();
    // It was in state 2 after one write, however often that was sent.
    expect(() => engine.read(node, 0, 512, buffer)).toThrow('Input/output error');
    engine.close(node);
  });

  it('cuts and widens requests', async () => {
    const engine = newEngine();
    const file = await memoryFile(new Uint8Array(65536));
    const node = blkdebug(engine, file, [], { ...NO_LIMITS, align: 4096, maxTransfer: 8192 });
    const buffer = engine.alloc(20000);
    buffer.view().fill(9);
    engine.write(node, 1000, 20000, buffer);
    engine.writeZeroes(node, 5000, 9000);
    const bytes = new Uint8Array(65536);
    file.read(bytes, 0);
    const expected = new Uint8Array(65536).fill(9, 1000, 21000).fill(0, 5000, 14000);
    expect(bytes).toEqual(expected);
    engine.read(node, 900, 20000, buffer);
    expect(buffer.view()).toEqual(expected.subarray(900, 20900));
    engine.close(node);
  });
});
