/** What the daemon says to its clients, before it becomes text. */
import type { EventName, QmpErrorClass, QmpValue } from '../qapi/index';

/** What a command answers: a value, never an exception. */
export type QmpReply =
  { return: QmpValue; error?: never } | { error: { class: QmpErrorClass; desc: string }; return?: never };

/** An event, with the wall clock of the moment when it happened. */
export interface QmpEvent {
  timestamp: { seconds: number; microseconds: number };
  event: EventName;
  data?: QmpValue;
}
