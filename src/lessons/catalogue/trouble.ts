/** Faults, crashes and damage: what happens, what is lost, how to mend it. */
import type { Lesson } from '../lesson';
import { completed, info, is, node, noNode, reads } from './checks';

const damage: Lesson = {
  id: 'check',
  title: 'Check and repair',
  topic: 'When things go wrong',
  goal: 'Find out whether an image is sound, and mend one that is not.',
  text: [
    'A qcow2 image counts for each cluster of its file how often it is used. `qemu-img check` counts again and compares.',
    'A leaked cluster is counted but used by nobody: that wastes space and harms nothing. A cluster that is used and not counted is an error: it could be given away a second time.',
    'The image here is damaged on purpose: its counts are overwritten with zeros. To do that it is opened as `raw`, so that the file itself is written and not the disk inside.',
  ],
  files: ['disk.qcow2'],
  setup: [
    'qemu-img create -q -f qcow2 disk.qcow2 4M',
    'qemu-io -c "write -q -P 1 0 256k" disk.qcow2',
    'qemu-io -f raw -c "write -q -z 128k 64k" disk.qcow2',
  ],
  steps: [
    {
      text: 'Check `disk.qcow2`.',
      hint: '`qemu-img check FILE`; it ends with 2 for errors, 3 for leaks.',
      solution: ['qemu-img check disk.qcow2'],
      check: { entered: 'qemu-img check' },
    },
    {
      text: 'The tables with the data are whole, so the counts can be made again. Repair it.',
      hint: '`-r leaks` mends leaks only, `-r all` everything. Of an image that matters make a copy first.',
      solution: ['qemu-img check -r all disk.qcow2'],
      check: { run: 'qemu-img check -q disk.qcow2' },
    },
    {
      text: 'See that the data is there: the first 256 KiB are the byte 1.',
      hint: '`qemu-io -c "read -P BYTE OFFSET LENGTH" FILE` complains if something else is there.',
      solution: ['qemu-io -c "read -P 1 0 256k" disk.qcow2'],
      check: { all: [{ entered: 'qemu-io' }, reads('disk.qcow2', 1, '0 256k')] },
    },
  ],
  check: { all: [{ run: 'qemu-img check -q disk.qcow2' }, reads('disk.qcow2', 1, '0 256k')] },
};

const crash: Lesson = {
  id: 'crash',
  title: 'A writer is killed',
  topic: 'When things go wrong',
  goal: 'See what survives when a program dies in the middle of its work, and clean up.',
  text: [
    'What was flushed is safe. What was written after the last flush may be lost. That is the contract that guests and file systems are built on.',
    'The image has `lazy_refcounts`: it writes its counts only when it is closed and keeps a dirty flag until then. It also has a bitmap, which is marked as in use while somebody writes.',
    'The command `abort` of `qemu-io` dies at once, with nothing closed and nothing written any more.',
  ],
  files: ['disk.qcow2'],
  setup: [
    'qemu-img create -q -f qcow2 -o lazy_refcounts=on disk.qcow2 4M',
    'qemu-img bitmap --add disk.qcow2 b0',
  ],
  steps: [
    {
      text: 'With a write-back cache, write the byte 1 at 0, flush, write the byte 2 at 1 MiB, and die.',
      hint: '`qemu-io -t writeback -c ... -c flush -c ... -c abort disk.qcow2`',
      solution: [
        'qemu-io -t writeback -c "write -P 1 0 64k" -c flush -c "write -P 2 1M 64k" -c abort disk.qcow2',
      ],
      check: info('disk.qcow2', { 'dirty-flag': true }),
    },
    {
      text: 'See what `qemu-img check` says, and how `qemu-img info` shows the bitmap.',
      solution: ['qemu-img check disk.qcow2', 'qemu-img info disk.qcow2'],
      check: { all: [{ entered: 'qemu-img check' }, { entered: 'qemu-img info' }] },
    },
    {
      text: 'Repair the image.',
      hint: '`qemu-img check -r all`',
      solution: ['qemu-img check -r all disk.qcow2'],
      check: { all: [info('disk.qcow2', { 'dirty-flag': false }), { run: 'qemu-img check -q disk.qcow2' }] },
    },
    {
      text: 'What was flushed is there. The bitmap may have missed writes, so nobody trusts it any more: remove it.',
      hint: '`qemu-img bitmap --remove FILE NAME`',
      solution: ['qemu-io -c "read -P 1 0 64k" disk.qcow2', 'qemu-img bitmap --remove disk.qcow2 b0'],
      check: info('disk.qcow2', { 'format-specific': { data: { bitmaps: { $absent: true } } } }),
    },
  ],
  check: {
    all: [
      { run: 'qemu-img check -q disk.qcow2' },
      info('disk.qcow2', {
        'dirty-flag': false,
        'format-specific': { data: { bitmaps: { $absent: true } } },
      }),
      reads('disk.qcow2', 1, '0 64k'),
    ],
  },
};

const noSpace: Lesson = {
  id: 'enospc',
  title: 'No space left',
  topic: 'When things go wrong',
  goal: 'Let a job stop when its target is full, and go on when there is space again.',
  text: [
    'By default a job ends with the first error. With `on-target-error=enospc` it stops when the target is full, and waits.',
    'The fault is made with `blkdebug`, a node between the image and its file: here it lets one write fail with error 28, which is ENOSPC.',
  ],
  files: ['disk.qcow2', 'full.qcow2'],
  setup: [
    'qemu-img create -q -f qcow2 disk.qcow2 8M',
    'qemu-io -c "write -q -P 3 0 2M" disk.qcow2',
    'blockdev-add driver=qcow2 node-name=disk file.driver=file file.filename=disk.qcow2',
    'qemu-img create -q -f qcow2 full.qcow2 8M',
  ],
  steps: [
    {
      text: 'Open `full.qcow2` as the node `target`, with a `blkdebug` in between that injects error 28 once, at the event `write_aio`.',
      hint: 'The file of the node is `{"driver":"blkdebug","image":{...},"inject-error":[{"event":"write_aio","errno":28,"once":true}]}`.',
      solution: [
        'blockdev-add driver=qcow2 node-name=target file={"driver":"blkdebug","image":{"driver":"file","filename":"full.qcow2"},"inject-error":[{"event":"write_aio","errno":28,"once":true}]}',
      ],
      check: node('target'),
    },
    {
      text: 'Back `disk` up to it; the job is to stop when there is no space.',
      hint: '`blockdev-backup device=disk target=target sync=full job-id=save on-target-error=enospc`',
      solution: ['blockdev-backup device=disk target=target sync=full job-id=save on-target-error=enospc'],
      check: { event: 'BLOCK_JOB_ERROR', data: { device: 'save', action: 'stop' } },
    },
    {
      text: 'The job is paused, its `io-status` is `nospace`. Look at it.',
      solution: ['query-block-jobs'],
      check: { entered: 'query-block-jobs' },
    },
    {
      text: 'Say you made some room. Resume the job.',
      hint: '`block-job-resume device=save`',
      solution: ['block-job-resume device=save'],
      check: completed('save'),
    },
    {
      text: 'Close the target.',
      solution: ['blockdev-del node-name=target'],
      check: noNode('target'),
    },
  ],
  check: { all: [{ not: is('save', 'paused') }, noNode('target'), reads('full.qcow2', 3, '0 2M')] },
};

export const trouble: readonly Lesson[] = [damage, crash, noSpace];
