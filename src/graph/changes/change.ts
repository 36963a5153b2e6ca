/**
 * Changes of the links of an open graph: a child replaced, a node put above or in the place of another. A change is made
 * in two phases, as a whole: links move at once, `prepare` takes permissions and image locks and tells the engine, then
 * either `commit` or `abort` ends it. All of it runs inside an exclusive change of the graph.
 */
import { Permission } from '../../files/locks';
import { GraphError } from '../errors';
import { refreshFilename } from '../filename';
import { BlockNode, Role, type Link } from '../node';
import { preparePermissions, type PreparedPermissions } from '../permissions';
import type { ChangeStep, Undo } from './step';

/** What of the graph a change needs (its opener has it). */
export interface NodeHolder {
  /** Called before the links between nodes change. */
  drain(): void;
  /** Gives a reference back; nodes that nobody uses any more are closed. */
  unref(node: BlockNode): Promise<void>;
}

/** Waits for what takes time only: what is done at once leaves users no moment in between. */
const takesTime = (value: unknown): value is Promise<unknown> => value instanceof Promise;

/** One change of the graph. */
export class GraphChange {
  /** Takes back what was done, the last first. */
  private readonly undo: Undo[] = [];
  /** What `prepare` does when permissions have been taken, in order. */
  private readonly steps: ChangeStep[] = [];
  private readonly touched = new Set<BlockNode>();
  private readonly turning = new Set<BlockNode>();
  /** References to give back at the end: those of links that are gone, or of links that are there after all. */
  private readonly released: BlockNode[] = [];
  private readonly taken: BlockNode[] = [];
  /** What is due when the change lasts; it must not fail. */
  private readonly ends: Undo[] = [];
  private permissions: PreparedPermissions | null = null;
  /** Links of users that are on their way to another node. */
  private readonly moving: Link[] = [];

  constructor(private readonly holder: NodeHolder) {}

  /** Permissions below this node are worked out anew. `readOnly`: the node turns read-only by this change. */
  touch(node: BlockNode, readOnly = false): void {
    this.touched.add(node);
    if (readOnly) this.turning.add(node);
  }

  /** Something else that belongs to the change and is done at once; `undo` takes it back. */
  did(undo: Undo): void {
    this.undo.push(undo);
  }

  /** What is due when the change lasts; it must not fail. */
  atCommit(end: Undo): void {
    this.ends.push(end);
  }

  /** Something else that is done by `prepare`, after permissions were taken. */
  later(step: ChangeStep): void {
    this.steps.push(step);
  }

  /**
   * Makes `child` the child `name` of `parent`, in place of the one that is there; null: there is none any more. Throws
   * for a frozen link, and where a node would be below itself. Only backing children can be taken away or be new.
   */
  setChild(parent: BlockNode, name: string, role: number, child: BlockNode | null): void {
    const old = parent.links.find((link) => link.name === name) ?? null;
    if (old?.frozen) {
      throw new GraphError(`Cannot change frozen '${name}' link from '${parent.name}' to '${old.node.name}'`);
    }
    if (child && reaches(child, parent)) throw new CycleError(child, name, parent);
    if ((old?.node ?? null) === child) return;
    if (old) this.unlink(old, parent);
    if (child) {
      const link: Link = { name, role, parent, node: child, perm: 0, shared: Permission.ALL };
      this.link(link, parent);
    }
    this.touch(parent);
    const handle = () => parent.handle;
    if (role & Role.COW) {
      this.later(() => {
        parent.engine.setBacking(handle(), child?.handle ?? null);
        return () => parent.engine.setBacking(handle(), old?.node.handle ?? null);
      });
    } else {
      if (!old || !child)
        throw new GraphError(`Cannot remove or add the child '${name}' of '${parent.name}'`);
      this.repoint(parent, old.node, child);
    }
  }

  /**
   * Puts `to` in the place of `from` for its users, but for those below `to` (the node itself, if it is a filter or an
   * overlay above `from`), those that stay, and those that `moves` says no to.
   */
  replaceNode(from: BlockNode, to: BlockNode, moves: (link: Link) => boolean = () => true): void {
    const below = new Set<unknown>();
    const visit = (node: BlockNode) => {
      if (below.has(node)) return;
      below.add(node);
      for (const link of node.links) visit(link.node);
    };
    visit(to);
    for (const link of [...from.parents]) {
      if (link.stays || below.has(link.parent) || !moves(link)) continue;
      if (link.frozen) throw new GraphError(`Cannot change '${link.name}' link to '${from.name}'`);
      this.move(link, to);
    }
    this.touch(from);
    this.touch(to);
  }

  /** Puts `overlay` above `node`: it gets `node` as backing (or filtered) child if it has not yet, and all users of it. */
  append(overlay: BlockNode, node: BlockNode): void {
    if (!overlay.links.some((link) => link.node === node && link.role & (Role.FILTERED | Role.COW))) {
      this.setChild(overlay, 'backing', Role.COW, node);
    }
    this.replaceNode(node, overlay);
  }

  /** Lets a link lead to another node. */
  private move(link: Link, to: BlockNode): void {
    const from = link.node;
    remove(from.parents, link);
    to.parents.unshift(link);
    link.node = to;
    this.count(to, from);
    this.did(() => {
      remove(to.parents, link);
      from.parents.unshift(link);
      link.node = from;
    });
    const { parent } = link;
    if (!(parent instanceof BlockNode)) {
      if (!link.serving) {
        link.serving = from;
        this.moving.push(link);
      }
      return;
    }
    this.touch(parent);
    this.bringForward(link, parent);
    if (link.role & Role.COW) {
      this.later(() => {
        parent.engine.setBacking(parent.handle, to.handle);
        return () => parent.engine.setBacking(parent.handle, from.handle);
      });
    } else {
      this.repoint(parent, from, to);
    }
  }

  /** In lists of the graph a link that leads elsewhere now is the newest of its node. */
  private bringForward(link: Link, { links }: BlockNode): void {
    const at = links.indexOf(link);
    links.splice(at, 1);
    links.unshift(link);
    this.did(() => {
      remove(links, link);
      links.splice(at, 0, link);
    });
  }

  private repoint(parent: BlockNode, from: BlockNode, to: BlockNode): void {
    const { changes } = parent.engine;
    this.later(() => {
      changes.replaceChild(parent.handle, from.handle, to.handle);
      return () => changes.replaceChild(parent.handle, to.handle, from.handle);
    });
  }

  private link(link: Link, owner: BlockNode): void {
    link.node.parents.unshift(link);
    owner.links.unshift(link);
    this.count(link.node, null);
    this.did(() => {
      remove(link.node.parents, link);
      remove(owner.links, link);
    });
  }

  private unlink(link: Link, owner: BlockNode): void {
    const at = owner.links.indexOf(link);
    owner.links.splice(at, 1);
    remove(link.node.parents, link);
    this.count(null, link.node);
    this.touch(link.node);
    this.did(() => {
      owner.links.splice(at, 0, link);
      link.node.parents.unshift(link);
    });
  }

  /** The references of a link that moves; both nodes are held until the end of the change. */
  private count(to: BlockNode | null, from: BlockNode | null): void {
    if (to) {
      to.references++;
      this.taken.push(to);
    }
    if (from) this.released.push(from);
  }

  /**
   * Takes permissions and locks, and does the steps. On a failure all is as it was before the change was begun. Requests of
   * users go the old way until the last step is done; steps that take no time are done without a request in between.
   */
  async prepare(): Promise<void> {
    this.holder.drain();
    try {
      this.permissions = await preparePermissions(this.touched, this.turning);
      for (const step of this.steps) {
        const undo = step();
        this.undo.push(takesTime(undo) ? await undo : undo);
      }
    } catch (error) {
      await this.abort();
      throw error;
    }
    this.arrive();
    refreshNames(this.touched);
  }

  /** From now on requests of users go where their links lead. */
  private arrive(): void {
    for (const link of this.moving.splice(0)) delete link.serving;
  }

  /** Makes a prepared change last. Nodes that nobody uses any more are closed; a failure of that is thrown at the end. */
  async commit(): Promise<void> {
    await this.permissions?.commit();
    for (const end of this.ends) await end();
    await this.release(this.released);
  }

  /** Takes everything back, prepared or not. */
  async abort(): Promise<void> {
    for (const undo of this.undo.splice(0).reverse()) {
      const undone = undo();
      if (takesTime(undone)) await undone;
    }
    this.arrive();
    await this.permissions?.abort();
    this.permissions = null;
    refreshNames(this.touched);
    await this.release(this.taken);
  }

  /** `prepare` and `commit`. */
  async apply(): Promise<void> {
    await this.prepare();
    await this.commit();
  }

  private async release(nodes: readonly BlockNode[]): Promise<void> {
    let failure: { error: unknown } | null = null;
    for (const node of nodes) {
      try {
        await this.holder.unref(node);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure) throw failure.error;
  }
}

/** A node was to become a descendant of itself. */
export class CycleError extends GraphError {
  constructor(child: BlockNode, name: string, parent: BlockNode) {
    super(`Making '${child.name}' a ${name} child of '${parent.name}' would create a cycle`);
  }
}

/** Whether `to` is `from` or below it. */
export function reaches(from: BlockNode, to: BlockNode, seen = new Set<BlockNode>()): boolean {
  if (from === to) return true;
  if (seen.has(from)) return false;
  seen.add(from);
  return from.links.some((link) => reaches(link.node, to, seen));
}

/** The file names of nodes and of all above them, children first. */
export function refreshNames(nodes: Iterable<BlockNode>): void {
  const done = new Set<BlockNode>();
  const order: BlockNode[] = [];
  const visit = (node: BlockNode) => {
    if (done.has(node)) return;
    done.add(node);
    for (const { parent } of node.parents) if (parent instanceof BlockNode) visit(parent);
    order.push(node);
  };
  for (const node of nodes) visit(node);
  for (const node of order.reverse()) if (node.ready) refreshFilename(node);
}

function remove(list: Link[], link: Link): void {
  const at = list.indexOf(link);
  if (at >= 0) list.splice(at, 1);
}
