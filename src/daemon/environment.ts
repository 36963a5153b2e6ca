/** What a daemon gets from its composition root. */
import type { GraphEnvironment } from '../graph/index';

export interface DaemonEnvironment extends GraphEnvironment {
  /** Version of this program, as in package.json. */
  readonly version: string;
  /** Wall clock, milliseconds since the epoch, with a fraction where it is known. */
  now(): number;
  /** Lets everything else run: events, other commands, the page. */
  turn(): Promise<void>;
  /** Called when a `quit` has been answered: all is closed, and the process (or what stands for it) may end. */
  exit(): void;
}

/** The release of the reference whose interface this is; the greeting and query-version show it. */
export const QEMU_VERSION = { major: 9, minor: 1, micro: 0 } as const;
