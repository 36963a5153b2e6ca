/** Replies and events of QMP as the console shows them. */
import { formatJson } from './format';
import { paint } from './paint';

/** A reply, given as JSON text: indented and coloured, an error in red. */
export function formatReply(text: string, columns: number): string {
  const failed = /^\{\s*(?:"id":.*,\s*)?"error":/.test(text);
  return formatJson(text, columns, failed ? 'error' : 'string');
}

/** An event, given as JSON text: time of day, name, data. */
export function formatEvent(text: string, columns: number): string {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch {
    return text;
  }
  if (!isEvent(event)) return formatJson(text, columns);
  const { seconds, microseconds } = event.timestamp;
  const head = `${paint('dim', clock(seconds * 1000 + microseconds / 1000))} ${paint('event', event.event)}`;
  if (event.data === undefined) return head;
  return `${head} ${formatJson(JSON.stringify(event.data), columns)}`;
}

interface Event {
  event: string;
  timestamp: { seconds: number; microseconds: number };
  data?: unknown;
}

function isEvent(value: unknown): value is Event {
  if (typeof value !== 'object' || value === null || !('event' in value) || !('timestamp' in value))
    return false;
  const { event, timestamp } = value;
  return (
    typeof event === 'string' && typeof timestamp === 'object' && timestamp !== null && 'seconds' in timestamp
  );
}

function clock(milliseconds: number): string {
  const time = new Date(milliseconds);
  const two = (part: number): string => String(part).padStart(2, '0');
  const fraction = String(time.getMilliseconds()).padStart(3, '0');
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${fraction}`;
}
