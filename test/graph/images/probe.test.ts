import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { PROBE_BYTES, probeFormat } from '../../../src/graph/images/probe';

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const folder = mkdtempSync(join(tmpdir(), 'qsd-web-probe-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A sector with texts and little-endian words at offsets. */
function sector(...pieces: [at: number, what: string | number][]): Uint8Array {
  const all = new Uint8Array(PROBE_BYTES);
  for (const [at, what] of pieces) {
    if (typeof what === 'string') all.set(bytes(what), at);
    else new DataView(all.buffer).setUint32(at, what, true);
  }
  return all;
}

describe('probing', () => {
  test.each(['qcow2', 'qcow', 'qed', 'vmdk', 'vdi', 'vhdx', 'vpc', 'parallels', 'raw'])(
    'knows what qemu-img makes: %s',
    (format) => {
      const path = join(folder, `image.${format}`);
      execFileSync('qemu-img', ['create', '-q', '-f', format, path, '1M']);
      expect(probeFormat(readFileSync(path).subarray(0, PROBE_BYTES), path)).toBe(format);
    },
  );

  test('formats that qemu-img cannot make', () => {
    const bochs = (version: number, kind = 'Growing') =>
      sector([0, 'Bochs Virtual HD Image'], [32, 'Redolog'], [48, kind], [68, version]);
    expect(probeFormat(bochs(0x20000), 'x')).toBe('bochs');
    expect(probeFormat(bochs(0x10000), 'x')).toBe('bochs');
    expect(probeFormat(bochs(0x30000), 'x')).toBe('raw');
    expect(probeFormat(bochs(0x20000, 'Growing!'), 'x')).toBe('raw');
    expect(probeFormat(sector([0, 'LUKS\xba\xbe\0\x01']), 'x')).toBe('luks');
    expect(probeFormat(sector([0, 'LUKS\xba\xbe\0\x02']), 'x')).toBe('raw');
    expect(probeFormat(sector([0, 'WithouFreSpacExt'], [16, 2]), 'x')).toBe('parallels');
    expect(probeFormat(sector([0, 'WithouFreSpacExt'], [16, 3]), 'x')).toBe('raw');
    expect(probeFormat(new Uint8Array(512), 'a.dmg')).toBe('dmg');
    expect(probeFormat(sector([0, 'QFI\xfb\0\0\0\x02']), 'a.dmg')).toBe('qcow2');
    expect(probeFormat(sector([0, 'QFI\xfb\0\0\0\0']), 'x')).toBe('raw');
  });

  test.each([
    ['# Disk DescriptorFile\nversion=1\n', 'vmdk'],
    ['#a\n  \n#b\r\n \r\nversion=3\r\n', 'vmdk'],
    ['version=2\n', 'vmdk'],
    ['version=4\n', 'raw'],
    ['version=1', 'raw'],
    ['# only a comment', 'raw'],
    ['#\n\nversion=1\n', 'raw'],
    [' version=1\n', 'raw'],
  ])('a VMDK descriptor: %j', (text, format) => {
    expect(probeFormat(bytes(text), 'x')).toBe(format);
  });

  test('any start of a file is of some format', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.string(), (start, name) => {
        expect(probeFormat(start, name)).toMatch(/^[a-z0-9]+$/);
      }),
    );
  });
});
