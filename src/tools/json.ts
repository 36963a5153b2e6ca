/** JSON as qemu-img prints it: members in the order of QEMU's dictionaries, one a line. */
import { toJson } from '../qapi/json-print';
import type { QmpValue } from '../qapi/value';

/** The text of a reply-like value, without a final line feed. */
export function prettyJson(value: unknown): string {
  return toJson(value as QmpValue, { pretty: true });
}
