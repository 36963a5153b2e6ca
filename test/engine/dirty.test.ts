/** Images with lazy refcounts whose last user crashed. */
import { spawnSync } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { contentOf, load, must, newEngine, openQcow2, run, save, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** An image whose writer was killed: the dirty bit is set and counts are missing. */
function crashed(name: string): string {
  const path = scratch.path(name);
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=on,cluster_size=4k', path, '16M');
  must('qemu-io', '-c', 'write -P 1 0 2M', path);
  spawnSync('qemu-io', ['-c', 'write -P 2 3M 9M', '-c', 'discard 0 64k', '-c', 'flush', '-c', 'abort', path]);
  return path;
}

test('a dirty image is repaired when it is opened for writing', async () => {
  const engine = newEngine();
  const path = crashed('dirty.qcow2');
  expect(run('qemu-img', 'check', path).status).not.toBe(0);
  const file = await load(path);

  const reader = openQcow2(engine, file, { readOnly: true });
  expect(engine.qcow2Info(reader.node).dirty).toBe(true);
  const before = contentOf(engine, reader.node);
  reader.close();

  const writer = openQcow2(engine, file, { readOnly: false });
  expect(engine.qcow2Info(writer.node).dirty).toBe(false);
  const buffer = engine.alloc(65536);
  buffer.view().fill(3);
  engine.write(writer.node, 13 << 20, 65536, buffer);
  writer.close();
  save(file, path);
  expect(must('qemu-img', 'check', path)).toMatch(/^No errors were found/);
  must('qemu-io', '-c', 'read -P 2 3M 9M', '-c', 'read -P 3 13M 64k', path);
  const again = openQcow2(engine, file, { readOnly: true });
  const after = contentOf(engine, again.node);
  again.close();
  expect(Buffer.compare(after.subarray(0, 13 << 20), before.subarray(0, 13 << 20))).toBe(0);
});

test('what is wrong beyond the counts is not touched', async () => {
  const engine = newEngine();
  const file = await load(crashed('worse.qcow2'));
  // The first L1 entry points behind the end of the file.
  const entry = new Uint8Array([0x80, 0, 0, 0x10, 0, 0, 0, 0]);
  const header = new Uint8Array(72);
  file.read(header, 0);
  file.write(entry, Number(new DataView(header.buffer).getBigUint64(40)));
  expect(() => openQcow2(engine, file, { readOnly: false })).toThrow('Could not repair dirty image');
  openQcow2(engine, file, { readOnly: true }).close();
});
