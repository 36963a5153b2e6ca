import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, encodeBase64 } from '../../../src/daemon/objects/base64';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

test('reads what it writes, as Node does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
      const encoded = encodeBase64(bytes);
      expect(encoded).toBe(Buffer.from(bytes).toString('base64'));
      expect(decodeBase64(encoded)).toEqual(bytes);
    }),
  );
});

test('is as lenient as GLib, and as strict as QEMU', () => {
  expect(text(decodeBase64('aGVsbG8'))).toBe('hel');
  expect(text(decodeBase64('aGVs\nbG8=\n'))).toBe('hello');
  expect(text(decodeBase64('aGVsbG8=aGVs'))).toBe('hellohel');
  expect(text(decodeBase64(''))).toBe('');
  for (const wrong of ['aGV sbG8=', 'aGVs-_==', 'ä', 'aGVs\r\n'])
    expect(() => decodeBase64(wrong)).toThrow('Base64 data contains invalid characters');
});
