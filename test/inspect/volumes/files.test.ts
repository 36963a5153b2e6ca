/** Files of file systems made by the real tools from a tree, read back and compared with it. */
import fc from 'fast-check';
import {
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  lstatSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFiles, readLayout } from '../../../src/inspect/volumes';
import { VolumeError, type FileTree } from '../../../src/inspect/volumes/contract';
import { scratch } from '../support';
import { blank, diskOf, memoryDisk, place, tool } from './support';

const MIB = 2 ** 20;
const dir = scratch();
afterAll(() => dir.remove());
const tree = dir.path('tree');
const TIME = Date.UTC(2024, 1, 29, 12, 34, 56);

/** Bytes that show where they come from. */
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + (i >> 16) + seed) & 0xff;
  return bytes;
}

beforeAll(() => {
  mkdirSync(`${tree}/a directory/deeper/deepest`, { recursive: true });
  mkdirSync(`${tree}/many`);
  for (let i = 0; i < 600; i++)
    writeFileSync(`${tree}/many/a file with a rather long name, number ${i}`, `${i}`);
  writeFileSync(`${tree}/empty`, '');
  writeFileSync(`${tree}/tiny.txt`, 'tiny');
  writeFileSync(`${tree}/small.bin`, pattern(140, 1));
  writeFileSync(`${tree}/Grüße 磁盘.txt`, 'names');
  writeFileSync(`${tree}/large.bin`, pattern(3 * MIB + 123, 2));
  writeFileSync(`${tree}/a directory/deeper/deepest/file.dat`, pattern(70_000, 3));
  utimesSync(`${tree}/tiny.txt`, TIME / 1000, TIME / 1000);
});

/** What only Unix file systems have. */
function addUnix(): void {
  const path = `${tree}/sparse.bin`;
  if (readdirSync(tree).includes('sparse.bin')) return;
  writeFileSync(path, pattern(5000, 4));
  truncateSync(path, 6 * MIB);
  place(path, 4 * MIB + 77, pattern(5000, 5));
  // A hole at the end would be lost by mke2fs with inline data.
  place(path, 6 * MIB - 1, pattern(1, 6));
  symlinkSync('tiny.txt', `${tree}/short link`);
  symlinkSync(`${'../'.repeat(40)}a/long/way`, `${tree}/long link`);
}

/** Reads all files and compares them with the tree on disk. */
async function compare(files: FileTree, path = ''): Promise<void> {
  const { entries, incomplete } = await files.list(path);
  expect(incomplete).toBe('');
  const names = entries.map(({ name }) => name).filter((name) => name !== 'lost+found');
  expect(names.sort()).toEqual(readdirSync(`${tree}/${path}`).sort());
  for (const { name, kind, size, target, modified } of entries) {
    if (name === 'lost+found') continue;
    const inner = path === '' ? name : `${path}/${name}`;
    const real = lstatSync(`${tree}/${inner}`);
    if (real.isDirectory()) {
      expect(kind).toBe('directory');
      await compare(files, inner);
    } else if (real.isSymbolicLink()) {
      expect([kind, target]).toEqual(['symlink', readlinkSync(`${tree}/${inner}`)]);
    } else {
      expect([inner, kind, size]).toEqual([inner, 'file', real.size]);
      if (name === 'tiny.txt') expect(modified).toBe(TIME);
      same(await whole(files, inner), new Uint8Array(readFileSync(`${tree}/${inner}`)));
    }
  }
}

/** Compares long arrays: faster than an expectation does. */
function same(actual: Uint8Array, wanted: Uint8Array): void {
  expect(actual.length).toBe(wanted.length);
  expect(Buffer.compare(actual, wanted)).toBe(0);
}

/** A file, in pieces of odd lengths. */
async function whole(files: FileTree, path: string): Promise<Uint8Array> {
  const { size } = await files.stat(path);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const piece = await files.read(path, at, 777_777);
    expect(piece.length).toBeGreaterThan(0);
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

async function opened(path: string): Promise<FileTree> {
  const disk = diskOf(path);
  const { content } = await readLayout(disk);
  expect(content?.readable).toBe(true);
  return openFiles(disk, 0, disk.size, content?.type ?? '');
}

describe('ext', () => {
  test.each([
    ['ext2', ['-t', 'ext2', '-b', '1024']],
    ['ext3', ['-t', 'ext3', '-b', '4096']],
    ['ext4', ['-t', 'ext4']],
    ['ext4 with inline data', ['-t', 'ext4', '-O', 'inline_data', '-I', '256']],
    [
      'ext4 with blocks of 1 KiB, META_BG, without large inodes',
      ['-t', 'ext4', '-b', '1024', '-O', 'meta_bg,^resize_inode,^64bit', '-I', '128'],
    ],
    [
      'ext4 with META_BG in many groups',
      ['-t', 'ext4', '-b', '1024', '-g', '256', '-O', 'meta_bg,^resize_inode', '-N', '4096'],
    ],
    ['ext4 with blocks of 64 KiB', ['-t', 'ext4', '-b', '65536', '-F']],
    ['ext2 of revision 0', ['-t', 'ext2', '-r', '0', '-b', '1024']],
  ])('%s', async (_name, options) => {
    addUnix();
    const path = blank(dir.path('ext'), 64 * MIB);
    tool('mkfs.ext4', ['-q', ...options, '-d', tree, path]);
    await compare(await opened(path));
  });

  test('a directory with an index is read in line', async () => {
    const path = blank(dir.path('indexed'), 64 * MIB);
    tool('mkfs.ext4', ['-q', '-d', tree, path]);
    // e2fsck makes the index.
    try {
      tool('e2fsck', ['-fyD', path]);
    } catch (error) {
      // 1: it has changed something.
      expect((error as { status: number }).status).toBe(1);
    }
    expect(tool('debugfs', ['-R', 'stat /many', path])).toMatch(/Flags: 0x81000/);
    await compare(await opened(path));
  });

  test('a fragmented file with a deep tree of extents', async () => {
    const path = blank(dir.path('fragments'), 16 * MIB);
    const small = dir.path('small');
    mkdirSync(small);
    const file = `${small}/holes.bin`;
    writeFileSync(file, '');
    truncateSync(file, 12 * MIB);
    for (let i = 0; i < 1500; i++) place(file, i * 8192, pattern(100, i));
    tool('mkfs.ext4', ['-q', '-b', '1024', '-d', small, path]);
    expect(tool('debugfs', ['-R', 'dump_extents /holes.bin', path])).toMatch(/\d\/ [12]/);
    const files = await opened(path);
    same(await whole(files, 'holes.bin'), new Uint8Array(readFileSync(file)));
  });
});

describe('FAT', () => {
  test.each([
    ['FAT12', ['-F', '12', '-s', '8'], 8],
    ['FAT16', ['-F', '16'], 16],
    ['FAT32', ['-F', '32', '-s', '1'], 64],
    ['FAT16 with sectors of 4096 bytes', ['-F', '16', '-S', '4096', '-s', '1'], 64],
  ])('%s', async (_name, options, mebibytes) => {
    const path = blank(dir.path('fat'), mebibytes * MIB);
    tool('mkfs.vfat', [...options, path]);
    const source = dir.path('fattree');
    cpSync(tree, source, { recursive: true, preserveTimestamps: true, filter: portable });
    tool('mcopy', [
      '-s',
      '-m',
      '-Q',
      '-i',
      path,
      ...readdirSync(source).map((name) => `${source}/${name}`),
      '::',
    ]);
    const files = await opened(path);
    await compareWith(files, source);
  });

  /** What FAT can hold, of the tree. */
  function portable(path: string): boolean {
    return !lstatSync(path).isSymbolicLink() && !path.endsWith('sparse.bin');
  }

  async function compareWith(files: FileTree, source: string, path = ''): Promise<void> {
    const { entries, incomplete } = await files.list(path);
    expect(incomplete).toBe('');
    expect(entries.map(({ name }) => name).sort()).toEqual(readdirSync(`${source}/${path}`).sort());
    for (const { name, kind, size, modified } of entries) {
      const inner = path === '' ? name : `${path}/${name}`;
      if (kind === 'directory') await compareWith(files, source, inner);
      else {
        expect(size).toBe(statSync(`${source}/${inner}`).size);
        if (name === 'tiny.txt') expect(modified).toBe(TIME);
        same(await whole(files, inner), new Uint8Array(readFileSync(`${source}/${inner}`)));
      }
    }
  }

  test('names in capitals, small letters, and short ones', async () => {
    const path = blank(dir.path('names'), MIB);
    tool('mkfs.vfat', ['-F', '12', '-n', 'LABELLED', path]);
    const file = `${tree}/tiny.txt`;
    for (const name of ['README.TXT', 'lower.txt', 'Mixed.Txt', 'NOEXT', 'x'.repeat(200), 'exactly13char'])
      tool('mcopy', ['-i', path, file, `::${name}`]);
    tool('mattrib', ['-i', path, '+r', '+h', '::README.TXT']);
    tool('mdel', ['-i', path, '::NOEXT']);
    const { entries } = await (await opened(path)).list('');
    expect(entries.map(({ name }) => name)).toEqual([
      'README.TXT',
      'lower.txt',
      'Mixed.Txt',
      'x'.repeat(200),
      'exactly13char',
    ]);
    expect(entries[0]?.mode).toBe('ro,hidden');
  });

  test('exFAT: chained and contiguous files, and what was never written', async () => {
    const path = blank(dir.path('exfat'), 16 * MIB);
    tool('mkfs.exfat', ['-c', '4096', path]);
    const boot = new DataView(readFileSync(path).buffer.slice(0, 512));
    const heap = boot.getUint32(88, true) * 512;
    const fat = boot.getUint32(80, true) * 512;
    const root = heap + (boot.getUint32(96, true) - 2) * 4096;
    const at = (cluster: number): number => heap + (cluster - 2) * 4096;
    const entry = (
      name: string,
      attributes: number,
      flags: number,
      cluster: number,
      size: number,
      valid = size,
    ): Uint8Array => {
      const names = Math.ceil(name.length / 15);
      const view = new DataView(new ArrayBuffer(32 * (2 + names)));
      view.setUint8(0, 0x85);
      view.setUint8(1, 1 + names);
      view.setUint16(4, attributes, true);
      view.setUint32(12, ((2024 - 1980) << 25) | (2 << 21) | (29 << 16) | (12 << 11) | (34 << 5) | 28, true);
      view.setUint8(32, 0xc0);
      view.setUint8(33, flags);
      view.setUint8(35, name.length);
      view.setBigUint64(40, BigInt(valid), true);
      view.setUint32(52, cluster, true);
      view.setBigUint64(56, BigInt(size), true);
      for (let index = 0; index < names * 15; index++) {
        if (index % 15 === 0) view.setUint8(64 + 32 * (index / 15), 0xc1);
        view.setUint16(
          66 + 32 * Math.floor(index / 15) + (index % 15) * 2,
          name.charCodeAt(index) || 0,
          true,
        );
      }
      return new Uint8Array(view.buffer);
    };
    const contiguous = entry('a contiguous file.bin', 0x20, 3, 100, 10_000, 9000);
    const chained = entry('chained', 0x01, 1, 200, 10_000);
    const folder = entry('folder', 0x10, 3, 300, 4096);
    // The label, the bitmap and the table of capitals are there.
    place(path, root + 96, contiguous);
    place(path, root + 96 + contiguous.length, chained);
    place(path, root + 96 + contiguous.length + chained.length, folder);
    place(path, at(300), entry('inside', 0x20, 3, 400, 5));
    place(path, at(400), new TextEncoder().encode('hello'));
    const bytes = pattern(10_000, 9);
    place(path, at(100), bytes);
    for (const [index, cluster] of [200, 207, 203].entries()) {
      place(path, at(cluster), bytes.subarray(index * 4096, (index + 1) * 4096));
      place(
        path,
        fat + cluster * 4,
        new Uint8Array(new Uint32Array([[207, 203, 0xffffffff][index] ?? 0]).buffer),
      );
    }
    place(path, fat + 207 * 4, new Uint8Array(new Uint32Array([203]).buffer));
    const files = await opened(path);
    const { entries } = await files.list('');
    expect(entries.map(({ name, kind, mode }) => [name, kind, mode])).toEqual([
      ['a contiguous file.bin', 'file', ''],
      ['chained', 'file', 'ro'],
      ['folder', 'directory', ''],
    ]);
    expect(entries[0]?.modified).toBe(TIME);
    const partly = bytes.slice();
    partly.fill(0, 9000);
    same(await whole(files, 'a contiguous file.bin'), partly);
    same(await whole(files, 'chained'), bytes);
    expect(new TextDecoder().decode(await whole(files, 'folder/inside'))).toBe('hello');
  });
});

describe('ISO 9660', () => {
  test.each([
    ['Rock Ridge', ['-R']],
    ['Rock Ridge and Joliet', ['-R', '-J', '-joliet-long']],
  ])('%s', async (_name, options) => {
    addUnix();
    const path = dir.path('rock.iso');
    tool('genisoimage', ['-quiet', ...options, '-o', path, tree]);
    await compare(await opened(path));
  });

  test('one made by xorriso, with deep directories moved', async () => {
    const deep = dir.path('deep');
    mkdirSync(`${deep}/1/2/3/4/5/6/7/8/9/10`, { recursive: true });
    writeFileSync(`${deep}/1/2/3/4/5/6/7/8/9/10/end.txt`, 'deep');
    const path = dir.path('deep.iso');
    tool('genisoimage', ['-quiet', '-R', '-o', path, deep]);
    const files = await opened(path);
    expect(new TextDecoder().decode(await whole(files, '1/2/3/4/5/6/7/8/9/10/end.txt'))).toBe('deep');
    const other = dir.path('xorriso.iso');
    tool('xorriso', ['-as', 'mkisofs', '-quiet', '-R', '-J', '-o', other, tree]);
    await compare(await opened(other));
  });

  test('Joliet, and names of its own', async () => {
    const small = dir.path('plain');
    mkdirSync(`${small}/SUB`, { recursive: true });
    writeFileSync(`${small}/README.TXT`, 'plain');
    writeFileSync(`${small}/SUB/Größe.txt`, 'joliet');
    const path = dir.path('joliet.iso');
    tool('genisoimage', ['-quiet', '-J', '-input-charset', 'utf-8', '-o', path, small]);
    const files = await opened(path);
    expect((await files.list('SUB')).entries.map(({ name }) => name)).toEqual(['Größe.txt']);
    expect(new TextDecoder().decode(await whole(files, 'SUB/Größe.txt'))).toBe('joliet');
    tool('genisoimage', ['-quiet', '-input-charset', 'utf-8', '-o', path, small]);
    const plain = await opened(path);
    expect((await plain.list('')).entries.map(({ name }) => name)).toEqual(['README.TXT', 'SUB']);
    expect(new TextDecoder().decode(await whole(plain, 'README.TXT'))).toBe('plain');
  });
});

describe('all of them', () => {
  test('what is not there is said', async () => {
    const path = blank(dir.path('nothing'), 8 * MIB);
    tool('mkfs.ext4', ['-q', path]);
    const files = await opened(path);
    await expect(files.list('nothing')).rejects.toThrow(new VolumeError('There is no nothing'));
    await expect(files.read('lost+found', 0, 1)).rejects.toThrow(VolumeError);
    await expect(openFiles(diskOf(path), 0, 8 * MIB, 'xfs')).rejects.toThrow(VolumeError);
  });

  test('damaged ones answer or say so, in bounded time', async () => {
    const small = dir.path('damaged');
    mkdirSync(`${small}/sub`, { recursive: true });
    for (let i = 0; i < 20; i++) writeFileSync(`${small}/sub/file${i}`, pattern(3000, i));
    const ext = blank(dir.path('d.ext'), MIB);
    tool('mkfs.ext4', ['-q', '-O', 'inline_data', '-d', small, ext]);
    const ext2 = blank(dir.path('d.ext2'), MIB);
    tool('mkfs.ext2', ['-q', '-d', small, ext2]);
    const fat = blank(dir.path('d.fat'), MIB);
    tool('mkfs.vfat', [fat]);
    tool('mcopy', ['-s', '-i', fat, `${small}/sub`, '::']);
    const exfat = blank(dir.path('d.exfat'), 4 * MIB);
    tool('mkfs.exfat', [exfat]);
    const iso = dir.path('d.iso');
    tool('genisoimage', ['-quiet', '-R', '-J', '-o', iso, small]);
    const images = (
      [
        ['ext4', ext],
        ['ext2', ext2],
        ['vfat', fat],
        ['exfat', exfat],
        ['iso9660', iso],
      ] as const
    ).map(([type, path]) => {
      const bytes = new Uint8Array(readFileSync(path));
      // Most changes go where the structures are: where something is.
      return { type, bytes, used: [...bytes.keys()].filter((at) => bytes[at] !== 0) };
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...images),
        fc.array(
          fc.tuple(
            fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
            fc.constantFrom(0, 1, 0x7f, 0x80, 0xff),
          ),
          { minLength: 1, maxLength: 200 },
        ),
        async ({ type, bytes: image, used }, changes) => {
          const bytes = image.slice();
          for (const [where, value] of changes) bytes[used[Math.floor(where * used.length)] ?? 0] = value;
          let reads = 0;
          const inner = memoryDisk(bytes);
          const disk = {
            size: inner.size,
            read: (offset: number, length: number) => {
              expect(++reads).toBeLessThan(20_000);
              return inner.read(offset, length);
            },
          };
          try {
            const files = await openFiles(disk, 0, disk.size, type);
            await visit(files, '', 0);
          } catch (error) {
            expect(error).toBeInstanceOf(VolumeError);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  async function visit(files: FileTree, path: string, depth: number): Promise<void> {
    const { entries } = await files.list(path);
    for (const { name, kind, size } of entries.slice(0, 30)) {
      expect(name).not.toContain('/');
      expect(size).toBeGreaterThanOrEqual(0);
      const inner = path === '' ? name : `${path}/${name}`;
      try {
        if (kind === 'directory' && depth < 3) await visit(files, inner, depth + 1);
        else if (kind === 'file') await files.read(inner, 0, 5000);
      } catch (error) {
        expect(error).toBeInstanceOf(VolumeError);
      }
    }
  }
});
