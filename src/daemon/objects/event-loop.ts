/**
 * iothread and main-loop: how event loops wait. There is one loop here, which all requests share, so the values are kept
 * and change nothing.
 */
import { QmpError } from '../../qapi/index';
import type { MakeContext, PropertyValue } from './object';
import { StoredProperties } from './properties';

const LARGEST = 9223372036854775807n;
const LARGEST_POOL = 0x7fffffff;
const POOL = { 'aio-max-batch': 0, 'thread-pool-min': 0, 'thread-pool-max': 64 };

class EventLoop extends StoredProperties {
  constructor(typeName: string, schema: string, defaults: Record<string, number>, context: MakeContext) {
    super(typeName, schema, { ...POOL, ...defaults });
    this.start(context.properties);
  }

  protected override check(property: string, value: PropertyValue): void {
    if (typeof value === 'number' && value < 0) {
      throw new QmpError(`${property} value must be in range [0, ${LARGEST}]`);
    }
  }

  complete(): void {
    const min = Number(this.get('thread-pool-min'));
    const max = Number(this.get('thread-pool-max'));
    if (max === 0 || max > LARGEST_POOL || min > max) {
      throw new QmpError('bad thread-pool-min/thread-pool-max values');
    }
  }

  protected override changed(property: string): void {
    if (property.startsWith('thread-pool-')) this.complete();
  }
}

/** Nanoseconds that a thread asks again before it sleeps. */
const POLLING = { 'poll-max-ns': 32768, 'poll-grow': 0, 'poll-shrink': 0 };

export const iothread = (context: MakeContext): EventLoop =>
  new EventLoop('iothread', 'IothreadProperties', POLLING, context);

class MainLoop extends EventLoop {
  constructor(private readonly context: MakeContext) {
    super('main-loop', 'MainLoopProperties', {}, context);
  }

  override complete(): void {
    super.complete();
    if (this.context.others.count('main-loop') > 1) throw new QmpError('only one main-loop instance allowed');
  }

  /** The daemon runs in it. */
  inUse(): boolean {
    return true;
  }
}

export const mainLoop = (context: MakeContext): MainLoop => new MainLoop(context);
