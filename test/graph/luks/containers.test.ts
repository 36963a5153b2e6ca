/** Containers of the real tools opened by ours, and ours by them. */
import { readFileSync, writeFileSync, truncateSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { must, run, scratchDirectory } from '../../engine/support';
import { create, mustQemuImg, newGraph, pattern, readDisk, SECRETS, writeDisk } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const SIZE = 256 * 1024;
const DATA = pattern(SIZE);

/** Options of containers. */
const KINDS: readonly [string, Record<string, string>][] = [
  ['default', {}],
  ['aes-128 xts', { 'cipher-alg': 'aes-128' }],
  ['aes-256 cbc essiv', { 'cipher-alg': 'aes-256', 'cipher-mode': 'cbc', 'ivgen-alg': 'essiv' }],
  [
    'aes-128 cbc essiv md5',
    { 'cipher-alg': 'aes-128', 'cipher-mode': 'cbc', 'ivgen-alg': 'essiv', 'ivgen-hash-alg': 'md5' },
  ],
  ['aes-256 ctr plain', { 'cipher-mode': 'ctr', 'ivgen-alg': 'plain' }],
  ['aes-128 ecb', { 'cipher-alg': 'aes-128', 'cipher-mode': 'ecb' }],
  ['aes-192 xts', { 'cipher-alg': 'aes-192' }],
  ['serpent-256 xts', { 'cipher-alg': 'serpent-256' }],
  ['serpent-192 xts plain', { 'cipher-alg': 'serpent-192', 'ivgen-alg': 'plain' }],
  ['serpent-128 cbc essiv', { 'cipher-alg': 'serpent-128', 'cipher-mode': 'cbc', 'ivgen-alg': 'essiv' }],
  ['twofish-256 xts', { 'cipher-alg': 'twofish-256' }],
  ['twofish-192 xts', { 'cipher-alg': 'twofish-192' }],
  ['twofish-128 cbc', { 'cipher-alg': 'twofish-128', 'cipher-mode': 'cbc' }],
  ['cast5 cbc', { 'cipher-alg': 'cast5-128', 'cipher-mode': 'cbc' }],
  ['cast5 ctr', { 'cipher-alg': 'cast5-128', 'cipher-mode': 'ctr' }],
  ['md5', { 'hash-alg': 'md5' }],
  ['sha1', { 'hash-alg': 'sha1' }],
  ['sha224', { 'hash-alg': 'sha224' }],
  ['sha384', { 'hash-alg': 'sha384' }],
  ['sha512', { 'hash-alg': 'sha512' }],
  ['ripemd160', { 'hash-alg': 'ripemd160' }],
];

const list = (options: Record<string, string>): string =>
  Object.entries(options)
    .map(([name, value]) => `,${name}=${value}`)
    .join('');

const luks = (filename: string, secret = 'first'): Record<string, string> => ({
  driver: 'luks',
  'key-secret': secret,
  'file.filename': filename,
});
const imageOpts = (options: Record<string, string>): string => list(options).slice(1);

// The real tool spends seconds on measuring how fast it derives keys, so not all kinds are made by it.
test.each(KINDS.filter(([name]) => ['default', 'aes-128 cbc essiv md5', 'serpent-256 xts'].includes(name)))(
  '%s: made by qemu-img, read and written by ours',
  async (_, options) => {
    const image = scratch.path('theirs.luks');
    const raw = scratch.path('theirs.raw');
    const given = `key-secret=first,iter-time=0${list(options)}`;
    writeFileSync(raw, DATA);
    mustQemuImg('create', '-q', '-f', 'luks', '-o', given, image, '256k');
    mustQemuImg('convert', '-n', '-f', 'raw', raw, '--target-image-opts', imageOpts(luks(image)));
    expect(Buffer.compare(await readDisk(luks(image)), DATA)).toBe(0);
    await writeDisk(luks(image), DATA.toReversed());
    mustQemuImg('convert', '--image-opts', '-O', 'raw', imageOpts(luks(image)), raw);
    expect(Buffer.compare(readFileSync(raw), DATA.toReversed())).toBe(0);
  },
);

test.each(KINDS)('%s: made by ours, read and written by qemu-img', async (_, options) => {
  const image = scratch.path('ours.luks');
  const raw = scratch.path('ours.raw');
  await create('luks', image, { size: SIZE, 'key-secret': 'first', 'iter-time': 0, ...options });
  await writeDisk(luks(image), DATA);
  mustQemuImg('convert', '--image-opts', '-O', 'raw', imageOpts(luks(image)), raw);
  expect(Buffer.compare(readFileSync(raw), DATA)).toBe(0);
  writeFileSync(raw, DATA.toReversed());
  mustQemuImg('convert', '-n', '-f', 'raw', raw, '--target-image-opts', imageOpts(luks(image)));
  expect(Buffer.compare(await readDisk(luks(image)), DATA.toReversed())).toBe(0);
  // What is told of it is the same, but for what the tools measure.
  const theirs = JSON.parse(mustQemuImg('info', '--output=json', image)) as Record<string, unknown>;
  const graph = newGraph();
  const user = await graph.openImage({ filename: image, readOnly: true, noIo: true });
  const ours = user.info();
  expect(ours['format-specific']).toEqual(theirs['format-specific']);
  expect(ours.encrypted).toBe(true);
  expect(ours['virtual-size']).toBe(SIZE);
  await graph.close();
});

/** Whether cryptsetup, which leaves ciphers to the kernel, can make such a container. */
function cryptsetup(image: string, ...words: string[]): boolean {
  writeFileSync(image, '');
  truncateSync(image, 4 << 20);
  const keyFile = scratch.path('key');
  writeFileSync(keyFile, SECRETS.first ?? '');
  const options = ['--type', 'luks1', '--pbkdf-force-iterations', '1000', '--disable-locks', ...words];
  return run('cryptsetup', 'luksFormat', '-q', ...options, image, keyFile).status === 0;
}

test.each([
  ['aes-xts-plain64', '512', 'sha256'],
  ['aes-xts-plain64', '256', 'sha512'],
  ['aes-cbc-essiv:sha256', '256', 'sha1'],
  ['aes-cbc-plain', '128', 'ripemd160'],
  ['aes-ctr-plain64', '256', 'sha384'],
])('%s, %s bits, %s: made by cryptsetup, read and written by ours', async (cipher, bits, hash) => {
  const image = scratch.path('cryptsetup.luks');
  const raw = scratch.path('cryptsetup.raw');
  expect(cryptsetup(image, '-c', cipher, '-s', bits, '-h', hash)).toBe(true);
  const { length } = await readDisk(luks(image));
  expect(length).toBeGreaterThan(1 << 20);
  const data = pattern(length);
  await writeDisk(luks(image), data);
  mustQemuImg('convert', '--image-opts', '-O', 'raw', imageOpts(luks(image)), raw);
  expect(Buffer.compare(readFileSync(raw), data)).toBe(0);
});

test('containers of ours are opened by cryptsetup', async () => {
  const image = scratch.path('forcryptsetup.luks');
  const keyFile = scratch.path('key');
  writeFileSync(keyFile, SECRETS.second ?? '');
  const kinds: readonly Record<string, string>[] = [
    {},
    { 'cipher-mode': 'cbc', 'ivgen-alg': 'essiv' },
    { 'hash-alg': 'sha512' },
  ];
  for (const options of kinds) {
    await create('luks', image, { size: SIZE, 'key-secret': 'second', 'iter-time': 0, ...options });
    must('cryptsetup', 'open', '--test-passphrase', '--disable-locks', '--key-file', keyFile, image);
  }
});

test('several key slots of cryptsetup: each passphrase opens the container', async () => {
  const image = scratch.path('slots.luks');
  expect(cryptsetup(image)).toBe(true);
  const first = scratch.path('key');
  const second = scratch.path('key2');
  writeFileSync(second, SECRETS.second ?? '');
  const words = ['--disable-locks', '--pbkdf-force-iterations', '1000', '--key-file', first];
  must('cryptsetup', 'luksAddKey', '-q', '-S', '5', ...words, image, second);
  const byFirst = await readDisk(luks(image));
  expect(Buffer.compare(await readDisk(luks(image, 'second')), byFirst)).toBe(0);
  await expect(readDisk(luks(image, 'third'))).rejects.toThrow('Invalid password, cannot unlock any keyslot');
  must('cryptsetup', 'luksKillSlot', '-q', '--disable-locks', '--key-file', second, image, '0');
  await expect(readDisk(luks(image))).rejects.toThrow('Invalid password, cannot unlock any keyslot');
  expect(Buffer.compare(await readDisk(luks(image, 'second')), byFirst)).toBe(0);
});
