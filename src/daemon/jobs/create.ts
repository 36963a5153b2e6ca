/** The job of blockdev-create. */
import type { BlockGraph } from '../../graph/index';
import type { BlockdevCreateOptions } from '../../qapi/index';
import type { JobDriver } from './job';

/** Makes the image that the options describe; all of it is one step of progress. */
export function createJob(graph: BlockGraph, options: BlockdevCreateOptions): JobDriver {
  return {
    type: 'create',
    // QEMU opens a new file before it answers; it opens nodes, and makes images in them, afterwards.
    eager: options.driver === 'file',
    run: async (control) => {
      control.setProgress(0, 1);
      try {
        await graph.create(options, () => control.turn());
      } finally {
        control.setProgress(1, 1);
      }
    },
  };
}
