/** Jobs: how they live, how they move a disk, and who else may have it. */
import type { Lesson } from '../lesson';
import { completed, exported, idle, is, node, noNode, same, was } from './checks';

const DISK: readonly string[] = [
  'qemu-img create -q -f qcow2 disk.qcow2 16M',
  'qemu-io -c "write -q -P 0x11 0 4M" disk.qcow2',
  'blockdev-add driver=qcow2 node-name=disk file.driver=file file.filename=disk.qcow2',
];
const COPY: readonly string[] = [
  'qemu-img create -q -f qcow2 copy.qcow2 16M',
  'blockdev-add driver=qcow2 node-name=copy file.driver=file file.filename=copy.qcow2',
];

const lifecycle: Lesson = {
  id: 'job-life',
  title: 'The life of a job',
  topic: 'Jobs',
  goal: 'Take a job through all of its states by hand.',
  text: [
    'Long work is done by jobs. A job is created, runs, and, when its work is done, waits for others of its transaction. Then it is pending: ready to be finalized. Once concluded, its result can be asked for, until it is dismissed.',
    'Normally the last two happen by themselves. With `auto-finalize=false` and `auto-dismiss=false` they wait for you, so that a program can be sure to see them.',
  ],
  files: ['disk.qcow2', 'copy.qcow2'],
  setup: [...DISK, ...COPY],
  steps: [
    {
      text: 'Start a backup of `disk` to `copy` with the id `j`, at 1 MiB a second, that neither finalizes nor dismisses itself.',
      hint: '`blockdev-backup` with `device`, `target`, `sync=full`, `job-id` and `speed` in bytes a second.',
      solution: [
        'blockdev-backup device=disk target=copy sync=full job-id=j speed=1048576 auto-finalize=false auto-dismiss=false',
      ],
      check: was('j', 'running'),
    },
    {
      text: 'Pause it, and look at it with `query-jobs`.',
      hint: '`job-pause id=j`',
      solution: ['job-pause id=j', 'query-jobs'],
      // Each backup pauses for a moment when it starts: what counts is the command.
      check: { all: [{ entered: 'job-pause id=j' }, was('j', 'paused')] },
    },
    {
      text: 'Let it run again, as fast as it can.',
      hint: '`job-resume id=j`, and `block-job-set-speed device=j speed=0` takes the limit away.',
      solution: ['job-resume id=j', 'block-job-set-speed device=j speed=0'],
      check: was('j', 'pending'),
    },
    {
      text: 'It is pending. Finalize it.',
      hint: '`job-finalize id=j`',
      solution: ['job-finalize id=j'],
      check: { all: [completed('j'), was('j', 'concluded')] },
    },
    {
      text: 'It is concluded and still in the list. Dismiss it.',
      hint: '`job-dismiss id=j`',
      solution: ['job-dismiss id=j'],
      check: { all: [was('j', 'null'), idle] },
    },
    {
      text: 'Delete the node `copy`, so that its file is closed.',
      solution: ['blockdev-del node-name=copy'],
      check: noNode('copy'),
    },
  ],
  check: { all: [idle, noNode('copy'), same('disk.qcow2', 'copy.qcow2')] },
};

const mirror: Lesson = {
  id: 'mirror',
  title: 'Move a disk to another file',
  topic: 'Jobs',
  goal: 'Copy a disk in use with a mirror and move its user to the copy.',
  text: [
    'A mirror copies a disk and then keeps the copy up to date with each write. When both are the same it is READY.',
    '`block-job-complete` moves the user over to the copy, the pivot. That is how a disk moves to another storage while a machine runs.',
  ],
  files: ['disk.qcow2', 'copy.qcow2'],
  setup: [
    ...DISK,
    'nbd-server-start addr.type=unix addr.data.path=disk.sock',
    'block-export-add type=nbd id=guest node-name=disk name=disk writable=true',
  ],
  steps: [
    {
      text: 'Make an image of the same size, `copy.qcow2`, and open it as the node `copy`.',
      hint: '`qemu-img create`, then `blockdev-add driver=qcow2 node-name=copy file.driver=file file.filename=copy.qcow2`.',
      solution: COPY,
      check: node('copy', { image: { 'virtual-size': 16777216 } }),
    },
    {
      text: 'Mirror `disk` to it, with all of its content.',
      hint: '`blockdev-mirror device=disk target=copy sync=full job-id=move`',
      solution: ['blockdev-mirror device=disk target=copy sync=full job-id=move'],
      check: was('move', 'ready'),
    },
    {
      text: 'Complete the job. The export moves to `copy`.',
      hint: '`block-job-complete device=move`',
      solution: ['block-job-complete device=move'],
      check: { all: [completed('move'), exported('guest', 'copy')] },
    },
    {
      text: 'The old disk is not needed any more: delete the node `disk`.',
      solution: ['blockdev-del node-name=disk'],
      check: noNode('disk'),
    },
  ],
  check: {
    all: [
      exported('guest', 'copy'),
      noNode('disk'),
      { not: is('move', 'ready') },
      same('disk.qcow2', 'copy.qcow2'),
    ],
  },
};

const driveMirror: Lesson = {
  id: 'mirror-copy',
  title: 'A copy by mirror',
  topic: 'Jobs',
  goal: 'Use a mirror for a copy of a moment that you choose, and stay on the old disk.',
  text: [
    '`drive-mirror` makes the target file by itself. A mirror that is READY and then cancelled softly ends well: the copy is what the disk was at that moment, and the user stays.',
    'A hard cancel (`force=true`) does not wait for anything: the copy is then worth nothing. `job-cancel` is always a hard one.',
  ],
  files: ['disk.qcow2', 'copy.qcow2'],
  setup: DISK,
  steps: [
    {
      text: 'Mirror `disk` to a new file `copy.qcow2`.',
      hint: '`drive-mirror device=disk target=copy.qcow2 format=qcow2 sync=full job-id=copy`',
      solution: ['drive-mirror device=disk target=copy.qcow2 format=qcow2 sync=full job-id=copy'],
      check: was('copy', 'ready'),
    },
    {
      text: 'End it softly. The copy is complete and nobody has it open any more.',
      hint: '`block-job-cancel device=copy`',
      solution: ['block-job-cancel device=copy'],
      check: { all: [completed('copy'), idle] },
    },
  ],
  check: { all: [idle, node('disk'), same('disk.qcow2', 'copy.qcow2')] },
};

const nbd: Lesson = {
  id: 'nbd',
  title: 'Give a disk away: NBD exports',
  topic: 'Jobs',
  goal: 'Serve a disk to other programs over NBD, and take it back.',
  text: [
    'An export makes a node a disk for others. The server listens on a socket and can serve many exports, each under a name of its own.',
    'In this page a socket lives in the page: other parts of it, and programs that embed it, connect there. Under Node.js it is a real one.',
    'An export uses its node and does not let others resize or delete it.',
  ],
  files: ['disk.qcow2'],
  setup: DISK,
  steps: [
    {
      text: 'Start the NBD server on the unix socket `disk.sock`.',
      hint: '`nbd-server-start addr.type=unix addr.data.path=disk.sock`',
      solution: ['nbd-server-start addr.type=unix addr.data.path=disk.sock'],
      check: { entered: 'nbd-server-start' },
    },
    {
      text: 'Export `disk` as `d`, to be written, with the id `e`.',
      hint: '`block-export-add type=nbd id=... node-name=... name=... writable=true`',
      solution: ['block-export-add type=nbd id=e node-name=disk name=d writable=true'],
      check: exported('e', 'disk'),
    },
    {
      text: 'Try to delete the node `disk`, and read why that is refused.',
      solution: ['blockdev-del node-name=disk'],
      check: { all: [{ entered: 'blockdev-del node-name=disk' }, node('disk')] },
    },
    {
      text: 'Take the export back and then delete the node.',
      hint: '`block-export-del id=e` first.',
      solution: ['block-export-del id=e', 'blockdev-del node-name=disk'],
      check: { all: [{ event: 'BLOCK_EXPORT_DELETED', data: { id: 'e' } }, noNode('disk')] },
    },
  ],
  check: { all: [{ query: 'query-block-exports', answers: { $length: 0 } }, noNode('disk')] },
};

export const jobs: readonly Lesson[] = [lifecycle, mirror, driveMirror, nbd];
