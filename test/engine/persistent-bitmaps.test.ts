/**
 * Bitmaps that qcow2 images keep: ours and the real tool read what the other stored, and the power is cut at every write
 * of storing, removing and resizing.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { BitmapHandle } from '../../src/engine/request';
import { BlockError, type NodeHandle } from '../../src/engine/contract';
import { cutAt, recorded, type Step } from './powercuts/recording';
import { load, memoryFile, must, newEngine, openQcow2, random, run, save, scratchDirectory } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());
const engine = newEngine();
const { bitmaps } = engine;
const SIZE = 8 << 20;

interface InfoBitmap {
  name: string;
  flags: string[];
  granularity: number;
}

function infoOf(path: string): InfoBitmap[] {
  const info = JSON.parse(must('qemu-img', 'info', '--output=json', path)) as {
    'format-specific': { data: { bitmaps?: InfoBitmap[] } };
  };
  return info['format-specific'].data.bitmaps ?? [];
}

function named(node: NodeHandle, name: string): BitmapHandle {
  const found = bitmaps.of(node).find((bitmap) => bitmaps.state(bitmap).name === name);
  if (found === undefined) throw new Error(`no bitmap ${name}`);
  return found;
}

function persistent(node: NodeHandle, name: string, granularity: number): BitmapHandle {
  bitmaps.checkStorable(node, name, granularity);
  const bitmap = bitmaps.create(node, granularity, name);
  bitmaps.setPersistent(bitmap, true);
  return bitmap;
}

function areas(bitmap: BitmapHandle): string {
  const found: string[] = [];
  for (let at = 0, area; (area = bitmaps.nextDirtyArea(bitmap, at, 2 ** 53)); at = area.offset + area.bytes) {
    found.push(`${area.offset}+${area.bytes}`);
  }
  return found.join(' ');
}

function scribble(node: NodeHandle, seed: number, count: number): void {
  const pick = random(seed);
  const buffer = engine.alloc(65536);
  buffer.view().fill(seed);
  for (let i = 0; i < count; i++) engine.write(node, 512 * pick(engine.length(node) / 512 - 8), 4096, buffer);
  buffer.free();
}

test.each([512, 4096, 65536])(
  'stored by ours and by the real tool in turn, clusters of %i bytes',
  async (cluster) => {
    const path = scratch.path('turns.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `cluster_size=${cluster}`, path, String(SIZE));
    must('qemu-img', 'bitmap', '--add', '-g', '512', path, 'theirs');
    must('qemu-io', '-c', 'write 1M 70k', '-c', 'discard 5M 64k', path);
    must('qemu-img', 'bitmap', '--add', '--disable', path, 'off');
    const file = await load(path);
    let image = openQcow2(engine, file, { readOnly: false });
    expect(areas(named(image.node, 'theirs'))).toBe(`${1 << 20}+71680 ${5 << 20}+65536`);
    expect(bitmaps.state(named(image.node, 'off'))).toMatchObject({
      enabled: false,
      count: 0,
      persistent: true,
    });
    // In use until it is closed: to those who look at the file now it is not to be believed.
    expect(bitmaps.stored(image.node)!.every(({ inUse }) => inUse)).toBe(true);
    const ours = persistent(image.node, 'ours', 65536);
    const passing = bitmaps.create(image.node, 65536, 'passing');
    scribble(image.node, 3, 40);
    const expected = { ours: areas(ours), theirs: areas(named(image.node, 'theirs')) };
    expect(areas(passing)).toBe(expected.ours);
    image.close();
    save(file, path);
    expect(infoOf(path)).toEqual([
      { name: 'theirs', flags: ['auto'], granularity: 512 },
      { name: 'off', flags: [], granularity: Math.min(65536, Math.max(4096, cluster)) },
      { name: 'ours', flags: ['auto'], granularity: 65536 },
    ]);
    expect(run('qemu-img', 'check', path)).toMatchObject({ status: 0, stderr: '' });
    // The real tool loads, merges and stores; what comes back is what was there.
    must('qemu-img', 'bitmap', '--add', '--merge', 'ours', '-g', '65536', path, 'copy');
    must('qemu-img', 'bitmap', '--remove', path, 'off');
    const again = await load(path);
    image = openQcow2(engine, again, { readOnly: true });
    expect(areas(named(image.node, 'copy'))).toBe(expected.ours);
    expect(areas(named(image.node, 'theirs'))).toBe(expected.theirs);
    expect(bitmaps.state(named(image.node, 'copy'))).toMatchObject({ readOnly: true, inconsistent: false });
    image.close();
    image = openQcow2(engine, again, { readOnly: false });
    for (const bitmap of bitmaps.of(image.node)) {
      bitmaps.removeStored(bitmap);
      bitmaps.release(bitmap);
    }
    image.close();
    save(again, path);
    expect(infoOf(path)).toEqual([]);
    expect(run('qemu-img', 'check', path)).toMatchObject({ status: 0, stderr: '' });
  },
);

test('read-only for a while: stored, then marked again; writes in between are refused by what would be lost', async () => {
  const path = scratch.path('reopen.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', path, String(SIZE));
  const file = await load(path);
  const image = openQcow2(engine, file, { readOnly: false });
  const bitmap = persistent(image.node, 'b', 65536);
  scribble(image.node, 1, 3);
  engine.setReadOnly(image.node, true);
  expect(bitmaps.stored(image.node)).toMatchObject([{ name: 'b', inUse: false, auto: true }]);
  expect(bitmaps.state(bitmap).readOnly).toBe(true);
  save(file, path);
  expect(infoOf(path)).toEqual([{ name: 'b', flags: ['auto'], granularity: 65536 }]);
  engine.setReadOnly(image.node, false);
  expect(bitmaps.stored(image.node)).toMatchObject([{ name: 'b', inUse: true }]);
  scribble(image.node, 2, 3);
  // A crash now: nobody trusts it.
  save(file, path);
  expect(infoOf(path)).toEqual([{ name: 'b', flags: ['in-use', 'auto'], granularity: 65536 }]);
  const lost = openQcow2(engine, await load(path), { readOnly: false });
  expect(bitmaps.state(named(lost.node, 'b'))).toMatchObject({
    inconsistent: true,
    enabled: false,
    count: 0,
  });
  expect(() => engine.truncate(lost.node, SIZE * 2)).toThrow(BlockError);
  lost.close();
  image.close();
});

test('limits have the texts of QEMU', async () => {
  const path = scratch.path('limits.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', path, '64T');
  const image = openQcow2(engine, await load(path), { readOnly: false });
  const refusal = (name: string, granularity: number) => () =>
    bitmaps.checkStorable(image.node, name, granularity);
  expect(refusal('b', 512)).toThrow('Too much space will be occupied by the bitmap. Use larger granularity');
  expect(refusal('b', 256)).toThrow('Granularity is under minimum (512 bytes)');
  expect(refusal('b', 2 ** 32)).toThrow('Granularity exceeds maximum (2147483648 bytes)');
  expect(refusal('ö'.repeat(512), 65536)).toThrow('Name length exceeds maximum (1023 characters)');
  refusal('ö'.repeat(511), 65536)();
  image.close();
});

test.each(['store', 'remove', 'resize', 'grow'])('a power cut during %s corrupts nothing', async (action) => {
  const path = scratch.path('cut.qcow2');
  const create = ['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k,refcount_bits=8'];
  must('qemu-img', ...create, path, String(SIZE));
  must('qemu-io', '-c', 'write 0 300k', path);
  must('qemu-img', 'bitmap', '--add', '-g', '512', path, 'a');
  must('qemu-img', 'bitmap', '--add', path, 'b');
  must('qemu-io', '-c', 'write 1M 300k', path);
  const file = await load(path);
  const start = new Uint8Array(file.size());
  file.read(start, 0);
  const steps: Step[] = [];
  const image = openQcow2(engine, recorded(file, steps), { readOnly: false });
  const before = areas(named(image.node, 'a'));
  if (action === 'remove') {
    const a = named(image.node, 'a');
    bitmaps.removeStored(a);
    bitmaps.release(a);
  } else if (action === 'resize') engine.truncate(image.node, SIZE / 2);
  else if (action === 'grow') engine.truncate(image.node, SIZE * 4);
  scribble(image.node, 5, 10);
  const after = action === 'remove' ? '' : areas(named(image.node, 'a'));
  image.close();

  const pick = random(action.length);
  for (let at = 0; at <= steps.length; at++) {
    const whole = cutAt(start, steps, at, () => true);
    const parts = cutAt(start, steps, at, () => pick(2) === 1);
    for (const bytes of Buffer.compare(whole, parts) === 0 ? [whole] : [whole, parts]) {
      writeFileSync(path, bytes);
      const { status, stdout, stderr } = run('qemu-img', 'check', path);
      expect([0, 3], `cut at ${at} of ${steps.length}\n${stdout}${stderr}`).toContain(status);
      // What is said to be consistent is what the bitmap held, before all or after all.
      const left = openQcow2(engine, await memoryFile(bytes), { readOnly: true });
      for (const bitmap of bitmaps.of(left.node)) {
        const { name, inconsistent } = bitmaps.state(bitmap);
        if (name !== 'a' || inconsistent) continue;
        expect(at < steps.length / 2 ? [before, after] : [after], `cut at ${at}`).toContain(areas(bitmap));
      }
      left.close();
    }
  }
});
