/**
 * Disk images that nobody here wrote: how each is made by real tools, and what the real tools read in it. The tests under
 * Node.js and in the browser open the same ones.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An ISO 9660 file system that is a bootable disk too, from the Debian package ipxe. */
const HYBRID_ISO = '/usr/lib/ipxe/ipxe.iso';

/** How an image is made. */
export interface ImageRecipe {
  /** Says what is special about it; unique. */
  name: string;
  /** All the files of the image, the one that is to be opened first. Backing files are named relative to their folder. */
  files: readonly [string, ...string[]];
  format: 'qcow2' | 'raw';
  /**
   * Its file has holes that `qemu-img map` reports as zeros. A backend that cannot tell holes reports data there, and
   * that is no error.
   */
  holes?: true;
  /** Runs the tools in an empty folder. `guest` is a raw disk to fill images with. */
  make(run: Tools, guest: string): void;
}

/** Runs real tools in one folder; a failure throws with what the tool said. */
export interface Tools {
  readonly folder: string;
  img(...args: string[]): string;
  /** qemu-io on a qcow2 image: one command an argument. */
  io(image: string, ...commands: string[]): void;
  run(command: string, ...args: string[]): void;
}

/** One element of the array that `qemu-img map --output=json` prints. */
export interface MapEntry {
  start: number;
  length: number;
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  compressed: boolean;
  offset?: number;
}

/** An image that has been made, and what the real tools say of it. */
export interface MadeImage {
  recipe: ImageRecipe;
  /** Where its files are. */
  folder: string;
  /** Of the whole guest content, as `qemu-img convert -O raw` writes it; hexadecimal. */
  sha256: string;
  /** Of the guest content, bytes. */
  bytes: number;
  map: MapEntry[];
}

export function tools(folder: string): Tools {
  // mkfs and e2image are in the folders of the superuser, which not everybody's PATH has.
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const run = (command: string, args: string[]): string =>
    execFileSync(command, args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return {
    folder,
    img: (...args) => run('qemu-img', args),
    io: (image, ...commands) =>
      void run('qemu-io', ['-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), image]),
    run: (command, ...args) => void run(command, args),
  };
}

/** Bytes that look random and are always the same (a linear congruential generator, its high bits). */
function noise(bytes: number, seed: number): Buffer {
  const out = Buffer.alloc(bytes);
  let state = seed >>> 0;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = state >>> 24;
  }
  return out;
}

/** Bytes of the disk that most images are filled with; no whole number of clusters of any size. */
const GUEST_BYTES = 9 * 2 ** 20 + 1536;

/** A disk with noise, text, lone blocks and areas of zeros that are larger than the largest cluster. */
function guestContent(): Buffer {
  const MIB = 2 ** 20;
  const disk = Buffer.alloc(GUEST_BYTES);
  noise(MIB, 1).copy(disk, 0);
  let text = '';
  for (let line = 0; text.length < MIB; line++) text += `line ${line} of a file that a guest may have\n`;
  disk.write(text.slice(0, MIB), 2 * MIB, 'latin1');
  for (let at = 3 * MIB; at < 5 * MIB; at += 77 * 4096) noise(4096, at).copy(disk, at);
  noise(MIB, 2).copy(disk, 5 * MIB);
  disk.write('the last bytes of the disk', GUEST_BYTES - 26, 'latin1');
  return disk;
}

const CLUSTER_SIZES = Array.from({ length: 13 }, (_, i) => 512 << i);
const REFCOUNT_BITS = [1, 2, 4, 8, 16, 32, 64];

/** A qcow2 image of the guest disk, with these options of creation. */
function converted(name: string, options: string, ...flags: string[]): ImageRecipe {
  return {
    name,
    files: ['disk.qcow2'],
    format: 'qcow2',
    make: (run, guest) =>
      void run.img('convert', '-f', 'raw', '-O', 'qcow2', ...flags, '-o', options, guest, 'disk.qcow2'),
  };
}

function bytesText(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : bytes < 2 ** 20 ? `${bytes / 1024} KiB` : `${bytes / 2 ** 20} MiB`;
}

/** All recipes. */
export const recipes: readonly ImageRecipe[] = [
  ...CLUSTER_SIZES.map((size) =>
    converted(`version 3, clusters of ${bytesText(size)}`, `compat=1.1,cluster_size=${size}`),
  ),
  ...CLUSTER_SIZES.map((size) =>
    converted(`version 2, clusters of ${bytesText(size)}`, `compat=0.10,cluster_size=${size}`),
  ),
  ...CLUSTER_SIZES.map((size) =>
    converted(`compressed, clusters of ${bytesText(size)}`, `cluster_size=${size}`, '-c'),
  ),
  ...[512, 65536, 2097152].map((size) =>
    converted(
      `compressed with zstd, clusters of ${bytesText(size)}`,
      `compression_type=zstd,cluster_size=${size}`,
      '-c',
    ),
  ),
  converted('compressed, version 2', 'compat=0.10', '-c'),
  ...REFCOUNT_BITS.map((bits) => converted(`refcounts of ${bits} bits`, `refcount_bits=${bits}`)),
  ...REFCOUNT_BITS.map((bits) =>
    converted(
      `refcounts of ${bits} bits, clusters of 512 B`,
      `refcount_bits=${bits},cluster_size=512,lazy_refcounts=on`,
    ),
  ),
  ...['falloc', 'full'].map((mode) => converted(`preallocation ${mode}`, `preallocation=${mode}`)),
  ...[16384, 65536, 2097152].flatMap((size) => [
    {
      ...converted(
        `extended L2 entries, clusters of ${bytesText(size)}`,
        `extended_l2=on,cluster_size=${size}`,
      ),
      // Only large clusters are so sparse that the file's holes are asked for.
      ...(size === 2097152 && { holes: true as const }),
    },
    converted(
      `extended L2 entries, compressed, clusters of ${bytesText(size)}`,
      `extended_l2=on,cluster_size=${size}`,
      '-c',
    ),
  ]),
  {
    name: 'extended L2 entries: subclusters of every kind, with a snapshot, on a raw disk',
    files: ['disk.qcow2', 'base.raw'],
    format: 'qcow2',
    make: (run) => {
      writeFileSync(join(run.folder, 'base.raw'), noise(5 * 2 ** 20 + 1536, 7));
      run.img(
        ...['create', '-q', '-f', 'qcow2', '-o', 'extended_l2=on,cluster_size=32k'],
        ...['-b', 'base.raw', '-F', 'raw', 'disk.qcow2', '7M'],
      );
      run.io(
        'disk.qcow2',
        'write -q -P 1 1k 3k',
        'write -q -P 2 40k 70k',
        'write -q -z 44k 2k',
        'write -q -z 200k 10k',
        'write -q -z -u 32k 64k',
        'write -q -c -P 3 1M 32k',
        'write -q -P 4 5110k 20k',
        'discard -q 70k 80k',
      );
      run.img('snapshot', '-c', 'first', 'disk.qcow2');
      run.io('disk.qcow2', 'write -q -P 5 2k 1k', 'write -q -P 6 1030k 1k', 'write -q -z 3k 4k');
    },
  },
  {
    name: 'extended L2 entries, preallocation metadata, on a raw disk',
    files: ['disk.qcow2', 'base.raw'],
    format: 'qcow2',
    holes: true,
    make: (run) => {
      writeFileSync(join(run.folder, 'base.raw'), noise(3 * 2 ** 20, 8));
      run.img(
        ...['create', '-q', '-f', 'qcow2', '-o', 'extended_l2=on,preallocation=metadata'],
        ...['-b', 'base.raw', '-F', 'raw', 'disk.qcow2', '6M'],
      );
      run.io('disk.qcow2', 'write -q -P 1 100k 3k', 'write -q -z 204k 9k', 'write -q -P 2 2999k 9k');
    },
  },
  ...[4096, 65536].map((size): ImageRecipe => ({
    name: `preallocation metadata, clusters of ${bytesText(size)}`,
    files: ['disk.qcow2'],
    format: 'qcow2',
    holes: true,
    make: (run) => {
      run.img(
        'create',
        '-q',
        '-f',
        'qcow2',
        '-o',
        `preallocation=metadata,cluster_size=${size}`,
        'disk.qcow2',
        '24M',
      );
      run.io('disk.qcow2', 'write -q -P 17 1M 300k', 'write -q -P 18 20M 1M');
    },
  })),
  {
    name: 'an empty image',
    files: ['disk.qcow2'],
    format: 'qcow2',
    make: (run) => void run.img('create', '-q', '-f', 'qcow2', 'disk.qcow2', '40M'),
  },
  {
    name: 'an image of no size',
    files: ['disk.qcow2'],
    format: 'qcow2',
    make: (run) => void run.img('create', '-q', '-f', 'qcow2', 'disk.qcow2', '0'),
  },
  {
    name: 'zero clusters, with and without a place in the file',
    files: ['disk.qcow2'],
    format: 'qcow2',
    make: (run, guest) => {
      run.img('convert', '-f', 'raw', '-O', 'qcow2', '-o', 'cluster_size=4096', guest, 'disk.qcow2');
      run.io(
        'disk.qcow2',
        'write -q -z 64k 64k',
        'write -q -z -u 256k 100k',
        'write -q -z 7M 12k',
        'write -q -z 2050k 5k',
      );
      run.io('disk.qcow2', 'discard -q 2304k 64k', 'write -q -P 9 68k 2k');
    },
  },
  {
    name: 'clusters written over compressed ones',
    files: ['disk.qcow2'],
    format: 'qcow2',
    make: (run, guest) => {
      run.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', guest, 'disk.qcow2');
      run.io(
        'disk.qcow2',
        'write -q -P 1 2M 64k',
        'write -q -P 2 2200k 3k',
        'discard -q 2560k 128k',
        'write -q -z 5M 64k',
      );
    },
  },
  {
    name: 'internal snapshots',
    files: ['disk.qcow2'],
    format: 'qcow2',
    make: (run, guest) => {
      run.img('convert', '-f', 'raw', '-O', 'qcow2', guest, 'disk.qcow2');
      run.img('snapshot', '-c', 'first', 'disk.qcow2');
      run.io(
        'disk.qcow2',
        'write -q -P 1 0 64k',
        'write -q -P 2 130k 7k',
        'write -q -z 512k 128k',
        'write -q -P 3 7M 64k',
      );
      run.img('snapshot', '-c', 'second', 'disk.qcow2');
      run.io('disk.qcow2', 'discard -q 2M 512k', 'write -q -P 4 1500k 200k');
    },
  },
  {
    name: 'a chain of three: raw of 3 MiB below 8 MiB below 5 MiB',
    files: ['top.qcow2', 'middle.qcow2', 'base.raw'],
    format: 'qcow2',
    make: (run) => {
      writeFileSync(join(run.folder, 'base.raw'), noise(3 * 2 ** 20, 3));
      run.img(
        ...[
          'create',
          '-q',
          '-f',
          'qcow2',
          '-o',
          'cluster_size=4096',
          '-b',
          'base.raw',
          '-F',
          'raw',
          'middle.qcow2',
          '8M',
        ],
      );
      run.io(
        'middle.qcow2',
        'write -q -P 5 1M 70k',
        'write -q -P 6 4M 1M',
        'write -q -z 2M 20k',
        'write -q -P 7 2999k 9k',
      );
      run.img('create', '-q', '-f', 'qcow2', '-b', 'middle.qcow2', '-F', 'qcow2', 'top.qcow2', '5M');
      run.io(
        'top.qcow2',
        'write -q -P 8 100k 3k',
        'write -q -z 1M 64k',
        'discard -q 4M 64k',
        'write -q -P 9 4990k 10k',
      );
    },
  },
  {
    name: 'a chain of three: compressed of 6 MiB below 3.5 MiB below 7 MiB',
    files: ['top.qcow2', 'middle.qcow2', 'base.qcow2'],
    format: 'qcow2',
    make: (run, guest) => {
      run.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', 'compat=0.10', guest, 'base.qcow2');
      run.img('resize', '-q', '--shrink', 'base.qcow2', '6M');
      run.img(
        ...['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', '-b', 'base.qcow2', '-F', 'qcow2'],
        ...['middle.qcow2', '3584k'],
      );
      run.io('middle.qcow2', 'write -q -P 5 2M 70k', 'write -q -P 6 3500k 84k', 'write -q -z 2600k 20k');
      run.img(
        ...[
          'create',
          '-q',
          '-f',
          'qcow2',
          '-o',
          'cluster_size=2M,refcount_bits=1',
          '-b',
          'middle.qcow2',
          '-F',
          'qcow2',
        ],
        ...['top.qcow2', '7M'],
      );
      run.io('top.qcow2', 'write -q -P 8 5000k 3k');
    },
  },
  {
    name: 'e2image -Qa of an ext4 file system',
    files: ['ext4.qcow2'],
    format: 'qcow2',
    make: (run, guest) => {
      const tree = join(run.folder, 'tree');
      mkdirSync(join(tree, 'folder'), { recursive: true });
      copyFileSync(guest, join(tree, 'disk'));
      for (let i = 0; i < 40; i++) writeFileSync(join(tree, 'folder', `file${i}`), `${i}\n`.repeat(i * 50));
      run.run('mkfs.ext4', '-q', '-F', '-d', 'tree', 'ext4.raw', '32M');
      run.run('e2image', '-Qa', 'ext4.raw', 'ext4.qcow2');
    },
  },
  {
    name: 'e2image -Q: only the metadata of an ext4 file system',
    files: ['ext4.qcow2'],
    format: 'qcow2',
    make: (run) => {
      run.run('mkfs.ext4', '-q', '-F', '-b', '1024', 'ext4.raw', '48M');
      run.run('e2image', '-Q', 'ext4.raw', 'ext4.qcow2');
    },
  },
  {
    name: 'a raw hybrid ISO',
    files: ['disk.iso'],
    format: 'raw',
    make: (run) => copyFileSync(HYBRID_ISO, join(run.folder, 'disk.iso')),
  },
];

/** Where images are made; gone after `remove`. */
export class ImageFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'qsd-web-images-'));
  private readonly guest = join(this.path, 'guest.raw');

  constructor() {
    writeFileSync(this.guest, guestContent());
  }

  /** Makes an image and asks the real tools about it. */
  make(recipe: ImageRecipe): MadeImage {
    const folder = join(this.path, String(recipes.indexOf(recipe)));
    mkdirSync(folder);
    const run = tools(folder);
    recipe.make(run, this.guest);
    const [top] = recipe.files;
    run.img('convert', '-f', recipe.format, '-O', 'raw', top, 'content.raw');
    const content = join(folder, 'content.raw');
    const sha256 = createHash('sha256').update(readFileSync(content)).digest('hex');
    const bytes = statSync(content).size;
    rmSync(content);
    const map = JSON.parse(run.img('map', '-f', recipe.format, '--output=json', top)) as MapEntry[];
    return { recipe, folder, sha256, bytes, map };
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
