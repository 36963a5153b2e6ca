/** Jobs as the page shows them: their history, put together from events and answers. No DOM. */
import type { QmpEvent } from '../../client';
import { verbRefusal, type JobVerb } from '../../qapi/job-states';
import type { JobStatus } from '../../qapi/types.generated';
import type { JobsState } from '../watch/snapshot';

/** Something that happened to a job. */
export interface JobMoment {
  /** Milliseconds since the epoch. */
  at: number;
  /** The status that began; null: an event that is no change of status. */
  status: JobStatus | null;
  /** What is shown: the status, or the event with what it says. */
  text: string;
}

/** Progress at a time. */
export interface JobSample {
  at: number;
  done: number;
}

export interface JobRecord {
  id: string;
  /** Empty: not known yet. */
  type: string;
  status: JobStatus;
  done: number;
  total: number;
  /** Bytes a second that are allowed, 0: any; null: it is no block job. */
  speed: number | null;
  ioStatus: string;
  /** A user has paused it. Null: cannot be told. */
  userPaused: boolean | null;
  autoFinalize: boolean;
  autoDismiss: boolean;
  error: string;
  moments: JobMoment[];
  /** The latest, oldest first. */
  samples: JobSample[];
}

/** Samples, moments and ended jobs that are kept. */
const SAMPLES = 120;
const MOMENTS = 200;
const ENDED = 12;

/** All jobs of a daemon, newest first; those that are gone stay for a while. */
export class JobsModel {
  private records: JobRecord[] = [];

  get all(): readonly JobRecord[] {
    return this.records;
  }

  /** How many are not gone. */
  get active(): number {
    return this.records.filter(({ status }) => status !== 'null').length;
  }

  /** Takes in an event; answers whether it was about a job. */
  event({ event, data, timestamp }: QmpEvent): boolean {
    const at = timestamp.seconds * 1000 + timestamp.microseconds / 1000;
    switch (event) {
      case 'JOB_STATUS_CHANGE': {
        if (data.status === 'created') this.begin(data.id, at);
        const record = this.find(data.id, at);
        record.status = data.status;
        this.moment(record, { at, status: data.status, text: data.status });
        if (data.status === 'null') this.forgetOld();
        return true;
      }
      case 'BLOCK_JOB_READY':
      case 'BLOCK_JOB_COMPLETED':
      case 'BLOCK_JOB_CANCELLED': {
        const record = this.find(data.device, at);
        Object.assign(record, { type: data.type, done: data.offset, total: data.len, speed: data.speed });
        const error = 'error' in data ? data.error : undefined;
        if (error !== undefined) record.error = error;
        this.moment(record, { at, status: null, text: error === undefined ? event : `${event}: ${error}` });
        return true;
      }
      case 'BLOCK_JOB_ERROR':
        this.moment(this.find(data.device, at), {
          at,
          status: null,
          text: `${event}: ${data.operation}, ${data.action}`,
        });
        return true;
      case 'BLOCK_JOB_PENDING':
        this.moment(this.find(data.id, at), { at, status: null, text: event });
        return true;
      default:
        return false;
    }
  }

  /** Takes in the answers to query-jobs and query-block-jobs. */
  answer({ jobs, blockJobs }: JobsState, at: number): void {
    for (const info of [...jobs].reverse()) {
      const record = this.find(info.id, at);
      record.type = info.type;
      record.status = info.status;
      record.done = info['current-progress'];
      record.total = info['total-progress'];
      if (info.error !== undefined) record.error = info.error;
      record.samples.push({ at, done: record.done });
      if (record.samples.length > SAMPLES) record.samples.shift();
    }
    for (const info of blockJobs) {
      const record = this.records.find(({ id, status }) => id === info.device && status !== 'null');
      if (!record) continue;
      record.speed = info.speed;
      record.ioStatus = info['io-status'];
      record.userPaused = info.paused;
      record.autoFinalize = info['auto-finalize'];
      record.autoDismiss = info['auto-dismiss'];
    }
    // A daemon that ended took its jobs along without a word.
    const there = new Set(jobs.map(({ id }) => id));
    for (const record of this.records)
      if (record.status !== 'null' && !there.has(record.id) && (record.moments.at(-1)?.at ?? 0) < at - 1000)
        record.status = 'null';
    this.forgetOld();
  }

  /** Forgets those that are gone. */
  clear(): void {
    this.records = this.records.filter(({ status }) => status !== 'null');
  }

  private begin(id: string, at: number): void {
    const old = this.records.find((record) => record.id === id && record.status !== 'null');
    if (old) old.status = 'null';
    this.records.unshift(newRecord(id, at));
  }

  /** The job of this name that is there, or was the last one. */
  private find(id: string, at: number): JobRecord {
    let record = this.records.find((one) => one.id === id);
    if (!record) this.records.unshift((record = newRecord(id, at)));
    return record;
  }

  private moment(record: JobRecord, moment: JobMoment): void {
    record.moments.push(moment);
    if (record.moments.length > MOMENTS) record.moments.shift();
  }

  private forgetOld(): void {
    let kept = 0;
    this.records = this.records.filter(({ status }) => status !== 'null' || ++kept <= ENDED);
  }
}

function newRecord(id: string, at: number): JobRecord {
  return {
    id,
    type: '',
    status: 'created',
    done: 0,
    total: 0,
    speed: null,
    ioStatus: '',
    userPaused: null,
    autoFinalize: true,
    autoDismiss: true,
    error: '',
    moments: [],
    samples: [{ at, done: 0 }],
  };
}

/**
 * Bytes a second at each sample but the first, averaged over up to `span` samples before it. Progress may be set back: that
 * counts as none.
 */
export function throughput(samples: readonly JobSample[], span: number): number[] {
  const rates: number[] = [];
  for (let i = 1; i < samples.length; i++) {
    const [a, b] = [samples[Math.max(0, i - span)], samples[i]];
    if (a && b && b.at > a.at) rates.push(Math.max(0, ((b.done - a.done) * 1000) / (b.at - a.at)));
  }
  return rates;
}

/** A verb for a button. */
export interface VerbState {
  verb: JobVerb;
  title: string;
  /** The line that does it. */
  command: string;
  /** Why not, in the words of QEMU; null: it is allowed. */
  refusal: string | null;
}

/** What can be asked of a job, and what cannot. */
export function verbsOf(record: JobRecord): VerbState[] {
  const { id, status } = record;
  const isMirror = record.type === 'mirror';
  const list: [JobVerb, string, string][] = [
    ['pause', 'Pause', `job-pause id=${id}`],
    ['resume', 'Resume', `job-resume id=${id}`],
    ['complete', 'Complete', `job-complete id=${id}`],
    ['finalize', 'Finalize', `job-finalize id=${id}`],
    ['cancel', 'Cancel', `job-cancel id=${id}`],
    ['dismiss', 'Dismiss', `job-dismiss id=${id}`],
  ];
  if (record.speed !== null)
    list.push(['set-speed', 'Speed…', `block-job-set-speed device=${id} speed=${nextSpeed(record.speed)}`]);
  if (isMirror)
    list.push(['change', 'Change…', `block-job-change type=mirror id=${id} copy-mode=write-blocking`]);
  return list.map(([verb, title, command]) => ({
    verb,
    title,
    command,
    refusal: refusalOf(record, verb, status),
  }));
}

function refusalOf({ id, userPaused }: JobRecord, verb: JobVerb, status: JobStatus): string | null {
  // QEMU looks at these before, and after, the table of verbs.
  const paused = userPaused ?? (status === 'paused' || status === 'standby');
  if (verb === 'resume' && !paused) return "Can't resume a job that was not paused";
  const refusal = verbRefusal(id, status, verb);
  if (refusal === null && verb === 'pause' && paused) return 'Job is already paused';
  return refusal;
}

/** A speed to propose: slower if there is no limit, none if there is one. */
function nextSpeed(speed: number): number {
  return speed === 0 ? 1048576 : 0;
}
