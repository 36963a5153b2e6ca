/**
 * The browser's half of the benchmarks: a dedicated worker with the engine on the origin private file system, where
 * sync access handles are.
 */
import { loadEngine } from '../../src/engine';
import type { Engine, NodeHandle } from '../../src/engine/contract';
import { Prealloc } from '../../src/engine/contract';
import { OpfsStore } from '../../src/files/browser/opfs-store';
import { type Comparison, compare, duration, median, randomOffsets, slice } from '../measure';

const RANDOM_BYTES = 4096;
/** Reads of a round, and how many different offsets there are for the rounds. */
const RANDOM_READS = 2048;
const RANDOM_OFFSETS = 65536;
const SEQUENTIAL_BYTES = 2 ** 20;
const SEQUENTIAL_READS = 16;
const WRITE_BYTES = 65536;
const WRITES = 1024;

async function newEngine(): Promise<Engine> {
  const reply = await fetch(new URL('../../build/engine.wasm', import.meta.url));
  if (!reply.ok) throw new Error(`build/engine.wasm: ${reply.status}`);
  return loadEngine(await reply.arrayBuffer());
}

async function bareHandle(name: string): Promise<FileSystemSyncAccessHandle> {
  const root = await navigator.storage.getDirectory();
  const file = await root.getFileHandle(name, { create: true });
  return file.createSyncAccessHandle();
}

/** Copies the first of the local files into the origin private file system. */
export async function importFile([file]: File[], name: string): Promise<void> {
  if (!file) throw new Error('no file was chosen');
  const handle = await bareHandle(name);
  handle.truncate(0);
  let at = 0;
  for (let start = 0; start < file.size; start += 2 ** 24) {
    at += handle.write(await file.slice(start, start + 2 ** 24).arrayBuffer(), { at });
  }
  handle.flush();
  handle.close();
}

/** Opens an image of the origin private file system; answers its nodes, top first. */
async function openImage(engine: Engine, name: string, readOnly: boolean): Promise<[NodeHandle, NodeHandle]> {
  const store = await OpfsStore.create({ shared: true });
  const file = await store.open(name, { write: !readOnly });
  const protocol = engine.openFile(file, { readOnly });
  return [engine.openQcow2(protocol, { readOnly }), protocol];
}

/** Reads of `bytes`, `count` of the `offsets` a round: through the qcow2 image of this name, and of the raw content by the bare handle. */
async function compareReads(
  image: string,
  rounds: number,
  bytes: number,
  offsets: number[],
  count: number,
): Promise<Comparison> {
  const engine = await newEngine();
  const [node, protocol] = await openImage(engine, image, true);
  const buffer = engine.alloc(bytes);
  const handle = await bareHandle('data.raw');
  const view = new Uint8Array(bytes);
  try {
    return await compare(
      rounds,
      {
        run: (round) => {
          for (const offset of slice(offsets, count, round)) engine.read(node, offset, bytes, buffer);
        },
      },
      {
        run: (round) => {
          for (const at of slice(offsets, count, round)) handle.read(view, { at });
        },
      },
    );
  } finally {
    engine.close(node);
    engine.close(protocol);
    handle.close();
  }
}

export async function randomReads(
  image: string,
  areaBytes: number,
): Promise<Comparison & { operations: number }> {
  const offsets = randomOffsets(RANDOM_OFFSETS, RANDOM_BYTES, areaBytes);
  return {
    ...(await compareReads(image, 301, RANDOM_BYTES, offsets, RANDOM_READS)),
    operations: RANDOM_READS,
  };
}

export async function sequentialReads(areaBytes: number): Promise<Comparison & { bytes: number }> {
  const offsets = Array.from({ length: areaBytes / SEQUENTIAL_BYTES }, (_, i) => i * SEQUENTIAL_BYTES);
  const result = await compareReads('data.qcow2', 201, SEQUENTIAL_BYTES, offsets, SEQUENTIAL_READS);
  return { ...result, bytes: SEQUENTIAL_READS * SEQUENTIAL_BYTES };
}

/** Writes to clusters that are not allocated yet, against the same bytes appended to a file; both flushed. */
export async function allocatingWrites(): Promise<Comparison & { bytes: number }> {
  const engine = await newEngine();
  const store = await OpfsStore.create({ shared: true });
  const protocol = engine.openFile(await store.open('new.qcow2', { write: true, create: 'truncate' }), {
    readOnly: false,
  });
  const buffer = engine.alloc(WRITE_BYTES);
  const handle = await bareHandle('new.raw');
  const view = new Uint8Array(WRITE_BYTES);
  crypto.getRandomValues(view);
  buffer.view().set(view);
  let node: NodeHandle | null = null;
  try {
    const result = await compare(
      21,
      {
        prepare: () => {
          if (node !== null) engine.close(node);
          engine.truncate(protocol, 0);
          engine.createQcow2(protocol, {
            size: WRITES * WRITE_BYTES,
            version: 3,
            clusterSize: 65536,
            refcountBits: 16,
            lazyRefcounts: false,
            preallocation: Prealloc.OFF,
            backingFile: null,
            backingFormat: null,
          });
          node = engine.openQcow2(protocol, { readOnly: false });
          engine.flush(node);
        },
        run: () => {
          if (node === null) return;
          for (let i = 0; i < WRITES; i++) engine.write(node, i * WRITE_BYTES, WRITE_BYTES, buffer);
          engine.flush(node);
        },
      },
      {
        prepare: () => {
          handle.truncate(0);
          handle.flush();
        },
        run: () => {
          for (let i = 0; i < WRITES; i++) handle.write(view, { at: i * WRITE_BYTES });
          handle.flush();
        },
      },
    );
    return { ...result, bytes: WRITES * WRITE_BYTES };
  } finally {
    if (node !== null) engine.close(node);
    engine.close(protocol);
    handle.close();
  }
}

/** From the name of the file to the first 4 KiB from the far end of the image, in a new engine each time. */
export async function openHuge(guestBytes: number): Promise<{ milliseconds: number; memoryBytes: number }> {
  let engine = await newEngine();
  let nodes: NodeHandle[] = [];
  const memory: number[] = [];
  const release = (): void => {
    for (const node of nodes) engine.close(node);
    nodes = [];
  };
  const milliseconds = await duration(15, {
    prepare: async () => {
      release();
      engine = await newEngine();
    },
    run: async () => {
      nodes = await openImage(engine, 'huge.qcow2', false);
      const buffer = engine.alloc(RANDOM_BYTES);
      const [top] = nodes;
      if (top === undefined || engine.length(top) !== guestBytes) throw new Error('the wrong image');
      engine.read(top, guestBytes - guestBytes / 256, RANDOM_BYTES, buffer);
      if (buffer.view()[0] !== 255) throw new Error('the wrong data');
      memory.push(engine.memoryBytes());
    },
  });
  release();
  return { milliseconds, memoryBytes: median(memory) };
}
