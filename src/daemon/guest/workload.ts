/** What a pretended guest does with its disk: an endless sequence of requests, made from a few numbers. */

/** The kinds of requests, and how often each comes in relation to the others; 0: never. */
export interface WorkloadMix {
  read: number;
  write: number;
  flush: number;
  discard: number;
}

export interface Workload {
  /**
   * `sequential`: one request behind the other, from the start again at the end. `random`: anywhere. `database`: pages of
   * which few are used most; what is written goes to a log at the end of the disk and is flushed before the page is.
   */
  pattern: 'sequential' | 'random' | 'database';
  /** Bytes of a request: a multiple of 512, at most 1 MiB. */
  blockSize: number;
  /** Requests a second; 0: as many as can be done. */
  rate: number;
  mix: WorkloadMix;
}

export interface GuestRequest {
  type: keyof WorkloadMix;
  /** Bytes. */
  offset: number;
  bytes: number;
}

/** The log of a database has this part of the disk. */
const LOG_PART = 1 / 8;
/** So much of the work goes to so much of the pages. */
const HOT = { work: 0.8, pages: 0.2 };

/** What is wrong with a workload; null: nothing. */
export function workloadProblem({ blockSize, rate, mix }: Workload, size: number): string | null {
  if (!Number.isInteger(blockSize) || blockSize < 512 || blockSize > 1048576 || blockSize % 512 !== 0)
    return 'The size of a request is a multiple of 512, at most 1 MiB';
  if (!(rate >= 0)) return 'The rate must not be negative';
  const weights = [mix.read, mix.write, mix.flush, mix.discard];
  if (weights.some((weight) => !(weight >= 0)) || weights.every((weight) => weight === 0))
    return 'The mix needs a request of some kind';
  if (size < blockSize) return 'The disk is smaller than a request';
  return null;
}

/**
 * The requests of a workload, without an end.
 *
 * @param size bytes of the disk, at least one request
 * @param random numbers from 0 to less than 1
 */
export function* requests(
  workload: Workload,
  size: number,
  random: () => number,
): Generator<GuestRequest, never> {
  const { blockSize: bytes, pattern } = workload;
  const blocks = Math.floor(size / bytes);
  const logBlocks = pattern === 'database' && blocks >= 8 ? Math.floor(blocks * LOG_PART) : 0;
  const pages = blocks - logBlocks;
  let next = 0;
  let log = 0;
  for (;;) {
    const type = choose(workload.mix, random());
    if (type === 'flush') {
      yield { type, offset: 0, bytes: 0 };
    } else if (pattern === 'sequential') {
      yield { type, offset: next * bytes, bytes };
      next = (next + 1) % blocks;
    } else if (pattern === 'random') {
      yield { type, offset: Math.floor(random() * blocks) * bytes, bytes };
    } else {
      const page = Math.floor(skewed(random(), random()) * pages);
      if (type === 'write' && logBlocks > 0) {
        yield { type, offset: (pages + log) * bytes, bytes };
        log = (log + 1) % logBlocks;
        if (workload.mix.flush > 0) yield { type: 'flush', offset: 0, bytes: 0 };
      }
      yield { type, offset: page * bytes, bytes };
    }
  }
}

/** A kind by its weight. `at`: 0 to less than 1. */
function choose(mix: WorkloadMix, at: number): keyof WorkloadMix {
  const kinds = ['read', 'write', 'flush', 'discard'] as const;
  let left = at * kinds.reduce((sum, kind) => sum + mix[kind], 0);
  for (const kind of kinds) {
    if (left < mix[kind]) return kind;
    left -= mix[kind];
  }
  return kinds.findLast((kind) => mix[kind] > 0) ?? 'read';
}

/** 0 to less than 1, mostly in the first part. */
function skewed(where: number, at: number): number {
  return where < HOT.work ? at * HOT.pages : HOT.pages + at * (1 - HOT.pages);
}
