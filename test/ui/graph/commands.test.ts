import { describe, expect, test } from 'vitest';
import { openProposals, proposals, reopenAll, topOf } from '../../../src/ui/graph/commands';
import type { GraphEdge, GraphItem, GraphModel, GraphNode, GraphUser } from '../../../src/ui/graph/model';

function node(name: string, driver: string, more: Partial<GraphNode> = {}): GraphNode {
  return {
    kind: 'node',
    key: `node:${name}`,
    name,
    driver,
    file: `${name}.img`,
    size: 1048576,
    allocated: 4096,
    readOnly: false,
    encrypted: false,
    snapshots: 0,
    bitmaps: [],
    ...more,
  };
}

function user(kind: GraphUser['kind'], name: string, status = ''): GraphUser {
  return { kind, key: `${kind}:${name}`, name, type: kind === 'export' ? 'nbd' : '', status, progress: null };
}

/** Links in short: `from name to`. */
function model(items: GraphItem[], ...links: [string, string, string][]): GraphModel {
  const edges = links.map(([from, name, to]): [string, GraphEdge] => [
    `${from}/${name}`,
    { key: `${from}/${name}`, from, to, name, perm: [], shared: [] },
  ]);
  return { items: new Map(items.map((item) => [item.key, item])), edges: new Map(edges) };
}

/** The commands for an item, by label. */
function commands(graph: GraphModel, key: string): Record<string, string> {
  const item = graph.items.get(key);
  return Object.fromEntries(item ? proposals(graph, item).map(({ label, command }) => [label, command]) : []);
}

const chain = model(
  [
    node('top', 'qcow2'),
    node('mid', 'qcow2', { readOnly: true }),
    node('base', 'qcow2', { readOnly: true }),
    node('f', 'file'),
  ],
  ['node:top', 'backing', 'node:mid'],
  ['node:mid', 'backing', 'node:base'],
  ['node:top', 'file', 'node:f'],
);

describe('commands that make sense', () => {
  test('on the active layer', () => {
    expect(commands(chain, 'node:top')).toMatchObject({
      'Snapshot, step 1: make a file for the overlay':
        'qemu-img create -f qcow2 -u -b top.img -F qcow2 top-ov.qcow2 1048576',
      'Snapshot, step 2: open it without its backing file':
        'blockdev-add driver=qcow2 node-name=top-ov backing=null file.driver=file file.filename=top-ov.qcow2',
      'Stream: copy up what is below, so that it stands alone': 'block-stream job-id=stream device=top',
      'Commit into mid (the active layer)': 'block-commit job-id=commit device=top base-node=mid',
      'Back up to a new file':
        'drive-backup job-id=backup device=top target=top-copy.qcow2 format=qcow2 sync=full',
      'Make the disk larger': 'block_resize node-name=top size=2097152',
      'Reopen read-only':
        'blockdev-reopen options=[{"driver": "qcow2", "node-name": "top", "file": "f", "backing": "mid", "read-only": true}]',
      'Prepare a fault: one write fails with ENOSPC':
        'blockdev-add driver=blkdebug node-name=faults image=f inject-error=[{"event": "write_aio", "errno": 28, "once": true}]',
      'Close it': 'blockdev-del node-name=top',
    });
  });

  test('in the middle of a chain: no snapshot, no closing, a commit named from above', () => {
    const lines = commands(chain, 'node:mid');
    expect(lines['Commit into base']).toBe(
      'block-commit job-id=commit device=top top-node=mid base-node=base',
    );
    expect(Object.keys(lines).filter((label) => /snapshot|Close|Export|Mirror/.test(label))).toEqual([]);
    expect(commands(chain, 'node:base')['Stream: copy up what is below, so that it stands alone']).toBe(
      undefined,
    );
    const mid = chain.items.get('node:mid');
    expect(mid?.kind === 'node' && topOf(chain, mid).name).toBe('top');
  });

  test('a snapshot of a node that is used is one command; an overlay that waits is put on top', () => {
    const used = model([node('d', 'qcow2'), user('export', 'e')], ['export:e', 'root', 'node:d']);
    expect(commands(used, 'node:d')['Take a snapshot: a new overlay on top']).toBe(
      'blockdev-snapshot-sync node-name=d snapshot-file=d-ov.qcow2 snapshot-node-name=d-ov format=qcow2',
    );
    const ready = model([node('d', 'qcow2'), node('d-ov', 'qcow2')]);
    expect(commands(ready, 'node:d')['Snapshot: put d-ov on top']).toBe(
      'blockdev-snapshot node=d overlay=d-ov',
    );
  });

  test('with another node that fits, copies go there', () => {
    const graph = model([node('a', 'qcow2'), node('b', 'qcow2')]);
    expect(commands(graph, 'node:a')).toMatchObject({
      'Back up to b': 'blockdev-backup job-id=backup device=a target=b sync=full',
      'Mirror to b': 'blockdev-mirror job-id=mirror device=a target=b sync=full',
    });
  });

  test('names that are taken, and names that need quotes', () => {
    const graph = model([
      node('a b', 'qcow2'),
      user('job', 'backup', 'running'),
      node('1', 'qcow2', { size: 5 }),
    ]);
    expect(commands(graph, 'node:a b')['Back up to a new file']).toBe(
      'drive-backup job-id=backup2 device="a b" target=ab-copy.qcow2 format=qcow2 sync=full',
    );
    expect(commands(graph, 'node:1')['Close it']).toBe('blockdev-del node-name="1"');
  });

  test('faults go in and out below an image', () => {
    const ready = model(
      [node('d', 'qcow2'), node('f', 'file'), node('faults', 'blkdebug')],
      ['node:d', 'file', 'node:f'],
      ['node:faults', 'image', 'node:f'],
    );
    expect(commands(ready, 'node:d')['Put faults below it']).toBe(
      'blockdev-reopen options=[{"driver": "qcow2", "node-name": "d", "file": "faults"}]',
    );
    const inside = model(
      [node('d', 'qcow2'), node('f', 'file'), node('faults', 'blkdebug')],
      ['node:d', 'file', 'node:faults'],
      ['node:faults', 'image', 'node:f'],
    );
    expect(commands(inside, 'node:d')['Take the faults out again']).toBe(
      'blockdev-reopen options=[{"driver": "qcow2", "node-name": "d", "file": "f"}]',
    );
  });

  test('on bitmaps, exports and jobs', () => {
    const bitmap = {
      name: 'b',
      dirty: 0,
      granularity: 1,
      recording: true,
      busy: false,
      persistent: true,
      inconsistent: false,
    };
    const graph = model([
      node('d', 'qcow2', { bitmaps: [bitmap] }),
      user('export', 'e'),
      user('job', 'j', 'ready'),
    ]);
    expect(commands(graph, 'node:d')).toMatchObject({
      'Stop marking in b': 'block-dirty-bitmap-disable node=d name=b',
      'Clear b': 'block-dirty-bitmap-clear node=d name=b',
      'Remove b': 'block-dirty-bitmap-remove node=d name=b',
    });
    expect(commands(graph, 'export:e')).toEqual({ 'End the export': 'block-export-del id=e' });
    expect(Object.values(commands(graph, 'job:j'))).toEqual([
      'job-pause id=j',
      'job-complete id=j',
      'job-cancel id=j',
    ]);
  });
});

test('files that can be opened, without those that are', () => {
  const graph = model([node('f', 'file', { file: 'open.qcow2' })]);
  expect(openProposals(graph, ['open.qcow2', 'a b.qcow2', 'notes.txt', 'disk.img'])).toEqual([
    {
      label: 'Open a b.qcow2',
      command: 'blockdev-add driver=qcow2 node-name=ab file.driver=file file.filename="a b.qcow2"',
    },
    {
      label: 'Open disk.img',
      command: 'blockdev-add driver=raw node-name=disk file.driver=file file.filename=disk.img',
    },
  ]);
});

test('what was open is checked and opened again: the top of each chain', () => {
  expect(reopenAll(chain)).toEqual([
    { label: 'Check f.img', command: 'qemu-img check f.img' },
    {
      label: 'Open top again',
      command: 'blockdev-add driver=qcow2 node-name=top file.driver=file file.filename=f.img',
    },
  ]);
  const faulty = model(
    [node('d', 'qcow2'), node('faults', 'blkdebug'), node('f', 'file')],
    ['node:d', 'file', 'node:faults'],
    ['node:faults', 'image', 'node:f'],
  );
  expect(reopenAll(faulty).map(({ label }) => label)).toEqual(['Check f.img', 'Open d again']);
});
