/** The same random session by this engine and by qemu-io, each on its own twin of an image with a data file. */
import { copyFileSync, readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { RequestFlag } from '../../../src/engine/contract';
import { contentOf, load, must, newEngine, random, save, scratchDirectory } from '../support';
import { openPair } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const SIZE = (1 << 20) + 512 * 5;

test.each([
  'cluster_size=512',
  'cluster_size=64k',
  'cluster_size=4k,data_file_raw=on',
  'cluster_size=16k,extended_l2=on',
  'cluster_size=64k,extended_l2=on,data_file_raw=on',
])('%s', async (options) => {
  const raw = options.includes('raw');
  const theirs = { image: scratch.path('theirs.qcow2'), data: scratch.path('theirs.raw') };
  const ours = { image: scratch.path('ours.qcow2'), data: scratch.path('ours.raw') };
  must(
    'qemu-img',
    'create',
    '-q',
    '-f',
    'qcow2',
    '-o',
    `${options},data_file=${theirs.data}`,
    theirs.image,
    String(SIZE),
  );
  copyFileSync(theirs.image, ours.image);
  copyFileSync(theirs.data, ours.data);

  const engine = newEngine();
  const files = { image: await load(ours.image), data: await load(ours.data) };
  const pair = openPair(engine, files, { readOnly: false, passDiscard: true });
  const pick = random(options.length);
  const buffer = engine.alloc(1 << 17);
  const commands: string[] = [];
  for (let i = 0; i < 120; i++) {
    const bytes = 512 * (1 + pick(200));
    const offset = 512 * pick((SIZE - bytes) / 512 + 1);
    const kind = pick(6);
    if (kind < 3) {
      buffer.view(0, bytes).fill(1 + i);
      engine.write(pair.node, offset, bytes, buffer);
      commands.push('-c', `write -q -P ${1 + i} ${offset} ${bytes}`);
    } else if (kind < 5) {
      const unmap = pick(2) === 1;
      engine.writeZeroes(pair.node, offset, bytes, unmap ? RequestFlag.MAY_UNMAP : 0);
      commands.push('-c', `write -q -z${unmap ? 'u' : ''} ${offset} ${bytes}`);
    } else {
      engine.discard(pair.node, offset, bytes);
      commands.push('-c', `discard -q ${offset} ${bytes}`);
    }
  }
  const seen = contentOf(engine, pair.node);
  const when = { dateSec: 0, dateNsec: 0, vmClockSec: 0, vmClockNsec: 0, icount: null };
  expect(() => engine.createSnapshot(pair.node, { name: 'none', ...when })).toThrow(
    'Operation not supported',
  );
  pair.close();
  must('qemu-io', ...commands, theirs.image);
  save(files.image, ours.image);
  save(files.data, ours.data);

  const read = (image: string, data: string) => {
    const out = scratch.path('out.raw');
    const source = `driver=qcow2,file.filename=${image},data-file.filename=${data}`;
    must('qemu-img', 'convert', '--image-opts', source, '-O', 'raw', out);
    return readFileSync(out);
  };
  const expected = read(theirs.image, theirs.data);
  expect(Buffer.compare(seen, expected)).toBe(0);
  expect(Buffer.compare(read(ours.image, ours.data), expected)).toBe(0);
  // The file itself is the disk then.
  if (raw) expect(Buffer.compare(readFileSync(ours.data).subarray(0, SIZE), expected)).toBe(0);
  const source = `driver=qcow2,file.filename=${ours.image},data-file.filename=${ours.data}`;
  must('qemu-img', 'check', '--image-opts', source);
});
