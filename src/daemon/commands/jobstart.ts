/** What all commands that start a block job do alike. */
import type { BlockJobOptions } from '../jobs/blockjob';
import type { CommandContext } from './registry';

/** How a block job ends, from the arguments of the command that starts it. */
export function jobOptions(args: {
  speed?: number;
  'auto-finalize'?: boolean;
  'auto-dismiss'?: boolean;
}): BlockJobOptions {
  return {
    speed: args.speed ?? 0,
    autoFinalize: args['auto-finalize'] ?? true,
    autoDismiss: args['auto-dismiss'] ?? true,
  };
}

/** Changes of the graph, for jobs. */
export const exclusive =
  ({ graph }: CommandContext) =>
  <T>(change: () => Promise<T>): Promise<T> =>
    graph.exclusive(change);
