/** The kinds of jobs during which the process is killed: a new kind is one more entry. */
import type { QmpObject } from '../../../src/qapi';

export interface Kind {
  /** Commands before the job. The nodes a, b, c and d are a chain of images, and the guest's disk is d. */
  before?: readonly [command: string, args: QmpObject][];
  /** What starts the job `j`. */
  start: readonly [command: string, args: QmpObject];
  /** Images that are no part of the disk's chain and are still being made: they are not checked. */
  unfinished?: readonly string[];
  /** The image that the guest has in the end, if it is another one. */
  pivot?: string;
  /** The command makes the target, in which there is nothing to look for before. */
  makesTarget?: boolean;
  /** The end waits for the user, while the guest works on. */
  held?: boolean;
  /** The job ends when it is cancelled. */
  endless?: boolean;
  /** What is done when the job is ready. */
  ready?: 'block-job-complete' | 'block-job-cancel';
}

const SPEED = 6 << 20;
/** What is dirty must go away faster than the guest makes more of it. */
const FASTER = 64 << 20;

/** Makes an image `t` for copies of the disk; what is in it before the job has ended is not looked at, but it is sound. */
const TARGET: NonNullable<Kind['before']> = [
  ['blockdev-create', { 'job-id': 'f', options: { driver: 'file', filename: 't.qcow2', size: 0 } }],
  ['blockdev-add', { driver: 'file', 'node-name': 'tf', filename: 't.qcow2' }],
  ['blockdev-create', { 'job-id': 'q', options: { driver: 'qcow2', file: 'tf', size: 4 << 20 } }],
  ['blockdev-add', { driver: 'qcow2', 'node-name': 't', file: 'tf' }],
];

const MIRROR = { device: 'd', target: 't', speed: FASTER } as const;
const DRIVE_MIRROR = { device: 'd', target: 'e.qcow2', speed: FASTER } as const;

export const KINDS: Readonly<Record<string, Kind>> = {
  'stream of the whole chain': { start: ['block-stream', { device: 'd', speed: SPEED }] },
  'stream down to a base': { start: ['block-stream', { device: 'd', 'base-node': 'a', speed: SPEED }] },
  'stream into a backing image': { start: ['block-stream', { device: 'c', 'base-node': 'a', speed: SPEED }] },
  'commit of one image': {
    start: ['block-commit', { device: 'd', 'top-node': 'c', 'base-node': 'b', speed: SPEED }],
  },
  'commit of several images': {
    start: ['block-commit', { device: 'd', 'top-node': 'c', 'base-node': 'a', speed: SPEED }],
  },
  'commit of the active image': {
    start: ['block-commit', { device: 'd', 'base-node': 'a', speed: FASTER }],
    ready: 'block-job-cancel',
  },
  'commit of the active image that the guest leaves': {
    start: ['block-commit', { device: 'd', 'base-node': 'a', speed: FASTER }],
    ready: 'block-job-complete',
    pivot: 'a.qcow2',
  },
  mirror: {
    before: TARGET,
    start: ['blockdev-mirror', { ...MIRROR, sync: 'full' }],
    ready: 'block-job-cancel',
  },
  'mirror that the guest goes over to': {
    before: TARGET,
    start: ['blockdev-mirror', { ...MIRROR, sync: 'full' }],
    ready: 'block-job-complete',
    pivot: 't.qcow2',
  },
  'mirror whose end waits for the user': {
    before: TARGET,
    start: ['blockdev-mirror', { ...MIRROR, sync: 'full', 'auto-finalize': false }],
    held: true,
    ready: 'block-job-complete',
    pivot: 't.qcow2',
  },
  'commit of the active image whose end waits for the user': {
    start: ['block-commit', { device: 'd', 'base-node': 'b', speed: FASTER, 'auto-finalize': false }],
    held: true,
    ready: 'block-job-complete',
    pivot: 'b.qcow2',
  },
  'mirror that guests write to at once': {
    before: TARGET,
    start: ['blockdev-mirror', { ...MIRROR, sync: 'full', 'copy-mode': 'write-blocking' }],
    ready: 'block-job-complete',
    pivot: 't.qcow2',
  },
  'mirror of new writes': {
    before: TARGET,
    start: ['blockdev-mirror', { ...MIRROR, sync: 'none', 'copy-mode': 'write-blocking' }],
    ready: 'block-job-cancel',
  },
  ...Object.fromEntries(
    ['full', 'top', 'none'].map((sync): [string, Kind] => [
      `mirror of a drive, sync ${sync}`,
      {
        start: ['drive-mirror', { ...DRIVE_MIRROR, sync }],
        makesTarget: true,
        ready: 'block-job-complete',
        pivot: 'e.qcow2',
      },
    ]),
  ),
  backup: {
    before: TARGET,
    start: ['blockdev-backup', { device: 'd', target: 't', sync: 'full', speed: SPEED }],
  },
  'backup of what is overwritten': {
    before: TARGET,
    start: ['blockdev-backup', { device: 'd', target: 't', sync: 'none' }],
    endless: true,
  },
  'backup of a drive': {
    start: ['drive-backup', { device: 'd', target: 'e.qcow2', sync: 'full', speed: SPEED }],
    makesTarget: true,
  },
  'backup with a bitmap': {
    before: [...TARGET, ['block-dirty-bitmap-add', { node: 'd', name: 'b', persistent: true }]],
    start: [
      'blockdev-backup',
      { device: 'd', target: 't', sync: 'full', bitmap: 'b', 'bitmap-mode': 'always', speed: SPEED },
    ],
  },
  create: {
    before: [
      ['blockdev-create', { 'job-id': 'f', options: { driver: 'file', filename: 'new.qcow2', size: 0 } }],
      ['blockdev-add', { driver: 'file', 'node-name': 'new', filename: 'new.qcow2' }],
    ],
    start: [
      'blockdev-create',
      { options: { driver: 'qcow2', file: 'new', size: 1 << 27, preallocation: 'metadata' } },
    ],
    unfinished: ['new.qcow2'],
  },
};
