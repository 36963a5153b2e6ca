/**
 * A pretended guest: there is no machine in a browser, but jobs are worth watching only while somebody writes. It is a user
 * of a node like the client of an export, and waits like one while the graph changes.
 */
import { BlockError, type Engine } from '../../engine/contract';
import { Permission } from '../../files/locks';
import { GraphError, type BlockGraph, type BlockUser } from '../../graph/index';
import { requests, workloadProblem, type GuestRequest, type Workload } from './workload';

/** What it did so far. */
export interface GuestStats {
  /** Requests that went well. */
  reads: number;
  writes: number;
  flushes: number;
  discards: number;
  /** Bytes. */
  bytesRead: number;
  bytesWritten: number;
  /** Requests that failed, and what was said of the last one. */
  errors: number;
  lastError: string;
}

/** What it needs of the daemon. */
export interface GuestSurroundings {
  readonly engine: Engine;
  readonly graph: BlockGraph;
  /** null: requests may be sent; else they may when it resolves. */
  held(): Promise<void> | null;
  /** Resolves when everything else had its turn. */
  turn(): Promise<void>;
  /** The daemon has ended, or is about to. */
  ended(): boolean;
}

/** Milliseconds of work in one turn, and at most between two looks at whether to stop. */
const SLICE = 4;
const NAP = 50;
/** Milliseconds between two reports. */
const REPORT = 250;

/**
 * Works until it is told to stop or the daemon ends. Requests that fail are counted, and it goes on.
 *
 * @param report called with what it did, regularly
 * @throws GraphError if the node cannot be used like this, or the workload makes no sense
 */
export async function runGuest(
  node: string,
  workload: Workload,
  surroundings: GuestSurroundings,
  signal: AbortSignal,
  report: (stats: GuestStats) => void,
): Promise<GuestStats> {
  const { engine, graph } = surroundings;
  const stats: GuestStats = {
    reads: 0,
    writes: 0,
    flushes: 0,
    discards: 0,
    bytesRead: 0,
    bytesWritten: 0,
    errors: 0,
    lastError: '',
  };
  const writes = workload.mix.write > 0 || workload.mix.discard > 0;
  const user = await graph.attach(
    { nodeName: node },
    {
      perm: Permission.CONSISTENT_READ | (writes ? Permission.WRITE : 0),
      shared: Permission.ALL & ~Permission.RESIZE,
    },
    'guest',
  );
  const problem = workloadProblem(workload, user.length());
  const buffer = engine.alloc(Math.max(workload.blockSize, 512));
  try {
    if (problem !== null) throw new GraphError(problem);
    const source = requests(workload, user.length(), Math.random);
    const began = performance.now();
    let sent = 0;
    let paid = 0;
    let reported = began;
    while (!signal.aborted && !surroundings.ended()) {
      await surroundings.turn();
      const hold = surroundings.held();
      if (hold) {
        await hold;
        continue;
      }
      const start = performance.now();
      const due = workload.rate === 0 ? Infinity : ((start - began) / 1000) * workload.rate;
      while (sent < due && performance.now() - start < SLICE && performance.now() >= paid) {
        const request = source.next().value;
        const answer = send(request, user, stats, (bytes) => {
          buffer.view(0, bytes).fill((stats.writes % 255) + 1);
          return buffer;
        });
        if (answer) await answer;
        sent++;
        const delay = engine.throttle.delay();
        if (delay > 0) paid = performance.now() + delay;
      }
      if (performance.now() - reported >= REPORT) {
        reported = performance.now();
        report({ ...stats });
      }
      // Nothing is made up for later: a guest that was held up does not come with all at once.
      if (workload.rate > 0) sent = Math.max(sent, due - workload.rate);
      const wait = Math.max(
        paid - performance.now(),
        sent >= due ? ((sent + 1 - due) / workload.rate) * 1000 : 0,
      );
      if (wait > 1) await new Promise<void>((resolve) => setTimeout(() => resolve(), Math.min(wait, NAP)));
    }
  } finally {
    buffer.free();
    // What it wrote is flushed; a daemon that ends has closed it.
    if (!surroundings.ended()) await user.close().catch((error: unknown) => failed(stats, error));
  }
  return stats;
}

/** Counts a failure of a request; anything else is thrown on. */
function failed(stats: GuestStats, error: unknown): void {
  if (!(error instanceof BlockError)) throw error;
  stats.errors++;
  stats.lastError = error.message;
}

/** Sends one request and counts it, at once where all is here; else it is done when the result resolves. */
function send(
  request: GuestRequest,
  user: BlockUser,
  stats: GuestStats,
  data: (bytes: number) => ReturnType<Engine['alloc']>,
): Promise<void> | null {
  const { type, offset, bytes } = request;
  const work = (): void => {
    if (type === 'read') user.read(offset, bytes, data(bytes));
    else if (type === 'write') user.write(offset, bytes, data(bytes));
    else if (type === 'flush') user.flush();
    else user.discard(offset, bytes);
  };
  try {
    const done = user.present(work);
    if (done instanceof Promise) {
      return done.then(
        () => count(request, stats),
        (error: unknown) => failed(stats, error),
      );
    }
    count(request, stats);
  } catch (error) {
    failed(stats, error);
  }
  return null;
}

function count({ type, bytes }: GuestRequest, stats: GuestStats): void {
  switch (type) {
    case 'read':
      stats.reads++;
      stats.bytesRead += bytes;
      break;
    case 'write':
      stats.writes++;
      stats.bytesWritten += bytes;
      break;
    case 'flush':
      stats.flushes++;
      break;
    case 'discard':
      stats.discards++;
      break;
  }
}
