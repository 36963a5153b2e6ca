/** throttle-group: limits of throughput that throttle nodes share. */
import { checkLimits, noLimits, THROTTLE_NAMES, type CompleteLimits } from '../../graph/throttle';
import { QmpError, visitType, type QmpObject, type ThrottleLimits } from '../../qapi/index';
import type { DaemonObject, ObjectType } from './object';

/** Properties but `limits` that are numbers, as the real daemon lists them; behind `x-` is the name of the limit. */
const NUMBERS = [
  'x-bps-write-max-length',
  'x-iops-total-max-length',
  'x-iops-size',
  'x-bps-total',
  'x-iops-read-max-length',
  'x-bps-write',
  'x-iops-write-max-length',
  'x-bps-read-max',
  'x-iops-read-max',
  'x-bps-total-max',
  'x-bps-read-max-length',
  'x-iops-read',
  'x-bps-read',
  'x-bps-write-max',
  'x-iops-total-max',
  'x-iops-total',
  'x-iops-write',
  'x-bps-total-max-length',
  'x-iops-write-max',
] as const satisfies readonly `x-${keyof ThrottleLimits}`[];

const LIMITS = { name: 'limits', type: 'ThrottleLimits' };
const numbers = NUMBERS.map((name) => ({ name, type: 'int' }));

function limitName(property: (typeof NUMBERS)[number]): keyof ThrottleLimits {
  return property.slice('x-'.length) as keyof ThrottleLimits;
}

/** The limits as the object is made with them: single ones, and those of `limits`, which win. */
function readLimits(properties: QmpObject): CompleteLimits {
  const limits = noLimits();
  for (const property of NUMBERS) {
    const value = properties[property];
    if (typeof value !== 'number') continue;
    if (value < 0 && !property.endsWith('-length')) throw new QmpError('Property values cannot be negative');
    limits[limitName(property)] = value;
  }
  return { ...limits, ...(properties.limits as ThrottleLimits | undefined) };
}

export const throttleGroup: ObjectType = {
  name: 'throttle-group',
  properties: [...numbers.slice(0, 3), LIMITS, ...numbers.slice(3)],
  create(id, properties, { graph }): DaemonObject {
    const groups = graph.throttleGroups;
    let limits = readLimits(properties);
    checkLimits(limits);
    groups.add(id, limits);
    return {
      get: (property) => {
        if (property === LIMITS.name) return inOrder(limits);
        return limits[limitName(property as (typeof NUMBERS)[number])];
      },
      set(property, value) {
        if (property !== LIMITS.name) throw new QmpError('Property cannot be set after initialization');
        const given = visitType('ThrottleGroupProperties', { limits: value }) as { limits: ThrottleLimits };
        const changed = { ...limits, ...given.limits };
        checkLimits(changed);
        groups.configure(id, changed);
        limits = changed;
      },
      inUse: () => groups.inUse(id),
      remove: () => groups.remove(id),
    };
  },
};

/** Members in the order of the schema. */
function inOrder(limits: CompleteLimits): CompleteLimits {
  const ordered: Partial<CompleteLimits> = {};
  for (const name of THROTTLE_NAMES) {
    for (const suffix of ['', '-max', '-max-length'] as const)
      ordered[`${name}${suffix}`] = limits[`${name}${suffix}`];
  }
  return { ...ordered, 'iops-size': limits['iops-size'] } as CompleteLimits;
}
