/**
 * Limits of throughput. A throttle node lets requests pass at once and accounts them; whoever sent them asks for the
 * delay and waits that long before the next request, or before it answers. So senders that share a group take turns.
 */
import { ThrottleBucket } from '../../wasm/abi';
import type { NodeHandle } from './request';

/** One limit. */
export interface ThrottleLimit {
  /** Units (bytes, operations) a second; 0: no limit. */
  avg: number;
  /** Units a second in a burst; 0: no bursts. */
  max: number;
  /** Seconds of a burst at most. */
  maxLength: number;
}

/** The limits of a group by what they limit. */
export const THROTTLE_BUCKETS = {
  'bps-total': ThrottleBucket.BPS_TOTAL,
  'bps-read': ThrottleBucket.BPS_READ,
  'bps-write': ThrottleBucket.BPS_WRITE,
  'iops-total': ThrottleBucket.IOPS_TOTAL,
  'iops-read': ThrottleBucket.IOPS_READ,
  'iops-write': ThrottleBucket.IOPS_WRITE,
} as const;
export type ThrottleName = keyof typeof THROTTLE_BUCKETS;

/** All limits of a group. */
export interface ThrottleConfig {
  limits: Readonly<Record<ThrottleName, ThrottleLimit>>;
  /** A request of more bytes counts as several operations; 0: it never does. */
  iopsSize: number;
}

/** A group of throttle nodes that share limits. */
export type ThrottleHandle = number & { readonly __throttle: unique symbol };

export interface Throttle {
  createGroup(config: ThrottleConfig): ThrottleHandle;
  /** New limits; what was owed is forgotten. */
  configure(group: ThrottleHandle, config: ThrottleConfig): void;
  /** No node may be in it. */
  dropGroup(group: ThrottleHandle): void;
  open(file: NodeHandle, options: { readOnly: boolean; group: ThrottleHandle }): NodeHandle;
  /** Puts a throttle node into another group. */
  join(node: NodeHandle, group: ThrottleHandle): void;
  /**
   * Milliseconds that the requests since the last call of this are to take longer; 0 without limits. To be asked by the
   * sender of a request right after it, before anybody else sends one.
   */
  delay(): number;
}

/** What the data plane exports (wasm/exports/throttle.ts). */
export interface ThrottleExports {
  throttleGroup(): number;
  throttleDrop(group: number): number;
  throttleLimit(group: number, bucket: number, avg: number, max: number, burstLength: number): number;
  throttleSize(group: number, bytes: number): number;
  openThrottle(file: number, readOnly: number, group: number): number;
  throttleJoin(node: number, group: number): number;
  throttleDelay(): number;
}

/** @param call runs a call of the data plane: a negative answer is thrown */
export function makeThrottle(wasm: ThrottleExports, call: (run: () => number) => number): Throttle {
  const configure = (group: ThrottleHandle, { limits, iopsSize }: ThrottleConfig) => {
    for (const name of Object.keys(THROTTLE_BUCKETS) as ThrottleName[]) {
      const { avg, max, maxLength } = limits[name];
      call(() => wasm.throttleLimit(group, THROTTLE_BUCKETS[name], avg, max, maxLength));
    }
    call(() => wasm.throttleSize(group, iopsSize));
  };
  return {
    createGroup(config) {
      const group = call(() => wasm.throttleGroup()) as ThrottleHandle;
      configure(group, config);
      return group;
    },
    configure,
    dropGroup: (group) => void call(() => wasm.throttleDrop(group)),
    open: (file, { readOnly, group }) =>
      call(() => wasm.openThrottle(file, Number(readOnly), group)) as NodeHandle,
    join: (node, group) => void call(() => wasm.throttleJoin(node, group)),
    delay: () => call(() => wasm.throttleDelay()),
  };
}
