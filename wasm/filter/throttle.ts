/** The filter `throttle`: requests go on at once and are accounted; whoever sends them waits until they are paid for. */
import { Driver, ThrottleBucket } from '../abi';
import { BlockNode } from '../block/node';
import { clock } from '../host';
import { FilterNode } from './filter';

/** A leaky bucket; units are bytes or requests. */
class Bucket {
  /** Units a second that leak; 0: no limit. */
  avg: f64 = 0;
  /** Units a second in a burst; 0: no bursts but what is in a tenth of a second. */
  max: f64 = 0;
  /** Seconds that a burst lasts at most. */
  burstLength: f64 = 1;
  private level: f64 = 0;
  /** What of a burst is in the bucket that leaks as fast as a burst may be. */
  private burstLevel: f64 = 0;

  /** Adds units after `seconds` in which the bucket leaked; answers the seconds until more fits in. */
  add(units: f64, seconds: f64): f64 {
    if (!this.avg) return 0;
    this.level = max<f64>(this.level - this.avg * seconds, 0) + units;
    let wait = this.level - (this.max ? this.max * this.burstLength : this.avg / 10);
    wait /= this.avg;
    if (this.burstLength > 1) {
      this.burstLevel = max<f64>(this.burstLevel - this.max * seconds, 0) + units;
      wait = max<f64>(wait, (this.burstLevel - this.max / 10) / this.max);
    }
    return max<f64>(wait, 0);
  }

  clear(): void {
    this.level = 0;
    this.burstLevel = 0;
  }
}

/** Buckets that nodes share. */
export class ThrottleGroup {
  private buckets: Array<Bucket> = [];
  /** A request of more bytes counts as several; 0: it never does. */
  iopsSize: f64 = 0;
  private last: f64 = 0;

  constructor() {
    for (let i = 0; i < ThrottleBucket.COUNT; i++) this.buckets.push(new Bucket());
    this.last = clock();
  }

  setBucket(index: i32, avg: f64, max: f64, burstLength: f64): void {
    const bucket = this.buckets[index];
    bucket.avg = avg;
    bucket.max = max;
    bucket.burstLength = burstLength;
    bucket.clear();
  }

  /** Accounts a request. */
  account(write: bool, bytes: i64): void {
    const now = clock();
    const seconds = max<f64>((now - this.last) / 1000, 0);
    this.last = now;
    const size = <f64>bytes;
    const operations: f64 = this.iopsSize && size > this.iopsSize ? size / this.iopsSize : 1;
    let wait: f64 = 0;
    for (let i = 0; i < ThrottleBucket.COUNT; i++) {
      const way = i % 3;
      const counts = way === 0 || (way === 2) === write;
      const units: f64 = !counts ? 0 : i < ThrottleBucket.IOPS_TOTAL ? size : operations;
      const bucketWait = unchecked(this.buckets[i]).add(units, seconds);
      if (counts) wait = max<f64>(wait, bucketWait);
    }
    if (wait > 0) dueAt = max<f64>(dueAt, now + wait * 1000);
  }
}

/** When all that was sent since it was last asked is paid for; a time of the clock. */
let dueAt: f64 = 0;

/** Milliseconds until the requests since the last call are paid for. */
export function takeDelay(): f64 {
  const wait = dueAt ? dueAt - clock() : 0;
  dueAt = 0;
  return max<f64>(wait, 0);
}

export class ThrottleNode extends FilterNode {
  constructor(
    file: BlockNode,
    readOnly: bool,
    public group: ThrottleGroup,
  ) {
    super(Driver.THROTTLE, file, readOnly);
  }

  override doRead(offset: i64, bytes: i32, to: usize): i32 {
    this.group.account(false, bytes);
    return super.doRead(offset, bytes, to);
  }

  override doWrite(offset: i64, bytes: i32, from: usize): i32 {
    this.group.account(true, bytes);
    return super.doWrite(offset, bytes, from);
  }

  override doWriteCompressed(offset: i64, bytes: i32, from: usize): i32 {
    this.group.account(true, bytes);
    return super.doWriteCompressed(offset, bytes, from);
  }

  override doZero(offset: i64, bytes: i64, flags: i32): i32 {
    this.group.account(true, bytes);
    return super.doZero(offset, bytes, flags);
  }

  override doDiscard(offset: i64, bytes: i64): i32 {
    this.group.account(true, bytes);
    return super.doDiscard(offset, bytes);
  }
}
