/** The job of block-commit below the active image: data of a part of the chain is copied into the image below it. */
import type { Engine } from '../../engine/contract';
import { copyPresent } from '../../engine/copy';
import type { CommitGraph } from '../../graph/jobs/commit';
import type { BlockdevOnError } from '../../qapi/index';
import type { BlockJobControl, BlockJobDriver } from './blockjob';

/** Bytes that are looked at, and copied, at once. */
const PIECE = 512 * 1024;

/** What a job needs of the graph: changes one after the other. */
type Exclusive = <T>(change: () => Promise<T>) => Promise<T>;

export function commitJob(
  engine: Engine,
  exclusive: Exclusive,
  commit: CommitGraph,
  onError: BlockdevOnError,
): BlockJobDriver {
  return {
    type: 'commit',
    eager: true,
    run: (control) => copyAll(engine, commit, onError, control),
    prepare: () => exclusive(() => commit.finish()),
    clean: () => exclusive(() => commit.end()),
    dispose: () => exclusive(() => commit.release()),
  };
}

/** With the policy `ignore` a piece is tried again until it can be copied. */
async function copyAll(
  engine: Engine,
  commit: CommitGraph,
  onError: BlockdevOnError,
  control: BlockJobControl,
): Promise<void> {
  const { top, base } = commit;
  const length = top.length();
  control.setProgress(0, length);
  await engine.presence.whenPresent(() => commit.growBase());
  for (let offset = 0; offset < length;) {
    await control.pausePoint();
    const piece = {
      source: top.handle,
      above: base.handle,
      target: base.handle,
      offset,
      bytes: Math.min(PIECE, length - offset),
    };
    const { done, written, failure } = await copyPresent(engine.presence, () => engine.copy(piece));
    offset += done;
    control.account(written);
    control.setProgress(offset, length);
    if (failure && control.requestFailed(onError, failure.operation, failure.error) === 'report')
      throw failure.error;
  }
}
