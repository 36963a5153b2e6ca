/** Checks that several lessons need. */
import type { Check, Pattern } from '../check';

/** A node is there, and what `query-named-block-nodes` says of it. */
export function node(name: string, like: Record<string, Pattern> = {}): Check {
  return {
    query: 'query-named-block-nodes',
    arguments: { flat: true },
    answers: [{ 'node-name': name, ...like }],
  };
}

/** No node of that name is there. */
export function noNode(name: string): Check {
  return { not: node(name) };
}

/** Bytes that a bitmap of a node says are dirty, and whatever else is said of it. */
export function bitmap(name: string, of: string, like: Record<string, Pattern> = {}): Check {
  return node(of, { 'dirty-bitmaps': [{ name, ...like }] });
}

/** A job has ended well since the lesson was begun. */
export function completed(job: string): Check {
  return { event: 'BLOCK_JOB_COMPLETED', data: { device: job, error: { $absent: true } } };
}

/** A job was in a state since the lesson was begun. */
export function was(job: string, status: string): Check {
  return { event: 'JOB_STATUS_CHANGE', data: { id: job, status } };
}

/** A job is in a state now. */
export function is(job: string, status: string): Check {
  return { query: 'query-jobs', answers: [{ id: job, status }] };
}

/** No job is left. */
export const idle: Check = { query: 'query-jobs', answers: { $length: 0 } };

/** What `qemu-img info` says of an image, whoever has it open. */
export function info(file: string, like: Pattern): Check {
  return { run: `qemu-img info -U --output=json ${file}`, answers: like };
}

/** Two images have the same content. */
export function same(a: string, b: string): Check {
  return { run: `qemu-img compare -U -q ${a} ${b}` };
}

/** An export serves a node. */
export function exported(id: string, name: string): Check {
  return { query: 'query-block-exports', answers: [{ id, 'node-name': name }] };
}

/** A disk reads as a byte in a range (`0 64k`). */
export function reads(file: string, byte: number, range: string): Check {
  return { run: `qemu-io -U -r -c "read -P ${byte} ${range}" ${file}` };
}
