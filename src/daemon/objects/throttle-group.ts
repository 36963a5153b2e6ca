/** throttle-group: limits of throughput that throttle nodes share. */
import {
  checkLimits,
  noLimits,
  THROTTLE_NAMES,
  type CompleteLimits,
  type ThrottleGroups,
} from '../../graph/throttle';
import { QmpError, visitType, type QmpObject, type QmpValue, type ThrottleLimits } from '../../qapi/index';
import type { DaemonObject, MakeContext, MakeObject, PropertyValue } from './object';

/** Properties but `limits` that are numbers, as the real daemon lists them: each is the limit with `x-` in front. */
export const NUMBERS = [
  'bps-write-max-length',
  'iops-total-max-length',
  'iops-size',
  'bps-total',
  'iops-read-max-length',
  'bps-write',
  'iops-write-max-length',
  'bps-read-max',
  'iops-read-max',
  'bps-total-max',
  'bps-read-max-length',
  'iops-read',
  'bps-read',
  'bps-write-max',
  'iops-total-max',
  'iops-total',
  'iops-write',
  'bps-total-max-length',
  'iops-write-max',
] as const satisfies readonly (keyof ThrottleLimits)[];

/** The limits as the object is made with them: single ones, and those of `limits`, which win. */
function readLimits(properties: QmpObject): CompleteLimits {
  const limits = noLimits();
  for (const name of NUMBERS) {
    const value = properties[`x-${name}`];
    if (typeof value !== 'number') continue;
    if (value < 0 && !name.endsWith('-length')) throw new QmpError('Property values cannot be negative');
    limits[name] = value;
  }
  return { ...limits, ...(properties.limits as ThrottleLimits | undefined) };
}

class ThrottleGroup implements DaemonObject {
  readonly typeName = 'throttle-group';
  private limits: CompleteLimits;
  private added = false;

  constructor(private readonly context: MakeContext) {
    this.limits = readLimits(context.properties);
    // This property is checked when it is set, the others together when all are.
    if (context.properties.limits !== undefined) checkLimits(this.limits);
  }

  private get groups(): ThrottleGroups {
    return this.context.host.graph.throttleGroups;
  }

  complete(): void {
    checkLimits(this.limits);
    this.groups.add(this.context.id, this.limits);
    this.added = true;
  }

  get(property: string): PropertyValue {
    if (property === 'limits') return inOrder(this.limits);
    return this.limits[property.slice('x-'.length) as (typeof NUMBERS)[number]];
  }

  set(property: string, value: QmpValue): void {
    if (property !== 'limits') throw new QmpError('Property cannot be set after initialization');
    const given = visitType('ThrottleGroupProperties', { limits: value }) as { limits: ThrottleLimits };
    const changed = { ...this.limits, ...given.limits };
    checkLimits(changed);
    this.groups.configure(this.context.id, changed);
    this.limits = changed;
  }

  inUse(): boolean {
    return this.groups.inUse(this.context.id);
  }

  remove(): void {
    if (this.added) this.groups.remove(this.context.id);
  }
}

export const throttleGroup: MakeObject = (context) => new ThrottleGroup(context);

/** Members in the order of the schema. */
function inOrder(limits: CompleteLimits): CompleteLimits {
  const ordered: Partial<CompleteLimits> = {};
  for (const name of THROTTLE_NAMES) {
    for (const suffix of ['', '-max', '-max-length'] as const)
      ordered[`${name}${suffix}`] = limits[`${name}${suffix}`];
  }
  return { ...ordered, 'iops-size': limits['iops-size'] } as CompleteLimits;
}
