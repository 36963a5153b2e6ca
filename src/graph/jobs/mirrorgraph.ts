/** What a mirror, or the commit of an active layer, holds in the graph, and what it makes of it in the end. */
import type { BitmapHandle } from '../../engine/request';
import { Errno, strerror } from '../../files/contract';
import { Permission } from '../../files/locks';
import { GraphChange } from '../changes/change';
import { chain, freezeChain, inChain, skipFilters } from '../chain';
import { GraphError } from '../errors';
import { activeCommitTop, insertFilter, mirrorTop, removeFilter } from './filter';
import type { JobHost } from './host';
import type { JobLinks } from './links';
import { Role, type BlockNode, type Link } from '../node';
import { refreshPermissions } from '../permissions';
import { setReadOnly } from '../changes/reopen';
import type { NodeUser } from '../user';

const { CONSISTENT_READ, WRITE, WRITE_UNCHANGED, RESIZE, ALL } = {
  CONSISTENT_READ: Permission.CONSISTENT_READ,
  WRITE: Permission.WRITE,
  WRITE_UNCHANGED: Permission.WRITE_UNCHANGED,
  RESIZE: Permission.RESIZE,
  ALL: Permission.ALL,
} as const;

/** A mirror whose arguments were checked. */
export interface MirrorPlan {
  type: 'mirror' | 'commit';
  source: BlockNode;
  target: BlockNode;
  /** What is allocated above this node is copied at first (null: in all of the chain). */
  base: BlockNode | null;
  /** Nothing is copied at first: only what guests write from now on. */
  writesOnly: boolean;
  /** The target is to be made zero at first. */
  zeroTarget: boolean;
  /** Bytes; a power of two. */
  granularity: number;
  /** Name of the node that the target will take the place of; default: the source. */
  replaces: string | undefined;
  /** At the end the target's backing node: stays; is a node of the source's chain (null: none); is what its image names. */
  backing: { kind: 'keep' } | { kind: 'node'; node: BlockNode | null } | { kind: 'stored' };
  filterName: string | undefined;
  /** Zeros may give clusters of the target back. */
  unmap: boolean;
  /** The caller opened the target, and has a reference on it. */
  ownsTarget: boolean;
  /** The base was read-only before. */
  reopened: boolean;
}

/** The graph of a mirror under way. */
export class MirrorGraph {
  private links: JobLinks | null = null;
  private user: NodeUser | null = null;
  private unfreeze: () => void = () => undefined;
  private ended = false;

  private constructor(
    private readonly host: JobHost,
    readonly plan: MirrorPlan,
    private filter: BlockNode,
    /** What differs between source and target. */
    readonly bitmap: BitmapHandle,
  ) {}

  /** Puts the filter in its place. Inside an exclusive change. On a failure all is as before. */
  static async begin(host: JobHost, plan: MirrorPlan): Promise<MirrorGraph> {
    const { source, type, granularity } = plan;
    const { engine } = source;
    const filter = await insertFilter(host.opener, source, {
      driver: type === 'commit' ? activeCommitTop : mirrorTop,
      linkName: 'backing',
      name: plan.filterName,
      readOnly: source.readOnly,
      open: (below) => engine.mirror.open(below),
    });
    try {
      const bitmap = engine.bitmaps.create(filter.handle, granularity);
      engine.bitmaps.setEnabled(bitmap, false);
      return new MirrorGraph(host, plan, filter, bitmap);
    } catch (error) {
      await removeFilter(host.opener, filter);
      throw error;
    }
  }

  /** The filter in the data plane. */
  get handle() {
    return this.filter.handle;
  }

  /** Takes what the job needs, and lets the filter know what is written. */
  async hold(id: string): Promise<void> {
    const { host, plan, filter } = this;
    const { source, target, type } = plan;
    const isBacking = inChain(source, target);
    const all = CONSISTENT_READ | WRITE | WRITE_UNCHANGED;
    const links = host.addJob(type, id);
    this.links = links;
    await links.add(filter, 'main node', { perm: CONSISTENT_READ, shared: all });
    if (!isBacking && inChain(source, skipFilters(target) ?? target))
      throw new GraphError("Cannot mirror to a filter on top of a node in the source's backing chain");
    const grows = isBacking && target.length() < source.length();
    this.user = await host.attachBackend(
      target,
      WRITE | (grows ? RESIZE : 0),
      isBacking ? all : WRITE_UNCHANGED,
    );
    await links.add(source, 'source', { perm: 0, shared: all });
    await links.add(target, 'target', { perm: 0, shared: ALL });
    if (isBacking) {
      const base = skipFilters(target);
      for (const node of chain(source, target).slice(1)) {
        const reads = skipFilters(node) === base ? CONSISTENT_READ : 0;
        await links.add(node, 'intermediate node', { perm: 0, shared: WRITE | WRITE_UNCHANGED | reads });
      }
      this.unfreeze = freezeChain(filter, target);
    }
    const clusterSize = clusterSizeOf(target);
    const incomplete = target.backingFile !== '' && !target.backing && clusterSize > 0;
    source.engine.mirror.start(filter.handle, {
      target: target.handle,
      bitmap: this.bitmap,
      wholeClusters: incomplete ? clusterSize : null,
      unmap: plan.unmap,
    });
  }

  /** Makes the base of a commit as long as the active layer. */
  growTarget(): void {
    const { source, target } = this.plan;
    if (target.length() < source.length()) this.user?.truncate(source.length());
  }

  /** The node that the target is to replace. Throws if it is gone. */
  replaced(): BlockNode {
    const { replaces, source } = this.plan;
    if (replaces === undefined) return source;
    const node = this.host.opener.table.find(replaces);
    if (!node) throw new GraphError(`Node name '${replaces}' not found`);
    return node;
  }

  /**
   * The job ends well.
   * @param replaced the node whose users go over to the target; null: none do
   * @param synchronize copies what still differs, or throws: after that nothing differs until guests write to the target
   */
  async finish(replaced: BlockNode | null, synchronize: () => void): Promise<void> {
    const { host, plan, user } = this;
    const { target, backing } = plan;
    this.unfreeze();
    if (this.links) await host.removeJob(this.links, null);
    this.links = null;
    if (user) {
      // It stays until guests write to the target themselves, but is in nobody's way.
      user.root.shared = ALL;
      await refreshPermissions([target]);
    }
    const upToDate = this.bringUpToDate(synchronize);
    if (upToDate) await upToDate;
    if (backing.kind === 'stored') await this.openBacking();
    if (backing.kind === 'node' && target.backing !== backing.node) {
      const change = new GraphChange(host.opener);
      change.setChild(target, 'backing', Role.COW, backing.node);
      await change.apply();
    }
    if (replaced) await this.pivot(replaced, synchronize);
    plan.reopened = false;
  }

  /** Users go over to the target. They write to the source, and by the filter to both, until that cannot fail any more. */
  private async pivot(replaced: BlockNode, synchronize: () => void): Promise<void> {
    const { host, plan, filter, user } = this;
    const { source, target } = plan;
    if (replaced !== source && !canReplace(source, replaced)) {
      // The job has no more to say of it than QEMU's.
      this.say(
        `Can no longer replace '${replaced.name}' by '${target.name}', because it can no longer be guaranteed that ` +
          'doing so would not lead to an abrupt change of visible data',
      );
      throw new GraphError(strerror(Errno.EPERM));
    }
    if (replaced.readOnly) {
      // Nobody writes to the source either.
      this.user = null;
      await user?.closeNow();
    }
    if (target.readOnly !== replaced.readOnly)
      await setReadOnly(host.opener, target, replaced.readOnly).catch(() => undefined);
    const root = this.user?.root;
    const perm = root?.perm ?? 0;
    // A parent that does not share writes (a quorum) is to take the target over with what it writes itself. Until the
    // change is made, nothing that was taken is given up.
    if (root && replaced !== source) root.perm = 0;
    const change = new GraphChange(host.opener);
    change.later(() => {
      // What a guest has flushed must be on stable storage where it is to be found from now on.
      const undo = () => undefined;
      return this.bringUpToDate(synchronize)?.then(() => undo) ?? undo;
    });
    const moves = ({ parent }: Link) => parent !== filter;
    try {
      if (replaced === source) change.replaceNode(filter, target);
      change.replaceNode(replaced, target, moves);
    } catch (error) {
      await change.abort();
      throw error;
    }
    try {
      await change.prepare();
    } catch {
      if (root) root.perm = perm;
      throw new GraphError(strerror(Errno.EPERM));
    }
    // The users are there: that a node that nobody needs any more cannot be closed well is not their concern.
    await change.commit().catch((error: unknown) => this.notice(error));
  }

  /** The target is what the source is, and on stable storage. */
  private bringUpToDate(synchronize: () => void): Promise<void> | null {
    const { engine, handle } = this.plan.target;
    const request = (): void => {
      synchronize();
      engine.flush(handle);
    };
    if (engine.presence.active) return engine.presence.whenPresent(request);
    request();
    return null;
  }

  private notice(error: unknown): void {
    this.say(error instanceof Error ? error.message : String(error));
  }

  private say(text: string): void {
    this.host.opener.environment.notice?.(text);
  }

  private async openBacking(): Promise<void> {
    const { opener } = this.host;
    try {
      await opener.openStoredBacking(this.plan.target);
    } catch (error) {
      // The job has no more to say of it than QEMU's.
      this.notice(error);
      throw new GraphError(strerror(Errno.EINVAL));
    }
  }

  /** Gives everything back. */
  async end(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    const { host, plan, filter, user, links } = this;
    this.unfreeze();
    filter.engine.mirror.stop(filter.handle);
    // What cannot be flushed was the job's failure already.
    await user?.closeNow().catch((error: unknown) => this.notice(error));
    if (links) await host.removeJob(links, null);
    await removeFilter(host.opener, filter);
    if (plan.reopened) await setReadOnly(host.opener, plan.target, true).catch(() => undefined);
    if (plan.ownsTarget) await host.opener.unref(plan.target).catch(() => undefined);
  }

  /** The job is gone: QEMU stops all requests once more, though nothing is left to give back. */
  release(): Promise<void> {
    this.host.opener.drain();
    return Promise.resolve();
  }
}

/** Bytes; 0: the node has no clusters, or cannot tell. */
export function clusterSizeOf(node: BlockNode): number {
  return node.type.details(node)?.clusterSize ?? 0;
}

/**
 * Whether nobody sees other data if `to` is replaced by what `node` is mirrored to. A child of a quorum may hold other data
 * than the quorum shows: it can be replaced if nobody else uses it, and what is below it cannot, for the child would change.
 */
export function canReplace(node: BlockNode, to: BlockNode): boolean {
  if (node === to) return true;
  if (node.driver === 'quorum') return to.parents.length === 1 && to.parents[0]?.parent === node;
  return node.filtered !== null && canReplace(node.filtered, to);
}
