import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HASHES } from '../../../src/crypto/hash';
import { merge, split, STRIPES } from '../../../src/graph/luks/antiforensic';

const sizes = [8, 16, 24, 32, 48, 64];

test('a key comes back from its stripes, and not if one bit of them is lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...HASHES),
      fc.constantFrom(...sizes),
      fc.nat(),
      async (hash, bytes, seed) => {
        const key = Uint8Array.from({ length: bytes }, (_, i) => (i * 13 + seed) & 255);
        const stripes = await split(key, hash);
        expect(stripes.length).toBe(bytes * STRIPES);
        expect(await merge(stripes, bytes, hash)).toEqual(key);
        const at = seed % stripes.length;
        stripes[at] = (stripes[at] ?? 0) ^ 1;
        expect(await merge(stripes, bytes, hash)).not.toEqual(key);
      },
    ),
    { numRuns: 20 },
  );
});
