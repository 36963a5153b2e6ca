/** Reading what qemu-img made: compressed clusters, chains, snapshots, and the map of all of them. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, NodeHandle } from '../../src/engine/contract';
import { contentOf, load, mapOf, must, newEngine, openQcow2, save, scratchDirectory } from './support';
import type { MapEntry, OpenImage } from './support';

const scratch = scratchDirectory();
let engine: Engine;

beforeAll(() => {
  engine = newEngine();
  // Text, zeros and noise, so that some clusters compress and some do not.
  must('qemu-img', 'create', '-q', '-f', 'raw', scratch.path('source.raw'), '6M');
  const words = ['-f', 'raw', '-c', 'write -P 65 0 1M', '-c', 'write -P 66 1500k 300k'];
  must('qemu-io', ...words, '-c', `write -s ${process.execPath} 3M 1M`, scratch.path('source.raw'));
});
afterAll(() => scratch.remove());

/** Opens a chain of qcow2 images, top first; the last may be raw. */
async function openChain(paths: string[], sparse: boolean): Promise<{ nodes: NodeHandle[]; close(): void }> {
  const open: { node: NodeHandle; close(): void }[] = [];
  let below: NodeHandle | null = null;
  for (const path of [...paths].reverse()) {
    let image: OpenImage;
    if (path.endsWith('.raw')) {
      const file = engine.openFile(await load(path, true), { readOnly: true });
      const node = engine.openRaw(file, { readOnly: true });
      image = {
        node,
        file,
        close: () => {
          engine.close(node);
          engine.close(file);
        },
      };
    } else {
      image = openQcow2(engine, await load(path, sparse), { readOnly: true }, below);
    }
    open.unshift(image);
    below = image.node;
  }
  return { nodes: open.map((o) => o.node), close: () => open.forEach((o) => o.close()) };
}

/** Compares content (read in steps of two sizes) and map of a chain with what qemu-img says. */
async function compare(paths: string[], sparse = false): Promise<MapEntry[]> {
  must('qemu-img', 'convert', '-O', 'raw', paths[0]!, scratch.path('expected.img'));
  const expected = readFileSync(scratch.path('expected.img'));
  const chain = await openChain(paths, sparse);
  const top = chain.nodes[0]!;
  expect(Buffer.compare(contentOf(engine, top), expected)).toBe(0);
  expect(Buffer.compare(contentOf(engine, top, 3584), expected)).toBe(0);
  const map = JSON.parse(must('qemu-img', 'map', '--output=json', paths[0]!)) as MapEntry[];
  expect(mapOf(engine, chain.nodes)).toEqual(map);
  chain.close();
  return map;
}

describe('compressed clusters', () => {
  test.each(['512', '1k', '4k', '64k', '2M'])('cluster size %s', async (size) => {
    const image = scratch.path('compressed.qcow2');
    must(
      'qemu-img',
      'convert',
      '-c',
      '-O',
      'qcow2',
      '-o',
      `cluster_size=${size}`,
      scratch.path('source.raw'),
      image,
    );
    const map = await compare([image]);
    if (size !== '512') expect(map.some((entry) => entry.compressed)).toBe(true);
  });

  test('a stream that is cut fails with EIO', async () => {
    const image = scratch.path('cut.qcow2');
    must('qemu-img', 'convert', '-c', '-O', 'qcow2', scratch.path('source.raw'), image);
    const file = await load(image);
    const map = mapOf(engine, [openQcow2(engine, file, { readOnly: true }).node]);
    expect(map[0]?.compressed).toBe(true);
    // The first compressed cluster lies behind the header's tables.
    file.write(new Uint8Array(512).fill(0xff), 5 * 65536);
    const open = openQcow2(engine, file, { readOnly: true });
    const buffer = engine.alloc(512);
    expect(() => engine.read(open.node, 0, 512, buffer)).toThrow('Input/output error');
    open.close();
  });
});

describe('chains', () => {
  test('three layers of other sizes and formats', async () => {
    const [a, b, c] = ['a.raw', 'b.qcow2', 'c.qcow2'].map((name) => scratch.path(name)) as [
      string,
      string,
      string,
    ];
    must('qemu-img', 'create', '-q', '-f', 'raw', a, '3M');
    must('qemu-io', '-f', 'raw', '-c', 'write -P 1 0 2M', '-c', 'write -P 2 2500k 500k', a);
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', '-b', a, '-F', 'raw', b, '2M');
    must('qemu-io', '-c', 'write -P 3 100k 100k', '-c', 'write -z 300k 64k', '-c', 'discard 400k 64k', b);
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', '-b', b, '-F', 'qcow2', c, '5M');
    must('qemu-io', '-c', 'write -P 4 150k 10k', '-c', 'write -P 5 4M 1k', c);
    await compare([c, b, a]);
  });
});

describe('snapshots', () => {
  test('writes leave the snapshot as it was', async () => {
    const image = scratch.path('snapshot.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', image, '4M');
    must('qemu-io', '-c', 'write -P 7 0 3M', image);
    must('qemu-img', 'snapshot', '-c', 'before', image);
    const file = await load(image);
    const open = openQcow2(engine, file, { readOnly: false });
    const buffer = engine.alloc(65536);
    buffer.view().fill(9);
    for (let at = 1000; at < 2_000_000; at += 131072) engine.write(open.node, at, 20000, buffer);
    engine.writeZeroes(open.node, 2 << 20, 50000, 2);
    engine.discard(open.node, 2_500_000, 100000);
    open.close();
    save(file, image);
    must('qemu-img', 'check', image);
    await compare([image]);
    must('qemu-img', 'snapshot', '-a', 'before', image);
    expect(must('qemu-io', '-c', 'read -P 7 0 3M', image)).not.toMatch(/fail/i);
    must('qemu-img', 'check', image);
  });
});

describe('metadata preallocation', () => {
  test('holes below the data are told', async () => {
    const image = scratch.path('preallocated.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', image, '8M');
    must('qemu-io', '-c', 'write -P 1 1M 128k', image);
    const map = await compare([image], true);
    expect(map.some((entry) => entry.data && entry.zero)).toBe(true);
  });
});
