/**
 * Reopening: new options for nodes that are open, for several at once and all or none (graph.md section 5). A node that
 * was described inside the options of another one is reopened with that one, and what it was not told anew it inherits
 * anew.
 */
import type { KeyDerivation } from '../../crypto/derivation';
import { toJson } from '../../qapi/json-print';
import { dictOrder } from '../../qapi/dict-order';
import type { GraphEnvironment } from '../api';
import { GraphChange, type NodeHolder } from './change';
import type { ChangeStep } from './step';
import { GraphError } from '../errors';
import type { NodeTable } from '../names';
import { Role, type BlockNode, type CommonOptions, type Link } from '../node';
import { checkCommon, inherit, inheritBacking, readCommon } from '../open';
import { Options } from '../options';
import type { Secrets } from '../secrets';
import type { ThrottleGroups } from '../throttle';

/** Options of every node that can be left out although they were given before. */
const COMMON = [
  'node-name',
  'discard',
  'cache.direct',
  'cache.no-flush',
  'read-only',
  'auto-read-only',
  'detect-zeroes',
];

/** What reopening needs of the graph. */
interface Surroundings extends NodeHolder {
  readonly environment: GraphEnvironment;
  readonly table: NodeTable;
  readonly throttleGroups: ThrottleGroups;
  readonly secrets: Secrets;
  readonly keys: KeyDerivation;
}

/** A node and what it is to become. */
interface Entry {
  node: BlockNode;
  /** Everything, inherited options too, without those of children that are reopened. */
  options: Options;
  explicit: Options;
  /** What is not given stays as it is. */
  keep: boolean;
  backingMissing: boolean;
}

/** Nodes to be reopened together. */
export class Reopening {
  private readonly entries: Entry[] = [];

  constructor(private readonly graph: Surroundings) {}

  /** Takes up a node, and below it those that were described in its options. */
  add(
    node: BlockNode,
    options: Options,
    keep: boolean,
    parent: { options: Options; link: Link } | null = null,
  ): void {
    const queued = this.entries.find((entry) => entry.node === node);
    if (keep) options.join(queued?.explicit ?? node.explicit);
    const explicit = options.clone();
    if (parent) inheritFrom(options, parent);
    if (keep) options.join(queued?.options ?? node.given);
    const entry: Entry = {
      node,
      options,
      explicit,
      keep,
      backingMissing:
        !keep && node.type.backing && !options.has('backing') && !options.clone().takeBelow('backing').size,
    };
    if (queued) this.entries[this.entries.indexOf(queued)] = entry;
    else this.entries.push(entry);
    for (const link of [...node.links]) {
      const child = link.node;
      if (child.inheritsFrom !== node) continue;
      const named = options.has(link.name);
      // Another node takes its place.
      if (named && options.text(link.name) !== child.name) continue;
      explicit.takeBelow(link.name);
      const below = options.takeBelow(link.name);
      this.add(child, below, keep || named, { options, link });
    }
  }

  /** Checks everything and does what can be taken back. The change must then be committed or aborted. */
  async prepare(): Promise<GraphChange> {
    const change = new GraphChange(this.graph);
    try {
      const opened = this.entries.map((entry) => takeOver(entry, change));
      const steps = this.entries.map((entry, i) => this.check(entry, opened[i]!, change));
      for (const [i, { node }] of this.entries.entries()) {
        const turned = turnReadOnly(node, opened[i]!, change);
        // Where all is here it is done at once: users have no moment in between.
        if (turned instanceof Promise) await turned;
      }
      // What is below must be writable before what is above writes.
      for (const step of steps.reverse().flat()) change.later(step);
    } catch (error) {
      await change.abort();
      throw error;
    }
    await change.prepare();
    return change;
  }

  async apply(): Promise<void> {
    await (await this.prepare()).commit();
  }

  /** Throws what QEMU says of options that cannot be changed so; answers what is to be done to the node. */
  private check(entry: Entry, before: Before, change: GraphChange): ChangeStep[] {
    const { node, options, keep, backingMissing } = entry;
    const { type } = node;
    const left = options.clone();
    readCommon(left);
    checkCommon(node.common);
    if (!type.reopen) {
      throw new GraphError(
        `Block format '${type.name}' used by node '${node.name}' does not support reopening files`,
      );
    }
    if (!keep) checkReset(node, options, before.given);
    const steps: ChangeStep[] = [
      () => {
        node.engine.changes.setSpaceOptions(node.handle, node.common);
        return () => node.engine.changes.setSpaceOptions(node.handle, before.common);
      },
    ];
    type.reopen({
      ...this.graph.environment,
      throttleGroups: this.graph.throttleGroups,
      secrets: this.graph.secrets,
      keys: this.graph.keys,
      node,
      options: left,
      filename: options.text('filename') ?? '',
      before,
      later: (step) => void steps.push(step),
      atCommit: (end) => change.atCommit(end),
    });
    if (backingMissing && (node.backing || node.backingFile !== '')) {
      throw new GraphError(`backing is missing for '${node.name}'`);
    }
    this.changeChild(node, left, 'backing', change);
    this.changeChild(node, left, 'file', change);
    checkLeft(node, left, before.given);
    if (before.common.readOnly && !node.readOnly) {
      steps.push(() => {
        const { engine, handle } = node;
        const turn = (readOnly: boolean) => () =>
          engine.presence.present(() => engine.setReadOnly(handle, readOnly));
        const turned = turn(false)();
        return turned instanceof Promise ? turned.then(() => turn(true)) : turn(true);
      });
    }
    return steps;
  }

  /** The member `backing` or `file`: a name, or null. */
  private changeChild(node: BlockNode, left: Options, name: 'file' | 'backing', change: GraphChange): void {
    const value = left.get(name);
    if (value !== null && typeof value !== 'string') return;
    const link = node.links.find((candidate) => candidate.name === name);
    const child = value === null ? null : this.graph.table.lookup(undefined, value);
    if (!link && !(name === 'backing' && node.type.backing)) {
      if (!node.isFilter) return;
      throw new GraphError(
        `'${node.name}' is a ${node.driver} filter node that does not support a ${name} child`,
      );
    }
    if (name === 'file' && value === null) return;
    left.delete(name);
    change.setChild(node, name, link?.role ?? Role.COW, child);
  }
}

/** Reopens a node with all its options as they are, but for read-only. */
export async function setReadOnly(graph: Surroundings, node: BlockNode, readOnly: boolean): Promise<void> {
  const reopening = new Reopening(graph);
  reopening.add(node, Options.from({ 'read-only': readOnly }), true);
  await reopening.apply();
}

/** What a node was opened with before. */
interface Before {
  given: Options;
  explicit: Options;
  common: CommonOptions;
}

/** Gives the node its new options. */
function takeOver({ node, options, explicit }: Entry, change: GraphChange): Before {
  const { given, common } = node;
  const before: Before = { given, common, explicit: node.explicit };
  change.did(() => void Object.assign(node, before));
  const { forceShare } = common;
  node.common = { ...readCommon(options.clone()), forceShare };
  const kept = withoutChildren(node, options);
  Object.assign(node, { given: kept, explicit: withoutChildren(node, explicit) });
  change.touch(node, node.readOnly && !common.readOnly);
  return before;
}

/** What is written is in the image before it is known whether nobody needs to write any more. */
function turnReadOnly(node: BlockNode, before: Before, change: GraphChange): void | Promise<void> {
  if (!node.readOnly || before.common.readOnly) return;
  const { engine, handle } = node;
  const { presence } = engine;
  const turned = presence.present(() => engine.setReadOnly(handle, true));
  change.did(() => presence.present(() => engine.setReadOnly(handle, false)));
  return turned;
}

/** Options without the names of children. */
function withoutChildren(node: BlockNode, options: Options): Options {
  const own = options.clone();
  for (const name of ['file', 'backing', ...node.links.map((link) => link.name)]) own.delete(name);
  return own;
}

function inheritFrom(options: Options, { options: parent, link }: { options: Options; link: Link }): void {
  if (link.role & Role.COW) inheritBacking(options, readInherited(parent));
  else inherit(options, parent, null);
}

function readInherited(options: Options): CommonOptions {
  const parent = options.clone();
  return { ...readCommon(parent), forceShare: parent.takeBoolean('force-share') ?? false };
}

/** An option as it is compared: what is not shared with force is the same as what says so. */
function valueOf(options: Options, key: string): string {
  if (key === 'force-share') return String(options.clone().takeBoolean(key) ?? false);
  return toJson(options.get(key) ?? null);
}

/** Throws for an option that was given before, is not now, and cannot get its default back. */
function checkReset(node: BlockNode, options: Options, before: Options): void {
  const may = [...COMMON, ...(node.type.mutableOptions ?? [])];
  const reset = [...before.entries()]
    .map(([key]) => key)
    .filter((key) => {
      const mutable = may.some((name) => (name.endsWith('.') ? key.startsWith(name) : key === name));
      return !mutable && !options.has(key) && valueOf(options, key) !== valueOf(before, key);
    });
  const first = dictOrder(reset)[0];
  if (first !== undefined) throw new GraphError(`Option '${first}' cannot be reset to its default value`);
}

/** Throws for an option that nobody took and that is not what it was. */
function checkLeft(node: BlockNode, left: Options, before: Options): void {
  const changed = [...left.entries()]
    .filter(([key, value]) => {
      if (node.links.some((link) => link.name === key && link.node.name === value)) return false;
      return valueOf(left, key) !== valueOf(before, key);
    })
    .map(([key]) => key);
  const first = dictOrder(changed)[0];
  if (first !== undefined) throw new GraphError(`Cannot change the option '${first}'`);
}
