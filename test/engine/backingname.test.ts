/** The name of the backing file in the header: as the real tool writes it, and not at all where it does not fit. */
import { readFileSync, copyFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { BlockError } from '../../src/engine/contract';
import { Errno } from '../../src/files/contract';
import { bytesOf, load, must, newEngine, openQcow2, run, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const long = 'x'.repeat(300);

test.each([
  ['cluster_size=512', long, 'qcow2'],
  ['cluster_size=64k', `dir/${long}`, 'raw'],
  ['cluster_size=64k,compat=0.10', 'zzz', 'vmdk'],
  ['cluster_size=4k,lazy_refcounts=on', 'ümlaut', 'qcow2'],
  ['cluster_size=2M', '', null],
])('%s: the same header as from the real tool', async (options, name, format) => {
  const path = scratch.path('a.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-u', '-o', options, '-b', 'old', '-F', 'raw', path, '1M');
  const file = await load(path);
  const engine = newEngine();
  const image = openQcow2(engine, file, { readOnly: false });
  engine.amend.changeBackingFile(image.node, name || null, format);
  // Once more: the name is no longer in the cluster that was read.
  engine.amend.changeBackingFile(image.node, name || null, format);
  expect(engine.qcow2Info(image.node)).toMatchObject({ backingFile: name || null, backingFormat: format });
  image.close();
  must('qemu-img', 'rebase', '-u', '-b', name, ...(format === null ? [] : ['-F', format]), path);
  expect(Buffer.compare(bytesOf(file), readFileSync(path))).toBe(0);
});

test('a name that does not fit changes nothing', async () => {
  const path = scratch.path('small.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', path, '1M');
  const file = await load(path);
  const before = bytesOf(file);
  const engine = newEngine();
  const image = openQcow2(engine, file, { readOnly: false });
  const attempt = (name: string, format: string): unknown => {
    try {
      engine.amend.changeBackingFile(image.node, name, format);
      return null;
    } catch (error) {
      return error instanceof BlockError ? error.errno : error;
    }
  };
  expect(attempt('y'.repeat(400), 'raw')).toBe(Errno.ENOSPC);
  expect(attempt('y'.repeat(1024), 'raw')).toBe(Errno.EINVAL);
  expect(attempt('y', 'f'.repeat(16))).toBe(Errno.EINVAL);
  expect(engine.qcow2Info(image.node)).toMatchObject({ backingFile: null, backingFormat: null });
  image.close();
  expect(Buffer.compare(bytesOf(file), before)).toBe(0);
  const copy = scratch.path('copy.qcow2');
  copyFileSync(path, copy);
  expect(run('qemu-img', 'rebase', '-u', '-b', 'y'.repeat(400), '-F', 'raw', copy).stderr).toContain(
    'No space left in the file header',
  );
});

test('a read-only image keeps its name', async () => {
  const path = scratch.path('ro.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', path, '1M');
  const engine = newEngine();
  const image = openQcow2(engine, await load(path), { readOnly: true });
  expect(() => engine.amend.changeBackingFile(image.node, 'b', 'raw')).toThrow('Block node is read-only');
  image.close();
});
