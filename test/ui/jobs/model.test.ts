import { describe, expect, test } from 'vitest';
import type { QmpEvent } from '../../../src/client';
import { JobsModel, throughput, verbsOf, type JobRecord } from '../../../src/ui/jobs/model';
import { sparkline } from '../../../src/ui/jobs/sparkline';
import type { JobsState } from '../../../src/ui/watch/snapshot';

/** An event at a second. */
function event(name: string, data: object, seconds: number): QmpEvent {
  return { event: name, data, timestamp: { seconds, microseconds: 500_000 } } as QmpEvent;
}

function status(id: string, value: string, seconds: number): QmpEvent {
  return event('JOB_STATUS_CHANGE', { id, status: value }, seconds);
}

function answer(done: number, more: object = {}): JobsState {
  return {
    jobs: [{ id: 'j', type: 'mirror', status: 'running', 'current-progress': done, 'total-progress': 100 }],
    blockJobs: [
      {
        device: 'j',
        type: 'mirror',
        speed: 7,
        paused: false,
        'io-status': 'ok',
        'auto-finalize': false,
        'auto-dismiss': true,
        ...more,
      },
    ] as unknown as JobsState['blockJobs'],
  };
}

function one(model: JobsModel): JobRecord {
  const [record] = model.all;
  if (!record) throw new Error('no job');
  return record;
}

const refusals = (record: JobRecord): Record<string, string | null> =>
  Object.fromEntries(verbsOf(record).map(({ verb, refusal }) => [verb, refusal]));

describe('a job', () => {
  test('has a history of states and events', () => {
    const model = new JobsModel();
    expect(model.event(status('j', 'created', 1))).toBe(true);
    model.event(status('j', 'running', 1));
    model.answer(answer(40), 2000);
    model.event(event('BLOCK_JOB_ERROR', { device: 'j', operation: 'write', action: 'ignore' }, 3));
    model.event(status('j', 'aborting', 4));
    model.event(
      event(
        'BLOCK_JOB_COMPLETED',
        { type: 'mirror', device: 'j', len: 100, offset: 60, speed: 7, error: 'No space' },
        4,
      ),
    );
    model.event(status('j', 'concluded', 4));
    expect(model.event(event('BLOCK_IMAGE_CORRUPTED', {}, 4))).toBe(false);
    expect(model.active).toBe(1);
    model.event(status('j', 'null', 5));
    expect(model.active).toBe(0);
    expect(one(model)).toMatchObject({
      type: 'mirror',
      status: 'null',
      done: 60,
      total: 100,
      speed: 7,
      error: 'No space',
      autoFinalize: false,
    });
    expect(one(model).moments.map(({ at, text }) => [at, text])).toEqual([
      [1500, 'created'],
      [1500, 'running'],
      [3500, 'BLOCK_JOB_ERROR: write, ignore'],
      [4500, 'aborting'],
      [4500, 'BLOCK_JOB_COMPLETED: No space'],
      [4500, 'concluded'],
      [5500, 'null'],
    ]);
    model.clear();
    expect(model.all).toEqual([]);
  });

  test('a second one of the same name is another one', () => {
    const model = new JobsModel();
    for (const seconds of [1, 2]) {
      model.event(status('j', 'created', seconds));
      model.event(status('j', 'null', seconds));
    }
    expect(model.all).toHaveLength(2);
    expect(one(model).moments[0]?.at).toBe(2500);
  });

  test('is gone when the daemon does not know it any more', () => {
    const model = new JobsModel();
    model.event(status('j', 'created', 1));
    model.answer(answer(1), 2000);
    model.answer({ jobs: [], blockJobs: [] }, 1600);
    expect(one(model).status).toBe('running');
    model.answer({ jobs: [], blockJobs: [] }, 9000);
    expect(one(model).status).toBe('null');
  });

  test('only some that are gone are kept', () => {
    const model = new JobsModel();
    for (let i = 0; i < 30; i++) {
      model.event(status(`j${i}`, 'created', i));
      model.event(status(`j${i}`, 'null', i));
    }
    expect(model.all.map(({ id }) => id)).toEqual(Array.from({ length: 12 }, (_, i) => `j${29 - i}`));
  });
});

describe('verbs', () => {
  test('are refused in the words of QEMU', () => {
    const model = new JobsModel();
    model.event(status('j', 'created', 1));
    model.answer(answer(1), 2000);
    expect(refusals(one(model))).toEqual({
      pause: null,
      resume: "Can't resume a job that was not paused",
      complete: "Job 'j' in state 'running' cannot accept command verb 'complete'",
      finalize: "Job 'j' in state 'running' cannot accept command verb 'finalize'",
      cancel: null,
      dismiss: "Job 'j' in state 'running' cannot accept command verb 'dismiss'",
      'set-speed': null,
      change: null,
    });
    model.answer(answer(1, { paused: true }), 3000);
    expect(refusals(one(model))).toMatchObject({ pause: 'Job is already paused', resume: null });
    model.event(status('j', 'concluded', 4));
    expect(refusals(one(model))).toMatchObject({
      cancel: "Job 'j' in state 'concluded' cannot accept command verb 'cancel'",
      dismiss: null,
    });
  });

  test('of a job that is no block job have neither speed nor change', () => {
    const model = new JobsModel();
    model.event(status('c', 'created', 1));
    expect(Object.keys(refusals(one(model)))).toEqual([
      'pause',
      'resume',
      'complete',
      'finalize',
      'cancel',
      'dismiss',
    ]);
  });
});

describe('throughput', () => {
  test('is averaged, and never below nothing', () => {
    const samples = [
      { at: 0, done: 0 },
      { at: 1000, done: 100 },
      { at: 2000, done: 100 },
      { at: 2000, done: 400 },
      { at: 3000, done: 50 },
    ];
    expect(throughput(samples, 1)).toEqual([100, 0, 0]);
    expect(throughput(samples, 2)).toEqual([100, 50, 300, 0]);
    expect(throughput([], 3)).toEqual([]);
  });

  test('as a curve: the largest at the top, nothing without a number', () => {
    expect(sparkline([], 100, 20)).toEqual({ line: '', area: '', top: 0 });
    expect(sparkline([0, 0], 100, 20).line).toBe('');
    expect(sparkline([0, 5, 10], 100, 20)).toEqual({
      line: 'M0.0 19.0L50.0 10.0L100.0 1.0',
      area: 'M0.0 19.0L50.0 10.0L100.0 1.0L100 20L0 20z',
      top: 10,
    });
  });
});
