/** File systems and containers made by their own tools, compared with what blkid says of them. */
import fc from 'fast-check';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { recognise } from '../../../src/inspect/volumes/recognise';
import { scratch } from '../support';
import { blank, diskOf, memoryDisk, tool } from './support';

const MIB = 2 ** 20;
const dir = scratch();
afterAll(() => dir.remove());

const UUID = '12345678-9abc-4def-8123-456789abcdef';
const tree = dir.path('tree');
mkdirSync(tree);
writeFileSync(`${tree}/hello.txt`, 'hello');

/** How each is made in a file, with its size in MiB and the title that we give it. */
const MAKERS: [title: string, mebibytes: number, command: string, args: string[]][] = [
  ['ext2', 8, 'mkfs.ext2', ['-q', '-L', 'two', '-U', UUID]],
  ['ext3', 16, 'mkfs.ext3', ['-q', '-L', 'three', '-U', UUID]],
  ['ext4', 16, 'mkfs.ext4', ['-q', '-L', 'four', '-U', UUID]],
  ['FAT12', 1, 'mkfs.vfat', ['-F', '12', '-n', 'TWELVE', '-i', '1234abcd']],
  ['FAT16', 16, 'mkfs.vfat', ['-F', '16', '-n', 'SIXTEEN', '-i', '1234abcd']],
  ['FAT32', 64, 'mkfs.vfat', ['-F', '32', '-n', 'THIRTYTWO', '-i', '1234abcd']],
  ['FAT32', 64, 'mkfs.vfat', ['-F', '32', '-i', '1234abcd']],
  ['Linux swap', 4, 'mkswap', ['-q', '-L', 'swapped', '-U', UUID]],
];

describe('what lies in a volume', () => {
  test.each(MAKERS)(
    '%s of %i MiB, made by %s, is what blkid says',
    async (title, mebibytes, command, args) => {
      const path = blank(dir.path(`${command}.${args[1] ?? ''}`), mebibytes * MIB);
      tool(command, [...args, path]);
      const content = await recognise(diskOf(path));
      const said = tool('blkid', ['-p', '-o', 'export', path]);
      const value = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(said)?.[1] ?? '';
      expect(content).toMatchObject({
        title,
        type: value('TYPE'),
        label: value('LABEL').replace(/\\(.)/g, '$1'),
        uuid: value('UUID'),
        problems: [],
      });
      expect(content?.size ?? 0).toBeGreaterThan(mebibytes * MIB * 0.98);
      expect(content?.size ?? 0).toBeLessThanOrEqual(mebibytes * MIB);
      if (content?.kind === 'file system') {
        expect(content.used).toBeGreaterThanOrEqual(0);
        expect(content.used).toBeLessThan(content.size ?? 0);
      }
    },
  );

  test.each([
    ['ISO 9660', []],
    ['ISO 9660 with Joliet', ['-J']],
    ['ISO 9660 with Rock Ridge', ['-R']],
    ['ISO 9660 with Joliet and Rock Ridge', ['-J', '-R']],
  ])('%s', async (title, options) => {
    const path = dir.path('made.iso');
    tool('genisoimage', ['-quiet', '-V', 'CDROM', ...options, '-o', path, tree]);
    const said = tool('blkid', ['-p', '-o', 'export', path]);
    expect(await recognise(diskOf(path))).toMatchObject({
      title,
      type: 'iso9660',
      label: 'CDROM',
      uuid: /^UUID=(.*)$/m.exec(said)?.[1],
      problems: [],
    });
  });

  test.each([['luks1'], ['luks2']])('%s', async (type) => {
    const path = blank(dir.path(type), 32 * MIB);
    const key = dir.path('key');
    writeFileSync(key, 'secret');
    tool('cryptsetup', [
      'luksFormat',
      '-q',
      '--type',
      type,
      '--uuid',
      UUID,
      '--pbkdf',
      'pbkdf2',
      '--pbkdf-force-iterations',
      '1000',
      path,
      key,
    ]);
    expect(await recognise(diskOf(path))).toMatchObject({
      title: type.toUpperCase(),
      type: 'crypto_LUKS',
      uuid: UUID,
      kind: 'container',
    });
  });

  test('an image in an image', async () => {
    const path = dir.path('inner.qcow2');
    tool('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1G']);
    expect(await recognise(diskOf(path))).toMatchObject({
      type: 'qcow2',
      kind: 'image',
      facts: [['Disk size', '1 GiB']],
    });
  });

  test('a cut one says that it is larger than its place', async () => {
    const path = blank(dir.path('cut'), 16 * MIB);
    tool('mkfs.ext4', ['-q', path]);
    const bytes = readFileSync(path).subarray(0, 8 * MIB);
    expect((await recognise(memoryDisk(bytes)))?.problems).toEqual([
      'It says that it is larger than the place that it lies in',
    ]);
  });

  test('no bytes make it fail', async () => {
    const signatures: [number, string][] = [
      [0, 'XFSB'],
      [0, 'hsqs'],
      [65600, '_BHRfS_M'],
      [1080, '\x53\xef'],
      [3, 'EXFAT   '],
      [3, 'NTFS    '],
      [0, 'LUKS\xba\xbe\0\x01'],
      [512, 'LABELONE'],
      [536, 'LVM2 001'],
      [4086, 'SWAPSPACE2'],
      [32769, 'CD001'],
      [510, '\x55\xaa'],
      [0, 'QFI\xfb'],
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...signatures),
        fc.uint8Array({ minLength: 0, maxLength: 2048 }),
        fc.integer({ min: 0, max: 80000 }),
        async ([at, text], noise, length) => {
          const bytes = new Uint8Array(length);
          for (const begin of [0, 512, 1024, 32768, 65536])
            if (begin + noise.length <= length) bytes.set(noise, begin);
          for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
          const content = await recognise(memoryDisk(bytes.subarray(0, length)));
          if (content)
            for (const number of [content.size ?? 0, content.used ?? 0]) expect(number).not.toBeNaN();
        },
      ),
      { numRuns: 300 },
    );
  });
});
