import { describe, expect, test } from 'vitest';
import { MemoryStore } from '../../src/files/memory';
import { freeName } from '../../src/worker/names';

async function store(...names: string[]): Promise<MemoryStore> {
  const files = new MemoryStore();
  for (const name of names) (await files.open(name, { write: true, create: 'keep' })).close();
  return files;
}

describe('names of files that come in', () => {
  test.each([
    ['disk.qcow2', 'disk.qcow2'],
    ['some/folder/disk.qcow2', 'disk.qcow2'],
    ['ü 日本.img', 'ü 日本.img'],
    ['a\\b.img', 'a_b.img'],
    ['new\nline\x7f.img', 'new_line_.img'],
    ['..', 'file'],
    [' ', 'file'],
    ['.hidden', '.hidden'],
  ])('%j becomes %j', async (name, expected) => {
    expect(await freeName(await store(), name)).toBe(expected);
  });

  test('a name that is taken gets a number, no file is replaced', async () => {
    const files = await store('a.b.img', 'a.b-1.img', 'plain');
    expect(await freeName(files, 'a.b.img')).toBe('a.b-2.img');
    expect(await freeName(files, 'plain')).toBe('plain-1');
  });

  test('a long name is cut between characters and keeps its extension', async () => {
    for (const stem of ['x'.repeat(300), '日'.repeat(200), '\u{1f4be}'.repeat(80)]) {
      const name = await freeName(await store(), `${stem}.qcow2`);
      const bytes = Buffer.byteLength(name);
      expect(bytes).toBeLessThanOrEqual(240);
      expect(bytes).toBeGreaterThan(235);
      expect(name.endsWith('.qcow2')).toBe(true);
      expect(stem.startsWith(name.slice(0, -6))).toBe(true);
    }
  });
});
