/** Images to look at and to try things on, made in place by lines of the shell. */

export interface Sample {
  /** What it is called in the console. */
  name: string;
  /** What is to be seen in it. */
  text: string;
  /** The files that it makes. */
  files: readonly string[];
  lines: readonly string[];
}

export const SAMPLES: readonly Sample[] = [
  {
    name: 'chain',
    text: 'a backing chain of three qcow2 images, each with data of its own',
    files: ['sample-base.qcow2', 'sample-middle.qcow2', 'sample-top.qcow2'],
    lines: [
      'qemu-img create -q -f qcow2 sample-base.qcow2 64M',
      'qemu-io -c "write -q -P 1 0 16M" sample-base.qcow2',
      'qemu-img create -q -f qcow2 -b sample-base.qcow2 -F qcow2 sample-middle.qcow2',
      'qemu-io -c "write -q -P 2 8M 4M" sample-middle.qcow2',
      'qemu-img create -q -f qcow2 -b sample-middle.qcow2 -F qcow2 sample-top.qcow2',
      'qemu-io -c "write -q -P 3 10M 1M" sample-top.qcow2',
    ],
  },
  {
    name: 'snapshots',
    text: 'a qcow2 image with two internal snapshots, a dirty bitmap, zero clusters and compressed ones',
    files: ['sample-snapshots.qcow2'],
    lines: [
      'qemu-img create -q -f qcow2 sample-snapshots.qcow2 64M',
      'qemu-io -c "write -q -P 1 0 4M" -c "write -q -c -P 9 32M 64k" -c "write -q -c -P 8 32832k 64k" sample-snapshots.qcow2',
      'qemu-img snapshot -c installed sample-snapshots.qcow2',
      'qemu-img bitmap --add sample-snapshots.qcow2 since-installed',
      'qemu-io -c "write -q -P 2 1M 2M" -c "write -q -z 48M 4M" sample-snapshots.qcow2',
      'qemu-img snapshot -c updated sample-snapshots.qcow2',
      'qemu-io -c "write -q -P 3 2M 512k" sample-snapshots.qcow2',
    ],
  },
  {
    name: 'partitions',
    text: 'a raw disk with a partition table (MBR) of two partitions, in a qcow2 image',
    files: ['sample-disk.qcow2'],
    lines: [
      'qemu-img create -q -f qcow2 sample-disk.qcow2 64M',
      'qemu-io -c "write -q -P 0x80 446 1" -c "write -q -P 0x83 450 1" -c "write -q -P 8 455 1" -c "write -q -P 0xf0 459 1" sample-disk.qcow2',
      'qemu-io -c "write -q -P 0x82 466 1" -c "write -q -P 0xf8 471 1" -c "write -q -P 8 475 1" -c "write -q -P 1 476 1" sample-disk.qcow2',
      'qemu-io -c "write -q -P 0x55 510 1" -c "write -q -P 0xaa 511 1" sample-disk.qcow2',
    ],
  },
  {
    name: 'luks',
    text: 'an encrypted container (LUKS); its passphrase is "correct horse"',
    files: ['sample-luks.img'],
    lines: [
      'qemu-img create -q --object "secret,id=key,data=correct horse" -f luks -o key-secret=key,iter-time=100 sample-luks.img 16M',
      'qemu-io --object "secret,id=key,data=correct horse" --image-opts driver=luks,key-secret=key,file.filename=sample-luks.img -c "write -q -P 7 0 1M"',
    ],
  },
  {
    name: 'damaged',
    text: 'a qcow2 image with a refcount that is too low and clusters that leak, to be repaired with qemu-img check',
    files: ['sample-damaged.qcow2'],
    lines: [
      'qemu-img create -q -f qcow2 sample-damaged.qcow2 16M',
      'qemu-io -c "write -q -P 1 0 1M" sample-damaged.qcow2',
      'qemu-io -f raw -c "truncate 1536k" -c "write -q -P 0 131084 2" -c "write -q -P 1 131115 1" -c "write -q -P 1 131117 1" sample-damaged.qcow2',
    ],
  },
];
