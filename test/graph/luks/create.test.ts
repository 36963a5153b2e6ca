/** blockdev-create of LUKS containers: headers apart from their payload, preallocation, refusals; and what is left of keys. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { QDict } from '../../../src/graph/index';
import { scratchDirectory } from '../../engine/support';
import { create, mustQemuImg, newGraph, pattern, readDisk, SECRETS, writeDisk } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const MIB = 1 << 20;
const HEADER = 2068480;

/** `blockdev-create` on new files; names of files are those of nodes. */
async function blockdevCreate(files: readonly string[], options: QDict): Promise<void> {
  const graph = newGraph();
  try {
    for (const name of files) {
      const filename = scratch.path(name);
      await graph.create({ driver: 'file', filename, size: 0 });
      await graph.blockdevAdd({ driver: 'file', 'node-name': name, filename });
    }
    await graph.create({ driver: 'luks', 'key-secret': 'first', 'iter-time': 0, ...options });
  } finally {
    await graph.close();
  }
}

test('a header in a file of its own', async () => {
  await blockdevCreate(['payload', 'header'], { file: 'payload', header: 'header', size: MIB });
  expect(statSync(scratch.path('header')).size).toBe(HEADER);
  expect(statSync(scratch.path('payload')).size).toBe(MIB);
  const options = {
    driver: 'luks',
    'key-secret': 'first',
    'file.filename': scratch.path('payload'),
    'header.filename': scratch.path('header'),
  };
  const data = pattern(MIB);
  await writeDisk(options, data);
  expect(Buffer.compare(await readDisk(options), data)).toBe(0);
  expect(Buffer.compare(readFileSync(scratch.path('payload')), data)).not.toBe(0);
  // The real tool agrees.
  const words = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  mustQemuImg('convert', '--image-opts', '-O', 'raw', words.join(','), scratch.path('raw'));
  expect(Buffer.compare(readFileSync(scratch.path('raw')), data)).toBe(0);
  const graph = newGraph();
  const user = await graph.openImage({ options, readOnly: true });
  expect(user.info()['format-specific']?.data).toMatchObject({
    'detached-header': true,
    'payload-offset': 0,
  });
  await graph.close();
});

test('a header alone, by blockdev-create and by options', async () => {
  await blockdevCreate(['alone'], { header: 'alone', size: MIB });
  expect(statSync(scratch.path('alone')).size).toBe(HEADER);
  const filename = scratch.path('byoptions');
  await create('luks', filename, {
    size: MIB,
    'key-secret': 'first',
    'iter-time': 0,
    'detached-header': true,
  });
  expect(statSync(filename).size).toBe(HEADER);
  // Without its payload it is no container.
  await expect(
    readDisk({ driver: 'luks', 'key-secret': 'first', 'file.filename': filename }),
  ).rejects.toThrow('LUKS payload is overlapping with the header');
});

test.each(['off', 'metadata', 'falloc', 'full'])('preallocation %s', async (preallocation) => {
  await blockdevCreate([`pre-${preallocation}`], {
    file: `pre-${preallocation}`,
    size: MIB,
    preallocation,
  });
  const { size, blocks } = statSync(scratch.path(`pre-${preallocation}`));
  expect(size).toBe(HEADER + MIB);
  const whole = preallocation === 'falloc' || preallocation === 'full';
  if (whole) expect(blocks * 512).toBeGreaterThanOrEqual(size);
  else expect(blocks * 512).toBeLessThan(size);
});

test('refusals', async () => {
  await expect(blockdevCreate([], { size: MIB })).rejects.toThrow(
    "Either the parameter 'header' or 'file' must be specified",
  );
  await expect(blockdevCreate(['a'], { header: 'a', size: MIB, preallocation: 'full' })).rejects.toThrow(
    "Parameter 'preallocation' requires 'file' to be specified for formatting LUKS disk",
  );
  await expect(blockdevCreate(['b'], { file: 'b', size: MIB, 'key-secret': 'nobody' })).rejects.toThrow(
    "No secret with id 'nobody'",
  );
  await expect(
    blockdevCreate(['c'], { file: 'c', size: MIB, 'ivgen-alg': 'essiv', 'ivgen-hash-alg': 'sha1' }),
  ).rejects.toThrow('No AES cipher with key size 20 available');
  // An image that cannot be completed is removed.
  const filename = scratch.path('removed');
  await expect(create('luks', filename, { size: MIB, 'key-secret': 'nobody' })).rejects.toThrow(
    "No secret with id 'nobody'",
  );
  expect(existsSync(filename)).toBe(false);
});

test('ciphers that builds of the real tool lack are read back by ours', async () => {
  for (const [cipher, mode] of [
    ['3des', 'cbc'],
    ['des', 'cbc'],
    ['sm4', 'xts'],
    ['aes-192', 'cbc'],
  ] as const) {
    const filename = scratch.path(`${cipher}.luks`);
    const values = { 'cipher-alg': cipher, 'cipher-mode': mode };
    await create('luks', filename, { size: MIB, 'key-secret': 'first', 'iter-time': 0, ...values });
    const options = { driver: 'luks', 'key-secret': 'first', 'file.filename': filename };
    const data = pattern(MIB);
    await writeDisk(options, data);
    expect(Buffer.compare(await readDisk(options), data), cipher).toBe(0);
  }
});

test('parts of sectors are written, and what is around them stays', async () => {
  const filename = scratch.path('parts.luks');
  await create('luks', filename, { size: 65536, 'key-secret': 'first', 'iter-time': 0 });
  const graph = newGraph();
  const { engine } = graph.opener.environment;
  const user = await graph.openImage({
    options: { driver: 'luks', 'key-secret': 'first', 'file.filename': filename },
  });
  const buffer = engine.alloc(65536);
  const expected = pattern(65536);
  buffer.view().set(expected);
  user.write(0, 65536, buffer);
  for (const [offset, bytes] of [
    [1, 1],
    [511, 2],
    [100, 5000],
    [1024, 512],
    [1000, 24],
    [65535, 1],
    [512, 65024],
  ] as const) {
    buffer.view(0, bytes).fill(bytes & 255);
    user.write(offset, bytes, buffer);
    expected.fill(bytes & 255, offset, offset + bytes);
    user.read(offset, bytes, buffer);
    expect(Buffer.compare(buffer.view(0, bytes), expected.subarray(offset, offset + bytes))).toBe(0);
  }
  user.read(3, 65000, buffer);
  expect(Buffer.compare(buffer.view(0, 65000), expected.subarray(3, 65003))).toBe(0);
  user.read(0, 65536, buffer);
  expect(Buffer.compare(buffer.view(), expected)).toBe(0);
  buffer.free();
  await graph.close();
});

test('nothing of the key is left in the memory of the data plane when the node is closed', async () => {
  const filename = scratch.path('wiped.luks');
  const options = { driver: 'luks', 'key-secret': 'second', 'file.filename': filename };
  // Twofish keeps what it makes of the key as it is, so that it can be looked for; AES spreads it over bit planes.
  await create('luks', filename, {
    size: 65536,
    'key-secret': 'second',
    'iter-time': 0,
    'cipher-alg': 'twofish-256',
    'cipher-mode': 'ecb',
  });
  const graph = newGraph();
  const { engine } = graph.opener.environment;
  const user = await graph.openImage({ options });
  const probe = engine.alloc(16);
  const memory = (): Uint8Array => {
    const { buffer } = probe.view();
    return new Uint8Array(buffer).slice();
  };
  const open = memory();
  await user.close();
  const closed = memory();
  // The tables of the open cipher take 4 KiB without many zeros; there are nothing but zeros afterwards.
  const used = (bytes: Uint8Array): Uint32Array => {
    const sums = new Uint32Array(bytes.length + 1);
    for (let i = 0; i < bytes.length; i++) sums[i + 1] = (sums[i] ?? 0) + (bytes[i] === 0 ? 0 : 1);
    return sums;
  };
  const then = used(open);
  const now = used(closed);
  const within = (sums: Uint32Array, at: number): number => (sums[at + 4096] ?? 0) - (sums[at] ?? 0);
  let wiped = 0;
  for (let at = 0; at + 4096 <= open.length; at += 16) {
    if (within(then, at) > 3900 && within(now, at) === 0) wiped++;
  }
  expect(wiped).toBeGreaterThan(0);
  const password = Buffer.from(SECRETS.second ?? '');
  expect(Buffer.from(closed).includes(password)).toBe(false);
  probe.free();
  await graph.close();
});
