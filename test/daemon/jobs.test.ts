import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Job, JobControl, JobDriver, JobOptions } from '../../src/daemon/jobs/job';
import { TRANSITIONS, VERBS, type JobVerb } from '../../src/qapi/job-states';
import { JobTransaction } from '../../src/daemon/jobs/transaction';
import { QmpError, type JobStatus } from '../../src/qapi';
import { Bench } from './jobbench';

const AUTOMATIC: JobOptions = { autoFinalize: true, autoDismiss: true };
const MANUAL: JobOptions = { autoFinalize: false, autoDismiss: false };

/** A driver that works until it is told to end, and logs how it ended. */
class Worker implements JobDriver {
  readonly type = 'create';
  readonly ends: string[] = [];
  stop: null | 'well' | 'badly' = null;
  failPrepare = false;

  async run(control: JobControl): Promise<void> {
    for (let done = 0; this.stop === null; done++) {
      control.setProgress(done, 100);
      await control.pausePoint();
    }
    if (this.stop === 'badly') throw new Error('Input/output error');
  }
  async prepare(): Promise<void> {
    this.ends.push('prepare');
    if (this.failPrepare) throw new Error('Operation not permitted');
  }
  commit(): void {
    this.ends.push('commit');
  }
  abort(): void {
    this.ends.push('abort');
  }
  clean(): void {
    this.ends.push('clean');
  }
}

const desc = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    if (error instanceof QmpError) return error.desc;
    throw error;
  }
  return 'done';
};

async function started(options = AUTOMATIC): Promise<{ bench: Bench; worker: Worker; job: Job }> {
  const bench = new Bench();
  const worker = new Worker();
  const job = bench.table.create('j', worker, options);
  job.start();
  await bench.settle();
  return { bench, worker, job };
}

describe('a job', () => {
  it('runs, waits, is pending, concludes and vanishes', async () => {
    const { bench, worker, job } = await started();
    expect(bench.table.list()).toEqual([job]);
    worker.stop = 'well';
    await bench.settle();
    expect(bench.statuses()).toBe('created running waiting pending concluded null');
    expect(worker.ends).toEqual(['prepare', 'commit', 'clean']);
    expect(bench.table.list()).toEqual([]);
  });

  it('waits for the user where that was asked for', async () => {
    const { bench, worker, job } = await started(MANUAL);
    worker.stop = 'well';
    await bench.settle();
    expect(bench.statuses()).toBe('created running waiting pending');
    await job.finalize();
    expect(bench.statuses()).toBe('concluded');
    await job.dismiss();
    expect(bench.statuses()).toBe('null');
  });

  it('fails with its error', async () => {
    const { bench, worker, job } = await started(MANUAL);
    worker.stop = 'badly';
    await bench.settle();
    expect(bench.statuses()).toBe('created running aborting concluded');
    expect(job.info()).toMatchObject({ status: 'concluded', error: 'Input/output error' });
    expect(worker.ends).toEqual(['abort', 'clean']);
  });

  it('fails when its last preparations do', async () => {
    const { bench, worker, job } = await started(MANUAL);
    worker.stop = 'well';
    worker.failPrepare = true;
    await bench.settle();
    await job.finalize();
    expect(bench.statuses()).toBe('created running waiting pending aborting concluded');
    expect(job.info().error).toBe('Operation not permitted');
    expect(worker.ends).toEqual(['prepare', 'abort', 'clean']);
  });

  it('pauses at its next pause point and goes on', async () => {
    const { bench, job } = await started();
    job.pause();
    expect(bench.statuses()).toBe('created running paused');
    expect(desc(() => job.pause())).toBe('Job is already paused');
    await bench.settle();
    expect(bench.statuses()).toBe('');
    const { 'current-progress': before } = job.info();
    await bench.settle();
    expect(job.info()['current-progress']).toBe(before);
    const resumed = job.resume();
    expect(bench.statuses()).toBe('running');
    await bench.settle();
    await resumed;
    expect(job.info()['current-progress']).toBeGreaterThan(before);
    expect(desc(() => job.resume())).toBe("Can't resume a job that was not paused");
  });

  it('can be paused, resumed and paused again before it looked', async () => {
    const { bench, job } = await started();
    bench.statuses();
    job.pause();
    void job.resume();
    job.pause();
    await bench.settle();
    expect(bench.statuses()).toBe('paused running paused');
    void job.resume();
    job.pause();
    await bench.settle();
    expect(job.status).toBe('paused');
    void job.resume();
    await bench.settle();
    expect(job.status).toBe('running');
  });

  it('is cancelled while it works, while it is paused, and while it waits for the user', async () => {
    for (const state of ['running', 'paused', 'pending'] as const) {
      const { bench, worker, job } = await started(MANUAL);
      if (state === 'paused') job.pause();
      if (state === 'pending') worker.stop = 'well';
      await bench.settle();
      expect(job.status).toBe(state);
      bench.statuses();
      void job.cancel();
      await bench.settle();
      expect(bench.statuses()).toBe(state === 'paused' ? 'running aborting concluded' : 'aborting concluded');
      expect(job.info().error).toBe('Operation canceled');
      expect(worker.ends).toEqual(['abort', 'clean']);
    }
  });

  it('is cancelled while it makes its last preparations', async () => {
    const { bench, worker, job } = await started(MANUAL);
    worker.stop = 'well';
    await bench.settle();
    bench.statuses();
    const finalized = job.finalize();
    void job.cancel();
    await finalized;
    expect(bench.statuses()).toBe('aborting concluded');
    expect(worker.ends).toEqual(['prepare', 'abort', 'clean']);
  });

  it('refuses ids that are none or taken, and verbs that its state does not take', async () => {
    const { bench, job } = await started();
    for (const id of ['', '1j', '-', 'a b', 'ä'])
      expect(desc(() => bench.table.create(id, new Worker(), AUTOMATIC))).toBe(`Invalid job ID '${id}'`);
    expect(desc(() => bench.table.create('j', new Worker(), AUTOMATIC))).toBe("Job ID 'j' already in use");
    expect(desc(() => bench.table.find('k'))).toBe('Job not found');
    await expect(job.dismiss()).rejects.toThrow(
      "Job 'j' in state 'running' cannot accept command verb 'dismiss'",
    );
    expect(desc(() => job.complete())).toBe(
      "Job 'j' in state 'running' cannot accept command verb 'complete'",
    );
  });

  it('is ended by the end of the daemon', async () => {
    const { bench, job } = await started(MANUAL);
    job.pause();
    await bench.settle();
    const end = bench.table.shutDown([]);
    await bench.settle();
    await end;
    expect(bench.statuses()).toBe('created running paused running aborting concluded null');
  });
});

describe('jobs of one transaction', () => {
  const pair = async (options: JobOptions): Promise<{ bench: Bench; workers: Worker[]; jobs: Job[] }> => {
    const bench = new Bench();
    const workers = [new Worker(), new Worker()];
    const transaction = new JobTransaction();
    const jobs = workers.map((worker, i) => bench.table.create(`j${i}`, worker, options, transaction));
    for (const job of jobs) job.start();
    await bench.settle();
    bench.log.length = 0;
    return { bench, workers, jobs };
  };

  it('wait for each other', async () => {
    const { bench, workers } = await pair(AUTOMATIC);
    const [first, second] = workers as [Worker, Worker];
    second.stop = 'well';
    await bench.settle();
    expect(bench.log).toEqual(['j1 waiting']);
    first.stop = 'well';
    await bench.settle();
    expect(bench.log.slice(1)).toEqual([
      'j0 waiting',
      'j1 pending',
      'j0 pending',
      'j1 concluded',
      'j1 null',
      'j0 concluded',
      'j0 null',
    ]);
  });

  it('fail together', async () => {
    const { bench, workers, jobs } = await pair(MANUAL);
    const [first, second] = workers as [Worker, Worker];
    second.stop = 'well';
    await bench.settle();
    first.stop = 'badly';
    await bench.settle();
    expect(jobs.map((job) => job.info().error)).toEqual(['Input/output error', 'Operation canceled']);
    expect(jobs.map((job) => job.status)).toEqual(['concluded', 'concluded']);
    expect(second.ends).toEqual(['abort', 'clean']);
  });

  it('fail together when one cannot make its last preparations', async () => {
    const { bench, workers, jobs } = await pair(AUTOMATIC);
    const [first, second] = workers as [Worker, Worker];
    second.failPrepare = true;
    first.stop = second.stop = 'well';
    await bench.settle();
    expect(jobs.map((job) => job.status)).toEqual(['null', 'null']);
    expect(jobs.map((job) => job.error)).toEqual(['Operation canceled', 'Operation not permitted']);
    expect([first.ends, second.ends]).toEqual([
      ['abort', 'clean'],
      ['prepare', 'abort', 'clean'],
    ]);
  });
});

describe('the tables', () => {
  it('lead every state to its end', () => {
    const reach = (from: JobStatus, seen = new Set<JobStatus>()): Set<JobStatus> => {
      if (!seen.has(from)) {
        seen.add(from);
        for (const next of TRANSITIONS[from]) reach(next, seen);
      }
      return seen;
    };
    for (const status of Object.keys(TRANSITIONS) as JobStatus[])
      expect(reach(status).has('null')).toBe(true);
  });

  it('take no verb of a job that is gone', () => {
    for (const verb of Object.keys(VERBS) as JobVerb[])
      for (const status of ['undefined', 'aborting', 'null'] as const)
        expect(VERBS[verb]).not.toContain(status);
  });
});

describe('any sequence of verbs', () => {
  const verbs = [
    'pause',
    'resume',
    'cancel',
    'complete',
    'finalize',
    'dismiss',
    'settle',
    'well',
    'badly',
  ] as const;

  it('keeps each job on the ways of the table, and lets the daemon end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(1), fc.constantFrom(...verbs)), { maxLength: 12 }),
        fc.boolean(),
        fc.boolean(),
        async (sequence, together, automatic) => {
          const bench = new Bench();
          const transaction = new JobTransaction();
          const workers = [new Worker(), new Worker()] as const;
          const jobs = workers.map((worker, i) =>
            bench.table.create(
              `j${i}`,
              worker,
              automatic ? AUTOMATIC : MANUAL,
              together ? transaction : new JobTransaction(),
            ),
          );
          for (const job of jobs) job.start();
          for (const [which, verb] of sequence) {
            const job = jobs[which];
            const worker = workers[which];
            if (!job || !worker) continue;
            if (verb === 'settle') await bench.settle();
            else if (verb === 'well' || verb === 'badly') worker.stop ??= verb;
            else {
              try {
                const [done] = await Promise.all([job[verb](), bench.settle(3)]);
                expect(done).toBeUndefined();
              } catch (error) {
                if (!(error instanceof QmpError)) throw error;
              }
            }
          }
          const end = bench.table.shutDown([]);
          await bench.settle();
          await end;
          expect(bench.table.list()).toEqual([]);
          // `become` throws on a way that is not in the table; here: all the ways are there, from first to last.
          for (const id of ['j0', 'j1']) {
            const way = bench.log
              .filter((line) => line.startsWith(id))
              .map((line) => line.slice(3) as JobStatus);
            expect([way[0], way.at(-1)]).toEqual(['created', 'null']);
          }
          for (const worker of workers) expect(worker.ends.filter((end) => end === 'clean')).toHaveLength(1);
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});
