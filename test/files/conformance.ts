/**
 * What every file backend does: one list of cases over {@link FileStore}. A backend runs it with one line,
 * `for (const { name, run } of conformance(backend)) test(name, run)`; in a browser the cases run in a worker.
 */
import { Errno } from '../../src/files/contract';
import type { BlockFile, FileStore } from '../../src/files/contract';
import { equal, equalBytes, fails, ok } from './assert';

/** A backend under test. */
export interface Backend {
  /** A new, empty store. */
  create(): Promise<Fixture>;
  /** Files can be written, made, removed and renamed. */
  writable: boolean;
  /** `exact`: extent() tells every hole; `zeros`: blocks of zeros count as holes; `none`: there is no extent(). */
  holes: 'exact' | 'zeros' | 'none';
  /** punch() makes holes. */
  punch: boolean;
  /** An open file can be removed and renamed (else EBUSY). */
  unlinkOpen: boolean;
}

/** A store to run one case on. */
export interface Fixture {
  store: FileStore;
  /** Puts a file there by other means than the store's open(). */
  make: (path: string, bytes: Uint8Array) => Promise<void>;
  dispose?: () => Promise<void>;
}

/** A named case, ready to run. */
export interface Case {
  name: string;
  run: () => Promise<void>;
}

type Body = (store: FileStore, fixture: Fixture) => Promise<void>;

/** The cases that apply to a backend. */
export function conformance(backend: Backend): Case[] {
  const groups: [boolean, Record<string, Body>][] = [
    [true, reading],
    [backend.writable, writing],
    [backend.writable, naming],
    [backend.writable && backend.unlinkOpen, unlinking],
    [backend.writable && !backend.unlinkOpen, refusing],
    [backend.writable && backend.holes !== 'none', holes],
    [backend.punch, punching],
    [!backend.writable, readOnly],
  ];
  return groups
    .filter(([applies]) => applies)
    .flatMap(([, bodies]) =>
      Object.entries(bodies).map(([name, body]) => ({
        name,
        run: async () => {
          const fixture = await backend.create();
          try {
            await body(fixture.store, fixture);
          } finally {
            await fixture.dispose?.();
          }
        },
      })),
    );
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes that repeat at no power of two, so that a shifted copy is seen. */
function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0, x = seed; i < length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    bytes[i] = x >>> 16;
  }
  return bytes;
}

function readAt(file: BlockFile, at: number, length: number): Uint8Array {
  const into = new Uint8Array(length).fill(0xee);
  return into.subarray(0, file.read(into, at));
}

async function withFile(store: FileStore, path: string, body: (file: BlockFile) => unknown): Promise<void> {
  const file = await store.open(path, { write: true, create: 'truncate' });
  try {
    await body(file);
  } finally {
    file.close();
  }
}

const reading: Record<string, Body> = {
  'reads what is there, at any offset': async (store, { make }) => {
    const bytes = pattern(3 * MIB + 777);
    await make('disk.img', bytes);
    const file = await store.open('disk.img', { write: false });
    equal(file.readOnly, true, 'readOnly');
    equal(file.size(), bytes.length, 'size');
    for (const [at, length] of [
      [0, 1],
      [0, 512],
      [511, 2],
      [MIB - 1, 2],
      [MIB, MIB],
      [5000, 2 * MIB],
      [0, bytes.length],
      [bytes.length - 1, 1],
    ] as const) {
      equalBytes(readAt(file, at, length), bytes.subarray(at, at + length), `${length} at ${at}`);
    }
    file.close();
  },
  'small reads anywhere see the same bytes': async (store, { make }) => {
    const bytes = pattern(5 * MIB, 7);
    await make('disk.img', bytes);
    const file = await store.open('disk.img', { write: false });
    for (let i = 0, x = 12345; i < 500; i++) {
      x = (Math.imul(x, 1103515245) + 12345) >>> 0;
      const at = x % (bytes.length - 4096);
      equalBytes(readAt(file, at, 1 + (x % 4096)), bytes.subarray(at, at + 1 + (x % 4096)), `at ${at}`);
    }
    file.close();
  },
  'reads less at the end and nothing behind it': async (store, { make }) => {
    const bytes = pattern(1000);
    await make('disk.img', bytes);
    const file = await store.open('disk.img', { write: false });
    equalBytes(readAt(file, 900, 512), bytes.subarray(900), 'over the end');
    equal(readAt(file, 1000, 512).length, 0, 'at the end');
    equal(readAt(file, 5 * 2 ** 40, 512).length, 0, 'far behind');
    equal(readAt(file, 0, 0).length, 0, 'of nothing');
    file.close();
  },
  'reads into a part of a buffer and leaves the rest': async (store, { make }) => {
    const bytes = pattern(100);
    await make('disk.img', bytes);
    const file = await store.open('disk.img', { write: false });
    const memory = new Uint8Array(300).fill(0x55);
    equal(file.read(memory.subarray(100, 150), 10), 50, 'count');
    equalBytes(memory.subarray(100, 150), bytes.subarray(10, 60));
    ok(
      memory.every((byte, i) => byte === 0x55 || (i >= 100 && i < 150)),
      'the rest is untouched',
    );
    file.close();
  },
  'an empty file': async (store, { make }) => {
    await make('empty', new Uint8Array(0));
    const file = await store.open('empty', { write: false });
    equal(file.size(), 0, 'size');
    equal(readAt(file, 0, 10).length, 0, 'read');
    file.close();
  },
  'cannot be written when opened to read': async (store, { make }) => {
    const bytes = pattern(600);
    await make('disk.img', bytes);
    const file = await store.open('disk.img', { write: false });
    await fails(Errno.EACCES, () => file.write(pattern(10), 0));
    await fails(Errno.EACCES, () => file.truncate(0));
    equalBytes(readAt(file, 0, 600), bytes);
    file.close();
  },
  'a closed file answers EBADF, a second close nothing': async (store, { make }) => {
    await make('disk.img', pattern(600));
    const file = await store.open('disk.img', { write: false });
    file.close();
    file.close();
    await fails(Errno.EBADF, () => file.read(new Uint8Array(10), 0));
    await fails(Errno.EBADF, () => file.size());
  },
  'several readers of one file': async (store, { make }) => {
    const bytes = pattern(600);
    await make('disk.img', bytes);
    const first = await store.open('disk.img', { write: false });
    const second = await store.open('disk.img', { write: false });
    first.close();
    equalBytes(readAt(second, 0, 600), bytes);
    second.close();
    const third = await store.open('disk.img', { write: false });
    equalBytes(readAt(third, 0, 600), bytes);
    third.close();
  },
  'tells a file by its name': async (store, { make }) => {
    await make('disk.img', pattern(600));
    const info = await store.info('disk.img');
    equal(info.name, 'disk.img', 'name');
    equal(info.kind, 'file', 'kind');
    equal(info.size, 600, 'size');
    const directory = await store.info('.');
    equal(directory.kind, 'directory', 'kind of the root');
    equal(directory.size, 0, 'size of the root');
  },
  'lists names in order': async (store, { make }) => {
    for (const name of ['b', 'a', 'Z', 'ä', 'a.qcow2']) await make(name, pattern(3));
    equal(
      (await store.list('.')).map((info) => `${info.name} ${info.kind} ${info.size}`),
      ['Z', 'a', 'a.qcow2', 'b', 'ä'].map((name) => `${name} file 3`),
      'list',
    );
  },
  'a file has one identity, whatever it is called by': async (store, { make }) => {
    await make('a', pattern(3));
    await make('b', pattern(3));
    equal(await store.identity('./a'), await store.identity('a'), 'identity');
    ok((await store.identity('a')) !== (await store.identity('b')), 'identities of two files differ');
  },
  'an absent file': async (store) => {
    for (const run of [
      () => store.open('absent', { write: false }),
      () => store.open('no/such', { write: false }),
      () => store.open('', { write: false }),
      () => store.info('absent'),
      () => store.list('absent'),
      () => store.identity('absent'),
    ]) {
      await fails(Errno.ENOENT, run);
    }
  },
  'what is no file, and what is no directory': async (store, { make }) => {
    await make('file', pattern(3));
    await fails(Errno.EISDIR, () => store.open('.', { write: false }));
    await fails(Errno.ENOTDIR, () => store.open('file/', { write: false }));
    await fails(Errno.ENOTDIR, () => store.open('file/below', { write: false }));
    await fails(Errno.ENOTDIR, () => store.info('file/below'));
    await fails(Errno.ENOTDIR, () => store.list('file'));
  },
  'names that cannot be': async (store) => {
    await fails(Errno.ENAMETOOLONG, () => store.open('x'.repeat(256), { write: false }));
    await fails(Errno.ENAMETOOLONG, () => store.info('ä'.repeat(128)));
    await fails(Errno.EINVAL, () => store.open('a\0b', { write: false }));
  },
};

const readOnly: Record<string, Body> = {
  'refuses to open for writing': async (store, { make }) => {
    await make('disk.img', pattern(600));
    await fails(Errno.EACCES, () => store.open('disk.img', { write: true }));
    await fails(Errno.EACCES, () => store.open('disk.img', { write: true, create: 'truncate' }));
    await fails(Errno.EACCES, () => store.open('new', { write: true, create: 'keep' }));
    equal((await store.info('disk.img')).readOnly, true, 'readOnly');
    equal((await store.list('.')).length, 1, 'files');
  },
};

const writing: Record<string, Body> = {
  'creates, empties and keeps': async (store) => {
    await fails(Errno.ENOENT, () => store.open('disk.img', { write: true }));
    await fails(Errno.ENOENT, () => store.open('no/such', { write: true, create: 'truncate' }));
    await fails(Errno.EINVAL, () => store.open('disk.img', { write: false, create: 'keep' }));
    await withFile(store, 'disk.img', (file) => {
      equal(file.readOnly, false, 'readOnly');
      equal(file.size(), 0, 'size');
      file.write(pattern(100), 0);
    });
    const kept = await store.open('disk.img', { write: true, create: 'keep' });
    equalBytes(readAt(kept, 0, 200), pattern(100));
    kept.close();
    await withFile(store, 'disk.img', (file) => equal(file.size(), 0, 'size after truncate'));
    const made = await store.open('new.img', { write: true, create: 'keep' });
    equal(made.size(), 0, 'size of a new file');
    made.close();
  },
  'a failed open leaves no file': async (store) => {
    await fails(Errno.ENOENT, () => store.open('absent', { write: true }));
    equal(await store.list('.'), [], 'files');
  },
  'writes are read back by all handles at once': async (store) => {
    await withFile(store, 'disk.img', async (file) => {
      const other = await store.open('disk.img', { write: false });
      const second = await store.open('disk.img', { write: true });
      file.write(pattern(5000, 2), 1234);
      equal(other.size(), 6234, 'size');
      equalBytes(readAt(other, 1234, 5000), pattern(5000, 2), 'first');
      second.write(pattern(10, 3), 2000);
      equalBytes(readAt(file, 2000, 10), pattern(10, 3), 'second');
      other.close();
      second.close();
      file.write(pattern(10, 4), 0);
      equalBytes(readAt(file, 0, 10), pattern(10, 4), 'after the others closed');
    });
  },
  'a gap reads as zeros': async (store) => {
    await withFile(store, 'disk.img', (file) => {
      file.write(pattern(10), 3 * MIB + 5);
      equal(file.size(), 3 * MIB + 15, 'size');
      equalBytes(readAt(file, 0, 2 * MIB), new Uint8Array(2 * MIB), 'gap');
      equalBytes(readAt(file, 3 * MIB, 15), new Uint8Array([...new Uint8Array(5), ...pattern(10)]), 'end');
    });
  },
  'truncates and grows with zeros': async (store) => {
    await withFile(store, 'disk.img', (file) => {
      file.write(pattern(10000).fill(0xaa), 0);
      file.truncate(5000);
      equal(file.size(), 5000, 'size');
      equal(readAt(file, 4000, 5000).length, 1000, 'bytes at the end');
      file.truncate(200000);
      equal(file.size(), 200000, 'size');
      equalBytes(readAt(file, 0, 5000), new Uint8Array(5000).fill(0xaa), 'kept');
      equalBytes(readAt(file, 5000, 195000), new Uint8Array(195000), 'what was cut off is zero');
      file.truncate(0);
      equal(file.size(), 0, 'size');
    });
  },
  'big writes and reads in one call': async (store) => {
    const bytes = pattern(24 * MIB + 13, 9);
    await withFile(store, 'disk.img', (file) => {
      file.write(bytes, 17);
      file.flush();
      equalBytes(readAt(file, 17, bytes.length), bytes);
    });
    const file = await store.open('disk.img', { write: false });
    equalBytes(readAt(file, 17, bytes.length), bytes, 'again');
    file.close();
  },
  'a thousand random writes, compared with a copy': async (store) => {
    const size = 2 * MIB;
    const copy = new Uint8Array(size);
    await withFile(store, 'disk.img', (file) => {
      file.truncate(size);
      for (let i = 0, x = 99; i < 1000; i++) {
        x = (Math.imul(x, 1103515245) + 12345) >>> 0;
        const length = 1 + ((x >>> 8) % 9000);
        const at = x % (size - length);
        const bytes = pattern(length, i + 1);
        file.write(bytes, at);
        copy.set(bytes, at);
        if (i % 100 === 99) equalBytes(readAt(file, 0, size), copy, `after ${i + 1}`);
      }
    });
  },
  'offsets beyond 4 GiB': async (store) => {
    await withFile(store, 'disk.img', (file) => {
      const at = 5 * 1024 * MIB + 3;
      file.truncate(at);
      equal(file.size(), at, 'size');
      equalBytes(readAt(file, at - 100, 200), new Uint8Array(100), 'zeros');
      file.truncate(10);
    });
  },
  'writes of nothing change nothing': async (store) => {
    await withFile(store, 'disk.img', (file) => {
      file.write(new Uint8Array(0), 1000);
      equal(file.size(), 0, 'size');
    });
  },
  'tells the space in use': async (store) => {
    await withFile(store, 'disk.img', (file) => {
      equal(file.allocated(), 0, 'of an empty file');
      file.write(pattern(MIB), 0);
      file.flush();
      ok(file.allocated() >= MIB, 'at least what was written');
      ok(file.allocated() < 2 * MIB, 'not much more');
    });
  },
  'a closed writer answers EBADF': async (store) => {
    const file = await store.open('disk.img', { write: true, create: 'truncate' });
    const other = await store.open('disk.img', { write: true });
    file.close();
    await fails(Errno.EBADF, () => file.write(pattern(10), 0));
    await fails(Errno.EBADF, () => file.truncate(10));
    await fails(Errno.EBADF, () => file.flush());
    equal(other.size(), 0, 'size');
    other.close();
  },
};

const naming: Record<string, Body> = {
  directories: async (store, { make }) => {
    await store.makeDirectory('images');
    await store.makeDirectory('images/old');
    await make('images/a.img', pattern(10));
    await fails(Errno.EEXIST, () => store.makeDirectory('images'));
    await fails(Errno.EEXIST, () => store.makeDirectory('images/a.img'));
    await fails(Errno.ENOENT, () => store.makeDirectory('no/such'));
    await fails(Errno.ENOTDIR, () => store.makeDirectory('images/a.img/below'));
    equal(
      (await store.list('images')).map((info) => `${info.name} ${info.kind}`),
      ['a.img file', 'old directory'],
      'list',
    );
    equal((await store.info('images/')).kind, 'directory', 'kind');
    equal((await store.info('images')).name, 'images', 'name');
    const file = await store.open('images/../images//./a.img', { write: false });
    equalBytes(readAt(file, 0, 20), pattern(10));
    file.close();
    await fails(Errno.EISDIR, () => store.open('images', { write: false }));
    await fails(Errno.EISDIR, () => store.open('images', { write: true }));
    await fails(Errno.EISDIR, () => store.open('images', { write: true, create: 'truncate' }));
    await fails(Errno.EISDIR, () => store.open('new/', { write: true, create: 'truncate' }));
  },
  'removes files and directories': async (store, { make }) => {
    await store.makeDirectory('images');
    await make('images/a.img', pattern(10));
    await make('b.img', pattern(10));
    await store.remove('b.img');
    await fails(Errno.ENOENT, () => store.remove('b.img'));
    await fails(Errno.ENOENT, () => store.info('b.img'));
    await fails(Errno.ENOTEMPTY, () => store.remove('images'));
    await fails(Errno.ENOTDIR, () => store.remove('images/a.img/below'));
    await store.remove('images', { recursive: true });
    equal(await store.list('.'), [], 'files');
    await store.makeDirectory('empty');
    await store.remove('empty');
    equal(await store.list('.'), [], 'files');
  },
  'renames and replaces': async (store, { make }) => {
    await store.makeDirectory('images');
    await make('a', pattern(10));
    await make('b', pattern(20));
    await store.rename('a', 'c');
    await fails(Errno.ENOENT, () => store.info('a'));
    equal((await store.info('c')).size, 10, 'renamed');
    await store.rename('b', 'c');
    equal((await store.info('c')).size, 20, 'replaced');
    await store.rename('c', 'images/d');
    equal(
      (await store.list('.')).map((info) => info.name),
      ['images'],
      'files',
    );
    await store.rename('images/d', 'images/d');
    const file = await store.open('images/d', { write: false });
    equalBytes(readAt(file, 0, 30), pattern(20));
    file.close();
  },
  'renames directories': async (store, { make }) => {
    await store.makeDirectory('a');
    await store.makeDirectory('a/sub');
    await make('a/sub/file', pattern(10));
    await store.rename('a', 'b');
    equal((await store.info('b/sub/file')).size, 10, 'below');
    await fails(Errno.ENOENT, () => store.info('a'));
    await fails(Errno.EINVAL, () => store.rename('b', 'b/sub/c'));
    equal((await store.info('b/sub/file')).size, 10, 'still below');
  },
  'renames that cannot be': async (store, { make }) => {
    await store.makeDirectory('full');
    await make('full/file', pattern(10));
    await store.makeDirectory('directory');
    await make('file', pattern(10));
    await fails(Errno.ENOENT, () => store.rename('absent', 'b'));
    await fails(Errno.ENOENT, () => store.rename('file', 'no/such'));
    await fails(Errno.EISDIR, () => store.rename('file', 'directory'));
    await fails(Errno.ENOTDIR, () => store.rename('directory', 'file'));
    await fails(Errno.ENOTDIR, () => store.rename('file', 'new/'));
    await fails(Errno.ENOTEMPTY, () => store.rename('directory', 'full'));
    equal((await store.list('.')).length, 3, 'names');
  },
  'a new file under an old name is another file': async (store, { make }) => {
    await make('a', pattern(10));
    await make('b', pattern(10));
    const b = await store.identity('b');
    const a = await store.identity('a');
    await fails(Errno.ENOENT, () => store.identity('c'));
    ok(a !== b, 'identities differ');
  },
};

const unlinking: Record<string, Body> = {
  'an open file lives on without its name': async (store) => {
    await withFile(store, 'a', async (file) => {
      file.write(pattern(100), 0);
      await store.remove('a');
      await fails(Errno.ENOENT, () => store.info('a'));
      equalBytes(readAt(file, 0, 200), pattern(100));
      await withFile(store, 'a', (other) => other.write(pattern(10, 2), 0));
      equal(file.size(), 100, 'size');
    });
  },
  'an open file can be renamed': async (store) => {
    await withFile(store, 'a', async (file) => {
      file.write(pattern(100), 0);
      await store.rename('a', 'b');
      file.write(pattern(100, 2), 100);
      equal((await store.info('b')).size, 200, 'size');
    });
  },
};

const refusing: Record<string, Body> = {
  'an open file can be neither removed nor renamed nor replaced': async (store, { make }) => {
    await store.makeDirectory('images');
    await make('other', pattern(10));
    await withFile(store, 'images/a', async (file) => {
      file.write(pattern(100), 0);
      await fails(Errno.EBUSY, () => store.remove('images/a'));
      await fails(Errno.EBUSY, () => store.remove('images', { recursive: true }));
      await fails(Errno.EBUSY, () => store.rename('images/a', 'b'));
      await fails(Errno.EBUSY, () => store.rename('images', 'b'));
      await fails(Errno.EBUSY, () => store.rename('other', 'images/a'));
      equalBytes(readAt(file, 0, 200), pattern(100));
    });
    await store.remove('images/a');
    equal((await store.list('images')).length, 0, 'files');
  },
};

function extents(file: BlockFile): string[] {
  const found: string[] = [];
  for (let at = 0; at < file.size();) {
    const extent = file.extent?.(at);
    ok(extent !== undefined && extent.bytes > 0, 'an extent');
    found.push(`${at} ${extent.data ? 'data' : 'hole'} ${extent.bytes}`);
    at += extent.bytes;
  }
  return found;
}

const holes: Record<string, Body> = {
  'tells holes from data': async (store) => {
    await withFile(store, 'disk.img', (file) => {
      file.truncate(4 * MIB);
      equal(extents(file), [`0 hole ${4 * MIB}`], 'empty');
      file.write(pattern(64 * KIB), MIB);
      file.write(pattern(1), 2 * MIB + 5000);
      file.flush();
      equal(
        extents(file),
        [
          `0 hole ${MIB}`,
          `${MIB} data ${64 * KIB}`,
          `${MIB + 64 * KIB} hole ${MIB - 64 * KIB + 4096}`,
          `${2 * MIB + 4096} data 4096`,
          `${2 * MIB + 8192} hole ${2 * MIB - 8192}`,
        ],
        'extents',
      );
      equal(file.extent?.(MIB + 100), { data: true, bytes: 64 * KIB - 100 }, 'from within');
      equal(
        file.extent?.(MIB + 65 * KIB),
        { data: false, bytes: MIB - 65 * KIB + 4096 },
        'from within a hole',
      );
      ok(file.allocated() < MIB, 'holes take no space');
    });
  },
  'the end of a file that is no whole block': async (store) => {
    await withFile(store, 'disk.img', (file) => {
      file.write(pattern(100), 100000);
      file.flush();
      const [hole, data] = extents(file);
      equal(hole, '0 hole 98304', 'hole');
      equal(data, '98304 data 1796', 'data');
    });
  },
};

const punching: Record<string, Body> = {
  'makes holes': async (store) => {
    await withFile(store, 'disk.img', (file) => {
      const bytes = pattern(MIB);
      file.write(bytes, 0);
      const before = file.allocated();
      equal(file.punch?.(100000, 500000), true, 'punch');
      bytes.fill(0, 100000, 600000);
      equalBytes(readAt(file, 0, MIB), bytes);
      equal(file.size(), MIB, 'size');
      ok(before - file.allocated() >= 480 * KIB, 'space came back');
      equal(file.extent?.(102400), { data: false, bytes: 598016 - 102400 }, 'hole');
    });
  },
  'a hole up to the end and one over nothing': async (store) => {
    await withFile(store, 'disk.img', (file) => {
      file.write(pattern(100001), 0);
      file.punch?.(4096, 95905);
      equal(file.size(), 100001, 'size');
      equal(file.allocated(), 4096, 'allocated');
      file.punch?.(8192, 4096);
      equal(file.allocated(), 4096, 'allocated');
      file.punch?.(0, 100001);
      equal(file.allocated(), 0, 'allocated');
      equalBytes(readAt(file, 0, 100001), new Uint8Array(100001));
    });
  },
};
