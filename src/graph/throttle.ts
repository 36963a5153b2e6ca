/** Throttle groups: limits by name that throttle nodes share (graph.md section 9). */
import type { Engine } from '../engine/contract';
import {
  THROTTLE_BUCKETS,
  type ThrottleConfig,
  type ThrottleHandle,
  type ThrottleLimit,
  type ThrottleName,
} from '../engine/throttle';
import type { ThrottleLimits } from '../qapi/types.generated';
import { GraphError } from './errors';
import type { Options } from './options';

/** Names of limits in the order in which QEMU looks at them. */
export const THROTTLE_NAMES = Object.keys(THROTTLE_BUCKETS) as ThrottleName[];

/** All members of ThrottleLimits, complete. */
export type CompleteLimits = Required<ThrottleLimits>;

/** The largest rate, units a second. */
const MAX_RATE = 1e15;
const MAX_LENGTH = 0xffffffff;

/** No limits at all. */
export function noLimits(): CompleteLimits {
  const limits: Partial<CompleteLimits> = { 'iops-size': 0 };
  for (const name of THROTTLE_NAMES) {
    limits[name] = 0;
    limits[`${name}-max`] = 0;
    limits[`${name}-max-length`] = 1;
  }
  return limits as CompleteLimits;
}

/** Throws QEMU's text for limits that mean nothing. */
export function checkLimits(limits: CompleteLimits): void {
  for (const name of THROTTLE_NAMES) {
    const key = `${name}-max-length` as const;
    if (limits[key] > MAX_LENGTH) {
      throw new GraphError(`${key} value must be in the range [0, ${MAX_LENGTH}]`);
    }
  }
  const mixed = (['bps', 'iops'] as const).some((unit) =>
    (['', '-max'] as const).some((kind) => {
      const both = limits[`${unit}-read${kind}`] || limits[`${unit}-write${kind}`];
      return limits[`${unit}-total${kind}`] && both;
    }),
  );
  if (mixed) {
    throw new GraphError('bps/iops/max total values and read/write values cannot be used at the same time');
  }
  const operations = limits['iops-total'] || limits['iops-read'] || limits['iops-write'];
  if (limits['iops-size'] && !operations) throw new GraphError('iops size requires an iops value to be set');
  for (const name of THROTTLE_NAMES) checkLimit(limitOf(limits, name));
}

function checkLimit({ avg, max, maxLength }: ThrottleLimit): void {
  const refuse = (wrong: boolean, text: string) => {
    if (wrong) throw new GraphError(text);
  };
  const bad = avg < 0 || max < 0 || avg > MAX_RATE || max > MAX_RATE;
  refuse(bad, `bps/iops/max values must be within [0, ${MAX_RATE}]`);
  refuse(maxLength === 0, 'the burst length cannot be 0');
  refuse(maxLength > 1 && max === 0, 'burst length set without burst rate');
  refuse(max > 0 && maxLength > MAX_RATE / max, 'burst length too high for this burst rate');
  refuse(max > 0 && avg === 0, 'bps_max/iops_max require corresponding bps/iops values');
  refuse(max > 0 && max < avg, 'bps_max/iops_max cannot be lower than bps/iops');
}

function limitOf(limits: CompleteLimits, name: ThrottleName): ThrottleLimit {
  const length = limits[`${name}-max-length`];
  // As with QEMU, where what is below zero is a very large number.
  const maxLength = length < 0 ? length + 2 ** 64 : length;
  return { avg: limits[name], max: limits[`${name}-max`], maxLength };
}

function configOf(limits: CompleteLimits): ThrottleConfig {
  const buckets = THROTTLE_NAMES.map((name) => [name, limitOf(limits, name)]);
  return {
    limits: Object.fromEntries(buckets) as ThrottleConfig['limits'],
    iopsSize: limits['iops-size'],
  };
}

/** What of a node tells its group. */
interface GroupMember {
  readonly driver: string;
  readonly given: Options;
}

/** The groups of one graph. */
export class ThrottleGroups {
  private readonly groups = new Map<string, ThrottleHandle>();

  constructor(
    private readonly engine: Engine,
    private readonly nodes: () => readonly GroupMember[],
  ) {}

  /** The limits have passed {@link checkLimits}, the name is new. */
  add(name: string, limits: CompleteLimits): void {
    this.groups.set(name, this.engine.throttle.createGroup(configOf(limits)));
  }

  configure(name: string, limits: CompleteLimits): void {
    this.engine.throttle.configure(this.find(name), configOf(limits));
  }

  /** No node is in it any more. */
  remove(name: string): void {
    this.engine.throttle.dropGroup(this.find(name));
    this.groups.delete(name);
  }

  /** Removes all. */
  clear(): void {
    for (const name of [...this.groups.keys()]) this.remove(name);
  }

  /** Whether a node is in it. */
  inUse(name: string): boolean {
    return this.nodes().some(
      (node) => node.driver === 'throttle' && node.given.text('throttle-group') === name,
    );
  }

  find(name: string): ThrottleHandle {
    const group = this.groups.get(name);
    if (group === undefined) throw new GraphError(`Throttle group '${name}' does not exist`);
    return group;
  }
}
