/** Lazy refcounts while an image is in use: the dirty bit, what is written when, and cuts of the power. */
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { cutAt, recorded, type Step } from './powercuts/recording';
import {
  bytesOf,
  contentOf,
  load,
  memoryFile,
  must,
  newEngine,
  openQcow2,
  random,
  run,
  save,
  scratchDirectory,
} from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const DIRTY = 79;

async function lazyImage(name: string, options = 'lazy_refcounts=on,cluster_size=4k', size = '2M') {
  const path = scratch.path(name);
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, size);
  return { path, file: await load(path) };
}

test('marked before the first new cluster, counts are written at the end, the mark goes', async () => {
  const { path, file } = await lazyImage('mark.qcow2');
  const engine = newEngine();
  const steps: Step[] = [];
  const image = openQcow2(engine, recorded(file, steps), { readOnly: false });
  const buffer = engine.alloc(65536);
  buffer.view().fill(7);
  engine.read(image.node, 0, 65536, buffer);
  expect(bytesOf(file)[DIRTY]).toBe(0);
  buffer.view().fill(7);
  engine.write(image.node, 0, 65536, buffer);
  expect(bytesOf(file)[DIRTY]).toBe(1);
  expect(engine.qcow2Info(image.node).dirty).toBe(true);
  engine.flush(image.node);
  steps.length = 0;
  // The refcount block is at the third cluster, and stays as it is.
  for (let i = 1; i < 20; i++) {
    engine.write(image.node, i * 65536, 65536, buffer);
    engine.flush(image.node);
  }
  expect(steps.some((step) => step.kind === 'write' && step.at >> 12 === 2)).toBe(false);
  save(file, path);
  expect(run('qemu-img', 'check', path).status).toBe(2);
  image.close();
  save(file, path);
  expect(bytesOf(file)[DIRTY]).toBe(0);
  expect(must('qemu-img', 'check', path)).toMatch(/^No errors/);
});

test('the option decides, and turning it off or turning read-only makes the image clean', async () => {
  const { path, file } = await lazyImage('option.qcow2');
  const engine = newEngine();
  const buffer = engine.alloc(65536);
  const dirtyAfterWrite = (lazyRefcounts: boolean | undefined, at: number) => {
    const options = lazyRefcounts === undefined ? {} : { lazyRefcounts };
    const image = openQcow2(engine, file, { readOnly: false, ...options });
    engine.write(image.node, at, 65536, buffer);
    const dirty = bytesOf(file)[DIRTY];
    engine.changes.reopenQcow2(image.node, { readOnly: false, lazyRefcounts: false });
    expect(bytesOf(file)[DIRTY]).toBe(0);
    save(file, path);
    expect(must('qemu-img', 'check', path)).toMatch(/^No errors/);
    engine.write(image.node, at + 65536, 65536, buffer);
    expect(bytesOf(file)[DIRTY]).toBe(0);
    engine.changes.reopenQcow2(image.node, { readOnly: false, lazyRefcounts: true });
    engine.write(image.node, at + 131072, 65536, buffer);
    expect(bytesOf(file)[DIRTY]).toBe(1);
    engine.setReadOnly(image.node, true);
    expect(bytesOf(file)[DIRTY]).toBe(0);
    save(file, path);
    expect(must('qemu-img', 'check', path)).toMatch(/^No errors/);
    image.close();
    return dirty;
  };
  expect(dirtyAfterWrite(undefined, 0)).toBe(1);
  expect(dirtyAfterWrite(true, 1 << 18)).toBe(1);
  expect(dirtyAfterWrite(false, 1 << 19)).toBe(0);
});

test.each([
  ['lazy_refcounts=on,cluster_size=512', 3],
  ['lazy_refcounts=on,cluster_size=4k,refcount_bits=1', 4],
  ['lazy_refcounts=on,cluster_size=4k,refcount_bits=64', 5],
  ['lazy_refcounts=on,cluster_size=64k', 6],
])('%s: after a cut all that was flushed is there, and both repair it', async (options, seed) => {
  const { path, file } = await lazyImage('cut.qcow2', options);
  const engine = newEngine();
  const start = bytesOf(file);
  const steps: Step[] = [];
  const image = openQcow2(engine, recorded(file, steps), { readOnly: false });
  const pick = random(seed);
  const buffer = engine.alloc(1 << 16);
  /** What the disk held at each flush. */
  const flushed: { at: number; content: Uint8Array; touched: Uint8Array }[] = [];
  let content: Uint8Array = new Uint8Array(2 << 20);
  let touched = new Uint8Array(1 << 12);
  flushed.push({ at: 0, content, touched });
  for (let i = 0; i < 90; i++) {
    const length = 512 * (1 + pick(100));
    const offset = 512 * pick(((2 << 20) - length) / 512);
    const kind = pick(9);
    if (kind === 8) {
      engine.flush(image.node);
      touched = new Uint8Array(1 << 12);
      flushed.push({ at: steps.length, content, touched });
      continue;
    }
    buffer.view(0, length).fill(1 + (i % 199));
    if (kind < 5) engine.write(image.node, offset, length, buffer);
    else if (kind < 7) engine.writeZeroes(image.node, offset, length, pick(2) * 2);
    else engine.discard(image.node, offset, length);
    touched.fill(1, offset >> 9, (offset + length) >> 9);
    content = contentOf(engine, image.node);
  }
  if (!options.includes('refcount_bits=1')) {
    engine.createSnapshot(image.node, {
      name: 's',
      dateSec: 1,
      dateNsec: 0,
      vmClockSec: 0,
      vmClockNsec: 0,
      icount: null,
    });
  }
  image.close();
  for (let i = 0; i < 16; i++) {
    const at = pick(steps.length + 1);
    const bytes = cutAt(start, steps, at, () => i % 2 === 0 || pick(2) === 1);
    const last = flushed.filter((flush) => flush.at <= at).at(-1);
    const sound = (disk: Uint8Array, who: string): void => {
      for (let sector = 0; sector < 1 << 12; sector++) {
        if (last.touched[sector]) continue;
        const range = [sector << 9, (sector + 1) << 9] as const;
        const same = Buffer.compare(disk.subarray(...range), last.content.subarray(...range)) === 0;
        if (!same) expect.fail(`${who}: sector ${sector} after a cut at ${at} of ${steps.length}`);
      }
    };
    // Ours repairs when it opens.
    const left = await memoryFile(bytes);
    const again = openQcow2(engine, left, { readOnly: false });
    sound(contentOf(engine, again.node), 'ours');
    again.close();
    save(left, path);
    expect([0, 3], `ours, cut at ${at}`).toContain(run('qemu-img', 'check', path).status);
    writeFileSync(path, bytes);
    run('qemu-img', 'check', '-r', 'all', path);
    const { status, stdout, stderr } = run('qemu-img', 'check', path);
    expect(status, `real, cut at ${at}\n${stdout}${stderr}`).toBe(0);
    const reader = openQcow2(engine, await load(path), { readOnly: true });
    sound(contentOf(engine, reader.node), 'real');
    reader.close();
  }
});
