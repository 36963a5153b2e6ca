/** LUKS2 containers of cryptsetup, read; and headers that are damaged or ask for what is not there. */
import { createCipheriv, createHash } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { must, scratchDirectory } from '../../engine/support';
import { newGraph, pattern, readDisk, SECRETS } from './support';
import { nodeInfo } from '../../../src/graph/info';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const PAYLOAD = 16 << 20;
const SIZE = 256 * 1024;
const DATA = pattern(SIZE);
const keyFile = scratch.path('key');
const secondFile = scratch.path('second');

beforeAll(() => {
  writeFileSync(keyFile, SECRETS.first ?? '');
  writeFileSync(secondFile, SECRETS.second ?? '');
});

/** A container of cryptsetup whose payload was encrypted by OpenSSL with its volume key. */
function container(name: string, sectorBytes: number, ...words: string[]): string {
  const image = scratch.path(name);
  writeFileSync(image, '');
  truncateSync(image, PAYLOAD + SIZE);
  const common = ['-q', '--disable-locks'];
  const wanted = ['--type', 'luks2', '--sector-size', String(sectorBytes), ...words];
  must('cryptsetup', 'luksFormat', ...common, ...wanted, image, keyFile);
  const dump = scratch.path('volumekey');
  const dumped = ['--dump-volume-key', '--volume-key-file', dump, '--key-file', keyFile];
  writeFileSync(dump, '');
  must('rm', dump);
  must('cryptsetup', 'luksDump', ...common, ...dumped, image);
  const key = readFileSync(dump);
  must('rm', dump);
  const bytes = readFileSync(image);
  for (let at = 0; at < SIZE; at += sectorBytes) {
    const vector = Buffer.alloc(16);
    // The number counts 512 bytes, however large the sectors are.
    vector.writeBigUInt64LE(BigInt(at / 512));
    const cipher = createCipheriv(key.length === 64 ? 'aes-256-xts' : 'aes-128-xts', key, vector);
    bytes.set(cipher.update(DATA.subarray(at, at + sectorBytes)), PAYLOAD + at);
  }
  writeFileSync(image, bytes);
  return image;
}

const luks = (filename: string, secret = 'first'): Record<string, string> => ({
  driver: 'luks',
  'key-secret': secret,
  'file.filename': filename,
});

const ARGON = ['--pbkdf-memory', '4096', '--pbkdf-parallel', '1', '--pbkdf-force-iterations', '4'];
const PBKDF2 = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];

test.each([
  ['argon2id, 512', 512, ['--pbkdf', 'argon2id', ...ARGON]],
  ['argon2id, 4096', 4096, ['--pbkdf', 'argon2id', ...ARGON]],
  ['argon2i, 1024', 1024, ['--pbkdf', 'argon2i', ...ARGON]],
  ['pbkdf2, 2048', 2048, PBKDF2],
  ['pbkdf2 of sha512, a key of 256 bits', 4096, [...PBKDF2, '-h', 'sha512', '-s', '256']],
])('%s', async (_, sectorBytes, words) => {
  const image = container('container', sectorBytes, ...words);
  expect(Buffer.compare(await readDisk(luks(image)), DATA)).toBe(0);
  await expect(readDisk(luks(image, 'second'))).rejects.toThrow(
    'Invalid password, cannot unlock any keyslot',
  );
  const graph = newGraph();
  const user = await graph.openImage({ options: luks(image), readOnly: true, noIo: true });
  expect(user.info()['format-specific']?.data).toMatchObject({
    'cipher-mode': 'xts',
    'payload-offset': PAYLOAD,
    slots: [{ active: true, stripes: 4000 }],
  });
  await expect(graph.openImage({ options: luks(image) })).rejects.toThrow(
    'LUKS2 containers can only be read',
  );
  await graph.close();
});

test('several key slots', async () => {
  const image = container('slots', 512, ...PBKDF2);
  const words = ['-q', '--disable-locks', ...PBKDF2, '--key-file', keyFile];
  must('cryptsetup', 'luksAddKey', ...words, image, secondFile);
  expect(Buffer.compare(await readDisk(luks(image, 'second')), DATA)).toBe(0);
  must('cryptsetup', 'luksKillSlot', '-q', '--disable-locks', '--key-file', secondFile, image, '0');
  await expect(readDisk(luks(image))).rejects.toThrow('Invalid password');
  expect(Buffer.compare(await readDisk(luks(image, 'second')), DATA)).toBe(0);
});

/** Opens for information; the text of the failure, or null. */
async function refusal(image: string): Promise<string | null> {
  const graph = newGraph();
  try {
    await graph.openImage({ options: luks(image), readOnly: true, noIo: true });
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await graph.close();
  }
}

test('one damaged copy of the header does no harm, two do', async () => {
  const image = container('copies', 512, ...PBKDF2);
  const intact = readFileSync(image);
  for (const at of [0, 5000, 0x4000, 0x4000 + 5000]) {
    const damaged = Buffer.from(intact);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    writeFileSync(image, damaged);
    expect(Buffer.compare(await readDisk(luks(image)), DATA)).toBe(0);
  }
  const damaged = Buffer.from(intact);
  damaged[5000] = (damaged[5000] ?? 0) ^ 1;
  damaged[0x4000 + 5000] = (damaged[0x4000 + 5000] ?? 0) ^ 1;
  writeFileSync(image, damaged);
  expect(await refusal(image)).toBe('LUKS version 2 is not supported: neither copy of the header is whole');
});

/** Puts another JSON text into both copies, with the checksum that belongs to it. */
function withJson(intact: Buffer, json: string): Buffer {
  const bytes = Buffer.from(intact);
  for (const at of [0, 0x4000]) {
    bytes.fill(0, at + 4096, at + 0x4000);
    bytes.write(json, at + 4096, 'utf8');
    bytes.fill(0, at + 448, at + 512);
    createHash('sha256')
      .update(bytes.subarray(at, at + 0x4000))
      .digest()
      .copy(bytes, at + 448);
  }
  return bytes;
}

const jsonOf = (image: Buffer): string => image.toString('utf8', 4096, image.indexOf(0, 4096));

test('what a header may not ask for', async () => {
  const image = container('asking', 512, '--pbkdf', 'argon2id', ...ARGON);
  const intact = readFileSync(image);
  const json = jsonOf(intact);
  for (const [from, to, text] of [
    ['"config":{', '"config":{"requirements":{"mandatory":["online-reencrypt-v2"]},', 'the requirement'],
    ['"sector_size":512', '"sector_size":768', 'bad sector_size'],
    ['"sector_size":512', '"sector_size":512,"integrity":{}', 'integrity protection is not supported'],
    ['"type":"crypt"', '"type":"linear"', "segments of type 'linear' are not supported"],
    ['"memory":4096', '"memory":4000000000', 'bad memory'],
    ['"time":4', '"time":4000000', 'too much work'],
    ['"stripes":4000', '"stripes":4', 'bad stripes'],
    ['"key_size":64,"af"', '"key_size":100000,"af"', 'bad key_size'],
    ['"offset":"16777216"', '"offset":"99999999999999999999"', 'bad offset'],
    ['"offset":"16777216"', '"offset":"1099511627776"', 'behind the end of the file'],
    ['"segments":["0"]', '"segments":["7"]', 'no digest of the segment'],
    ['"tokens":{}', '"tokens":', 'its JSON cannot be parsed'],
    ['"keyslots":{', '"nothing":{', 'no keyslots'],
    ['aes-xts-plain64","sector', 'foo-xts-plain64","sector', "Algorithm 'foo' with key size 32 bytes"],
  ] as const) {
    const changed = json.replace(from, to);
    expect(changed, from).not.toBe(json);
    writeFileSync(image, withJson(intact, changed));
    const graph = newGraph();
    const opened = graph
      .openImage({ options: luks(image), readOnly: true })
      .then(() => graph.opener.table.all().map((node) => nodeInfo(node)));
    await expect(opened, to).rejects.toThrow(text);
    await graph.close();
  }
});

test('no header opens what it should not, whatever its JSON says', async () => {
  const image = container('random', 512, ...PBKDF2);
  const intact = readFileSync(image);
  const json = jsonOf(intact);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(json.length - 1),
      fc.nat(12),
      fc.string({ maxLength: 12 }),
      async (at, length, text) => {
        writeFileSync(image, withJson(intact, json.slice(0, at) + text + json.slice(at + length)));
        // It opens, or is refused with a text of ours; nothing else is thrown.
        const failure = await refusal(image);
        expect(failure === null || failure.length > 0).toBe(true);
        expect(failure ?? '').not.toMatch(/undefined|is not a function|Cannot read/);
      },
    ),
    { numRuns: 60 },
  );
});
