/** The job of x-blockdev-amend. */
import type { AmendTarget } from '../../graph/images/amend';
import type { JobDriver } from './job';

/** Changes an open image as the options say; the node is held until the job is dismissed. */
export function amendJob(target: AmendTarget): JobDriver {
  return {
    type: 'amend',
    run: async (control) => {
      control.setProgress(0, 1);
      try {
        await target.run();
      } finally {
        control.setProgress(1, 1);
      }
    },
    dispose: () => target.end(),
  };
}
