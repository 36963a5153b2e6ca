/** The file backends of browsers: the common suite, and what they have of their own. Runs in a worker of Chromium. */
import { BlobStore } from '../../src/files/browser/blob-store';
import { OpfsStore } from '../../src/files/browser/opfs-store';
import { exportFile, importFile } from '../../src/files/browser/transfer';
import { Errno } from '../../src/files/contract';
import type { FileStore } from '../../src/files/contract';
import { LockError, MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import { MountStore } from '../../src/files/mount';
import { equal, equalBytes, fails, ok } from '../files/assert';
import { conformance } from '../files/conformance';
import type { Backend, Case } from '../files/conformance';

/** Empties the origin's file system and opens it. */
async function emptyStore(shared: boolean): Promise<OpfsStore> {
  const root = await navigator.storage.getDirectory();
  const names: string[] = [];
  for await (const name of root.keys()) names.push(name);
  for (const name of names) await root.removeEntry(name, { recursive: true });
  return OpfsStore.create({ shared });
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  const names = path.split('/');
  let directory = await navigator.storage.getDirectory();
  for (const name of names.slice(0, -1)) directory = await directory.getDirectoryHandle(name);
  const file = await directory.getFileHandle(names[names.length - 1] ?? '', { create: true });
  const handle = await file.createSyncAccessHandle();
  handle.truncate(0);
  handle.write(bytes, { at: 0 });
  handle.close();
}

const opfs = (wrap: (store: OpfsStore) => FileStore, shared: boolean): Backend => ({
  writable: true,
  holes: 'none',
  punch: false,
  unlinkOpen: false,
  create: async () => ({ store: wrap(await emptyStore(shared)), make: write }),
});

/** As in a browser that cannot move files: they are copied. */
const withoutMove: Backend = {
  ...opfs((store) => store, true),
  create: async () => {
    const { prototype } = FileSystemFileHandle;
    const move = Object.getOwnPropertyDescriptor(prototype, 'move');
    if (!move) throw new Error('this browser has no move()');
    const store = await emptyStore(true);
    delete prototype.move;
    return { store, make: write, dispose: async () => void Object.defineProperty(prototype, 'move', move) };
  },
};

const blob: Backend = {
  writable: false,
  holes: 'none',
  punch: false,
  unlinkOpen: false,
  create: async () => {
    const store = new BlobStore();
    return { store, make: async (path, bytes) => store.add(new File([new Uint8Array(bytes)], path)) };
  },
};

async function contents(files: FileStore, path: string): Promise<Uint8Array> {
  const file = await files.open(path, { write: false });
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  file.close();
  return bytes;
}

function random(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

const own: Record<string, () => Promise<void>> = {
  'a file that somebody has alone gives the lock errors of QEMU': async () => {
    const store = await emptyStore(true);
    await write('disk', random(10));
    const root = await navigator.storage.getDirectory();
    const handle = await (await root.getFileHandle('disk')).createSyncAccessHandle();
    const message = (write: boolean) =>
      store.open('disk', { write }).then(
        (file) => {
          file.close();
          return 'opened';
        },
        (error: unknown) => (error instanceof LockError ? error.message : String(error)),
      );
    equal(await message(true), 'Failed to get "write" lock');
    equal(await message(false), 'Failed to get shared "write" lock');
    handle.close();
    equal(await message(true), 'opened');
  },
  'two openers at once share one handle': async () => {
    const store = await emptyStore(false);
    await write('disk', random(10));
    const files = await Promise.all([1, 2, 3].map(() => store.open('disk', { write: true })));
    equal(
      files.map((file) => file.size()),
      [10, 10, 10],
    );
    for (const file of files) file.close();
    await store.remove('disk');
  },
  'a local file beside the ones of the origin': async () => {
    const store = new MountStore(await emptyStore(true));
    const local = new BlobStore();
    const bytes = random(3_000_000);
    local.add(new File([bytes], 'cd.iso'));
    await write('disk', random(10));
    await store.mount('cd.iso', local, 'cd.iso');
    equal(
      (await store.list('/')).map((info) => `${info.name} ${info.size} ${info.readOnly ?? false}`),
      ['cd.iso 3000000 true', 'disk 10 false'],
    );
    await fails(Errno.EACCES, () => store.open('cd.iso', { write: true }));
    equalBytes(await contents(store, 'cd.iso'), bytes);
    equalBytes(new Uint8Array(await (await exportFile(store, 'cd.iso')).arrayBuffer()), bytes);
  },
  'small reads of a local file do not go to the disk each': async () => {
    const store = new BlobStore();
    const bytes = random(8 * 1024 * 1024 + 100);
    store.add(new File([bytes], 'disk'));
    const file = await store.open('disk', { write: false });
    const { prototype } = FileReaderSync;
    const read = Object.getOwnPropertyDescriptor(prototype, 'readAsArrayBuffer');
    let count = 0;
    let fetched = 0;
    prototype.readAsArrayBuffer = function (blob) {
      count++;
      fetched += blob.size;
      return (read?.value as typeof prototype.readAsArrayBuffer).call(this, blob);
    };
    try {
      const into = new Uint8Array(4096);
      for (let at = 0; at < bytes.length; at += 4096) {
        const length = file.read(into, at);
        equalBytes(into.subarray(0, length), bytes.subarray(at, at + length), `at ${at}`);
      }
      ok(count <= 10, `8 MiB in order: ${count} fetches`);
      equal(fetched, bytes.length, 'bytes fetched');
      // Metadata at the start and data elsewhere: both stay near.
      count = 0;
      for (let i = 0; i < 200; i++) {
        file.read(into, (i % 7) * 512);
        file.read(into, 5_000_000 + i * 512);
      }
      ok(count <= 2, `two places in turn: ${count} fetches`);
    } finally {
      if (read) Object.defineProperty(prototype, 'readAsArrayBuffer', read);
      file.close();
    }
  },
  'import and export': async () => {
    const locks = new MemoryLocks();
    for (const files of [new MountStore(await emptyStore(true)), new MemoryStore()]) {
      const bytes = random(9_000_000);
      const seen: string[] = [];
      const progress = (done: number, total: number) => void seen.push(`${done}/${total}`);
      await importFile(files, locks, new Blob([bytes]), 'disk', { progress });
      equal(seen, ['4194304/9000000', '8388608/9000000', '9000000/9000000'], 'progress');
      equalBytes(await contents(files, 'disk'), bytes, 'imported');
      equal((await files.list('.')).length, 1, 'files');
      equalBytes(new Uint8Array(await (await exportFile(files, 'disk')).arrayBuffer()), bytes, 'as a blob');
      await importFile(files, locks, new Blob([]), 'disk');
      equal((await files.info('disk')).size, 0, 'replaced');
      await fails(Errno.ENOENT, () => exportFile(files, 'absent'));
    }
  },
  'an import that is stopped leaves what was there': async () => {
    const files = await emptyStore(true);
    const locks = new MemoryLocks();
    const bytes = random(100);
    await write('disk', bytes);
    const controller = new AbortController();
    const source = new Blob([random(9_000_000)]);
    const options = { progress: () => controller.abort(), signal: controller.signal };
    await fails(Errno.ECANCELED, () => importFile(files, locks, source, 'disk', options));
    equalBytes(await contents(files, 'disk'), bytes);
    equal((await files.list('.')).length, 1, 'files');
  },
  'an import without room leaves what was there': async () => {
    const files = new MemoryStore({ quota: 5_000_000 });
    const locks = new MemoryLocks();
    await importFile(files, locks, new Blob([random(100)]), 'disk');
    await fails(Errno.ENOSPC, () => importFile(files, locks, new Blob([random(9_000_000)]), 'disk'));
    equal(
      (await files.list('.')).map((info) => `${info.name} ${info.size}`),
      ['disk 100'],
    );
  },
  'an import over an image in use fails at once': async () => {
    const files = await emptyStore(true);
    const locks = new MemoryLocks();
    await write('disk', random(100));
    const reader = locks.claim(await files.identity('disk'));
    await reader.set(1, 5);
    const fail = await importFile(files, locks, new Blob([random(100)]), 'disk').catch(
      (error: unknown) => error,
    );
    ok(fail instanceof LockError, String(fail));
    equal(fail.message, 'Failed to get "write" lock');
    equal((await files.list('.')).length, 1, 'files');
    reader.release();
    const both = [1, 2].map(() => importFile(files, locks, new Blob([random(100)]), 'new'));
    equal((await Promise.allSettled(both)).map((result) => result.status).sort(), ['fulfilled', 'rejected']);
    equal(
      (await files.list('.')).map((info) => info.name),
      ['disk', 'new'],
    );
  },
};

const named = (title: string, list: Case[]): Case[] =>
  list.map(({ name, run }) => ({ name: `${title}: ${name}`, run }));

export const cases: Case[] = [
  ...named('OPFS', conformance(opfs((store) => store, true))),
  ...named('OPFS, exclusive', conformance(opfs((store) => store, false))),
  ...named('OPFS with mounts', conformance(opfs((store) => new MountStore(store), true))),
  ...named('OPFS without move', conformance(withoutMove)),
  ...named('local file', conformance(blob)),
  ...Object.entries(own).map(([name, run]) => ({ name, run })),
];
