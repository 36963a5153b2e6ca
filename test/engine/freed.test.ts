/** A cluster that was given back is not written to while a table on disk may still point to it. */
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { BlockFile } from '../../src/files/contract';
import {
  bytesOf,
  contentOf,
  load,
  memoryFile,
  must,
  newEngine,
  openQcow2,
  random,
  scratchDirectory,
} from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const CLUSTER = 65536;

/** A file that calls `written` after each write to it. */
function watched(file: BlockFile, written: () => void): BlockFile {
  return new Proxy(file, {
    get(target, key) {
      if (key === 'write')
        return (from: Uint8Array, at: number) => {
          target.write(from, at);
          written();
        };
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

test('the place of a compressed cluster that was rewritten is not reused before a flush', async () => {
  const raw = new Uint8Array(16 * CLUSTER);
  const below = random(7);
  for (let i = 0; i < CLUSTER; i++) raw[i] = 0x61 + below(4);
  writeFileSync(scratch.path('a.raw'), raw);
  must('qemu-img', 'convert', '-c', '-O', 'qcow2', scratch.path('a.raw'), scratch.path('a.qcow2'));
  const before = Buffer.from(raw.subarray(0, CLUSTER));
  const after = Buffer.alloc(CLUSTER, 0x11);

  const engine = newEngine();
  const file = await load(scratch.path('a.qcow2'));
  const cuts: Uint8Array[] = [];
  const image = openQcow2(
    engine,
    watched(file, () => cuts.push(bytesOf(file))),
    { readOnly: false },
  );
  const buffer = engine.alloc(CLUSTER);
  buffer.view().set(after);
  engine.write(image.node, 0, CLUSTER, buffer);
  buffer.view().fill(0x22);
  for (let i = 8; i < 12; i++) engine.write(image.node, i * CLUSTER, CLUSTER, buffer);
  const size = file.size();
  engine.flush(image.node);

  // The power fails after any of the writes: what was there before is there still, or what replaced it.
  expect(cuts.length).toBeGreaterThan(5);
  const other = newEngine();
  for (const [i, cut] of cuts.entries()) {
    const opened = openQcow2(other, await memoryFile(cut), { readOnly: true });
    const content = Buffer.from(contentOf(other, opened.node).subarray(0, CLUSTER));
    opened.close();
    expect(content.equals(before) || content.equals(after), `cut after write ${i}`).toBe(true);
  }

  // After a flush the place is free.
  engine.write(image.node, 7 * CLUSTER, CLUSTER, buffer);
  engine.flush(image.node);
  expect(file.size()).toBe(size);
  image.close();
});
