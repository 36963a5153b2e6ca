/** Images that a mutator damages: small ones with every structure, by both writers. */
import { readFileSync } from 'node:fs';
import { type Engine, Prealloc } from '../../../src/engine/contract';
import { memoryFile, must, openQcow2, bytesOf } from '../support';
import { anatomy } from './anatomy';
import { byRegion, type Victim } from './mutate';

const KIB = 1024;

/** What is done to an image after it is made. */
type Content = 'plain' | 'compressed' | 'snapshots' | 'bitmaps' | 'data file';

interface Recipe {
  options: string;
  clusterBits: number;
  contents: Content[];
}

const RECIPES: Recipe[] = [
  { options: 'compat=0.10', clusterBits: 9, contents: ['plain', 'snapshots', 'compressed'] },
  { options: 'refcount_bits=1', clusterBits: 9, contents: ['plain', 'compressed'] },
  { options: 'refcount_bits=64', clusterBits: 12, contents: ['snapshots', 'bitmaps'] },
  { options: 'lazy_refcounts=on', clusterBits: 12, contents: ['plain', 'compressed'] },
  {
    options: 'extended_l2=on',
    clusterBits: 14,
    contents: ['plain', 'snapshots', 'compressed', 'bitmaps', 'data file'],
  },
  { options: 'compression_type=zstd', clusterBits: 12, contents: ['compressed'] },
  { options: 'refcount_bits=16', clusterBits: 16, contents: ['plain', 'compressed', 'snapshots', 'bitmaps'] },
  { options: 'data_file_raw=on', clusterBits: 12, contents: ['data file'] },
];

function victim(name: string, bytes: Buffer, clusterBits: number, data: Buffer | null = null): Victim {
  return { name, bytes, data, clusterBits, regions: byRegion(anatomy(bytes)) };
}

/** Images by the real tools. */
export function theirs(path: (name: string) => string): Victim[] {
  const victims: Victim[] = [];
  for (const { options, clusterBits, contents } of RECIPES) {
    const size = `${Math.max(160 * KIB, 12 << clusterBits)}`;
    for (const content of contents) {
      const image = path('victim.qcow2');
      const external = content === 'data file' ? path('victim.raw') : null;
      const data = external === null ? '' : `,data_file=${external}`;
      const all = `cluster_size=${1 << clusterBits},${options}${data}`;
      must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', all, image, size);
      must('qemu-io', '-c', 'write -P 3 0 60k', '-c', 'write -P 4 100k 20k', '-c', 'write -z 70k 16k', image);
      if (content === 'snapshots') {
        must('qemu-img', 'snapshot', '-c', 'first', image);
        must('qemu-io', '-c', 'write -P 5 8k 30k', image);
        must('qemu-img', 'snapshot', '-c', 'second', image);
        must('qemu-io', '-c', 'write -P 6 32k 16k', image);
      }
      if (content === 'bitmaps') {
        must('qemu-img', 'bitmap', '--add', '-g', '512', image, 'first');
        must('qemu-img', 'bitmap', '--add', '-g', '64k', image, 'second');
        must('qemu-io', '-c', 'write -P 5 8k 30k', image);
        must('qemu-img', 'bitmap', '--disable', image, 'second');
      }
      if (content === 'compressed') {
        const packed = path('packed.qcow2');
        must('qemu-img', 'convert', '-c', '-O', 'qcow2', '-o', all, image, packed);
        victims.push(victim(`${all}, ${content}`, readFileSync(packed), clusterBits));
      } else {
        const bytes = external === null ? null : readFileSync(external);
        victims.push(victim(`${all}, ${content}`, readFileSync(image), clusterBits, bytes));
      }
    }
  }
  return victims;
}

/** Images by this engine. */
export async function ours(engine: Engine): Promise<Victim[]> {
  const victims: Victim[] = [];
  const buffer = engine.alloc(1 << 17);
  for (const [version, clusterBits, refcountBits, extendedL2] of [
    [2, 9, 16, false],
    [3, 9, 2, false],
    [3, 12, 32, false],
    [3, 14, 16, true],
    [3, 16, 16, false],
  ] as const) {
    for (const content of ['plain', 'compressed', 'snapshots', 'bitmaps', 'data file'] as const) {
      if (content === 'data file' && version === 2) continue;
      const clusterSize = 1 << clusterBits;
      const size = Math.max(160 * KIB, 12 * clusterSize);
      const file = await memoryFile();
      const protocol = engine.openFile(file, { readOnly: false });
      const data = await memoryFile();
      const external = content === 'data file' ? engine.openFile(data, { readOnly: false }) : undefined;
      engine.createQcow2(protocol, {
        size,
        version,
        clusterSize,
        refcountBits,
        lazyRefcounts: version === 3,
        extendedL2,
        preallocation: content === 'plain' ? Prealloc.METADATA : Prealloc.OFF,
        backingFile: null,
        backingFormat: null,
        ...(external === undefined
          ? {}
          : { dataFile: { node: external, name: 'data', raw: clusterBits === 9 } }),
      });
      const image = openQcow2(engine, file, { readOnly: false, dataFile: external });
      const { node } = image;
      const write = (pattern: number, offset: number, bytes: number) => {
        buffer.view(0, bytes).fill(pattern);
        engine.write(node, offset, bytes, buffer);
      };
      if (content === 'compressed') {
        buffer.view(0, 2 * clusterSize).fill(9);
        for (let at = 0; at < 60 * KIB; at += 2 * clusterSize) {
          engine.writeCompressed(node, at, 2 * clusterSize, buffer);
        }
      } else write(3, 0, 60 * KIB);
      engine.writeZeroes(node, 100 * KIB, 16 * KIB);
      if (content === 'snapshots') {
        const when = { dateSec: 1, dateNsec: 2, vmClockSec: 3, vmClockNsec: 4, icount: null };
        engine.createSnapshot(node, { name: 'first', ...when });
        write(5, 8 * KIB, 30 * KIB);
        engine.createSnapshot(node, { name: 'second', ...when });
        write(6, 32 * KIB, 16 * KIB);
      }
      if (content === 'bitmaps' && version === 3) {
        for (const granularity of [512, 65536]) {
          engine.bitmaps.setPersistent(engine.bitmaps.create(node, granularity, `b${granularity}`), true);
          write(7, 20 * KIB, 8 * KIB);
        }
      }
      image.close();
      const name = `ours, ${version}, ${clusterSize}, ${content}`;
      const dataBytes = external === undefined ? null : Buffer.from(bytesOf(data));
      victims.push(victim(name, Buffer.from(bytesOf(file)), clusterBits, dataBytes));
      if (external !== undefined) engine.close(external);
      engine.close(protocol);
    }
  }
  buffer.free();
  return victims;
}
