/** What is in an image, and how formats differ. */
import type { Lesson } from '../lesson';
import { info, reads, same } from './checks';

const qcow2: Lesson = {
  id: 'qcow2',
  title: 'A disk that grows',
  topic: 'Images',
  goal: 'Make a qcow2 image, write to it, and see what of it takes space.',
  text: [
    'A disk image is a file that holds a disk. A raw image is the disk byte for byte. A qcow2 image has a header and tables: they say where in the file each cluster of the disk is, 64 KiB by default.',
    'A cluster that was never written is not in the file and reads as zeros. So a large disk begins as a small file and grows with what is written.',
    '`qemu-img` makes and shows images. `qemu-io` is the simplest guest that there is: it reads and writes the disk inside of an image.',
  ],
  files: ['disk.qcow2'],
  setup: [],
  steps: [
    {
      text: 'Make a disk of 64 MiB in the file `disk.qcow2`.',
      hint: 'The order is `qemu-img create -f FORMAT FILE SIZE`.',
      solution: ['qemu-img create -f qcow2 disk.qcow2 64M'],
      check: info('disk.qcow2', { format: 'qcow2', 'virtual-size': 67108864 }),
    },
    {
      text: 'Look at the size of the file with `ls -l`. It is far smaller than the disk.',
      solution: ['ls -l disk.qcow2'],
      check: { entered: 'ls' },
    },
    {
      text: 'Write 1 MiB of the byte 7 at 10 MiB into the disk.',
      hint: '`qemu-io -c "write -P BYTE OFFSET LENGTH" FILE`; offsets and lengths take the suffixes k, M and G.',
      solution: ['qemu-io -c "write -P 7 10M 1M" disk.qcow2'],
      check: reads('disk.qcow2', 7, '10M 1M'),
    },
    {
      text: 'Ask with `qemu-img map` which parts of the disk are in the file, and where.',
      hint: 'With `--output=json` also the parts without data are listed.',
      solution: ['qemu-img map --output=json disk.qcow2'],
      check: { entered: 'qemu-img map' },
    },
    {
      text: 'Make the disk larger: 128 MiB. Nothing is written for that but the header and tables.',
      hint: '`qemu-img resize FILE SIZE`, or a size with a plus sign in front: so much more.',
      solution: ['qemu-img resize disk.qcow2 128M'],
      check: info('disk.qcow2', { 'virtual-size': 134217728 }),
    },
  ],
  check: { all: [info('disk.qcow2', { 'virtual-size': 134217728 }), reads('disk.qcow2', 7, '10M 1M')] },
};

const formats: Lesson = {
  id: 'formats',
  title: 'Raw, qcow2 and compressed',
  topic: 'Images',
  goal: 'Convert a disk between formats without changing what is on it.',
  text: [
    'A raw image can be read by anything, but it has no snapshots, no backing files and no compression. `qemu-img convert` copies a disk into an image of another format and leaves out what reads as zeros.',
    'With `-c` the clusters of a qcow2 image are compressed. What is written later is not: compression suits images that are made once and read often.',
  ],
  files: ['disk.raw', 'disk.qcow2', 'small.qcow2'],
  setup: ['qemu-img create -q -f raw disk.raw 8M', 'qemu-io -f raw -c "write -P 0x61 1M 4M" disk.raw'],
  steps: [
    {
      text: 'Convert `disk.raw` to a qcow2 image, `disk.qcow2`.',
      hint: '`qemu-img convert -f SOURCEFORMAT -O FORMAT SOURCE TARGET`. Say `-f raw`: a guest could write a header into a raw disk that looks like another format.',
      solution: ['qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2'],
      check: info('disk.qcow2', { format: 'qcow2', 'virtual-size': 8388608 }),
    },
    {
      text: 'Make sure that both have the same content.',
      hint: '`qemu-img compare` takes the formats as `-f` and `-F`.',
      solution: ['qemu-img compare -f raw -F qcow2 disk.raw disk.qcow2'],
      check: { entered: 'qemu-img compare' },
    },
    {
      text: 'Make a compressed copy, `small.qcow2`, and compare the sizes of the files.',
      hint: 'The option is `-c`.',
      solution: ['qemu-img convert -c -f raw -O qcow2 disk.raw small.qcow2', 'ls -l'],
      check: {
        run: 'qemu-img map -U --output=json small.qcow2',
        answers: [{ start: 1048576, compressed: true }],
      },
    },
  ],
  check: {
    all: [
      same('disk.raw', 'disk.qcow2'),
      same('disk.raw', 'small.qcow2'),
      { run: 'qemu-img map -U --output=json small.qcow2', answers: [{ compressed: true }] },
    ],
  },
};

const luks: Lesson = {
  id: 'luks',
  title: 'A disk under lock and key',
  topic: 'Images',
  goal: 'Encrypt a disk, open it with a secret, and see that it does not open without.',
  text: [
    'LUKS encrypts a disk with a random key. The key itself is in the header, encrypted with a passphrase; there is room for several passphrases, in key slots.',
    'The daemon never takes a passphrase directly. It is put into a `secret` object, and the node names the object. The tools do the same with `--object`.',
  ],
  files: ['safe.qcow2'],
  setup: [],
  steps: [
    {
      text: 'Make an encrypted qcow2 image of 4 MiB, `safe.qcow2`, with the passphrase `open sesame`.',
      hint: 'The options are `encrypt.format=luks` and `encrypt.key-secret=ID`. A small `encrypt.iter-time` (milliseconds) saves you from waiting here; for real passphrases leave it out.',
      solution: [
        'qemu-img create -f qcow2 --object "secret,id=s,data=open sesame" -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 safe.qcow2 4M',
      ],
      check: info('safe.qcow2', { encrypted: true }),
    },
    {
      text: 'Give the daemon the passphrase as a secret named `key`.',
      hint: '`object-add qom-type=secret id=key data=...`. Without `data` the console asks for it and does not show what you type.',
      solution: ['object-add qom-type=secret id=key data="open sesame"'],
      check: { entered: 'object-add qom-type=secret id=key' },
    },
    {
      text: 'Open the image as the node `safe`.',
      hint: 'The node needs `encrypt.format=luks encrypt.key-secret=key`.',
      solution: [
        'blockdev-add driver=qcow2 node-name=safe encrypt.format=luks encrypt.key-secret=key file.driver=file file.filename=safe.qcow2',
      ],
      check: {
        query: 'query-named-block-nodes',
        arguments: { flat: true },
        answers: [{ 'node-name': 'safe', encrypted: true }],
      },
    },
  ],
  check: {
    query: 'query-named-block-nodes',
    arguments: { flat: true },
    answers: [{ 'node-name': 'safe', drv: 'qcow2', encrypted: true }],
  },
};

export const images: readonly Lesson[] = [qcow2, formats, luks];
