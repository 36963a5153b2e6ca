/** One of two ways to do the same work. */
export interface Side {
  /** What has to be done before each round and is not timed. */
  prepare?(): Promise<void> | void;
  /** The work of a round; `round` counts up from 0. */
  run(round: number): Promise<void> | void;
}

/** Medians of the rounds of two sides. */
export interface Comparison {
  /** Milliseconds of a round. */
  ours: number;
  reference: number;
  /** The rate of ours by that of the reference: above 1, ours is faster. */
  ratio: number;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? NaN;
  return sorted.length % 2 ? high : ((sorted[middle - 1] ?? NaN) + high) / 2;
}

/** The value below which this part (0 to 1) of the values lies. */
export function percentile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

async function timed(side: Side, round: number): Promise<number> {
  await side.prepare?.();
  const start = performance.now();
  const pending = side.run(round);
  if (pending) await pending;
  return performance.now() - start;
}

/**
 * Runs both sides in turn (A B A B ...), so that what else the machine does hits both alike, after some rounds that do not
 * count: they warm the caches and let the compiler finish. Many rounds of a few milliseconds tell more than a few long ones:
 * most of them then run without a break, and the median is one of these.
 */
export async function compare(rounds: number, ours: Side, reference: Side): Promise<Comparison> {
  const times: { ours: number[]; reference: number[] } = { ours: [], reference: [] };
  const warmUp = Math.max(2, rounds >> 3);
  for (let round = 0; round < warmUp + rounds; round++) {
    const a = await timed(ours, round);
    const b = await timed(reference, round);
    if (round < warmUp) continue;
    times.ours.push(a);
    times.reference.push(b);
  }
  const result = { ours: median(times.ours), reference: median(times.reference) };
  return { ...result, ratio: result.reference / result.ours };
}

/** Median of the milliseconds that `rounds` rounds took, after one that does not count. */
export async function duration(rounds: number, side: Side): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const time = await timed(side, round);
    if (round > 0) times.push(time);
  }
  return median(times);
}

/** Numbers that look random and are the same in each run: xorshift of 32 bits. */
export class Sequence {
  constructor(private state = 0x9e3779b9) {}
  /** The next whole number from 0 to `limit` - 1. */
  next(limit: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }
}

/** The work of one round: `count` of `all`, a multiple of it, going on where the last round ended, again and again. */
export function slice<T>(all: T[], count: number, round: number): T[] {
  const start = (round * count) % all.length;
  return all.slice(start, start + count);
}

/** `count` offsets of blocks of `blockBytes` in an area of `bytes`. */
export function randomOffsets(count: number, blockBytes: number, bytes: number): number[] {
  const sequence = new Sequence();
  return Array.from({ length: count }, () => sequence.next(Math.floor(bytes / blockBytes)) * blockBytes);
}
