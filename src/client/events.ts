/** Events of QMP as an async iterable. */
import type { Events } from '../qapi/types.generated';

/** An event with its data, by name. `microseconds` is the part behind `seconds`; both -1: unknown. */
export type QmpEvent<Name extends keyof Events = keyof Events> = {
  [K in Name]: { event: K; data: Events[K]; timestamp: { seconds: number; microseconds: number } };
}[Name];

/** Which events a stream gives: all, those with these names, or those that a function chooses. */
export interface EventFilter<Name extends keyof Events> {
  names?: readonly Name[];
  where?: (event: QmpEvent<Name>) => boolean;
}

/**
 * Events from the moment of subscription on, none lost: those that come while nobody asks are kept. Iterate it in one
 * place; end it with {@link dispose} (`break` out of `for await` does so too).
 */
export class EventStream<Name extends keyof Events = keyof Events> implements AsyncIterableIterator<
  QmpEvent<Name>
> {
  private readonly kept: QmpEvent<Name>[] = [];
  private readonly waiting: ((result: IteratorResult<QmpEvent<Name>, undefined>) => void)[] = [];
  private ended = false;

  /** @param onDispose called once, when the stream ends. */
  constructor(
    private readonly filter: EventFilter<Name>,
    private readonly onDispose: () => void,
  ) {}

  /** Gives an event to whoever waits for one, if it passes the filter. */
  push(event: QmpEvent): void {
    if (this.ended) return;
    const { names, where } = this.filter;
    if (names && !(names as readonly string[]).includes(event.event)) return;
    // The names were checked: TypeScript cannot follow that through a generic union.
    const value = event as unknown as QmpEvent<Name>;
    if (where && !where(value)) return;
    const waiter = this.waiting.shift();
    if (waiter) waiter({ done: false, value });
    else this.kept.push(value);
  }

  next(): Promise<IteratorResult<QmpEvent<Name>, undefined>> {
    const value = this.kept.shift();
    if (value) return Promise.resolve({ done: false, value });
    if (this.ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  return(): Promise<IteratorResult<QmpEvent<Name>, undefined>> {
    this.dispose();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends the stream: what was kept is dropped, whoever waits gets the end. */
  dispose(): void {
    if (this.ended) return;
    this.ended = true;
    this.kept.length = 0;
    for (const waiter of this.waiting.splice(0)) waiter({ done: true, value: undefined });
    this.onDispose();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
