/** Uses of nodes by block jobs: what they need of nodes, what they allow, and that nobody else may work on the nodes. */
import { GraphError } from '../errors';
import { BlockNode, type Link, type LinkParent } from '../node';
import type { Opener } from '../open';
import { attach, detach } from '../permissions';

/** The links of one job. */
export class JobLinks implements LinkParent {
  /** The newest first. */
  readonly links: Link[] = [];

  constructor(
    private readonly opener: Opener,
    readonly type: 'commit' | 'stream' | 'mirror' | 'backup',
    readonly id: string,
  ) {}

  describe(): string {
    return `${this.type} job '${this.id}'`;
  }

  /** Uses one more node; throws for permissions that conflict. */
  async add(
    node: BlockNode,
    name: string,
    { perm, shared }: { perm: number; shared: number },
  ): Promise<void> {
    const link: Link = { name, role: 0, parent: this, node, perm, shared, stays: true };
    this.opener.drain();
    await attach(link, null);
    this.links.unshift(link);
  }

  /** Gives one node back. */
  async drop(node: BlockNode): Promise<void> {
    const at = this.links.findIndex((link) => link.node === node);
    const [link] = at < 0 ? [] : this.links.splice(at, 1);
    if (!link) return;
    this.opener.drain();
    await detach(link, null);
    await this.opener.unref(node);
  }

  /** Gives all nodes back. */
  async release(): Promise<void> {
    for (const { node } of [...this.links]) await this.drop(node);
  }
}

/** Throws if a job works on the node. */
export function checkNoJob(node: BlockNode): void {
  for (const { parent } of node.parents) {
    if (parent instanceof JobLinks) {
      const reason = `block device is in use by block job: ${parent.type}`;
      throw new GraphError(`Node '${node.name}' is busy: ${reason}`);
    }
  }
}

/** Throws if another node, or a job, uses the node. */
export function checkRoot(node: BlockNode): void {
  if (node.parents.some(({ parent }) => parent instanceof BlockNode || parent instanceof JobLinks))
    throw new GraphError('Need a root block node');
}
