import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockJob, BlockJobControl, BlockJobDriver } from '../../src/daemon/jobs/blockjob';
import { RateLimit } from '../../src/daemon/jobs/ratelimit';
import { JobTransaction } from '../../src/daemon/jobs/transaction';
import { Turns } from '../../src/daemon/jobs/turns';
import { BlockError } from '../../src/engine/contract';
import { Errno } from '../../src/files/contract';
import { QmpError, type BlockdevOnError } from '../../src/qapi';
import { Bench } from './jobbench';

const OPTIONS = { autoFinalize: true, autoDismiss: true, speed: 0 };
const MANUAL = { autoFinalize: false, autoDismiss: false, speed: 0 };

/** Does what the test says, one piece at each turn; with `ready` it then waits for `complete`. */
class Worker implements BlockJobDriver {
  readonly type = 'mirror';
  readonly eager = true;
  readonly softCancel = true;
  pieces = 0;
  end = false;
  ready = false;
  failure: Errno | null = null;
  policy: BlockdevOnError = 'report';
  pivoted = false;
  private completing = false;

  async run(control: BlockJobControl): Promise<void> {
    while (!this.end) {
      await control.pausePoint();
      if (this.failure !== null) {
        const error = new BlockError(this.failure, 'Input/output error');
        const action = control.requestFailed(this.policy, 'write', error);
        if (action === 'report') throw error;
        if (action === 'ignore') this.failure = null;
        continue;
      }
      control.setProgress(++this.pieces, 1000);
      control.account(1000);
    }
    if (!this.ready) return;
    control.becomeReady();
    while (!this.completing && !control.cancelRequested) await control.sleep(100_000);
    this.pivoted = this.completing;
  }
  complete(): void {
    this.completing = true;
  }
}

const desc = async (call: () => unknown): Promise<string> => {
  try {
    await call();
  } catch (error) {
    if (error instanceof QmpError) return error.desc;
    throw error;
  }
  return 'done';
};

/** A job that works; each round of the bench is a millisecond, and five of them a turn. */
async function started(
  options = OPTIONS,
  prepare: (worker: Worker) => void = () => undefined,
): Promise<{ bench: Bench; worker: Worker; job: BlockJob }> {
  const bench = new Bench();
  const worker = new Worker();
  prepare(worker);
  const job = bench.table.createBlockJob('j', worker, options);
  job.start();
  await work(bench);
  return { bench, worker, job };
}

async function work(bench: Bench, rounds = 5): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    bench.clock += 10;
    await bench.settle(2);
  }
}

describe('a block job', () => {
  it('completes with its events', async () => {
    const { bench, worker } = await started();
    worker.end = true;
    await work(bench);
    expect(bench.statuses()).toBe('created running waiting pending BLOCK_JOB_COMPLETED concluded null');
  });

  it('tells that it waits for its user', async () => {
    const { bench, worker, job } = await started(MANUAL);
    worker.end = true;
    await work(bench);
    expect(bench.statuses()).toBe('created running waiting pending BLOCK_JOB_PENDING');
    expect(job.blockInfo()).toMatchObject({ status: 'pending', busy: false, 'auto-finalize': false });
    await job.finalize();
    expect(bench.statuses()).toBe('BLOCK_JOB_COMPLETED concluded');
    await job.dismiss();
    expect(bench.table.blockJobs()).toEqual([]);
  });

  it('is ready, waits in standby while it is paused, and completes', async () => {
    const { bench, worker, job } = await started(OPTIONS, (worker) => {
      worker.ready = true;
      worker.end = true;
    });
    expect(bench.statuses()).toBe('created running ready BLOCK_JOB_READY');
    expect(job.blockInfo()).toMatchObject({ ready: true, status: 'ready' });
    job.pause();
    expect(bench.statuses()).toBe('standby');
    await job.complete();
    expect(bench.statuses()).toBe('');
    await Promise.all([job.resume(), bench.settle(3)]);
    expect(bench.statuses()).toBe('ready waiting pending BLOCK_JOB_COMPLETED concluded null');
    expect(worker.pivoted).toBe(true);
  });

  it('ends well when it is cancelled while it is ready, but not by force, and not before', async () => {
    const ready = (worker: Worker) => {
      worker.ready = true;
      worker.end = true;
    };
    const soft = await started(OPTIONS, ready);
    soft.bench.statuses();
    await soft.job.cancelAsBlockJob(false);
    expect(soft.bench.statuses()).toBe('waiting pending BLOCK_JOB_COMPLETED concluded null');
    expect(soft.worker.pivoted).toBe(false);

    const hard = await started(OPTIONS, ready);
    hard.bench.statuses();
    await hard.job.cancelAsBlockJob(true);
    expect(hard.bench.statuses()).toBe('aborting BLOCK_JOB_CANCELLED concluded null');

    const early = await started();
    early.bench.statuses();
    await early.job.cancelAsBlockJob(false);
    expect(early.bench.statuses()).toBe('aborting BLOCK_JOB_CANCELLED concluded null');
  });

  it('is not completed twice over, and not softly cancelled while it is paused', async () => {
    const { job } = await started(OPTIONS, (worker) => {
      worker.ready = true;
      worker.end = true;
    });
    job.pause();
    expect(await desc(() => job.cancelAsBlockJob(false))).toBe(
      "The block job for device 'j' is currently paused",
    );
    expect(await desc(() => job.change({ id: 'j', type: 'mirror', 'copy-mode': 'write-blocking' }))).toBe(
      'Job type does not support change',
    );
    void job.requestCancel(false);
    expect(await desc(() => job.complete())).toBe("The active block job 'j' cannot be completed");
  });

  it.each([
    [
      'report',
      Errno.EIO,
      'BLOCK_JOB_ERROR write report aborting BLOCK_JOB_COMPLETED Input/output error concluded null',
    ],
    [
      'enospc',
      Errno.EIO,
      'BLOCK_JOB_ERROR write report aborting BLOCK_JOB_COMPLETED Input/output error concluded null',
    ],
    ['ignore', Errno.EIO, 'BLOCK_JOB_ERROR write ignore'],
    ['stop', Errno.EIO, 'BLOCK_JOB_ERROR write stop paused'],
    ['auto', Errno.ENOSPC, 'BLOCK_JOB_ERROR write stop paused'],
  ] as const)('meets a failed request with the policy %s (errno %i)', async (policy, errno, events) => {
    const { bench, worker, job } = await started();
    bench.statuses();
    worker.policy = policy;
    worker.failure = errno;
    await work(bench);
    expect(bench.statuses()).toBe(events);
    if (job.status !== 'paused') return;
    expect(job.blockInfo()).toMatchObject({
      paused: true,
      busy: false,
      'io-status': errno === Errno.ENOSPC ? 'nospace' : 'failed',
    });
    worker.failure = null;
    await Promise.all([job.resume(), work(bench)]);
    expect(job.blockInfo()).toMatchObject({ status: 'running', paused: false, 'io-status': 'ok' });
  });

  it('refuses ids and speeds; the job of a wrong speed comes and goes', async () => {
    const { bench, job } = await started();
    bench.statuses();
    const make = (id: string | undefined, speed = 0) =>
      desc(() => bench.table.createBlockJob(id, new Worker(), { ...OPTIONS, speed }));
    expect(await make(undefined)).toBe("Invalid job ID ''");
    expect(await make('j')).toBe("Job ID 'j' already in use");
    expect(await make('k', -1)).toBe("Parameter 'speed' expects a non-negative value");
    expect(bench.statuses('k')).toBe('created null');
    expect(bench.table.list()).toEqual([job]);
    expect(await desc(() => bench.table.findBlockJob('k'))).toBe("Block job 'k' not found");
    expect(await desc(() => job.setSpeed(-1))).toBe("Parameter 'speed' expects a non-negative value");
  });

  it('sleeps as its speed demands, until it may go faster', async () => {
    const { bench, worker, job } = await started({ ...OPTIONS, speed: 1000 });
    await work(bench, 50);
    // The first piece goes at once; a second one only a second later.
    expect(worker.pieces).toBe(1);
    expect(job.blockInfo()).toMatchObject({ busy: false, speed: 1000, status: 'running' });
    await job.setSpeed(500);
    expect(worker.pieces).toBe(1);
    await Promise.all([job.setSpeed(0), work(bench)]);
    expect(worker.pieces).toBeGreaterThan(2);
  });

  it('that never started is cancelled with the transaction it was made in', async () => {
    const bench = new Bench();
    const transaction = new JobTransaction();
    const jobs = ['a', 'b'].map((id) => bench.table.createBlockJob(id, new Worker(), OPTIONS, transaction));
    await jobs[0]?.requestCancel(true);
    expect(bench.log).toEqual([
      'a created',
      'b created',
      'a aborting',
      'b aborting',
      'b concluded',
      'b null',
      'a concluded',
      'a null',
    ]);
    expect(bench.table.list()).toEqual([]);
  });
});

describe('the speed', () => {
  it('is kept within five parts of a hundred, whatever the pieces are and however late the turns come', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 64 * 1024, max: 1 << 28 }),
        fc.integer({ min: 1, max: 400 }),
        fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 20 }),
        (speed, pieces, late) => {
          // From tiny pieces to ones that last for a second.
          const piece = Math.ceil(speed / pieces);
          const limit = new RateLimit();
          limit.speed = speed;
          let now = 5;
          let done = 0;
          // Long enough for a piece more or less not to count.
          const bytes = Math.max(speed * 4, piece * 60);
          for (let i = 0; done < bytes; i++) {
            limit.account(piece, now);
            done += piece;
            const delay = limit.delay(now);
            if (delay > 0) now += delay + (late[i % late.length] ?? 0);
          }
          const expected = (done / speed) * 1000;
          expect(now / expected).toBeGreaterThan(0.95);
          expect(now / expected).toBeLessThan(1.05);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('has nothing to make up for after a pause', () => {
    const limit = new RateLimit();
    limit.speed = 1000;
    limit.account(100, 0);
    limit.account(100, 60_000);
    limit.account(100, 60_000);
    expect(limit.delay(60_000)).toBeGreaterThan(0);
  });
});

describe('turns', () => {
  it('go round, one in each task', async () => {
    const tasks: (() => void)[] = [];
    const turns = new Turns(() => new Promise((resolve) => tasks.push(resolve)));
    const log: string[] = [];
    const job = async (name: string) => {
      for (let i = 0; i < 3; i++) {
        await turns.next();
        log.push(name);
      }
    };
    void job('a');
    void job('b');
    void job('c');
    for (let i = 0; i < 9; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(tasks).toHaveLength(1);
      tasks.pop()?.();
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(log.join('')).toBe('abcabcabc');
  });
});
