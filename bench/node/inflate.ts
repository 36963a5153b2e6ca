import { closeSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { compileWasm } from '../../test/wasm/compile';
import { compare, slice } from '../measure';
import { type Line, rate } from '../report';

const CLUSTER = 65536;
const CLUSTERS = 100;
const CLUSTERS_A_ROUND = 10;
/** As qcow2 has them. */
const WINDOW_BITS = 12;

interface Decoder {
  memory: WebAssembly.Memory;
  inflate(source: number, sourceBytes: number, destination: number, destinationBytes: number): number;
}

/** Clusters of machine code and of text: files that every machine with this project has. */
function contents(): Record<string, string> {
  const text = createRequire(import.meta.url).resolve('typescript');
  return { 'machine code': process.execPath, 'program text': text };
}

function clusters(path: string): Buffer[] {
  const file = openSync(path, 'r');
  try {
    const all = Buffer.alloc(CLUSTER * CLUSTERS);
    const bytes = readSync(file, all, 0, all.length, path === process.execPath ? 20 * 2 ** 20 : 0);
    return Array.from({ length: Math.floor(bytes / CLUSTER) }, (_, i) =>
      all.subarray(i * CLUSTER, (i + 1) * CLUSTER),
    );
  } finally {
    closeSync(file);
  }
}

/** Our inflate against Node's zlib, on compressed clusters. */
export async function inflateLines(): Promise<Line[]> {
  const module = await compileWasm('wasm/codec/inflate.ts');
  const abort = (): never => {
    throw new Error('abort');
  };
  const decoder = new WebAssembly.Instance(module, { env: { abort } }).exports as unknown as Decoder;
  const source = decoder.memory.grow(4) * 65536;
  const destination = source + 2 * CLUSTER;
  const memory = new Uint8Array(decoder.memory.buffer);

  const lines: Line[] = [];
  for (const [name, path] of Object.entries(contents())) {
    const plain = clusters(path);
    const streams = plain.map((cluster) => deflateRawSync(cluster, { windowBits: WINDOW_BITS }));
    const inflate = (stream: Buffer): void => {
      memory.set(stream, source);
      const bytes = decoder.inflate(source, stream.length, destination, CLUSTER);
      if (bytes !== CLUSTER) throw new Error(`inflate answered ${bytes}`);
    };
    const result = await compare(
      201,
      { run: (round) => slice(streams, CLUSTERS_A_ROUND, round).forEach(inflate) },
      {
        run: (round) => {
          for (const stream of slice(streams, CLUSTERS_A_ROUND, round))
            inflateRawSync(stream, { windowBits: WINDOW_BITS, chunkSize: CLUSTER });
        },
      },
    );
    const bytes = CLUSTERS_A_ROUND * CLUSTER;
    lines.push({
      what: `inflate of 64 KiB clusters, ${name}, against node:zlib`,
      ours: rate(bytes, result.ours, 'MB/s'),
      reference: rate(bytes, result.reference, 'MB/s'),
      value: result.ratio,
      unit: '',
      target: { least: 1 },
    });
  }
  return lines;
}
