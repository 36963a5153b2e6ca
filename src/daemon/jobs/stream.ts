/** The job of block-stream: data of the chain is copied into the image at its top. */
import type { BlockError, Engine } from '../../engine/contract';
import { copyPresent } from '../../engine/copy';
import type { StreamGraph } from '../../graph/jobs/stream';
import type { BlockdevOnError } from '../../qapi/index';
import type { BlockJobControl, BlockJobDriver } from './blockjob';

/** Bytes that are looked at, and copied, at once. */
const PIECE = 512 * 1024;

/** What a job needs of the graph: changes one after the other. */
type Exclusive = <T>(change: () => Promise<T>) => Promise<T>;

export function streamJob(
  engine: Engine,
  exclusive: Exclusive,
  stream: StreamGraph,
  onError: BlockdevOnError,
): BlockJobDriver {
  return {
    type: 'stream',
    eager: true,
    run: (control) => copyAll(engine, stream, onError, control),
    prepare: () => exclusive(() => stream.finish()),
    clean: () => exclusive(() => stream.end()),
    dispose: () => exclusive(() => stream.release()),
  };
}

/** With the policy `ignore` what cannot be copied is passed over, and the job fails in the end. */
async function copyAll(
  engine: Engine,
  stream: StreamGraph,
  onError: BlockdevOnError,
  control: BlockJobControl,
): Promise<void> {
  const copied = stream.source();
  if (!copied) return;
  const { top } = stream;
  const length = top.length();
  let failed: BlockError | null = null;
  control.setProgress(0, length);
  for (let offset = 0; offset < length;) {
    await control.pausePoint();
    const piece = {
      source: copied.source.handle,
      above: copied.above?.handle ?? null,
      target: top.handle,
      offset,
      bytes: Math.min(PIECE, length - offset),
      keepTarget: true,
    };
    const { done, written, failure } = await copyPresent(engine.presence, () => engine.copy(piece));
    offset += done;
    if (failure) {
      const action = control.requestFailed(onError, 'read', failure.error);
      if (action === 'stop') continue;
      failed ??= failure.error;
      if (action === 'report') break;
      offset = Math.min(length, (Math.floor(offset / PIECE) + 1) * PIECE);
    }
    control.account(written);
    control.setProgress(offset, length);
  }
  if (failed) throw failed;
}
