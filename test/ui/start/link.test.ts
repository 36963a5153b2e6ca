import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeScript, encodeScript, LinkError } from '../../../src/ui/start/link';

test('a short script can be read in its link', async () => {
  expect(await encodeScript('qemu-img create -f qcow2 a.qcow2 1G\n')).toBe(
    'start=qemu-img+create+-f+qcow2+a.qcow2+1G',
  );
});

test('a long one is packed', async () => {
  const script = Array.from({ length: 60 }, (_, i) => `qemu-img create -f qcow2 disk${i}.qcow2 1G`).join(
    '\n',
  );
  const fragment = await encodeScript(script);
  expect(fragment.length).toBeLessThan(500);
  expect(await decodeScript(`#${fragment}`)).toBe(script);
});

test('any script comes back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 200 }), { maxLength: 30 }),
      async (lines) => {
        const script = lines.join('\n').trim();
        const decoded = await decodeScript(`#${await encodeScript(script)}`);
        expect(decoded ?? '').toBe(script);
      },
    ),
    { numRuns: 200 },
  );
});

test('no fragment makes it fail otherwise than by a LinkError', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        fc.base64String().map((text) => `z.${text}`),
      ),
      async (text) => {
        await decodeScript(`#start=${text}`).catch((error: unknown) =>
          expect(error).toBeInstanceOf(LinkError),
        );
      },
    ),
    { numRuns: 500 },
  );
  await expect(decodeScript('#lesson=chain')).resolves.toBeNull();
});

test('a few bytes that stand for many are not unpacked', async () => {
  const stream = new Blob([new Uint8Array(50_000_000)])
    .stream()
    .pipeThrough(new CompressionStream('deflate-raw'));
  const packed = Buffer.from(await new Response(stream).arrayBuffer()).toString('base64url');
  await expect(decodeScript(`#start=z.${packed}`)).rejects.toThrow('too long');
});
