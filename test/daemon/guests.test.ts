/**
 * Random sequences of what guests and users do (writes, snapshots, jobs and their verbs, failing requests) against a model
 * of the disk: the guest never sees a wrong byte, images are sound, and nothing is left behind.
 */
import fc from 'fast-check';
import { writeFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import type { Daemon } from '../../src/daemon';
import { BlockError, type IoBuffer } from '../../src/engine/contract';
import { Permission } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import type { BlockUser } from '../../src/graph/index';
import type { JobInfo, QmpObject } from '../../src/qapi';
import { must, scratchDirectory } from '../engine/support';
import { openDaemonOn } from './daemon';
import { leaks } from './leaks';

const BLOCK = 4096;
const BLOCKS = 512;
/** The image that backups of the disk go to. */
const TARGET = 'backup';
/** The image that mirrors of the disk go to; when the guest uses it, it is the disk. */
const MIRROR = 'mirror';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** Files that take their time to open, as in a browser: guests are served meanwhile. */
class SlowStore extends MemoryStore {
  override async open(...args: Parameters<MemoryStore['open']>): ReturnType<MemoryStore['open']> {
    await new Promise((resolve) => setImmediate(resolve));
    return super.open(...args);
  }
}

/** A guest with its disk, and what it knows to be on it; a block whose write failed may be this or that. */
class Guest {
  private readonly known: (number | null)[] = Array.from({ length: BLOCKS }, () => 0);
  private readonly buffer: IoBuffer;

  constructor(
    daemon: Daemon,
    readonly user: BlockUser,
  ) {
    this.buffer = daemon.environment.engine.alloc(BLOCK * 32);
  }

  write(block: number, count: number, value: number): void {
    const n = Math.min(count, BLOCKS - block);
    try {
      if (value === 0) this.user.writeZeroes(block * BLOCK, n * BLOCK);
      else {
        this.buffer.view(0, n * BLOCK).fill(value);
        this.user.write(block * BLOCK, n * BLOCK, this.buffer);
      }
      this.known.fill(value, block, block + n);
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      this.known.fill(null, block, block + n);
    }
  }

  check(block: number, count: number): void {
    const n = Math.min(count, BLOCKS - block);
    try {
      this.user.read(block * BLOCK, n * BLOCK, this.buffer);
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      return;
    }
    const bytes = this.buffer.view(0, n * BLOCK);
    for (let i = 0; i < n; i++) {
      const value = this.known[block + i] ?? null;
      if (value === null) continue;
      const piece = bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
      expect(
        piece.every((byte) => byte === value),
        `block ${block + i} is ${piece[0]}, not ${value}`,
      ).toBe(true);
    }
  }
}

/** What a sequence works on. */
interface World {
  daemon: Daemon;
  guest: Guest;
  /** The images of the disk, the lowest first; those that jobs have taken out of the chain are among them. */
  nodes: string[];
  /** Of these, overlays that could not be put in their place. */
  aside: string[];
  /** How many images mirrors have made. */
  mirrors: number;
}

const block = fc.nat(BLOCKS - 1);
const count = fc.integer({ min: 1, max: 32 });
const which = fc.nat(7);
const speed = fc.constantFrom(0, 0, 1, 1 << 20);

const COPY_MODES = ['background', 'write-blocking'];

/** Commands that start jobs on a chain, from a few numbers; more kinds of jobs are more entries. */
const JOBS: readonly ((
  nodes: string[],
  world: World,
  a: number,
  b: number,
) => [command: string, args: QmpObject])[] = [
  (nodes) => ['block-stream', { device: top(nodes) }],
  (nodes, _, a) => ['block-stream', { device: top(nodes), 'base-node': at(nodes, a) }],
  (nodes, _, a, b) => ['block-stream', { device: at(nodes, a), 'base-node': at(nodes, b) }],
  (nodes, _, a, b) => [
    'block-commit',
    { device: top(nodes), 'top-node': at(nodes, a), 'base-node': at(nodes, b) },
  ],
  (nodes, _, a) => ['block-commit', { device: top(nodes), 'top-node': at(nodes, a) }],
  (nodes) => ['blockdev-backup', { device: top(nodes), target: TARGET, sync: 'full' }],
  (nodes) => ['blockdev-backup', { device: top(nodes), target: TARGET, sync: 'top' }],
  (nodes) => ['blockdev-backup', { device: top(nodes), target: TARGET, sync: 'none' }],
  (nodes, _, a) => [
    'blockdev-mirror',
    { device: top(nodes), target: MIRROR, sync: 'full', 'copy-mode': COPY_MODES[a % 2] ?? '' },
  ],
  (nodes, world, a, b) => [
    'drive-mirror',
    {
      device: top(nodes),
      target: `m${++world.mirrors}.qcow2`,
      'node-name': `m${world.mirrors}`,
      sync: ['full', 'top', 'none'][a % 3] ?? '',
      'copy-mode': COPY_MODES[b % 2] ?? '',
    },
  ],
];

/** The parameters of a job that say what is done when a request fails. */
const policies = (command: string, onError: string): QmpObject =>
  /backup|mirror/.test(command)
    ? { 'on-source-error': onError, 'on-target-error': onError }
    : { 'on-error': onError };

const top = (nodes: readonly string[]): string => nodes.at(-1) ?? '';
const at = (nodes: readonly string[], index: number): string => nodes[index % nodes.length] ?? '';

const VERBS = ['job-pause', 'job-resume', 'job-cancel', 'job-finalize', 'job-dismiss', 'job-complete'];

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write'), block, count, value: fc.nat(250) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('check'), block, count }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'snapshot' }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('job'),
      job: fc.nat(JOBS.length - 1),
      a: which,
      b: which,
      speed,
      manual: fc.boolean(),
      onError: fc.constantFrom('report', 'stop', 'ignore'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('verb'), verb: fc.constantFrom(...VERBS), a: which }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('speed'), a: which }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait'), turns: fc.integer({ min: 1, max: 4 }) }) },
) as fc.Arbitrary<Step>;

type Step =
  | { kind: 'write'; block: number; count: number; value: number }
  | { kind: 'check'; block: number; count: number }
  | { kind: 'snapshot' }
  | { kind: 'job'; job: number; a: number; b: number; speed: number; manual: boolean; onError: string }
  | { kind: 'verb'; verb: string; a: number }
  | { kind: 'speed'; a: number }
  | { kind: 'wait'; turns: number };

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
const jobsOf = async (daemon: Daemon): Promise<JobInfo[]> =>
  (await daemon.execute('query-jobs')).return as unknown as JobInfo[];

/** Images up to the one that the guest uses: a commit of the active one leaves those above it behind. */
function chainOf({ daemon, guest, nodes, aside }: World): string[] {
  const { node } = guest.user;
  if (node.driver === 'qcow2' && !nodes.includes(node.name)) return imagesBelow(daemon, node.name);
  const root = nodes.indexOf(node.name);
  return (root < 0 ? nodes : nodes.slice(0, root + 1)).filter((name) => !aside.includes(name));
}

/** The chain of an image that a mirror has made, the lowest first. */
function imagesBelow(daemon: Daemon, name: string): string[] {
  const names: string[] = [];
  for (let node = daemon.graph.opener.table.find(name); node; node = node.filtered ?? node.backing) {
    if (!node.isFilter) names.unshift(node.name);
  }
  return names;
}

async function run(world: World, step: Step): Promise<void> {
  const { daemon, guest } = world;
  const nodes = chainOf(world);
  if (step.kind === 'write') guest.write(step.block, step.count, step.value);
  else if (step.kind === 'check') guest.check(step.block, step.count);
  else if (step.kind === 'wait') for (let i = 0; i < step.turns; i++) await turn();
  else if (step.kind === 'snapshot') {
    const name = `n${world.nodes.length}`;
    const file = { driver: 'file', filename: `${name}.qcow2` };
    await create(daemon, name);
    await daemon.execute('blockdev-add', { driver: 'qcow2', 'node-name': name, backing: null, file });
    const { error } = await daemon.execute('blockdev-snapshot', { node: top(nodes), overlay: name });
    world.nodes.push(name);
    if (error) world.aside.push(name);
  } else if (step.kind === 'job') {
    const [command, args] = JOBS[step.job]!(nodes, world, step.a, step.b);
    await daemon.execute(command, {
      ...args,
      'job-id': `j${step.a}`,
      speed: step.speed,
      ...policies(command, step.onError),
      ...(step.manual && { 'auto-finalize': false, 'auto-dismiss': false }),
    });
  } else {
    const jobs = await jobsOf(daemon);
    const id = jobs[step.a % jobs.length]?.id ?? '';
    if (step.kind === 'verb') await daemon.execute(step.verb, { id });
    else await daemon.execute('block-job-set-speed', { device: id, speed: 0 });
  }
}

async function create(daemon: Daemon, name: string): Promise<void> {
  const filename = `${name}.qcow2`;
  for (const [id, options] of [
    [`${name}-f`, { driver: 'file', filename, size: 0 }],
    [
      `${name}-q`,
      { driver: 'qcow2', file: { driver: 'file', filename }, size: BLOCK * BLOCKS, 'cluster-size': 16384 },
    ],
  ] as const) {
    expect(await daemon.execute('blockdev-create', { 'job-id': id, options })).toEqual({ return: {} });
    while ((await jobsOf(daemon)).some((job) => job.id === id && job.status !== 'concluded')) await turn();
    expect(await daemon.execute('job-dismiss', { id })).toEqual({ return: {} });
  }
}

/** What jobs have done, as users see it: it never becomes less, and never more than there is to do. */
class Progress {
  private readonly last = new Map<string, number>();
  /** How often a job had gone on. */
  seen = 0;

  constructor(private readonly daemon: Daemon) {
    daemon.subscribe(({ event, data }) => {
      const { id, status } = (data ?? {}) as { id?: string; status?: string };
      // Another job may have the id of one that is gone.
      if (event === 'JOB_STATUS_CHANGE' && status === 'created') this.last.delete(id ?? '');
    });
  }

  async look(): Promise<void> {
    for (const job of await jobsOf(this.daemon)) {
      const current = job['current-progress'];
      const before = this.last.get(job.id) ?? 0;
      expect(current, `${job.type} ${job.id} (${job.status})`).toBeGreaterThanOrEqual(before);
      expect(current, `${job.type} ${job.id}`).toBeLessThanOrEqual(job['total-progress']);
      this.seen += Number(current > before);
      this.last.set(job.id, current);
    }
  }
}

/** Begins with one image, some requests to which fail once. */
async function begin(
  store: MemoryStore,
  faults: readonly { event: string; sector: number }[],
): Promise<World> {
  const { daemon } = openDaemonOn(store);
  await create(daemon, 'n0');
  const rules = faults.map(({ event, sector }) => ({ event, sector, errno: 5, once: true }));
  const image = { driver: 'file', filename: 'n0.qcow2' };
  expect(
    await daemon.execute('blockdev-add', {
      driver: 'qcow2',
      'node-name': 'n0',
      file: { driver: 'blkdebug', image, ...(rules.length > 0 && { 'inject-error': rules }) },
    }),
  ).toEqual({ return: {} });
  for (const name of [TARGET, MIRROR]) {
    await create(daemon, name);
    const file = { driver: 'file', filename: `${name}.qcow2` };
    const node = { driver: 'qcow2', 'node-name': name, file, discard: 'unmap' };
    expect(await daemon.execute('blockdev-add', node)).toEqual({ return: {} });
  }
  const perm = Permission.CONSISTENT_READ | Permission.WRITE;
  const user = await daemon.graph.attach({ nodeName: 'n0' }, { perm, shared: Permission.ALL });
  return { daemon, guest: new Guest(daemon, user), nodes: ['n0'], aside: [], mirrors: 0 };
}

/** Ends all jobs, well or by a cancel; then nothing is left of them. */
async function settle({ daemon }: World, well: boolean, progress: Progress): Promise<void> {
  let turns = 0;
  for (let jobs; (jobs = await jobsOf(daemon)).length > 0; await turn()) {
    // A backup of what is overwritten does not end by itself.
    if (++turns > 300) well = false;
    await progress.look();
    for (const { id, status } of jobs) {
      if (status === 'concluded') await daemon.execute('job-dismiss', { id });
      else if (!well) await daemon.execute('job-cancel', { id });
      else if (status === 'pending') await daemon.execute('job-finalize', { id });
      else if (status === 'ready') await daemon.execute('job-complete', { id });
      else if (status === 'paused' || status === 'standby') await daemon.execute('job-resume', { id });
      else await daemon.execute('block-job-set-speed', { device: id, speed: 0 });
    }
  }
  // What a job held is given back when it has been dismissed.
  await daemon.graph.exclusive(() => Promise.resolve());
  const graph = daemon.graph.debugGraph();
  expect(graph.nodes.filter(({ type }) => type !== 'block-driver')).toHaveLength(1);
  expect(await leaks(daemon)).toEqual([]);
  for (const node of daemon.graph.nodes()) expect(['qcow2', 'file', 'blkdebug']).toContain(node.driver);
}

it('a guest never sees a wrong byte, whatever jobs do below it', { timeout: 60_000 }, async () => {
  let round = 0;
  let completed = 0;
  let backups = 0;
  let moves = 0;
  let progressed = 0;
  const fault = fc.record({
    event: fc.constantFrom('read_aio', 'write_aio', 'cow_read'),
    sector: fc.nat(4000),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.array(fault, { maxLength: 4 }),
      async (steps, faults) => {
        const store = new SlowStore();
        const world = await begin(store, faults);
        const { daemon, guest, nodes } = world;
        for (const layer of [1, 2, 3]) {
          guest.write(layer * 100, 32, layer);
          await run(world, { kind: 'snapshot' });
        }
        daemon.subscribe(({ event, data }) => {
          completed += Number(event === 'BLOCK_JOB_COMPLETED');
          backups += Number(event === 'BLOCK_JOB_COMPLETED' && (data as QmpObject).type === 'backup');
        });
        const progress = new Progress(daemon);
        for (const step of steps) {
          await progress.look();
          // Meanwhile the guest works on.
          const done = run(world, step).then(() => true);
          while (!(await Promise.race([done, new Promise((resolve) => setImmediate(() => resolve(false)))])))
            guest.check((step.kind.length * 37) % BLOCKS, 8);
        }
        await settle(world, round % 3 > 0, progress);
        progressed += progress.seen;
        for (let at = 0; at < BLOCKS; at += 32) guest.check(at, 32);
        moves += Number(!nodes.includes(guest.user.node.name));
        await guest.user.close();
        await daemon.end();
        if (round++ % 4 > 0) return;
        const made = (await store.list('.')).map(({ name }) => name.replace('.qcow2', ''));
        for (const name of made) {
          const file = await store.open(`${name}.qcow2`, { write: false });
          const bytes = new Uint8Array(file.size());
          file.read(bytes, 0);
          file.close();
          writeFileSync(scratch.path(`${name}.qcow2`), bytes);
        }
        // Stored names of backing files may be relative to where the daemon ran.
        const check = 'cd "$0" && for i in "$@"; do qemu-img check -q "$i.qcow2" || exit 1; done';
        must('bash', '-c', check, scratch.path('.'), ...made);
      },
    ),
    { numRuns: 60 },
  );
  expect(completed).toBeGreaterThan(10);
  expect(backups).toBeGreaterThan(0);
  expect(moves).toBeGreaterThan(0);
  expect(progressed).toBeGreaterThan(10);
});
