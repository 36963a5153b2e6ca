/** Clusters compressed with zstd: as the real tools read and write them, and what damaged or odd streams lead to. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { Status, type Engine } from '../../src/engine/contract';
import { Errno } from '../../src/files/contract';
import {
  bytesOf,
  contentOf,
  load,
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

async function zstdEngine(): Promise<Engine> {
  const engine = newEngine();
  await engine.codecs.loadZstd();
  return engine;
}

function realImage(name: string, options: string, size: number): string {
  const path = scratch.path(name);
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `compression_type=zstd,${options}`, path, `${size}`);
  return path;
}

test.each([
  ['cluster_size=512,refcount_bits=1', 96 * 1024 + 512 * 3, 512],
  ['cluster_size=4k', (1 << 20) + 1024, 4096],
  ['cluster_size=64k', (4 << 20) + 512, 65536],
  ['cluster_size=2M', 9 << 20, 2 << 20],
])('both ways, %s', async (options, size, cluster) => {
  const engine = await zstdEngine();
  const path = realImage('both.qcow2', options, size);
  const content = new Uint8Array(size);
  const pick = random(cluster);
  const buffer = engine.alloc(cluster);
  const clusters = Math.ceil(size / cluster);

  // Ours, some of it so that it does not get smaller.
  const file = await load(path);
  const image = openQcow2(engine, file, { readOnly: false });
  for (let i = 0; i < clusters; i += 2) {
    const bytes = Math.min(cluster, size - i * cluster);
    const kinds = [1, 2, 20, 256][pick(4)]!;
    const view = buffer.view(0, bytes);
    for (let at = 0; at < bytes; at++) view[at] = kinds === 1 ? i + 1 : pick(kinds);
    engine.writeCompressed(image.node, i * cluster, bytes, buffer);
    content.set(buffer.view(0, bytes), i * cluster);
    if (kinds === 1) {
      expect(engine.blockStatus(image.node, i * cluster, bytes).flags & Status.COMPRESSED).toBeTruthy();
    }
  }
  image.close();
  save(file, path);
  expect(must('qemu-img', 'check', path)).toMatch(/^No errors were found on the image\.\n/);
  must('qemu-img', 'convert', '-O', 'raw', path, scratch.path('content.raw'));
  expect(Buffer.compare(readFileSync(scratch.path('content.raw')), content)).toBe(0);

  // Theirs, behind ours.
  const words: string[] = [];
  for (let i = 1; i < clusters && words.length < 200; i += 2) {
    const bytes = Math.min(cluster, size - i * cluster);
    words.push('-c', `write -c -P ${i % 256} ${i * cluster} ${bytes}`);
    content.fill(i % 256, i * cluster, i * cluster + bytes);
  }
  expect(must('qemu-io', ...words, path)).not.toContain('failed');
  const again = openQcow2(engine, await load(path), { readOnly: true });
  expect(Buffer.compare(contentOf(engine, again.node), content)).toBe(0);
  // Pieces of a cluster, out of order.
  const small = engine.alloc(cluster);
  for (let i = 0; i < 50; i++) {
    const bytes = 512 * (1 + pick(Math.min(cluster, size) / 512));
    const at = Math.min(512 * pick(size / 512), size - bytes);
    engine.read(again.node, at, bytes, small);
    expect(Buffer.compare(small.view(0, bytes), content.subarray(at, at + bytes))).toBe(0);
  }
  again.close();
});

test('the bytes are those that the real tool writes', async () => {
  const engine = await zstdEngine();
  const path = realImage('same.qcow2', 'cluster_size=64k', 1 << 20);
  const file = await load(path);
  const image = openQcow2(engine, file, { readOnly: false });
  const buffer = engine.alloc(65536);
  buffer.view().fill(0x41);
  engine.writeCompressed(image.node, 0, 65536, buffer);
  engine.writeCompressed(image.node, 0, 0, buffer);
  image.close();
  must('qemu-io', '-c', 'write -c -P 0x41 0 64k', path);
  // The real tool leaves the file as long as the last data is.
  const real = readFileSync(path);
  expect(Buffer.compare(bytesOf(file).subarray(0, real.length), real)).toBe(0);
});

test('without the codec, data cannot be read or written, all else can', async () => {
  const engine = newEngine();
  const path = realImage('codec.qcow2', 'cluster_size=64k', 1 << 20);
  must('qemu-io', '-c', 'write -c 0 64k', path);
  const image = openQcow2(engine, await load(path), { readOnly: false });
  const buffer = engine.alloc(65536);
  const errno = (work: () => void) => {
    try {
      work();
    } catch (error) {
      return (error as { errno: number }).errno;
    }
    return 0;
  };
  expect(errno(() => engine.read(image.node, 0, 512, buffer))).toBe(Errno.EIO);
  expect(errno(() => engine.writeCompressed(image.node, 65536, 65536, buffer))).toBe(Errno.EIO);
  engine.write(image.node, 65536, 65536, buffer);
  await engine.codecs.loadZstd();
  engine.read(image.node, 0, 512, buffer);
  expect(buffer.view(0, 512).every((byte) => byte === 0xcd)).toBe(true);
  image.close();
});

// ---- odd streams

const CLUSTER = 65536;

/** A block of a frame: raw bytes, or one byte repeated. */
interface ZstdBlock {
  raw?: Uint8Array;
  byte?: number;
  repeat?: number;
}

/**
 * A zstd frame, put together by hand (RFC 8878).
 * @param size content size that the header states; none: it has a window instead
 */
function frame(blocks: ZstdBlock[], size?: number, extra: Uint8Array = new Uint8Array(0)): Uint8Array {
  const checksum = extra.length > 0 ? 4 : 0;
  const head = size === undefined ? [checksum, 0x38] : [0xa0 | checksum, ...le(size, 4)];
  const body = blocks.flatMap(({ raw, byte = 0, repeat = 0 }, i) => {
    const last = i === blocks.length - 1 ? 1 : 0;
    return raw
      ? [...le(last | (raw.length << 3), 3), ...raw]
      : [...le(last | (1 << 1) | (repeat << 3), 3), byte];
  });
  return Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, ...head, ...body, ...extra]);
}

function le(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) & 255);
}

const fill = (byte: number, repeat: number): ZstdBlock => ({ byte, repeat });
const skippable = (bytes: number) =>
  Uint8Array.from([0x5a, 0x2a, 0x4d, 0x18, ...le(bytes, 4), ...new Uint8Array(bytes)]);
const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** Writes each stream as a cluster of its own into a new image; L2 entries point to them. */
function withStreams(name: string, streams: Uint8Array[]): string {
  const path = realImage(name, 'cluster_size=64k', streams.length * CLUSTER);
  must('qemu-io', '-c', 'write 0 512', path);
  const bytes = readFileSync(path);
  const l1 = Number(bytes.readBigUInt64BE(40));
  const l2 = Number(bytes.readBigUInt64BE(l1) & 0x00fffffffffffe00n);
  const end = Math.ceil(bytes.length / CLUSTER) * CLUSTER;
  const descriptor = openSync(path, 'r+');
  streams.forEach((stream, i) => {
    const at = end + i * 2 * CLUSTER;
    const sectors = Math.max(1, Math.ceil(stream.length / 512));
    const padded = new Uint8Array(sectors * 512);
    padded.set(stream);
    writeSync(descriptor, padded, 0, padded.length, at);
    const entry = Buffer.alloc(8);
    entry.writeBigUInt64BE((1n << 62n) | (BigInt(sectors - 1) << 54n) | BigInt(at));
    writeSync(descriptor, entry, 0, 8, l2 + i * 8);
  });
  closeSync(descriptor);
  return path;
}

/** For each cluster what the real tool reads: its bytes, or null where it fails. */
function realClusters(path: string, count: number): (Uint8Array | null)[] {
  const words = Array.from({ length: count }, (_, i) => ['-c', `read ${i * CLUSTER} ${CLUSTER}`]).flat();
  const answers = run('qemu-io', '-r', ...words, path)
    .stdout.split('\n')
    .filter((line) => line.startsWith('read'));
  expect(answers).toHaveLength(count);
  must('qemu-img', 'convert', '--salvage', '-O', 'raw', path, scratch.path('streams.raw'));
  const content = readFileSync(scratch.path('streams.raw'));
  return answers.map((line, i) =>
    line.startsWith('read failed: Input/output error')
      ? null
      : new Uint8Array(content.subarray(i * CLUSTER, (i + 1) * CLUSTER)),
  );
}

/** The same by this engine. */
async function ourClusters(engine: Engine, path: string, count: number): Promise<(Uint8Array | null)[]> {
  const image = openQcow2(engine, await load(path), { readOnly: true });
  const buffer = engine.alloc(CLUSTER);
  const clusters = Array.from({ length: count }, (_, i) => {
    try {
      engine.read(image.node, i * CLUSTER, CLUSTER, buffer);
      return buffer.view().slice();
    } catch (error) {
      expect((error as { errno: number }).errno).toBe(Errno.EIO);
      return null;
    }
  });
  buffer.free();
  image.close();
  return clusters;
}

/**
 * Compares what both read of streams, and answers which ones the real tool could read.
 * @param damaged the real tool may read what this engine refuses: its decoder for the processor at hand looks at less
 */
async function expectSame(path: string, count: number, damaged = false): Promise<boolean[]> {
  const engine = await zstdEngine();
  const real = realClusters(path, count);
  const ours = await ourClusters(engine, path, count);
  for (let i = 0; i < count; i++) {
    const equal = real[i] && ours[i] ? Buffer.compare(real[i]!, ours[i]!) === 0 : real[i] === ours[i];
    if (damaged && !ours[i]) continue;
    expect(equal, `stream ${i}`).toBe(true);
  }
  return real.map((cluster) => cluster !== null);
}

test('frames, padding and what is no whole cluster', async () => {
  const half = CLUSTER / 2;
  const noise = Uint8Array.from({ length: 1000 }, (_, i) => (i * i * 31) >> 3);
  const whole = frame([fill(7, CLUSTER)], CLUSTER);
  const cases: [string, Uint8Array, boolean][] = [
    ['one frame', whole, true],
    ['no content size, but a window', frame([fill(7, CLUSTER)]), true],
    ['two frames', join(frame([fill(1, half)], half), frame([fill(2, half)], half)), true],
    ['two frames of unknown size', join(frame([fill(1, half)]), frame([fill(2, half)])), true],
    ['raw and repeated blocks', frame([{ raw: noise }, fill(3, CLUSTER - 1000)], CLUSTER), true],
    [
      'a skippable frame between',
      join(frame([fill(1, half)], half), skippable(100), frame([fill(2, half)], half)),
      true,
    ],
    ['an empty frame first', join(frame([{ raw: new Uint8Array(0) }], 0), whole), true],
    ['an empty last block', frame([fill(1, CLUSTER), { raw: new Uint8Array(0) }], CLUSTER), true],
    ['less than a cluster', frame([fill(1, half)], half), false],
    ['more than a cluster', frame([fill(1, CLUSTER), fill(2, 512)], CLUSTER + 512), false],
    ['more than a cluster, not said', frame([fill(1, CLUSTER), fill(2, 512)]), false],
    [
      'the second frame is too long',
      join(frame([fill(1, half)], half), frame([fill(2, half + 1)], half + 1)),
      false,
    ],
    ['a wrong content size', frame([fill(1, half)], CLUSTER), false],
    ['a content size of 4 GiB', frame([fill(1, CLUSTER)], 0xffffffff), false],
    ['a wrong checksum', frame([fill(1, CLUSTER)], CLUSTER, Uint8Array.from([1, 2, 3, 4])), false],
    ['an unknown kind of block', frame([fill(1, half)], half).with(10, 7), false],
    ['cut off', frame([{ raw: new Uint8Array(CLUSTER) }], CLUSTER).subarray(0, 4096), false],
    ['zeros', new Uint8Array(512), false],
    ['noise', noise, false],
    ['a skippable frame beyond the end', join(skippable(0).with(4, 255).with(5, 255)), false],
  ];
  const path = withStreams(
    'frames.qcow2',
    cases.map(([, stream]) => stream),
  );
  const readable = await expectSame(path, cases.length);
  expect(cases.map(([name], i) => [name, readable[i]])).toEqual(cases.map(([name, , good]) => [name, good]));
});

test('of damaged streams nothing is read that the real tool refuses or reads differently', async () => {
  const engine = await zstdEngine();
  const count = 400;
  const pick = random(77);
  // Good streams first: written by this engine, from data of several kinds.
  const path = realImage('good.qcow2', 'cluster_size=64k', 4 * CLUSTER);
  const file = await load(path);
  const image = openQcow2(engine, file, { readOnly: false });
  const buffer = engine.alloc(CLUSTER);
  for (let i = 0; i < 4; i++) {
    const view = buffer.view();
    for (let at = 0; at < CLUSTER; at++) view[at] = [pick(3), at >> 8, pick(60), (at * i) >> 4][i]!;
    engine.writeCompressed(image.node, i * CLUSTER, CLUSTER, buffer);
  }
  image.close();
  const bytes = bytesOf(file);
  const view = Buffer.from(bytes.buffer);
  const l2 = Number(view.readBigUInt64BE(Number(view.readBigUInt64BE(40))) & 0x00fffffffffffe00n);
  const good = Array.from({ length: 4 }, (_, i) => {
    const entry = view.readBigUInt64BE(l2 + i * 8);
    const at = Number(entry & ((1n << 54n) - 1n));
    const end = (Math.floor(at / 512) + Number((entry >> 54n) & 0xffn) + 1) * 512;
    return bytes.slice(at, end);
  });
  const streams = Array.from({ length: count }, (_, i) => {
    const stream = good[i % 4]!.slice();
    for (let n = 1 + pick(3); n > 0; n--) {
      const at = pick(2) ? pick(Math.min(40, stream.length)) : pick(stream.length);
      stream[at] = pick(3) ? pick(256) : stream[at]! ^ (1 << pick(8));
    }
    return pick(8) ? stream : stream.subarray(0, 1 + pick(stream.length));
  });
  const before = engine.memoryBytes();
  const readable = await expectSame(withStreams('damaged.qcow2', streams), count, true);
  expect(readable.filter(Boolean).length).toBeGreaterThan(0);
  expect(readable.filter((good) => !good).length).toBeGreaterThan(count / 2);
  expect(engine.memoryBytes()).toBe(before);
});
