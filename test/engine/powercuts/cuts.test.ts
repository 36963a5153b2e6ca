/**
 * Power cuts at every write of random sessions: allocating writes, zeros, discards, compressed writes, snapshots, resizing,
 * growth of every table.
 */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { memoryFile, must, newEngine, scratchDirectory } from '../support';
import { cutEverywhere } from './cuts';
import { Session, type Habits } from './session';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const GUEST: Habits = { write: 6, zero: 2, discard: 2, flush: 2 };

interface Subject {
  options: string;
  size: string;
  habits: Habits;
  things: number;
}

const SUBJECTS: Record<string, Subject> = {
  'a guest alone': { options: 'cluster_size=64k', size: '2M', habits: GUEST, things: 120 },
  'small clusters, where the refcount table grows': {
    options: 'cluster_size=512,refcount_bits=64',
    size: '1M',
    habits: { write: 9, discard: 1, flush: 1 },
    things: 40,
  },
  'refcounts of one bit': {
    options: 'cluster_size=4k,refcount_bits=1',
    size: '2M',
    habits: { ...GUEST, compressed: 4, resize: 1 },
    things: 90,
  },
  'version 2': {
    options: 'cluster_size=4k,compat=0.10',
    size: '2M',
    habits: { ...GUEST, snapshot: 2, compressed: 2 },
    things: 70,
  },
  snapshots: {
    options: 'cluster_size=16k',
    size: '2M',
    habits: { ...GUEST, snapshot: 3 },
    things: 90,
  },
  'snapshots of a disk that changes its size': {
    options: 'cluster_size=4k,refcount_bits=2',
    size: '1M',
    habits: { ...GUEST, snapshot: 2, resize: 2, reopen: 1 },
    things: 70,
  },
  'compressed clusters': {
    options: 'cluster_size=64k',
    size: '4M',
    habits: { ...GUEST, compressed: 12, snapshot: 1, resize: 1 },
    things: 130,
  },
  subclusters: {
    options: 'cluster_size=16k,extended_l2=on',
    size: '2M',
    habits: { ...GUEST, compressed: 2, snapshot: 2, resize: 1, reopen: 1 },
    things: 90,
  },
  'subclusters in places that are there before': {
    options: 'cluster_size=64k,extended_l2=on,preallocation=metadata',
    size: '2M',
    habits: { ...GUEST, snapshot: 1 },
    things: 100,
  },
  'persistent bitmaps': {
    options: 'cluster_size=4k',
    size: '2M',
    habits: { ...GUEST, bitmap: 2, resize: 1, reopen: 2 },
    things: 70,
  },
  'bitmaps and subclusters': {
    options: 'cluster_size=16k,extended_l2=on,lazy_refcounts=on',
    size: '2M',
    habits: { ...GUEST, compressed: 1, bitmap: 2, reopen: 2 },
    things: 60,
  },
  'lazy refcounts': {
    options: 'cluster_size=8k,lazy_refcounts=on',
    size: '2M',
    habits: { ...GUEST, compressed: 2, snapshot: 1, resize: 1, reopen: 1 },
    things: 80,
  },
};

test.each(Object.entries(SUBJECTS))(
  '%s',
  { timeout: 300_000 },
  async (name, { options, size, habits, things }) => {
    const path = scratch.path('start.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, size);
    must('qemu-io', '-c', 'write -P 200 0 300k', path);
    const start = readFileSync(path);
    const engine = newEngine();
    const session = new Session(engine, await memoryFile(start), name.length);
    session.run(things, habits);
    const images = await cutEverywhere(engine, start, session.steps, session.guest, things);
    expect(images).toBeGreaterThan(300);
  },
);
