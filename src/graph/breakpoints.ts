/** Breakpoints of a blkdebug node: requests that come to an event stop there. */
import { BlockError, type Engine } from '../engine/contract';
import { Errno, strerror } from '../files/contract';
import type { NodeView } from './api';
import { EVENTS } from './drivers/blkdebug';

/** The breakpoints of one blkdebug node. A number stands for each; failures are `BlockError`s. */
export interface Breakpoints {
  /**
   * Lets the next request that comes to an event fail with ESUSPENDED: it stopped, and is to be sent again. ENOENT: there
   * is no such event.
   */
  set(event: string, number: number): void;
  /** ENOENT: there is none. */
  remove(number: number): void;
  /**
   * A request begins. `stoppedAt`: the breakpoint at which it stood before; what it came to up to there does not happen
   * again. null: it is new.
   */
  begin(stoppedAt: number | null): void;
  /** Does something beside the requests: it comes to no event, and to no failure of the node. */
  beside<T>(work: () => T): T;
  /** The breakpoint at which the last request stopped; null: at none. Asked once, for the next request runs. */
  takeStopped(): number | null;
}

/** Those of the first blkdebug node on the way from a node to its data; null: there is none. */
export function breakpointsOf(engine: Engine, top: NodeView): Breakpoints | null {
  let node: NodeView | null = top;
  while (node && node.driver !== 'blkdebug') node = node.filtered ?? node.primary;
  if (!node) return null;
  const { handle } = node;
  return {
    set(event, number) {
      const index = (EVENTS as readonly string[]).indexOf(event);
      if (index < 0) throw new BlockError(Errno.ENOENT, strerror(Errno.ENOENT));
      engine.filters.setBreakpoint(handle, index, number);
    },
    remove: (number) => engine.filters.removeBreakpoint(handle, number),
    begin: (stoppedAt) => engine.filters.beginDebugged(handle, stoppedAt ?? 'new'),
    beside(work) {
      engine.filters.beginDebugged(handle, 'none');
      try {
        return work();
      } finally {
        engine.filters.beginDebugged(handle, 'new');
      }
    },
    takeStopped: () => engine.filters.takeStopped(handle),
  };
}
