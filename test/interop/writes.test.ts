/**
 * The same random writes, zero writes and discards by ours and by the real qemu-io, on images that both go on writing to in
 * turn: what a guest sees is the same, as many clusters are in use, and `qemu-img check` finds nothing.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine } from '../../src/engine';
import { type Engine, RequestFlag } from '../../src/engine/contract';
import { MemoryLocks } from '../../src/files/locks';
import { NodeStore } from '../../src/files/node/store';
import { BlockGraph, type BlockUser } from '../../src/graph';
import { readAll } from './content';
import { type Tools, tools } from './images';

/** An image to write to. */
interface Subject {
  name: string;
  clusterSize: number;
  /** Of the disk, bytes. */
  bytes: number;
  /** Options of creation besides the size of the clusters. */
  options?: string;
  backing?: 'raw' | 'compressed';
  /** Of the backing disk. */
  backingBytes?: number;
  /** The image starts as a compressed copy of a disk. */
  compressed?: true;
  /** An internal snapshot is taken before the second turn. */
  snapshot?: true;
}

const MIB = 2 ** 20;

const subjects: Subject[] = [
  { name: 'the default image', clusterSize: 65536, bytes: 10 * MIB },
  { name: 'clusters of 512 bytes', clusterSize: 512, bytes: 2 * MIB + 1536, options: 'refcount_bits=1' },
  { name: 'clusters of 2 MiB', clusterSize: 2 * MIB, bytes: 13 * MIB + 512, options: 'refcount_bits=64' },
  {
    name: 'version 2, on a raw disk that is longer',
    clusterSize: 16384,
    bytes: 7 * MIB + 1024,
    options: 'compat=0.10',
    backing: 'raw',
    backingBytes: 8 * MIB,
  },
  {
    name: 'version 2 with a snapshot',
    clusterSize: 4096,
    bytes: 6 * MIB,
    options: 'compat=0.10',
    snapshot: true,
  },
  {
    name: 'lazy refcounts, on a raw disk that ends inside a cluster',
    clusterSize: 32768,
    bytes: 8 * MIB,
    options: 'lazy_refcounts=on,refcount_bits=2',
    backing: 'raw',
    backingBytes: 5 * MIB + 3584,
  },
  {
    name: 'on a compressed image',
    clusterSize: 4096,
    bytes: 6 * MIB,
    options: 'refcount_bits=4',
    backing: 'compressed',
    backingBytes: 6 * MIB,
  },
  {
    name: 'extended L2 entries, on a raw disk that ends inside a subcluster',
    clusterSize: 65536,
    bytes: 8 * MIB + 512,
    options: 'extended_l2=on',
    backing: 'raw',
    backingBytes: 5 * MIB + 3584,
  },
  {
    name: 'extended L2 entries with a snapshot',
    clusterSize: 16384,
    bytes: 6 * MIB,
    options: 'extended_l2=on,refcount_bits=8',
    snapshot: true,
  },
  {
    name: 'extended L2 entries on a compressed image, all places taken at the start',
    clusterSize: 131072,
    bytes: 6 * MIB,
    options: 'extended_l2=on,preallocation=metadata',
    backing: 'compressed',
    backingBytes: 4 * MIB,
  },
  {
    name: 'a compressed image with extended L2 entries and a snapshot',
    clusterSize: 32768,
    bytes: 5 * MIB,
    options: 'extended_l2=on',
    compressed: true,
    snapshot: true,
  },
  { name: 'a compressed image', clusterSize: 65536, bytes: 8 * MIB, compressed: true },
  {
    name: 'a compressed image with a snapshot',
    clusterSize: 8192,
    bytes: 5 * MIB,
    options: 'refcount_bits=8',
    compressed: true,
    snapshot: true,
  },
  {
    name: 'a snapshot on a raw disk',
    clusterSize: 1024,
    bytes: 2 * MIB,
    options: 'refcount_bits=32',
    backing: 'raw',
    backingBytes: 2 * MIB,
    snapshot: true,
  },
];

const TURNS = 4;
const REQUESTS = 160;

/** A request as the drawn lots made it. Offsets and lengths are whole sectors. */
interface GuestRequest {
  kind: 'write' | 'zero' | 'zero and unmap' | 'discard';
  offset: number;
  bytes: number;
  /** What is written. */
  pattern: number;
}

/** Repeatable lots. */
class Lots {
  constructor(private state: number) {}
  /** A whole number from 0 to `limit` - 1. */
  draw(limit: number): number {
    this.state = (Math.imul(this.state, 1103515245) + 12345) >>> 0;
    return Math.floor(((this.state >>> 8) / 2 ** 24) * limit);
  }
}

function drawRequest(lots: Lots, { clusterSize, bytes }: Subject): GuestRequest {
  const aligned = lots.draw(2) === 0;
  const unit = aligned ? clusterSize : 512;
  const most = aligned ? Math.max(2, Math.min(40, 65536 / clusterSize)) : lots.draw(3) === 0 ? 8 : 400;
  const offset = lots.draw(Math.ceil(bytes / unit)) * unit;
  const length = Math.min((1 + lots.draw(most)) * unit, bytes - offset);
  const kinds = ['write', 'write', 'write', 'zero', 'zero and unmap', 'discard'] as const;
  return {
    kind: kinds[lots.draw(kinds.length)] ?? 'write',
    offset,
    bytes: length,
    pattern: 1 + lots.draw(255),
  };
}

/** The same as a command of qemu-io. */
function command({ kind, offset, bytes, pattern }: GuestRequest): string {
  switch (kind) {
    case 'write':
      return `write -q -P ${pattern} ${offset} ${bytes}`;
    case 'zero':
      return `write -q -z ${offset} ${bytes}`;
    case 'zero and unmap':
      return `write -q -z -u ${offset} ${bytes}`;
    case 'discard':
      return `discard -q ${offset} ${bytes}`;
  }
}

let folder: string;
let module: WebAssembly.Module;
/** Of the test under way. */
let engine: Engine;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'qsd-web-writes-'));
  module = new WebAssembly.Module(readFileSync('build/engine.wasm'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A disk with data, text and zeros. */
function disk(bytes: number): Buffer {
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) content[at] = (at >> 12) % 7 === 0 ? 0 : (at * 31 + (at >> 9)) & 255;
  return content;
}

function make(run: Tools, { clusterSize, bytes, options, backing, backingBytes, compressed }: Subject): void {
  const all = [`cluster_size=${clusterSize}`, ...(options ? [options] : [])].join(',');
  if (compressed) {
    writeFileSync(join(run.folder, 'disk.raw'), disk(bytes));
    run.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', all, 'disk.raw', 'ours.qcow2');
    return;
  }
  const base: string[] = [];
  if (backing) {
    writeFileSync(join(run.folder, 'base.raw'), disk(backingBytes ?? bytes));
    base.push('-b', 'base.raw', '-F', 'raw');
  }
  if (backing === 'compressed') {
    run.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', 'base.raw', 'base.qcow2');
    base.splice(0, 4, '-b', 'base.qcow2', '-F', 'qcow2');
  }
  run.img('create', '-q', '-f', 'qcow2', '-o', all, ...base, 'ours.qcow2', String(bytes));
}

/** Calls `use` with ours.qcow2 open, and closes it. */
async function withImage<T>(run: Tools, readOnly: boolean, use: (user: BlockUser) => T): Promise<T> {
  const graph = new BlockGraph({ engine, files: new NodeStore(run.folder), locks: new MemoryLocks() });
  const user = await graph.openImage({ filename: 'ours.qcow2', format: 'qcow2', readOnly });
  try {
    return use(user);
  } finally {
    await user.close();
    await graph.close();
  }
}

/** What the real tool reads in an image. */
function sha256(run: Tools, image: string): string {
  run.img('convert', '-f', 'qcow2', '-O', 'raw', image, 'content.raw');
  return createHash('sha256')
    .update(readFileSync(join(run.folder, 'content.raw')))
    .digest('hex');
}

/** Clusters of the disk that are in use; `qemu-img check` exits with an error, and this throws, if it finds anything. */
function checked(run: Tools, image: string): number {
  const report = JSON.parse(run.img('check', '-f', 'qcow2', '--output=json', image)) as Record<
    string,
    number
  >;
  return report['allocated-clusters'] ?? 0;
}

test.each(subjects.map((subject, index) => ({ name: subject.name, subject, index })))(
  '$name',
  async ({ subject, index }) => {
    const run = tools(join(folder, String(index)));
    mkdirSync(run.folder);
    make(run, subject);
    engine = createEngine(module);
    const lots = new Lots(index + 1);
    let before = '';
    for (let turn = 0; turn < TURNS; turn++) {
      if (turn === 1 && subject.snapshot) {
        run.img('snapshot', '-c', 'before', 'ours.qcow2');
        before = sha256(run, 'ours.qcow2');
      }
      const requests = Array.from({ length: REQUESTS }, () => drawRequest(lots, subject));
      const commands = requests.map(command);
      if (turn % 2 === 1) {
        // The real tool goes on with our image.
        run.io('ours.qcow2', ...commands);
        checked(run, 'ours.qcow2');
        continue;
      }
      copyFileSync(join(run.folder, 'ours.qcow2'), join(run.folder, 'theirs.qcow2'));
      run.io('theirs.qcow2', ...commands);
      await withImage(run, false, (user) => {
        const buffer = engine.alloc(Math.max(...requests.map(({ bytes }) => bytes)));
        for (const { kind, offset, bytes, pattern } of requests) {
          if (kind === 'write') {
            buffer.view(0, bytes).fill(pattern);
            user.write(offset, bytes, buffer);
          } else if (kind === 'discard') {
            user.discard(offset, bytes);
          } else {
            user.writeZeroes(offset, bytes, kind === 'zero' ? 0 : RequestFlag.MAY_UNMAP);
          }
        }
        buffer.free();
      });
      const expected = sha256(run, 'theirs.qcow2');
      expect(sha256(run, 'ours.qcow2')).toBe(expected);
      expect(checked(run, 'ours.qcow2')).toBe(checked(run, 'theirs.qcow2'));
      const hash = createHash('sha256');
      await withImage(run, true, (user) => readAll(engine, user, (piece) => hash.update(piece)));
      expect(hash.digest('hex')).toBe(expected);
    }
    if (subject.snapshot) {
      // What was written since has left the snapshot alone.
      run.img('snapshot', '-a', 'before', 'ours.qcow2');
      expect(sha256(run, 'ours.qcow2')).toBe(before);
      checked(run, 'ours.qcow2');
    }
  },
);
