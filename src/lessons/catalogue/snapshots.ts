/** Chains of images: growing them while in use, and making them shorter again. */
import type { Lesson } from '../lesson';
import { completed, info, is, node, noNode, reads, same, was } from './checks';

/** Lines that make three images, each above the one before, with 1 MiB of their own. */
const CHAIN: readonly string[] = [
  'qemu-img create -q -f qcow2 a.qcow2 16M',
  'qemu-io -c "write -q -P 0xaa 0 1M" a.qcow2',
  'qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2',
  'qemu-io -c "write -q -P 0xbb 1M 1M" b.qcow2',
  'qemu-img create -q -f qcow2 -b b.qcow2 -F qcow2 c.qcow2',
  'qemu-io -c "write -q -P 0xcc 2M 1M" c.qcow2',
  'qemu-img convert -O raw c.qcow2 ref.raw',
];
/** Lines that open them as nodes `a`, `b` and `c`. */
const NODES: readonly string[] = [
  'blockdev-add driver=qcow2 node-name=a file.driver=file file.filename=a.qcow2',
  'blockdev-add driver=qcow2 node-name=b backing=a file.driver=file file.filename=b.qcow2',
  'blockdev-add driver=qcow2 node-name=c backing=b file.driver=file file.filename=c.qcow2',
];
const FILES: readonly string[] = ['a.qcow2', 'b.qcow2', 'c.qcow2', 'ref.raw'];

const snapshot: Lesson = {
  id: 'snapshot-chain',
  title: 'Snapshots while the disk is in use',
  topic: 'Snapshots',
  goal: 'Grow a chain a ← b ← c without stopping whoever uses the disk.',
  text: [
    'A snapshot of this kind is a new, empty image on top: its overlay. From then on all writes go to the overlay, and the image below, its backing file, stays as it was at that moment.',
    'Whoever uses the disk is moved to the new top on the way. Here the user is an export: it names the node that it serves, so you can watch it move in the graph.',
  ],
  files: ['a.qcow2', 'b.qcow2', 'c.qcow2'],
  setup: [
    'qemu-img create -q -f qcow2 a.qcow2 16M',
    'qemu-io -c "write -q -P 1 0 1M" a.qcow2',
    'blockdev-add driver=qcow2 node-name=a file.driver=file file.filename=a.qcow2',
    'nbd-server-start addr.type=unix addr.data.path=disk.sock',
    'block-export-add type=nbd id=guest node-name=a name=disk writable=true',
  ],
  steps: [
    {
      text: 'Take a snapshot of the node `a`: the overlay is the file `b.qcow2` and the node `b`.',
      hint: '`blockdev-snapshot-sync` makes the file and the node. It wants `node-name`, `snapshot-file`, `snapshot-node-name` and `format`.',
      solution: [
        'blockdev-snapshot-sync node-name=a snapshot-file=b.qcow2 snapshot-node-name=b format=qcow2',
      ],
      check: { query: 'query-block-exports', answers: [{ id: 'guest', 'node-name': 'b' }] },
    },
    {
      text: 'The export serves `b` now and `a` cannot be written any more. Take another snapshot, on top of `b`: `c.qcow2`, node `c`.',
      solution: [
        'blockdev-snapshot-sync node-name=b snapshot-file=c.qcow2 snapshot-node-name=c format=qcow2',
      ],
      check: { query: 'query-block-exports', answers: [{ id: 'guest', 'node-name': 'c' }] },
    },
    {
      text: 'Look at the whole chain. The image is in use, so the tool has to be told that what it reads may change: `-U`.',
      hint: '`qemu-img info` has the option `--backing-chain`.',
      solution: ['qemu-img info -U --backing-chain c.qcow2'],
      check: { entered: 'qemu-img info --backing-chain' },
    },
  ],
  check: {
    all: [
      { query: 'query-block-exports', answers: [{ id: 'guest', 'node-name': 'c' }] },
      node('a', { ro: true }),
      node('b', { ro: true }),
      info('c.qcow2', { 'backing-filename': 'b.qcow2' }),
    ],
  },
};

const stream: Lesson = {
  id: 'stream',
  title: 'Shorten a chain from above: stream',
  topic: 'Snapshots',
  goal: 'Pull the data of the backing files into the top image, so that it needs them no more.',
  text: [
    'A long chain is slow, and all of its files have to be kept. `block-stream` copies what the backing files have, and the top has not, up into the top.',
    'With `base-node` it stops above that node: only what is between is pulled, and the base becomes the backing file.',
  ],
  files: FILES,
  setup: [...CHAIN, ...NODES],
  steps: [
    {
      text: 'Stream into `c` all that is above `a`. The chain becomes a ← c.',
      hint: '`block-stream device=NODE base-node=NODE job-id=ID`',
      solution: ['block-stream device=c base-node=a job-id=up'],
      check: { all: [completed('up'), node('c', { backing_file: 'a.qcow2' })] },
    },
    {
      text: 'The node `b` is there still, but nothing uses it. Delete it.',
      hint: '`blockdev-del node-name=b`',
      solution: ['blockdev-del node-name=b'],
      check: noNode('b'),
    },
    {
      text: 'Stream the rest, so that `c` stands alone.',
      hint: 'Without `base-node` everything is pulled.',
      solution: ['block-stream device=c job-id=rest'],
      check: { all: [completed('rest'), info('c.qcow2', { 'backing-filename': { $absent: true } })] },
    },
  ],
  check: {
    all: [
      info('c.qcow2', { 'backing-filename': { $absent: true } }),
      noNode('b'),
      same('ref.raw', 'c.qcow2'),
    ],
  },
};

const commitMiddle: Lesson = {
  id: 'commit-middle',
  title: 'Shorten a chain from below: commit',
  topic: 'Snapshots',
  goal: 'Write a layer in the middle down into the image below it.',
  text: [
    'Commit goes the other way than stream: data is copied down. `block-commit` takes a `top-node`, which is emptied into the `base-node`. What was above the top then sits on the base.',
    'Choose by the amount: stream copies what is below, commit what is above. The image that was committed is of no use afterwards: what is below it has changed.',
  ],
  files: FILES,
  setup: [...CHAIN, ...NODES],
  steps: [
    {
      text: 'Commit `b` into `a`. The device is the top of the chain, `c`.',
      hint: '`block-commit device=c top-node=... base-node=... job-id=down`',
      solution: ['block-commit device=c top-node=b base-node=a job-id=down'],
      check: { all: [completed('down'), node('c', { backing_file: 'a.qcow2' })] },
    },
    {
      text: 'Delete the node `b` and its file.',
      hint: '`blockdev-del`, then `rm`.',
      solution: ['blockdev-del node-name=b', 'rm b.qcow2'],
      check: { all: [noNode('b'), { run: 'ls b.qcow2', code: 2 }] },
    },
  ],
  check: {
    all: [noNode('b'), info('c.qcow2', { 'backing-filename': 'a.qcow2' }), same('ref.raw', 'c.qcow2')],
  },
};

const commitActive: Lesson = {
  id: 'commit-active',
  title: 'Commit the layer in use',
  topic: 'Snapshots',
  goal: 'Write the top of a chain down and move its user there.',
  text: [
    'To commit the top itself, the job has to keep up with whoever still writes to it. So it does not end by itself: when base and top are the same it is READY, and stays so.',
    'Then you decide. `block-job-complete` moves the user down to the base, and the overlays are not needed any more. `block-job-cancel` leaves everything where it is.',
  ],
  files: FILES,
  setup: [
    ...CHAIN,
    ...NODES,
    'nbd-server-start addr.type=unix addr.data.path=disk.sock',
    'block-export-add type=nbd id=guest node-name=c name=disk writable=true',
  ],
  steps: [
    {
      text: 'Commit the chain from its top `c` into `a`.',
      hint: 'Leave out `top-node`: the top is the device then.',
      solution: ['block-commit device=c base-node=a job-id=down'],
      check: was('down', 'ready'),
    },
    {
      text: 'The job is READY: look at it.',
      hint: '`query-block-jobs`, or the panel of jobs.',
      solution: ['query-block-jobs'],
      check: { any: [{ entered: 'query-block-jobs' }, { entered: 'query-jobs' }] },
    },
    {
      text: 'Complete it and watch the export move to `a`.',
      hint: '`block-job-complete device=down`',
      solution: ['block-job-complete device=down'],
      check: {
        all: [
          completed('down'),
          { query: 'query-block-exports', answers: [{ id: 'guest', 'node-name': 'a' }] },
        ],
      },
    },
  ],
  check: {
    all: [
      { query: 'query-block-exports', answers: [{ id: 'guest', 'node-name': 'a' }] },
      { not: is('down', 'ready') },
      same('ref.raw', 'a.qcow2'),
    ],
  },
};

const internal: Lesson = {
  id: 'internal-snapshots',
  title: 'Snapshots inside of an image',
  topic: 'Snapshots',
  goal: 'Keep a state of a disk in the same file, and go back to it.',
  text: [
    'A qcow2 image can keep snapshots in itself. Clusters are then shared between the disk and its snapshots, and counted: a cluster is copied when the disk writes to one that a snapshot needs.',
    'Going back is for images that nobody has open.',
  ],
  files: ['disk.qcow2'],
  setup: ['qemu-img create -q -f qcow2 disk.qcow2 8M', 'qemu-io -c "write -q -P 1 0 1M" disk.qcow2'],
  steps: [
    {
      text: 'Take a snapshot named `good` of the disk in `disk.qcow2`.',
      hint: '`qemu-img snapshot -c NAME FILE`',
      solution: ['qemu-img snapshot -c good disk.qcow2'],
      check: info('disk.qcow2', { snapshots: [{ name: 'good' }] }),
    },
    {
      text: 'Spoil the disk: write the byte 0x99 over its first MiB.',
      hint: '`qemu-io -c "write -P 0x99 0 1M" disk.qcow2`',
      solution: ['qemu-io -c "write -P 0x99 0 1M" disk.qcow2'],
      check: reads('disk.qcow2', 0x99, '0 1M'),
    },
    {
      text: 'Go back to `good`.',
      hint: '`-a` applies a snapshot, `-l` lists them, `-d` deletes one.',
      solution: ['qemu-img snapshot -a good disk.qcow2'],
      check: { all: [{ entered: 'qemu-img snapshot -a' }, reads('disk.qcow2', 1, '0 1M')] },
    },
  ],
  check: {
    all: [info('disk.qcow2', { snapshots: [{ name: 'good' }] }), reads('disk.qcow2', 1, '0 1M')],
  },
};

export const snapshots: readonly Lesson[] = [snapshot, stream, commitMiddle, commitActive, internal];
