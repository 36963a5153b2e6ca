import { describe, expect, test } from 'vitest';
import { Errno } from '../../src/files/contract';
import { MemoryStore } from '../../src/files/memory';
import { MountStore } from '../../src/files/mount';
import { fails } from './assert';
import { conformance } from './conformance';

async function put(store: MemoryStore, path: string, bytes: Uint8Array): Promise<void> {
  const file = await store.open(path, { write: true, create: 'truncate' });
  file.write(bytes, 0);
  file.close();
}

describe('mount: conformance of the base', () => {
  const cases = conformance({
    writable: true,
    holes: 'exact',
    punch: true,
    unlinkOpen: true,
    create: async () => {
      const base = new MemoryStore();
      return { store: new MountStore(base), make: (path, bytes) => put(base, path, bytes) };
    },
  });
  for (const { name, run } of cases) test(name, run);
});

describe('mount', () => {
  async function example() {
    const [base, other] = [new MemoryStore(), new MemoryStore()];
    await base.makeDirectory('images');
    await put(base, 'own', new Uint8Array(1));
    await put(other, 'theirs', new Uint8Array(3).fill(3));
    const store = new MountStore(base);
    await store.mount('images/local', other, 'theirs');
    const names = async (path: string) => (await store.list(path)).map((info) => `${info.name} ${info.size}`);
    return { base, other, store, names };
  }

  test('a mounted file stands beside the others', async () => {
    const { store, names, other } = await example();
    expect(await names('images')).toEqual(['local 3']);
    expect(await names('.')).toEqual(['images 0', 'own 1']);
    await store.mount('z', other, 'theirs');
    expect(await names('/')).toEqual(['images 0', 'own 1', 'z 3']);
    expect((await store.info('/images/../images/local')).name).toBe('local');
    expect(await store.identity('images/local')).toBe(await other.identity('theirs'));
    const file = await store.open('images/local', { write: false });
    const into = new Uint8Array(5);
    expect(file.read(into, 0)).toBe(3);
    expect(into).toEqual(new Uint8Array([3, 3, 3, 0, 0]));
    file.close();
  });

  test('names that are taken and places that are not there', async () => {
    const { store, other } = await example();
    await fails(Errno.EEXIST, () => store.mount('images/local', other, 'theirs'));
    await fails(Errno.EEXIST, () => store.mount('own', other, 'theirs'));
    await fails(Errno.EEXIST, () => store.mount('images', other, 'theirs'));
    await fails(Errno.ENOENT, () => store.mount('no/such', other, 'theirs'));
    await fails(Errno.ENOTDIR, () => store.mount('own/below', other, 'theirs'));
    await fails(Errno.ENOTDIR, () => store.mount('images/local/below', other, 'theirs'));
    await fails(Errno.ENOENT, () => store.mount('new', other, 'absent'));
    await fails(Errno.EISDIR, () => store.mount('new', other, '.'));
    await fails(Errno.EEXIST, () => store.makeDirectory('images/local'));
    await fails(Errno.ENOTDIR, () => store.list('images/local'));
    await fails(Errno.ENOTDIR, () => store.open('images/local/', { write: false }));
  });

  test('removal and renaming leave the file behind it alone', async () => {
    const { store, other, names } = await example();
    const file = await store.open('images/local', { write: false });
    await fails(Errno.EBUSY, () => store.remove('images/local'));
    await fails(Errno.EBUSY, () => store.rename('images/local', 'b'));
    await fails(Errno.EBUSY, () => store.rename('own', 'images/local'));
    await fails(Errno.EBUSY, () => store.remove('images', { recursive: true }));
    await fails(Errno.EBUSY, () => store.rename('images', 'b'));
    file.close();
    file.close();
    await fails(Errno.EEXIST, () => store.rename('images/local', 'own'));
    await store.rename('images/local', 'b');
    expect(await names('.')).toEqual(['b 3', 'images 0', 'own 1']);
    await store.rename('own', 'b');
    expect(await names('.')).toEqual(['b 1', 'images 0']);
    expect((await other.info('theirs')).size).toBe(3);
  });

  test('a directory takes what is mounted in it along', async () => {
    const { store, names } = await example();
    await fails(Errno.ENOTEMPTY, () => store.remove('images'));
    await store.rename('images', 'b');
    expect(await names('b')).toEqual(['local 3']);
    await store.remove('b', { recursive: true });
    expect(await names('.')).toEqual(['own 1']);
    await fails(Errno.ENOENT, () => store.info('b/local'));
  });

  test('a failed open does not keep a mount busy', async () => {
    const { store, other } = await example();
    await other.remove('theirs');
    await fails(Errno.ENOENT, () => store.open('images/local', { write: false }));
    await store.remove('images/local');
  });
});
