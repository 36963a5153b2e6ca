/** The block graph as the page shows it, made from what the daemon answers. No DOM, no places: only what there is. */
import type { Commands } from '../../client';
import type { GraphState, JobsState } from '../watch/snapshot';

type DebugEdge = Commands['x-debug-query-block-graph']['return']['edges'][number];
type DebugNode = Commands['x-debug-query-block-graph']['return']['nodes'][number];
type NodeInfo = Commands['query-named-block-nodes']['return'][number];
type Permissions = DebugEdge['perm'];

/** A dirty bitmap of a node. */
export interface GraphBitmap {
  /** Undefined: it belongs to a job or a filter. */
  name: string | undefined;
  /** Bytes that are dirty. */
  dirty: number;
  granularity: number;
  recording: boolean;
  busy: boolean;
  persistent: boolean;
  inconsistent: boolean;
}

/** A node of the graph. It is the same one as long as its name is. */
export interface GraphNode {
  kind: 'node';
  /** `node:NAME`. */
  key: string;
  name: string;
  driver: string;
  /** The file name of the image, may be a `json:` one; empty: none. */
  file: string;
  /** Bytes; null: not known. */
  size: number | null;
  /** Bytes that the image takes in its file; null: not known. */
  allocated: number | null;
  readOnly: boolean;
  encrypted: boolean;
  snapshots: number;
  bitmaps: GraphBitmap[];
}

/** What uses nodes from outside: a job, an export, or something else (a guest). */
export interface GraphUser {
  kind: 'job' | 'export' | 'user';
  /** `job:ID`, `export:ID`, `user:NAME`. */
  key: string;
  name: string;
  /** The type of job or export; empty for others. */
  type: string;
  /** Status of a job; empty for others. */
  status: string;
  /** 0 to 1; null: nothing to show. */
  progress: number | null;
}

export type GraphItem = GraphNode | GraphUser;

/** A link from a node or user to a node. */
export interface GraphEdge {
  /** Of `from` and the child's name: when the child is replaced it stays the same link. */
  key: string;
  from: string;
  to: string;
  /** `file`, `backing`, `root`, `main node`, ... */
  name: string;
  perm: Permissions;
  shared: Permissions;
}

export interface GraphModel {
  items: Map<string, GraphItem>;
  edges: Map<string, GraphEdge>;
}

export const EMPTY: GraphModel = { items: new Map(), edges: new Map() };

/** Puts the answers together. What they do not agree on (a job has ended between two of them) is left out. */
export function buildModel(state: GraphState, jobs: JobsState | null): GraphModel {
  const items = new Map<string, GraphItem>();
  const edges = new Map<string, GraphEdge>();
  const infos = new Map(state.nodes.map((info) => [info['node-name'] ?? '', info]));
  const keys = new Map<number, string>();
  for (const { id, type, name } of state.graph.nodes) {
    if (type !== 'block-driver') continue;
    const key = `node:${name}`;
    keys.set(id, key);
    items.set(key, nodeItem(key, name, infos.get(name)));
  }
  for (const { id, type, name } of state.graph.nodes) {
    if (type !== 'block-job') continue;
    const key = `job:${name}`;
    keys.set(id, key);
    items.set(key, jobItem(key, name, jobs));
  }
  addBackends(state, items, keys);

  const repeats = new Map<string, number>();
  for (const { parent, child, name, perm, 'shared-perm': shared } of state.graph.edges) {
    const from = keys.get(parent);
    const to = keys.get(child);
    if (from === undefined || to === undefined) continue;
    const base = `${from}/${name}`;
    const repeat = repeats.get(base) ?? 0;
    repeats.set(base, repeat + 1);
    const key = repeat === 0 ? base : `${base}#${repeat}`;
    edges.set(key, { key, from, to, name, perm, shared });
  }
  return { items, edges };
}

function nodeItem(key: string, name: string, info: NodeInfo | undefined): GraphNode {
  const image = info?.image;
  return {
    kind: 'node',
    key,
    name,
    driver: info?.drv ?? '',
    file: info?.file ?? '',
    size: image?.['virtual-size'] ?? null,
    allocated: image?.['actual-size'] ?? null,
    readOnly: info?.ro ?? false,
    encrypted: info?.encrypted ?? false,
    snapshots: image?.snapshots?.length ?? 0,
    bitmaps: (info?.['dirty-bitmaps'] ?? []).map((bitmap) => ({
      name: bitmap.name,
      dirty: bitmap.count,
      granularity: bitmap.granularity,
      recording: bitmap.recording,
      busy: bitmap.busy,
      persistent: bitmap.persistent,
      inconsistent: bitmap.inconsistent ?? false,
    })),
  };
}

function jobItem(key: string, name: string, jobs: JobsState | null): GraphUser {
  const job = jobs?.jobs.find(({ id }) => id === name);
  const total = job?.['total-progress'] ?? 0;
  return {
    kind: 'job',
    key,
    name,
    type: job?.type ?? '',
    status: job?.status ?? '',
    progress: job && total > 0 ? Math.min(1, job['current-progress'] / total) : null,
  };
}

/**
 * Block backends have no names of their own in the answer: one belongs to the export of its node, or to the job that has a
 * link to the node; what is left is somebody else.
 */
function addBackends(state: GraphState, items: Map<string, GraphItem>, keys: Map<number, string>): void {
  const { nodes, edges } = state.graph;
  const backends = nodes.filter(({ type }) => type === 'block-backend');
  const exports = [...state.exports];
  const names = new Map(nodes.map(({ id, name }) => [id, name]));
  const jobIds = new Set(nodes.filter(({ type }) => type === 'block-job').map(({ id }) => id));
  for (const backend of backends) {
    const root = edges.find(({ parent }) => parent === backend.id);
    if (!root) continue;
    const node = names.get(root.child) ?? '';
    keys.set(backend.id, backendKey(backend, root, node));
  }

  function backendKey({ name }: DebugNode, root: DebugEdge, node: string): string {
    if (name === '') {
      const job = edges.find(({ parent, child }) => child === root.child && jobIds.has(parent));
      const at = exports.findIndex((entry) => entry['node-name'] === node);
      // The backend of a job shares less than a guest's, and its job is there too; an export goes first.
      const [entry] = at < 0 ? [] : exports.splice(at, 1);
      if (entry) {
        const key = `export:${entry.id}`;
        const status = entry['shutting-down'] ? 'shutting down' : '';
        items.set(key, { kind: 'export', key, name: entry.id, type: entry.type, status, progress: null });
        return key;
      }
      if (job) return keys.get(job.parent) ?? '';
    }
    const base = `user:${name === '' ? node : name}`;
    let key = base;
    for (let repeat = 2; items.has(key); repeat++) key = `${base} ${repeat}`;
    items.set(key, { kind: 'user', key, name, type: '', status: '', progress: null });
    return key;
  }
}

/** What is different in a newer model. Keys only. */
export interface GraphChange {
  added: string[];
  removed: string[];
  /** Items and links whose texts or numbers are others. */
  changed: string[];
  /** Links that lead to another node than before. */
  moved: string[];
  /** Something came, went or moved: places have to be found anew. */
  shape: boolean;
}

/** Compares two models. Items are the same if their keys are. */
export function compareModels(before: GraphModel, after: GraphModel): GraphChange {
  const change: GraphChange = { added: [], removed: [], changed: [], moved: [], shape: false };
  for (const [key, item] of after.items) {
    const old = before.items.get(key);
    if (!old) change.added.push(key);
    else if (JSON.stringify(old) !== JSON.stringify(item)) change.changed.push(key);
  }
  for (const [key, edge] of after.edges) {
    const old = before.edges.get(key);
    if (!old) change.added.push(key);
    else if (old.to !== edge.to) change.moved.push(key);
    else if (JSON.stringify(old) !== JSON.stringify(edge)) change.changed.push(key);
  }
  for (const key of before.items.keys()) if (!after.items.has(key)) change.removed.push(key);
  for (const key of before.edges.keys()) if (!after.edges.has(key)) change.removed.push(key);
  change.shape = change.added.length + change.removed.length + change.moved.length > 0;
  return change;
}

/** The links from an item, in the order of the answer. */
export function linksFrom(model: GraphModel, key: string): GraphEdge[] {
  return [...model.edges.values()].filter(({ from }) => from === key);
}

/** The links to a node. */
export function linksTo(model: GraphModel, key: string): GraphEdge[] {
  return [...model.edges.values()].filter(({ to }) => to === key);
}

/** The node that a link of this name leads to. */
export function childOf(model: GraphModel, key: string, name: string): GraphNode | null {
  const edge = [...model.edges.values()].find((link) => link.from === key && link.name === name);
  const item = edge && model.items.get(edge.to);
  return item?.kind === 'node' ? item : null;
}

/** Bitmaps that have room on a card: named ones; one of a job alone, the several of a filter not. */
export function cardBitmaps({ bitmaps }: GraphNode): readonly GraphBitmap[] {
  const named = bitmaps.filter(({ name }) => name !== undefined);
  return named.length === 0 && bitmaps.length === 1 ? bitmaps : named.slice(0, 3);
}

/** The last part of a file name, for a label; of a `json:` name that of the file in it, if it has one. */
export function shortFile(file: string): string {
  if (file.startsWith('json:')) return shortFile(/"filename": "([^"\\]*)"/.exec(file)?.[1] ?? '');
  return file.slice(file.lastIndexOf('/') + 1);
}
