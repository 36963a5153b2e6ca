/** Hashes and key derivations against published vectors, and against OpenSSL. */
import { getHashes, pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { argon2 } from '../../src/crypto/argon2';
import { decodeBase64 } from '../../src/crypto/base64';
import { DIGEST_BYTES, HASHES, loadHash, type HashName } from '../../src/crypto/hash';
import { bySteps, measurePbkdf2, pbkdf2 } from '../../src/crypto/pbkdf2';
import { randomBytes, randomUuid } from '../../src/crypto/random';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Of "abc": RFC 1321, FIPS 180-4, and the paper on RIPEMD-160. */
const ABC: Readonly<Record<HashName, string>> = {
  md5: '900150983cd24fb0d6963f7d28e17f72',
  sha1: 'a9993e364706816aba3e25717850c26c9cd0d89d',
  sha224: '23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7',
  sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  sha384: 'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
  sha512:
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a' +
    '2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
  ripemd160: '8eb208f7e05d987a9b044a8e98c6b087f15a0bfc',
};

test.each(HASHES)('%s', async (name) => {
  const hash = await loadHash(name);
  expect(hex(hash.digest(utf8('abc')))).toBe(ABC[name]);
  expect(hex(hash.digest(utf8('a'), utf8('bc')))).toBe(ABC[name]);
  expect(hash.digestBytes).toBe(DIGEST_BYTES[name]);
});

/** RFC 6070 and RFC 7914, section 11. */
const PBKDF2: readonly [HashName, string, string, number, string][] = [
  ['sha1', 'password', 'salt', 1, '0c60c80f961f0e71f3a9b524af6012062fe037a6'],
  ['sha1', 'password', 'salt', 4096, '4b007901b765489abead49d926f721d065a429c1'],
  [
    'sha1',
    'passwordPASSWORDpassword',
    'saltSALTsaltSALTsaltSALTsaltSALTsalt',
    4096,
    '3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038',
  ],
  ['sha1', 'pass\0word', 'sa\0lt', 4096, '56fa6aa75548099dcc37d7f03425e0c3'],
  [
    'sha256',
    'passwd',
    'salt',
    1,
    '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc' +
      '49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783',
  ],
];

test.each(PBKDF2)('PBKDF2 with %s of %j, %j, %i', async (hash, password, salt, iterations, key) => {
  const request = { hash, password: utf8(password), salt: utf8(salt), iterations, bytes: key.length / 2 };
  expect(hex(await pbkdf2(request))).toBe(key);
  expect(hex(await bySteps(request))).toBe(key);
});

test('PBKDF2 is that of OpenSSL for each hash, by WebCrypto and without', async () => {
  const known = HASHES.filter((name) => getHashes().includes(name));
  expect(known).toContain('sha512');
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...known),
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 64 }),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 100 }),
      async (hash, password, salt, iterations, bytes) => {
        const expected = hex(pbkdf2Sync(password, salt, iterations, bytes, hash));
        const request = { hash, password, salt, iterations, bytes };
        expect(hex(await pbkdf2(request))).toBe(expected);
        expect(hex(await bySteps(request))).toBe(expected);
      },
    ),
    { numRuns: 60 },
  );
});

test('where there is no WebCrypto the library derives keys', async () => {
  const request = { hash: 'sha256' as const, password: utf8('p'), salt: utf8('s'), iterations: 3, bytes: 40 };
  const expected = hex(await pbkdf2(request));
  vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) });
  try {
    expect(hex(await pbkdf2(request))).toBe(expected);
  } finally {
    vi.unstubAllGlobals();
  }
});

test.each([1e5, 2e5, 4e5])('a machine that does %i iterations a second is measured', async (rate) => {
  // The clock is moved by the work that is asked for, not by the work that is done.
  let now = 0;
  let asked = 32768;
  let calls = 0;
  const clock = (): number => {
    if (calls++ % 2 === 1) {
      const took = (asked * 1000) / rate;
      now += took;
      asked = took < 100 ? asked * 10 : Math.floor((asked * 1000) / took);
    }
    return now;
  };
  const request = { hash: 'sha256' as const, password: utf8('p'), salt: utf8('s'), bytes: 20 };
  const measured = await measurePbkdf2(request, clock);
  expect(Math.abs(measured - rate) / rate).toBeLessThan(0.01);
});

/** Of the reference implementation. */
test.each([
  ['argon2i', 'c1628832147d9720c5bd1cfd61367078729f6dfb6f8fea9ff98158e0d7816ed0'],
  ['argon2id', '09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7'],
] as const)('%s', async (variant, key) => {
  const request = { password: utf8('password'), salt: utf8('somesalt'), time: 2, memory: 65536, lanes: 1 };
  expect(hex(await argon2({ variant, ...request, bytes: 32 }))).toBe(key);
});

test('base64', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(hex(decodeBase64(Buffer.from(bytes).toString('base64')) ?? utf8('?'))).toBe(hex(bytes));
    }),
  );
  for (const text of ['a', 'ab', 'abc', 'ab=c', 'abcd=', '====', 'ab c', 'abcd\n', 'ab-_'])
    expect(decodeBase64(text)).toBeNull();
});

test('random bytes and names', () => {
  const bytes = randomBytes(200000);
  expect(new Set(bytes).size).toBe(256);
  expect(bytes.subarray(199000).some((byte) => byte !== 0)).toBe(true);
  expect(randomUuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(randomUuid()).not.toBe(randomUuid());
});
