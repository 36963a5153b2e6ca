/** Events that could come in floods: of those of one kind one a second is sent, and the last of the others at its end. */
import type { EventName } from '../qapi/index';

/** Milliseconds between two events of a kind. */
const PERIOD = 1000;

/** What tells the kinds of these events apart beside the name: a member of their data, or nothing. */
const LIMITED: Readonly<Partial<Record<EventName, string | null>>> = {
  QUORUM_REPORT_BAD: 'node-name',
  QUORUM_FAILURE: null,
};

/** Sends events, some of them later. */
export class EventRate {
  /** What waits for the end of a kind's period; null: nothing came since. */
  private readonly periods = new Map<string, { timer: unknown; send: (() => void) | null }>();

  /** Sends an event at once or later; `send` is called once or, if a newer one takes its place, never. */
  pass(name: EventName, data: object, send: () => void): void {
    const member = LIMITED[name];
    if (member === undefined) {
      send();
      return;
    }
    const kind = member === null ? name : `${name} ${String((data as Record<string, unknown>)[member])}`;
    const period = this.periods.get(kind);
    if (period) {
      period.send = send;
      return;
    }
    send();
    this.begin(kind);
  }

  /** Nothing is sent any more. */
  end(): void {
    for (const { timer } of this.periods.values()) clearTimeout(timer);
    this.periods.clear();
  }

  private begin(kind: string): void {
    const timer = setTimeout(() => {
      const waiting = this.periods.get(kind)?.send;
      this.periods.delete(kind);
      if (!waiting) return;
      waiting();
      this.begin(kind);
    }, PERIOD);
    this.periods.set(kind, { timer, send: null });
  }
}
