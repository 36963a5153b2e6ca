/** Backups: a moment in time, what changed since, and reading the past while the present goes on. */
import type { Lesson } from '../lesson';
import { bitmap, completed, exported, info, node, noNode, reads, same } from './checks';

const DISK: readonly string[] = [
  'qemu-img create -q -f qcow2 disk.qcow2 8M',
  'qemu-io -c "write -q -P 1 0 2M" disk.qcow2',
];
const OPEN = 'blockdev-add driver=qcow2 node-name=disk file.driver=file file.filename=disk.qcow2';

function target(file: string): string {
  return `blockdev-add driver=qcow2 node-name=target file.driver=file file.filename=${file}`;
}

const full: Lesson = {
  id: 'backup',
  title: 'A full backup',
  topic: 'Backups',
  goal: 'Save a disk as it is at one moment while it stays in use.',
  text: [
    'A backup is the disk at the moment when the job starts. When a guest writes to a cluster that was not saved yet, the old content is saved first.',
    'A mirror, in contrast, is the disk at the moment when the job ends.',
  ],
  files: ['disk.qcow2', 'full.qcow2'],
  setup: [...DISK, OPEN],
  steps: [
    {
      text: 'Make the image for the backup, `full.qcow2`, as large as the disk (8 MiB), and open it as the node `target`.',
      solution: ['qemu-img create -f qcow2 full.qcow2 8M', target('full.qcow2')],
      check: node('target'),
    },
    {
      text: 'Back `disk` up to it with `sync=full`.',
      hint: '`blockdev-backup device=disk target=target sync=full job-id=save`',
      solution: ['blockdev-backup device=disk target=target sync=full job-id=save'],
      check: completed('save'),
    },
    {
      text: 'Close the target, so that its file is free, and compare it with the disk. The disk is still open: say `-U`.',
      hint: '`blockdev-del node-name=target`, then `qemu-img compare -U disk.qcow2 full.qcow2`.',
      solution: ['blockdev-del node-name=target', 'qemu-img compare -U disk.qcow2 full.qcow2'],
      check: { all: [noNode('target'), { entered: 'qemu-img compare' }] },
    },
  ],
  check: { all: [noNode('target'), node('disk'), same('disk.qcow2', 'full.qcow2')] },
};

const bitmaps: Lesson = {
  id: 'bitmaps',
  title: 'Remember what was written: dirty bitmaps',
  topic: 'Backups',
  goal: 'Let a bitmap record writes, and find it again after a restart.',
  text: [
    'A dirty bitmap has one bit for each piece of the disk, 64 KiB here. A write sets the bits of what it touches.',
    'A persistent bitmap is stored in the qcow2 image when the image is closed, and comes back when it is opened, by whoever opens it. Other bitmaps live as long as the node.',
  ],
  files: ['disk.qcow2'],
  setup: [...DISK, OPEN],
  steps: [
    {
      text: 'Add a persistent bitmap `b0` to the node `disk`.',
      hint: '`block-dirty-bitmap-add node=disk name=b0 persistent=true`',
      solution: ['block-dirty-bitmap-add node=disk name=b0 persistent=true'],
      check: bitmap('b0', 'disk', { persistent: true }),
    },
    {
      text: 'Close the disk. The bitmap is stored in the file now: look for it with `qemu-img info`.',
      hint: '`blockdev-del node-name=disk`',
      solution: ['blockdev-del node-name=disk', 'qemu-img info disk.qcow2'],
      check: { all: [noNode('disk'), { entered: 'qemu-img info' }] },
    },
    {
      text: 'Write 64 KiB at 4 MiB with `qemu-io`. It opens the image, and so the bitmap records.',
      hint: '`qemu-io -c "write -P 2 4M 64k" disk.qcow2`',
      solution: ['qemu-io -c "write -P 2 4M 64k" disk.qcow2'],
      check: reads('disk.qcow2', 2, '4M 64k'),
    },
    {
      text: 'Open the disk again as `disk`: the bitmap counts 65536 bytes.',
      hint: `\`${OPEN}\``,
      solution: [OPEN],
      check: bitmap('b0', 'disk', { count: 65536, recording: true }),
    },
  ],
  check: bitmap('b0', 'disk', { persistent: true, count: 65536 }),
};

const incremental: Lesson = {
  id: 'incremental',
  title: 'Incremental backups',
  topic: 'Backups',
  goal: 'Save only what changed since the last backup, as a chain that can be restored.',
  text: [
    'A full backup and the start of a bitmap have to be the same moment. A transaction does both at once, or nothing.',
    'The next backup names the bitmap: only dirty pieces are copied, and when all went well the bitmap is empty again. Its image has the full backup as its backing file, so that together they are the whole disk.',
    'No machine runs here. You write to the disk with `qemu-io` while it is closed; the bitmap is persistent and records that too.',
  ],
  files: ['disk.qcow2', 'full.qcow2', 'inc.qcow2'],
  setup: [...DISK, OPEN, 'qemu-img create -q -f qcow2 full.qcow2 8M', target('full.qcow2')],
  steps: [
    {
      text: 'In one transaction, add the persistent bitmap `b0` and start a full backup to `target`.',
      hint: 'The actions are `block-dirty-bitmap-add` and `blockdev-backup`, each with its `data`.',
      solution: [
        'transaction actions=[{"type":"block-dirty-bitmap-add","data":{"node":"disk","name":"b0","persistent":true}},{"type":"blockdev-backup","data":{"device":"disk","target":"target","sync":"full","job-id":"full"}}]',
      ],
      check: completed('full'),
    },
    {
      text: 'Close `target` and `disk`, and write 64 KiB of the byte 9 at 3 MiB.',
      hint: '`blockdev-del node-name=target`, the same for `disk`, then `qemu-io`.',
      solution: [
        'blockdev-del node-name=target',
        'blockdev-del node-name=disk',
        'qemu-io -c "write -P 9 3M 64k" disk.qcow2',
      ],
      check: reads('disk.qcow2', 9, '3M 64k'),
    },
    {
      text: 'Open `disk` again, and make `inc.qcow2` on top of `full.qcow2` as the new `target`.',
      hint: '`qemu-img create -f qcow2 -b full.qcow2 -F qcow2 inc.qcow2`',
      solution: [OPEN, 'qemu-img create -f qcow2 -b full.qcow2 -F qcow2 inc.qcow2', target('inc.qcow2')],
      check: {
        all: [bitmap('b0', 'disk', { count: 65536 }), node('target', { backing_file: 'full.qcow2' })],
      },
    },
    {
      text: 'Back up what is dirty.',
      hint: '`sync=incremental bitmap=b0`',
      solution: ['blockdev-backup device=disk target=target sync=incremental bitmap=b0 job-id=inc'],
      check: { all: [completed('inc'), bitmap('b0', 'disk', { count: 0 })] },
    },
    {
      text: 'Close `target`, and see in the map that `inc.qcow2` holds only the new piece.',
      hint: 'Depth 0 in `qemu-img map` is the image itself, 1 its backing file.',
      solution: ['blockdev-del node-name=target', 'qemu-img map inc.qcow2'],
      check: { all: [noNode('target'), { entered: 'qemu-img map' }] },
    },
  ],
  check: {
    all: [
      info('inc.qcow2', { 'backing-filename': 'full.qcow2' }),
      reads('full.qcow2', 0, '3M 64k'),
      same('disk.qcow2', 'inc.qcow2'),
    ],
  },
};

const moment: Lesson = {
  id: 'transaction',
  title: 'One moment for two disks',
  topic: 'Backups',
  goal: 'Freeze several disks at the same instant, all of them or none.',
  text: [
    'A database on one disk and its log on another have to be saved at the same moment. The actions of a transaction are done together: no write comes between them.',
    'If one action fails, the others are undone.',
  ],
  files: ['data.qcow2', 'log.qcow2', 'data-top.qcow2', 'log-top.qcow2'],
  setup: ['data', 'log'].flatMap((name) => [
    `qemu-img create -q -f qcow2 ${name}.qcow2 8M`,
    `blockdev-add driver=qcow2 node-name=${name} file.driver=file file.filename=${name}.qcow2`,
    `qemu-img create -q -f qcow2 -u -b ${name}.qcow2 -F qcow2 ${name}-top.qcow2 8M`,
    `blockdev-add driver=qcow2 node-name=${name}-top backing=null file.driver=file file.filename=${name}-top.qcow2`,
  ]),
  steps: [
    {
      text: 'Overlays are prepared: `data-top` and `log-top`. Try a transaction that fails: a `blockdev-snapshot` of `data` to `data-top` and then an `abort`. Nothing has changed afterwards.',
      hint: 'The action `abort` takes empty `data` and always fails.',
      solution: [
        'transaction actions=[{"type":"blockdev-snapshot","data":{"node":"data","overlay":"data-top"}},{"type":"abort","data":{}}]',
      ],
      check: { all: [{ entered: 'transaction' }, node('data', { ro: false })] },
    },
    {
      text: 'Now snapshot both disks in one transaction.',
      hint: 'Two actions of the type `blockdev-snapshot`, each with `node` and `overlay`.',
      solution: [
        'transaction actions=[{"type":"blockdev-snapshot","data":{"node":"data","overlay":"data-top"}},{"type":"blockdev-snapshot","data":{"node":"log","overlay":"log-top"}}]',
      ],
      check: { all: [node('data', { ro: true }), node('log', { ro: true })] },
    },
  ],
  check: {
    all: [node('data-top', { ro: false }), node('data', { ro: true }), node('log', { ro: true })],
  },
};

const pull: Lesson = {
  id: 'pull',
  title: 'Let others fetch: pull backups',
  topic: 'Backups',
  goal: 'Offer a disk together with the list of what changed, and begin the next period.',
  text: [
    'In push mode the daemon writes the backup. In pull mode a backup program reads it over NBD, and asks a bitmap which parts are worth reading.',
    'A bitmap that is shown to others must not change. So it is stopped, and a second one takes over in the same instant: no write falls between the two.',
  ],
  files: ['disk.qcow2'],
  setup: [
    'qemu-img create -q -f qcow2 disk.qcow2 8M',
    'qemu-img bitmap --add disk.qcow2 monday',
    'qemu-io -c "write -q -P 5 1M 128k" disk.qcow2',
    OPEN,
    'nbd-server-start addr.type=unix addr.data.path=disk.sock',
  ],
  steps: [
    {
      text: 'In one transaction, add the bitmap `tuesday` and disable `monday`.',
      hint: 'The actions are `block-dirty-bitmap-add` and `block-dirty-bitmap-disable`.',
      solution: [
        'transaction actions=[{"type":"block-dirty-bitmap-add","data":{"node":"disk","name":"tuesday","persistent":true}},{"type":"block-dirty-bitmap-disable","data":{"node":"disk","name":"monday"}}]',
      ],
      check: {
        all: [
          bitmap('monday', 'disk', { recording: false, count: 131072 }),
          bitmap('tuesday', 'disk', { recording: true }),
        ],
      },
    },
    {
      text: 'Export the disk, read-only, with the bitmap `monday`. The id is `e`, the name `pull`.',
      hint: '`block-export-add` takes `bitmaps=["monday"]`.',
      solution: ['block-export-add type=nbd id=e node-name=disk name=pull bitmaps=["monday"]'],
      check: exported('e', 'disk'),
    },
    {
      text: 'The backup program is done. Take the export back and remove `monday`.',
      hint: '`block-dirty-bitmap-remove node=disk name=monday`',
      solution: ['block-export-del id=e', 'block-dirty-bitmap-remove node=disk name=monday'],
      check: {
        all: [{ event: 'BLOCK_EXPORT_DELETED', data: { id: 'e' } }, { not: bitmap('monday', 'disk') }],
      },
    },
  ],
  check: { all: [bitmap('tuesday', 'disk', { recording: true }), { not: bitmap('monday', 'disk') }] },
};

const fleecing: Lesson = {
  id: 'fleecing',
  title: 'Read the past: fleecing',
  topic: 'Backups',
  goal: 'Offer a frozen view of a disk while it is written to.',
  text: [
    'A `copy-before-write` filter sits above the disk. Before a write it saves the old content to a scratch image. A `snapshot-access` node reads the moment when the filter was put in: from the scratch image what has changed, from the disk the rest.',
    'No machine runs here, so a job plays the guest: it copies the one piece that is in `guest` onto the filter.',
  ],
  files: ['disk.qcow2', 'scratch.qcow2', 'guest.qcow2', 'past.qcow2'],
  setup: [
    ...DISK,
    'qemu-img create -q -f qcow2 scratch.qcow2 8M',
    'qemu-img create -q -f qcow2 guest.qcow2 8M',
    'qemu-io -c "write -q -P 0xee 1M 64k" guest.qcow2',
    'qemu-img create -q -f qcow2 past.qcow2 8M',
    ...['disk', 'scratch', 'guest', 'past'].map(
      (name) => `blockdev-add driver=qcow2 node-name=${name} file.driver=file file.filename=${name}.qcow2`,
    ),
  ],
  steps: [
    {
      text: 'Put a copy-before-write filter `cbw` above `disk`, with `scratch` as its target.',
      hint: '`blockdev-add driver=copy-before-write node-name=cbw file=... target=...`',
      solution: ['blockdev-add driver=copy-before-write node-name=cbw file=disk target=scratch'],
      check: node('cbw', { drv: 'copy-before-write' }),
    },
    {
      text: 'Add the node `view` that reads the past.',
      hint: '`blockdev-add driver=snapshot-access node-name=view file=cbw`',
      solution: ['blockdev-add driver=snapshot-access node-name=view file=cbw'],
      check: node('view', { drv: 'snapshot-access' }),
    },
    {
      text: 'Let the guest write: back `guest` up to `cbw` with `sync=top`, which copies only what is in `guest`.',
      hint: '`blockdev-backup device=guest target=cbw sync=top job-id=guest-writes`',
      solution: ['blockdev-backup device=guest target=cbw sync=top job-id=guest-writes'],
      check: { all: [completed('guest-writes'), reads('disk.qcow2', 0xee, '1M 64k')] },
    },
    {
      text: 'The disk has changed, the view has not. Save it: back `view` up to `past`.',
      hint: '`blockdev-backup device=view target=past sync=full job-id=save`',
      solution: ['blockdev-backup device=view target=past sync=full job-id=save'],
      check: completed('save'),
    },
    {
      text: 'Take it all away again: `view`, `cbw`, `past`, in this order.',
      hint: '`blockdev-del` refuses a node that others use.',
      solution: ['blockdev-del node-name=view', 'blockdev-del node-name=cbw', 'blockdev-del node-name=past'],
      check: { all: [noNode('view'), noNode('cbw'), noNode('past')] },
    },
  ],
  check: {
    all: [
      noNode('view'),
      noNode('cbw'),
      noNode('past'),
      reads('disk.qcow2', 0xee, '1M 64k'),
      reads('past.qcow2', 1, '0 2M'),
    ],
  },
};

export const backups: readonly Lesson[] = [full, bitmaps, incremental, moment, pull, fleecing];
