/** What block jobs need of the graph. All of it runs inside an exclusive change. */
import type { JobLinks } from './links';
import type { BlockNode } from '../node';
import type { Opener } from '../open';
import type { NodeUser } from '../user';

export interface JobHost {
  readonly opener: Opener;
  /** Runs a change of the graph when no other one is under way. */
  exclusive<T>(change: () => Promise<T>): Promise<T>;
  /** A backend that shows in the graph; close it with `closeNow`. */
  attachBackend(node: BlockNode, perm: number, shared: number): Promise<NodeUser>;
  /** A job that shows in the graph. */
  addJob(type: JobLinks['type'], id: string): JobLinks;
  /** Gives the nodes of a job back; its filter, if it has one, is taken out first. */
  removeJob(job: JobLinks, filter: BlockNode | null): Promise<void>;
}
