/** The job of blockdev-backup and drive-backup: what a disk was when the job began is copied to another node. */
import type { KeepStep } from '../../engine/backup';
import { BlockError } from '../../engine/contract';
import type { BackupGraph } from '../../graph/jobs/backup';
import type { BlockdevOnError } from '../../qapi/index';
import type { BlockJobControl, BlockJobDriver } from './blockjob';

/** What a job needs of the graph: changes one after the other. */
type Exclusive = <T>(change: () => Promise<T>) => Promise<T>;

/** What is done about requests that fail. */
export interface BackupPolicies {
  onSourceError: BlockdevOnError;
  onTargetError: BlockdevOnError;
}

/** Milliseconds between two looks whether a job that copies nothing itself is to end: it is woken when it is. */
const IDLE = 60_000;

export function backupJob(
  exclusive: Exclusive,
  backup: BackupGraph,
  policies: BackupPolicies,
): BlockJobDriver {
  return {
    type: 'backup',
    eager: true,
    progress: () => backup.progress(),
    run: (control) => copyAll(backup, policies, control),
    commit: () => backup.endBitmap(true),
    abort: () => backup.endBitmap(false),
    clean: () => exclusive(() => backup.end()),
    dispose: () => exclusive(() => backup.release()),
  };
}

async function copyAll(
  backup: BackupGraph,
  policies: BackupPolicies,
  control: BlockJobControl,
): Promise<void> {
  const { engine, filter, sync } = backup;
  const length = backup.length();
  await control.pausePoint();
  if (sync === 'none') for (;;) await control.sleep(IDLE);
  if (sync === 'top') {
    for (let at = 0; at < length;) {
      const from = at;
      at = await backup.presence.whenPresent(() => engine.skipUnallocated(filter.handle, from));
      await control.pausePoint();
    }
  }
  while (!(await copyOnce(backup, policies, control, length)));
}

/** Copies on from an offset. What a target elsewhere refuses is known only when the copy has ended. */
async function copyNext({ engine, presence, filter, chunk }: BackupGraph, at: number): Promise<KeepStep> {
  const copy = (): KeepStep => engine.copyNext(filter.handle, at, chunk);
  if (!presence.active) return copy();
  try {
    return await presence.whenPresent(copy);
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    return { next: at, failure: { operation: 'write', error } };
  }
}

/** Goes over the disk once; answers whether all is copied. With the policy `ignore` what fails is tried again later. */
async function copyOnce(
  backup: BackupGraph,
  { onSourceError, onTargetError }: BackupPolicies,
  control: BlockJobControl,
  length: number,
): Promise<boolean> {
  const { cluster } = backup;
  let complete = true;
  let accounted = backup.progress().done;
  for (let at = 0; at < length;) {
    const from = at;
    const { next, failure } = await copyNext(backup, from);
    at = next;
    if (failure) {
      const { operation, error } = failure;
      const action = control.requestFailed(
        operation === 'read' ? onSourceError : onTargetError,
        operation,
        error,
      );
      if (action === 'report') throw error;
      if (action === 'ignore') {
        complete = false;
        at += cluster;
      }
    }
    const { done } = backup.progress();
    control.account(done - accounted);
    accounted = done;
    await control.pausePoint();
  }
  return complete;
}
