/** The states of a job, the ways between them, and the verbs that each state takes: the rules of QEMU, as data. */
import type { JobStatus } from './types.generated';

/** What a user may ask of a job. */
export type JobVerb =
  'cancel' | 'pause' | 'resume' | 'set-speed' | 'complete' | 'finalize' | 'dismiss' | 'change';

/** For each status the ones that may follow it. */
export const TRANSITIONS: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  undefined: ['created'],
  created: ['running', 'aborting', 'null'],
  running: ['paused', 'ready', 'waiting', 'aborting'],
  paused: ['running'],
  ready: ['standby', 'waiting', 'aborting'],
  standby: ['ready'],
  waiting: ['pending', 'aborting'],
  pending: ['aborting', 'concluded'],
  aborting: ['aborting', 'concluded'],
  concluded: ['null'],
  null: [],
};

const WORKING: readonly JobStatus[] = ['created', 'running', 'paused', 'ready', 'standby'];

/** For each verb the statuses in which it is taken. */
export const VERBS: Readonly<Record<JobVerb, readonly JobStatus[]>> = {
  cancel: [...WORKING, 'waiting', 'pending'],
  pause: WORKING,
  resume: WORKING,
  'set-speed': WORKING,
  change: WORKING,
  complete: ['ready', 'standby'],
  finalize: ['pending'],
  dismiss: ['concluded'],
};

/** What QEMU says to a verb that a status does not take; null: it is taken. */
export function verbRefusal(id: string, status: JobStatus, verb: JobVerb): string | null {
  return VERBS[verb].includes(status)
    ? null
    : `Job '${id}' in state '${status}' cannot accept command verb '${verb}'`;
}
