/** AES by Node.js is the AES of the data plane, for requests of all sizes and all modes. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Accelerator, createEngine, type HostAes } from '../../src/engine';
import type { Engine } from '../../src/engine/contract';
import type { SectorCipherSpec } from '../../src/engine/crypto';
import { nodeAccelerator } from '../../src/node/accelerator';

const MODULE = new WebAssembly.Module(readFileSync(new URL('../../build/engine.wasm', import.meta.url)));

interface Request {
  direction: 'encrypt' | 'decrypt';
  sector: number;
  data: Uint8Array;
}

/** Several requests with one cipher. */
function crypt(engine: Engine, spec: SectorCipherSpec, requests: readonly Request[]): Uint8Array[] {
  const cipher = engine.crypto.make(spec);
  const results = requests.map(({ direction, sector, data }) => {
    const buffer = engine.alloc(data.length);
    buffer.view().set(data);
    engine.crypto.run(cipher, direction, sector, buffer, 0, data.length);
    const result = buffer.view().slice();
    buffer.free();
    return result;
  });
  engine.crypto.free(cipher);
  return results;
}

/** Comparing arrays element by element would take most of the time. */
const hashes = (results: Uint8Array[]): string[] =>
  results.map((result) => createHash('sha256').update(result).digest('hex'));

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** Mostly larger than a batch, so that its borders are met. */
const request: fc.Arbitrary<Request> = fc
  .tuple(fc.constantFrom('encrypt' as const, 'decrypt' as const), fc.nat(2 ** 33), fc.nat(9000), fc.nat())
  .map(([direction, sector, blocks, seed]) => {
    const data = new Uint8Array(blocks * 16);
    for (let i = 0; i < data.length; i++) data[i] = (seed + i * 2654435761) >>> 13;
    return { direction, sector, data };
  });

const spec: fc.Arbitrary<SectorCipherSpec> = fc
  .record({
    mode: fc.constantFrom('ecb' as const, 'cbc' as const, 'ctr' as const, 'xts' as const),
    iv: fc.constantFrom('none' as const, 'plain' as const, 'plain64' as const, 'essiv' as const),
    keyBytes: fc.constantFrom(16, 24, 32),
    essivKey: bytes(32),
    sectorBytes: fc.constantFrom(512, 1024, 2048, 4096),
  })
  .chain(({ mode, iv, keyBytes, essivKey, sectorBytes }) =>
    bytes(mode === 'xts' ? 2 * keyBytes : keyBytes).map((key) => ({
      cipher: 'aes' as const,
      mode,
      iv,
      key,
      ...(iv === 'essiv' && { essivKey }),
      sectorBytes,
    })),
  );

/** Node's, which counts what it is asked and can be told to fail. */
function watched(fails: () => boolean): {
  accelerator: Accelerator;
  asked: () => number;
  alive: () => number;
} {
  let asked = 0;
  let alive = 0;
  const aes = (key: Uint8Array): HostAes => {
    const cipher = nodeAccelerator.aes(key);
    alive++;
    return {
      run(encrypt, blocks) {
        asked++;
        if (fails()) throw new Error('out of order');
        cipher.run(encrypt, blocks);
      },
      free() {
        alive--;
        cipher.free();
      },
    };
  };
  return { accelerator: { aes }, asked: () => asked, alive: () => alive };
}

test('requests come out as without it, also where it fails now and then', () => {
  const plain = createEngine(MODULE);
  let fail = false;
  let calls = 0;
  const host = watched(() => fail && calls++ % 3 === 0);
  const fast = createEngine(MODULE, host.accelerator);
  fc.assert(
    fc.property(
      spec,
      fc.array(request, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (kind, requests, faults) => {
        fail = faults;
        expect(hashes(crypt(fast, kind, requests))).toEqual(hashes(crypt(plain, kind, requests)));
      },
    ),
    { numRuns: 60 },
  );
  expect(host.asked()).toBeGreaterThan(60);
  expect(host.alive()).toBe(0);
});

test('a host without AES leaves it to the data plane', () => {
  const fast = createEngine(MODULE, {
    aes() {
      throw new Error('none here');
    },
  });
  const kind = {
    cipher: 'aes',
    mode: 'xts',
    iv: 'plain64',
    key: new Uint8Array(64),
    sectorBytes: 512,
  } as const;
  const requests: Request[] = [{ direction: 'encrypt', sector: 3, data: new Uint8Array(4096) }];
  expect(crypt(fast, kind, requests)).toEqual(crypt(createEngine(MODULE), kind, requests));
});
