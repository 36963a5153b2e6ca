/**
 * The moment in which the users of a mirror's source go over to the target, while they write all the time: wherever it
 * fails, they stay, and nothing that they wrote is on the target alone.
 */
import { describe, expect, it, vi } from 'vitest';
import type { BlockUser } from '../../src/graph/api';
import { BlockError, type Engine } from '../../src/engine/contract';
import { Errno } from '../../src/files/contract';
import { Permission } from '../../src/files/locks';
import { isObject, type QmpObject } from '../../src/qapi';
import { openDaemon, type TestDaemon } from './daemon';

const BLOCK = 512;
/** More than a guest writes in a test: what is lost must not be written again. */
const BLOCKS = 16384;
const SIZE = BLOCK * BLOCKS;

async function must({ daemon }: TestDaemon, command: string, args: QmpObject): Promise<void> {
  expect(await daemon.execute(command, args), command).toEqual({ return: {} });
}

async function image(test: TestDaemon, name: string, file: QmpObject = {}): Promise<void> {
  const filename = `${name}.qcow2`;
  await test.daemon.graph.createImage({ filename, format: 'qcow2', values: { size: SIZE } });
  const below = { driver: 'file', filename, 'node-name': `${name}-file`, ...file };
  await must(test, 'blockdev-add', { driver: 'qcow2', 'node-name': name, file: below });
}

/** A guest that never rests, and what it wrote. */
class Guest {
  readonly model: number[] = Array.from({ length: BLOCKS }, () => 0);
  private readonly buffer;
  private working = true;
  private value = 0;
  private done: Promise<void> = Promise.resolve();
  /** Writes so far. */
  writes = 0;

  constructor(
    engine: Engine,
    private readonly user: BlockUser,
  ) {
    this.buffer = engine.alloc(BLOCK);
  }

  write(): void {
    const block = this.writes++;
    if (block >= BLOCKS) throw new Error('the disk is full');
    this.value = (this.value % 250) + 1;
    this.buffer.view().fill(this.value);
    this.user.write(block * BLOCK, BLOCK, this.buffer);
    this.model[block] = this.value;
  }

  /** Writes between any two steps of anything else. */
  start(): void {
    this.done = (async () => {
      while (this.working) {
        for (let i = 0; i < 30 && this.working; i++) {
          this.write();
          await Promise.resolve();
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
  }

  async stop(): Promise<void> {
    this.working = false;
    await this.done;
  }
}

function contentOf({ daemon }: TestDaemon, name: string): number[] {
  const { engine } = daemon.environment;
  const node = daemon.graph.find(name);
  if (!node) throw new Error(`no node ${name}`);
  const buffer = engine.alloc(SIZE);
  engine.read(node.handle, 0, SIZE, buffer);
  const bytes = Array.from({ length: BLOCKS }, (_, i) => buffer.view()[i * BLOCK] ?? -1);
  buffer.free();
  return bytes;
}

/** The blocks in which a node is not what the guest wrote. */
const wrong = (test: TestDaemon, name: string, { model }: Guest): number[] =>
  contentOf(test, name).flatMap((value, block) => (value === model[block] ? [] : [block]));

async function seen({ events }: TestDaemon, wanted: string): Promise<void> {
  const came = () =>
    events.some(
      ({ event, data }) =>
        event === wanted || (isObject(data ?? null) && (data as QmpObject).status === wanted),
    );
  for (let i = 0; i < 2000 && !came(); i++) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(came(), wanted).toBe(true);
}

interface Failure {
  /** Lets something go wrong from now on. */
  cause: (test: TestDaemon) => void;
  error: string;
}

const broken = () => {
  throw new BlockError(Errno.EIO, 'Input/output error');
};

/** The `n`th call of a function of the engine fails, and those before are as they always are. */
function nth<T extends object, K extends keyof T & string>(object: T, method: K, n: number): void {
  const real = (object[method] as (...args: unknown[]) => unknown).bind(object);
  let calls = 0;
  vi.spyOn(object, method as never).mockImplementation(((...args: unknown[]) =>
    calls++ === n ? broken() : real(...args)) as never);
}

const FAILURES: Readonly<Record<string, Failure>> = {
  'what still differs cannot be copied': {
    cause: ({ daemon }) => {
      const { engine } = daemon.environment;
      engine.bitmaps.set(marked(engine), 0, SIZE);
      vi.spyOn(engine.mirror, 'copy').mockImplementation(() => ({
        done: 0,
        written: 0,
        moved: 0,
        failure: { operation: 'write', error: new BlockError(Errno.EIO, 'Input/output error') },
      }));
    },
    error: 'Input/output error',
  },
  'the target cannot be flushed': {
    cause: ({ daemon }) => nth(daemon.environment.engine, 'flush', 0),
    error: 'Input/output error',
  },
  'the target can never be flushed again': {
    cause: ({ daemon }) => {
      const { engine } = daemon.environment;
      const flush = engine.flush.bind(engine);
      const target = daemon.graph.find('t')?.handle;
      vi.spyOn(engine, 'flush').mockImplementation((node) => (node === target ? broken() : flush(node)));
    },
    error: 'Input/output error',
  },
  'the target cannot be flushed a last time': {
    cause: ({ daemon }) => nth(daemon.environment.engine, 'flush', 1),
    error: 'Operation not permitted',
  },
  'permissions are refused': {
    cause: ({ daemon }) => {
      const follower = daemon.graph.opener.table.named('t-file').follower;
      if (!follower) throw new Error('nothing follows the permissions');
      // When the target has been flushed nothing but the pivot takes permissions any more.
      const { engine } = daemon.environment;
      const flush = vi.spyOn(engine, 'flush');
      const prepare = follower.prepare.bind(follower);
      let refused = false;
      vi.spyOn(follower, 'prepare').mockImplementation(async (perm, shared) => {
        await new Promise((resolve) => setImmediate(resolve));
        const target = daemon.graph.find('t')?.handle;
        if (!refused && flush.mock.calls.some(([node]) => node === target)) {
          refused = true;
          throw new Error('no');
        }
        return prepare(perm, shared);
      });
    },
    error: 'Operation not permitted',
  },
  'the first user above cannot be told': {
    cause: ({ daemon }) => nth(daemon.environment.engine.changes, 'replaceChild', 0),
    error: 'Operation not permitted',
  },
  'the second user above cannot be told': {
    cause: ({ daemon }) => nth(daemon.environment.engine.changes, 'replaceChild', 1),
    error: 'Operation not permitted',
  },
};

/** The bitmap of the only mirror. */
let marked: (engine: Engine) => Parameters<Engine['bitmaps']['set']>[0];

/** A guest on the source itself, and one on a node that is put above the job's filter, when the job is ready. */
async function mirror(copyMode: string) {
  const test = await openDaemon();
  await image(test, 's');
  await image(test, 't');
  const { engine } = test.daemon.environment;
  const create = vi.spyOn(engine.bitmaps, 'create');
  const perm = Permission.CONSISTENT_READ | Permission.WRITE;
  const user = await test.daemon.graph.attach({ nodeName: 's' }, { perm, shared: Permission.ALL });
  const guest = new Guest(engine, user);
  guest.write();
  await must(test, 'blockdev-mirror', {
    device: 's',
    target: 't',
    sync: 'full',
    'job-id': 'j',
    'filter-node-name': 'filter',
    'copy-mode': copyMode,
    'auto-finalize': false,
    'auto-dismiss': false,
  });
  const bitmap = create.mock.results[0];
  marked = () => bitmap?.value as ReturnType<typeof marked>;
  await seen(test, 'BLOCK_JOB_READY');
  for (const name of ['above', 'beside'])
    await must(test, 'blockdev-add', { driver: 'raw', 'node-name': name, file: 'filter' });
  const second = await test.daemon.graph.attach({ nodeName: 'above' }, { perm, shared: Permission.ALL });
  await must(test, 'block-job-complete', { device: 'j' });
  await seen(test, 'BLOCK_JOB_PENDING');
  return { test, user, second, guest };
}

describe('the pivot of a mirror', () => {
  it.each(Object.entries(FAILURES))('leaves users where they are when %s', async (_, { cause, error }) => {
    for (const copyMode of ['background', 'write-blocking']) {
      const { test, user, second, guest } = await mirror(copyMode);
      guest.start();
      cause(test);
      await test.daemon.execute('job-finalize', { id: 'j' });
      await seen(test, 'concluded');
      vi.restoreAllMocks();
      const writes = guest.writes;
      await new Promise((resolve) => setTimeout(resolve, 2));
      await guest.stop();
      expect(guest.writes).toBeGreaterThan(writes);
      expect(((await test.daemon.execute('query-jobs')).return as QmpObject[])[0]?.error).toBe(error);
      expect([user.node.name, second.node.name]).toEqual(['s', 'above']);
      expect(wrong(test, 's', guest)).toEqual([]);
      expect(wrong(test, 'above', guest)).toEqual([]);
      await must(test, 'job-dismiss', { id: 'j' });
      // Nothing is left of the job: the target can go.
      await must(test, 'blockdev-del', { 'node-name': 't' });
      for (const each of [user, second]) await each.close();
      await test.daemon.end();
    }
  });

  it('takes all users to the target, with all that they wrote', async () => {
    for (const copyMode of ['background', 'write-blocking']) {
      const { test, user, second, guest } = await mirror(copyMode);
      guest.start();
      await must(test, 'job-finalize', { id: 'j' });
      await seen(test, 'concluded');
      await guest.stop();
      expect([user.node.name, second.node.name]).toEqual(['t', 'above']);
      expect(wrong(test, 't', guest)).toEqual([]);
      expect(wrong(test, 'above', guest)).toEqual([]);
      await must(test, 'job-dismiss', { id: 'j' });
      await must(test, 'blockdev-del', { 'node-name': 's' });
      for (const each of [user, second]) await each.close();
      await test.daemon.end();
    }
  });
});
