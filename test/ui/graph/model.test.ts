import { describe, expect, test } from 'vitest';
import {
  buildModel,
  cardBitmaps,
  compareModels,
  EMPTY,
  linksFrom,
  shortFile,
} from '../../../src/ui/graph/model';
import type { GraphState, JobsState } from '../../../src/ui/watch/snapshot';

type Permission = GraphState['graph']['edges'][number]['perm'][number];
type NodeType = GraphState['graph']['nodes'][number]['type'];

/** An answer in short: `[id, type, name]` and `[parent, child, name]`. */
function answer(
  nodes: [number, NodeType, string][],
  edges: [number, number, string][],
  exports: GraphState['exports'] = [],
  infos: Record<string, object> = {},
): GraphState {
  const perm: Permission[] = ['consistent-read'];
  return {
    graph: {
      nodes: nodes.map(([id, type, name]) => ({ id, type, name })),
      edges: edges.map(([parent, child, name]) => ({ parent, child, name, perm, 'shared-perm': perm })),
    },
    nodes: Object.entries(infos).map(([name, info]) => ({
      'node-name': name,
      ...info,
    })) as unknown as GraphState['nodes'],
    exports,
  };
}

const chain = answer(
  [
    [1, 'block-driver', 'top'],
    [2, 'block-driver', 'base'],
    [3, 'block-driver', '#block001'],
  ],
  [
    [1, 3, 'file'],
    [1, 2, 'backing'],
  ],
  [],
  {
    top: {
      drv: 'qcow2',
      file: 'dir/top.qcow2',
      ro: false,
      encrypted: false,
      image: { 'virtual-size': 100, 'actual-size': 40, snapshots: [{}] },
      'dirty-bitmaps': [
        { name: 'b', count: 7, granularity: 65536, recording: true, busy: false, persistent: true },
      ],
    },
  },
);

describe('the model of the graph', () => {
  test('has nodes with what is known of them, and links', () => {
    const { items, edges } = buildModel(chain, null);
    expect([...items.keys()]).toEqual(['node:top', 'node:base', 'node:#block001']);
    expect(items.get('node:top')).toMatchObject({
      driver: 'qcow2',
      file: 'dir/top.qcow2',
      size: 100,
      allocated: 40,
      snapshots: 1,
      bitmaps: [{ name: 'b', dirty: 7, recording: true, inconsistent: false }],
    });
    // One that was not in the second answer.
    expect(items.get('node:base')).toMatchObject({ driver: '', size: null, allocated: null });
    expect([...edges.keys()]).toEqual(['node:top/file', 'node:top/backing']);
    expect(linksFrom(buildModel(chain, null), 'node:top').map(({ to }) => to)).toEqual([
      'node:#block001',
      'node:base',
    ]);
  });

  test('unnamed backends belong to an export, to the job beside them, or to somebody else', () => {
    const jobs: JobsState = {
      jobs: [{ id: 'j', type: 'mirror', status: 'running', 'current-progress': 25, 'total-progress': 100 }],
      blockJobs: [],
    };
    const { items, edges } = buildModel(
      answer(
        [
          [1, 'block-driver', 'source'],
          [2, 'block-driver', 'target'],
          [3, 'block-job', 'j'],
          [4, 'block-backend', ''],
          [5, 'block-backend', ''],
          [6, 'block-backend', 'workload'],
        ],
        [
          [3, 1, 'main node'],
          [3, 2, 'target'],
          [4, 1, 'root'],
          [5, 2, 'root'],
          [6, 1, 'root'],
        ],
        [{ id: 'exp', type: 'nbd', 'node-name': 'source', 'shutting-down': false }],
      ),
      jobs,
    );
    expect([...items.keys()]).toEqual(['node:source', 'node:target', 'job:j', 'export:exp', 'user:workload']);
    expect(items.get('job:j')).toMatchObject({ type: 'mirror', status: 'running', progress: 0.25 });
    expect(edges.get('job:j/root')).toMatchObject({ from: 'job:j', to: 'node:target' });
    expect(edges.get('export:exp/root')?.to).toBe('node:source');
    expect(edges.get('user:workload/root')?.to).toBe('node:source');
  });

  test('links of the same name have keys of their own', () => {
    const { edges } = buildModel(
      answer(
        [
          [1, 'block-job', 'c'],
          [2, 'block-driver', 'a'],
          [3, 'block-driver', 'b'],
        ],
        [
          [1, 2, 'intermediate node'],
          [1, 3, 'intermediate node'],
          [1, 9, 'nobody'],
        ],
      ),
      null,
    );
    expect([...edges.keys()]).toEqual(['job:c/intermediate node', 'job:c/intermediate node#1']);
  });
});

describe('a change', () => {
  test('from nothing, to nothing, and none', () => {
    const model = buildModel(chain, null);
    expect(compareModels(EMPTY, model)).toMatchObject({ shape: true, removed: [] });
    expect(compareModels(EMPTY, model).added).toHaveLength(5);
    expect(compareModels(model, EMPTY).removed).toHaveLength(5);
    expect(compareModels(model, buildModel(structuredClone(chain), null))).toEqual({
      added: [],
      removed: [],
      changed: [],
      moved: [],
      shape: false,
    });
  });

  test('a snapshot: an overlay comes, the export moves to it', () => {
    const exports: GraphState['exports'] = [
      { id: 'e', type: 'nbd', 'node-name': 'base', 'shutting-down': false },
    ];
    const before = buildModel(
      answer(
        [
          [1, 'block-driver', 'base'],
          [2, 'block-backend', ''],
        ],
        [[2, 1, 'root']],
        exports,
      ),
      null,
    );
    const after = buildModel(
      answer(
        [
          [1, 'block-driver', 'base'],
          [3, 'block-driver', 'overlay'],
          [2, 'block-backend', ''],
        ],
        [
          [2, 3, 'root'],
          [3, 1, 'backing'],
        ],
        exports.map((entry) => ({ ...entry, 'node-name': 'overlay' })),
      ),
      null,
    );
    expect(compareModels(before, after)).toEqual({
      added: ['node:overlay', 'node:overlay/backing'],
      removed: [],
      changed: [],
      moved: ['export:e/root'],
      shape: true,
    });
  });

  test('numbers change without a new shape', () => {
    const later = structuredClone(chain);
    const [info] = later.nodes;
    if (info?.image) info.image['actual-size'] = 80;
    expect(compareModels(buildModel(chain, null), buildModel(later, null))).toMatchObject({
      changed: ['node:top'],
      shape: false,
    });
  });
});

test('cards have room for named bitmaps, or for the one of a job', () => {
  const bitmap = (name?: string) => ({
    name,
    dirty: 0,
    granularity: 1,
    recording: true,
    busy: false,
    persistent: false,
    inconsistent: false,
  });
  const item = buildModel(chain, null).items.get('node:base');
  const shown = (...names: (string | undefined)[]) =>
    item?.kind === 'node' &&
    cardBitmaps({ ...item, bitmaps: names.map((name) => bitmap(name)) }).map(({ name }) => name);
  expect(shown(undefined)).toEqual([undefined]);
  expect(shown(undefined, undefined)).toEqual([]);
  expect(shown('a', undefined, 'b', 'c', 'd')).toEqual(['a', 'b', 'c']);
});

test('labels of files are short', () => {
  expect(shortFile('/a/b/c.qcow2')).toBe('c.qcow2');
  expect(shortFile('json:{"driver": "x/y"}')).toBe('');
  expect(shortFile('json:{"driver": "raw", "file": {"filename": "a/b.img"}}')).toBe('b.img');
  expect(shortFile('')).toBe('');
});
