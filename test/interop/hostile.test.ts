/**
 * Images of real tools with damaged metadata: whatever they say, a request ends, in an answer or in an error of its own. An
 * internal error (a trap of the WASM), an endless loop or memory out of all proportion would be ours.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine } from '../../src/engine';
import { BlockError, type Engine, type NodeHandle, RequestFlag } from '../../src/engine/contract';
import { MemoryStore } from '../../src/files/memory';
import { tools } from './images';

const DISK = 600 * 1024;
const PIECE = 65536;
/** The largest snapshot table takes 64 MiB and the largest L1 table 32; memory grows by doubling. */
const MEMORY_MAX = 256 * 2 ** 20;

let module: WebAssembly.Module;
let folder: string;
const originals: Buffer[] = [];

beforeAll(() => {
  module = new WebAssembly.Module(readFileSync('build/engine.wasm'));
  folder = mkdtempSync(join(tmpdir(), 'qsd-web-hostile-'));
  const run = tools(folder);
  for (const options of [
    'cluster_size=512',
    'cluster_size=1024,compat=0.10',
    'cluster_size=4096,refcount_bits=1',
    'cluster_size=512,lazy_refcounts=on,refcount_bits=64',
    'cluster_size=65536',
  ]) {
    run.img('create', '-q', '-f', 'qcow2', '-o', options, 'a.qcow2', String(DISK));
    run.io('a.qcow2', 'write -q -P 5 0 100k', 'write -q -P 6 200k 50k', 'write -q -z -u 20k 20k');
    originals.push(readFileSync(join(folder, 'a.qcow2')));
    run.img('convert', '-c', '-O', 'qcow2', '-o', options, 'a.qcow2', 'compressed.qcow2');
    originals.push(readFileSync(join(folder, 'compressed.qcow2')));
    if (options.includes('refcount_bits=1')) continue;
    run.img('snapshot', '-c', 'snapshot', 'a.qcow2');
    originals.push(readFileSync(join(folder, 'a.qcow2')));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What is damaged: 8 bytes at an index of a table, or any byte. */
const damage = fc.record({
  table: fc.constantFrom('header', 'L1', 'L2', 'refcount table', 'refcount block', 'anywhere'),
  index: fc.nat(1 << 20),
  change: fc.oneof(
    fc.record({ xor: fc.integer({ min: 1, max: 255 }) }),
    fc.record({ value: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(1 << 24).map(BigInt)) }),
    // An offset somewhere in a small file, with any flags.
    fc
      .tuple(fc.nat(3000), fc.constantFrom(0n, 1n, 1n << 63n, 1n << 62n, 3n << 62n))
      .map(([cluster, flags]) => ({ value: (BigInt(cluster) << 9n) | flags })),
  ),
});

type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function apply(image: Buffer, { table, index, change }: Damage): void {
  const u64 = (at: number): number =>
    at >= 0 && at + 8 <= image.length ? Number(image.readBigUInt64BE(at) & 0x00fffffffffffe00n) : -1;
  const [start, bytes] = (
    {
      header: [0, 112],
      L1: [u64(40), 64],
      L2: [u64(u64(40)), 512],
      'refcount table': [u64(48), 64],
      'refcount block': [u64(u64(48)), 512],
      anywhere: [0, image.length],
    } as const
  )[table];
  const at = start + (index % bytes);
  if (start < 0 || at + 8 > image.length) return;
  if ('xor' in change) image[at] = (image[at] ?? 0) ^ change.xor;
  else image.writeBigUInt64BE(change.value, at & ~7);
}

interface Request {
  kind: 'write' | 'zero' | 'discard' | 'truncate';
  sector: number;
  sectors: number;
}

const request: fc.Arbitrary<Request> = fc.record({
  kind: fc.constantFrom('write', 'write', 'write', 'zero', 'discard', 'truncate'),
  sector: fc.nat(DISK / 512),
  sectors: fc.integer({ min: 1, max: PIECE / 512 }),
});

/** Runs a request; false if it failed as requests may fail. */
function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(BlockError);
    expect((error as BlockError).message).not.toMatch(/Internal error/);
    return false;
  }
}

function use(engine: Engine, node: NodeHandle, requests: Request[]): void {
  const buffer = engine.alloc(PIECE);
  const length = engine.length(node);
  for (let at = 0; at < Math.min(length, DISK); at += PIECE) {
    attempt(() => engine.read(node, at, Math.min(PIECE, length - at), buffer));
  }
  for (let at = 0, asked = 0; at < length && asked < 1000; asked++) {
    let bytes = 0;
    attempt(() => ({ bytes } = engine.blockStatus(node, at, length - at)));
    if (bytes <= 0) break;
    at += bytes;
  }
  for (const { kind, sector, sectors } of requests) {
    const [offset, bytes] = [sector * 512, sectors * 512];
    attempt(() => {
      if (kind === 'write') engine.write(node, offset, bytes, buffer);
      else if (kind === 'zero') engine.writeZeroes(node, offset, bytes, RequestFlag.MAY_UNMAP);
      else if (kind === 'discard') engine.discard(node, offset, bytes);
      else engine.truncate(node, offset);
    });
  }
  attempt(() => engine.flush(node));
  attempt(() => void engine.qcow2Info(node));
}

test('a damaged image gives data or errors, and nothing else', async () => {
  const image = fc.record({
    original: fc.nat(1000),
    damages: fc.array(damage, { minLength: 1, maxLength: 5 }),
    readOnly: fc.boolean(),
    requests: fc.array(request, { maxLength: 25 }),
  });
  let opened = 0;
  await fc.assert(
    fc.asyncProperty(image, async ({ original, damages, readOnly, requests }) => {
      const bytes = Buffer.from(originals[original % originals.length] ?? []);
      for (const one of damages) apply(bytes, one);
      const engine = createEngine(module);
      const file = await new MemoryStore().open('/image', { write: true, create: 'truncate' });
      file.write(new Uint8Array(bytes), 0);
      const protocol = engine.openFile(file, { readOnly });
      attempt(() => {
        const node = engine.openQcow2(protocol, { readOnly });
        opened++;
        use(engine, node, requests);
        attempt(() => engine.close(node));
      });
      attempt(() => engine.close(protocol));
      expect(engine.memoryBytes()).toBeLessThan(MEMORY_MAX);
    }),
    { numRuns: 1200 },
  );
  // Most of the damage must be such that the image still opens, or the requests were not tried.
  expect(opened).toBeGreaterThan(400);
});
