import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { loadEngine } from '../../src/engine';
import { NodeStore } from '../../src/files/node/store';
import { DATA_BYTES, type Images } from '../images';
import { compare, randomOffsets, slice } from '../measure';
import { type Line, rate } from '../report';

/** Reads through qcow2 on Node's files, against bare `readSync`. No target is set for these. */
export async function nodeReadLines(images: Images): Promise<Line[]> {
  const engine = await loadEngine(readFileSync(new URL('../../build/engine.wasm', import.meta.url)));
  const file = await new NodeStore().open(images.qcow2, { write: false });
  const protocol = engine.openFile(file, { readOnly: true });
  const node = engine.openQcow2(protocol, { readOnly: true });
  const bare = openSync(images.raw, 'r');
  const lines: Line[] = [];
  const measure = async (rounds: number, bytes: number, offsets: number[], count: number): Promise<void> => {
    const buffer = engine.alloc(bytes);
    const view = new Uint8Array(bytes);
    const result = await compare(
      rounds,
      {
        run: (round) => {
          for (const offset of slice(offsets, count, round)) engine.read(node, offset, bytes, buffer);
        },
      },
      {
        run: (round) => {
          for (const offset of slice(offsets, count, round)) readSync(bare, view, 0, bytes, offset);
        },
      },
    );
    buffer.free();
    const small = bytes < 65536;
    const amount = small ? count : count * bytes;
    lines.push({
      what: `Node.js: ${small ? '4 KiB random' : '1 MiB sequential'} reads through qcow2, against readSync`,
      ours: rate(amount, result.ours, small ? '/s' : 'MB/s'),
      reference: rate(amount, result.reference, small ? '/s' : 'MB/s'),
      value: result.ratio,
      unit: '',
    });
  };
  try {
    await measure(301, 4096, randomOffsets(65536, 4096, DATA_BYTES), 2048);
    const pieces = Array.from({ length: DATA_BYTES / 2 ** 20 }, (_, i) => i * 2 ** 20);
    await measure(201, 2 ** 20, pieces, 16);
  } finally {
    closeSync(bare);
    engine.close(node);
    engine.close(protocol);
  }
  return lines;
}
