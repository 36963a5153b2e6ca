/**
 * Which commands make sense on a node or user, as lines for the console. They are proposals: the user reads and changes
 * them, and the daemon alone judges.
 */
import { childOf, linksTo, type GraphItem, type GraphModel, type GraphNode } from './model';

/** A proposal. */
export interface Proposal {
  label: string;
  /** The line. */
  command: string;
}

/** Drivers that are files or stand in for them: they have no format above raw bytes. */
const PROTOCOLS = new Set(['file', 'null-co', 'null-aio', 'nbd', 'https', 'http', 'blkio']);

/** Formats that are opened again after everything was lost; filters are not. */
const REOPENED = new Set(['qcow2', 'raw']);

/** What can be done with an item. */
export function proposals(model: GraphModel, item: GraphItem): Proposal[] {
  switch (item.kind) {
    case 'node':
      return nodeProposals(model, item);
    case 'export':
      return [{ label: 'End the export', command: `block-export-del id=${word(item.name)}` }];
    case 'job':
      return jobProposals(item.name, item.status);
    case 'user':
      return [];
  }
}

function jobProposals(name: string, status: string): Proposal[] {
  const id = word(name);
  const list: Proposal[] = [];
  if (status === 'paused' || status === 'standby')
    list.push({ label: 'Resume', command: `job-resume id=${id}` });
  if (status === 'running' || status === 'ready')
    list.push({ label: 'Pause', command: `job-pause id=${id}` });
  if (status === 'ready') list.push({ label: 'Complete', command: `job-complete id=${id}` });
  if (status === 'pending') list.push({ label: 'Finalize', command: `job-finalize id=${id}` });
  if (status === 'concluded') list.push({ label: 'Dismiss', command: `job-dismiss id=${id}` });
  else list.push({ label: 'Cancel', command: `job-cancel id=${id}` });
  return list;
}

function nodeProposals(model: GraphModel, node: GraphNode): Proposal[] {
  const name = word(node.name);
  const protocol = PROTOCOLS.has(node.driver);
  const users = linksTo(model, node.key);
  const top = !users.some(({ from }) => from.startsWith('node:'));
  const jobs = users.some(({ from }) => from.startsWith('job:'));
  const backing = childOf(model, node.key, 'backing');
  const list: Proposal[] = [];
  if (!protocol) {
    if (top && !jobs) list.push(...snapshotProposals(model, node, users.length > 0));
    if (backing && !jobs) list.push(...chainProposals(model, node, backing));
    if (!jobs && top) list.push(...copyProposals(model, node));
  }
  list.push(...exportProposals(model, node, top));
  list.push(...bitmapProposals(node));
  if (!protocol && top && node.size !== null && !node.readOnly)
    list.push({
      label: 'Make the disk larger',
      command: `block_resize node-name=${name} size=${node.size * 2}`,
    });
  const reopen = reopenProposal(model, node);
  if (reopen) list.push(reopen);
  list.push(...faultProposals(model, node));
  if (node.file !== '' && !node.file.startsWith('json:') && protocol && node.driver === 'file')
    list.push({ label: 'Look at the image', command: `qemu-img info -U ${word(node.file)}` });
  if (users.length === 0) list.push({ label: 'Close it', command: `blockdev-del node-name=${name}` });
  return list;
}

/**
 * An overlay on top. blockdev-snapshot-sync makes it all in one, but its node goes with its last user: without one that is at
 * once. An overlay that was opened by a command of its own stays.
 */
function snapshotProposals(model: GraphModel, node: GraphNode, used: boolean): Proposal[] {
  const name = word(node.name);
  const overlay = fresh(model, `${plain(node.name)}-ov`);
  if (used)
    return [
      {
        label: 'Take a snapshot: a new overlay on top',
        command: `blockdev-snapshot-sync node-name=${name} snapshot-file=${overlay}.qcow2 snapshot-node-name=${overlay} format=qcow2`,
      },
    ];
  const ready = [...model.items.values()].find(
    (other) =>
      other.kind === 'node' &&
      other.key !== node.key &&
      other.driver === 'qcow2' &&
      !other.readOnly &&
      other.size === node.size &&
      !childOf(model, other.key, 'backing') &&
      linksTo(model, other.key).length === 0,
  );
  const list: Proposal[] = ready
    ? [
        {
          label: `Snapshot: put ${ready.name} on top`,
          command: `blockdev-snapshot node=${name} overlay=${word(ready.name)}`,
        },
      ]
    : [];
  if (node.file === '' || node.file.startsWith('json:') || node.size === null) return list;
  // The daemon has the image locked: its size is given, and it is not looked at.
  const image = `-u -b ${word(node.file)} -F ${node.driver} ${overlay}.qcow2 ${node.size}`;
  return [
    ...list,
    {
      label: 'Snapshot, step 1: make a file for the overlay',
      command: `qemu-img create -f qcow2 ${image}`,
    },
    {
      label: 'Snapshot, step 2: open it without its backing file',
      command: `blockdev-add driver=qcow2 node-name=${overlay} backing=null file.driver=file file.filename=${overlay}.qcow2`,
    },
  ];
}

/** Stream and commit along the chain of backing files. */
function chainProposals(model: GraphModel, node: GraphNode, backing: GraphNode): Proposal[] {
  const name = word(node.name);
  const top = topOf(model, node);
  const list: Proposal[] = [
    {
      label: 'Stream: copy up what is below, so that it stands alone',
      command: `block-stream job-id=${fresh(model, 'stream')} device=${name}`,
    },
  ];
  const job = fresh(model, 'commit');
  if (top.key === node.key)
    list.push({
      label: `Commit into ${backing.name} (the active layer)`,
      command: `block-commit job-id=${job} device=${name} base-node=${word(backing.name)}`,
    });
  else
    list.push({
      label: `Commit into ${backing.name}`,
      command: `block-commit job-id=${job} device=${word(top.name)} top-node=${name} base-node=${word(backing.name)}`,
    });
  return list;
}

/** Backup and mirror, to a node that could take them, else to a new file. */
function copyProposals(model: GraphModel, node: GraphNode): Proposal[] {
  const name = word(node.name);
  const target = [...model.items.values()].find(
    (other) =>
      other.kind === 'node' &&
      other.key !== node.key &&
      !PROTOCOLS.has(other.driver) &&
      !other.readOnly &&
      other.size === node.size &&
      linksTo(model, other.key).length === 0,
  );
  const backup = fresh(model, 'backup');
  const mirror = fresh(model, 'mirror');
  const bitmap = node.bitmaps.find((entry) => entry.name !== undefined && !entry.busy && entry.recording);
  const list: Proposal[] = [];
  if (target) {
    const to = word(target.name);
    list.push(
      {
        label: `Back up to ${target.name}`,
        command: `blockdev-backup job-id=${backup} device=${name} target=${to} sync=full`,
      },
      {
        label: `Mirror to ${target.name}`,
        command: `blockdev-mirror job-id=${mirror} device=${name} target=${to} sync=full`,
      },
    );
  } else {
    const file = `${plain(node.name)}-copy.qcow2`;
    list.push(
      {
        label: 'Back up to a new file',
        command: `drive-backup job-id=${backup} device=${name} target=${file} format=qcow2 sync=full`,
      },
      {
        label: 'Mirror to a new file',
        command: `drive-mirror job-id=${mirror} device=${name} target=${file} format=qcow2 sync=full node-name=${fresh(model, `${plain(node.name)}-copy`)}`,
      },
    );
  }
  if (bitmap?.name !== undefined)
    list.push({
      label: `Back up what ${bitmap.name} has marked`,
      command: `drive-backup job-id=${backup} device=${name} target=${plain(node.name)}-inc.qcow2 format=qcow2 sync=incremental bitmap=${word(bitmap.name)}`,
    });
  return list;
}

function exportProposals(model: GraphModel, node: GraphNode, top: boolean): Proposal[] {
  const list: Proposal[] = [];
  if (!top) return list;
  const served = [...model.items.values()].some((item) => item.kind === 'export' && item.type === 'nbd');
  if (!served)
    list.push({
      label: 'Start the NBD server',
      command: 'nbd-server-start addr={"type": "unix", "data": {"path": "nbd.sock"}}',
    });
  const writable = node.readOnly ? '' : ' writable=true';
  list.push({
    label: 'Export it over NBD',
    command: `block-export-add type=nbd id=${fresh(model, 'exp')} node-name=${word(node.name)}${writable}`,
  });
  return list;
}

function bitmapProposals(node: GraphNode): Proposal[] {
  const on = `node=${word(node.name)}`;
  const list: Proposal[] = [];
  if (!node.readOnly && node.driver === 'qcow2')
    list.push({
      label: 'Mark what is written from now on (dirty bitmap)',
      command: `block-dirty-bitmap-add ${on} name=${freshBitmap(node)} persistent=true`,
    });
  for (const { name, recording, busy } of node.bitmaps) {
    if (name === undefined || busy) continue;
    const bitmap = `${on} name=${word(name)}`;
    list.push(
      recording
        ? { label: `Stop marking in ${name}`, command: `block-dirty-bitmap-disable ${bitmap}` }
        : { label: `Go on marking in ${name}`, command: `block-dirty-bitmap-enable ${bitmap}` },
      { label: `Clear ${name}`, command: `block-dirty-bitmap-clear ${bitmap}` },
      { label: `Remove ${name}`, command: `block-dirty-bitmap-remove ${bitmap}` },
    );
  }
  return list;
}

/** Reopening keeps the children that it names. */
function reopenProposal(model: GraphModel, node: GraphNode): Proposal | null {
  const file = childOf(model, node.key, 'file');
  if (node.driver !== 'qcow2' || !file) return null;
  const backing = childOf(model, node.key, 'backing');
  const options = {
    driver: node.driver,
    'node-name': node.name,
    file: file.name,
    ...(backing && { backing: backing.name }),
    'read-only': !node.readOnly,
  };
  return {
    label: node.readOnly ? 'Reopen to be written' : 'Reopen read-only',
    command: `blockdev-reopen options=[${json(options)}]`,
  };
}

/** A node that lets requests fail between an image and its file, and away again. */
export function faultProposals(model: GraphModel, node: GraphNode): Proposal[] {
  const file = childOf(model, node.key, 'file');
  if (node.driver !== 'qcow2' || !file) return [];
  const backing = childOf(model, node.key, 'backing');
  const reopen = (to: string): string =>
    `blockdev-reopen options=[${json({
      driver: node.driver,
      'node-name': node.name,
      file: to,
      ...(backing && { backing: backing.name }),
      ...(node.readOnly && { 'read-only': true }),
    })}]`;
  if (file.driver === 'blkdebug') {
    const below = childOf(model, file.key, 'image');
    return below ? [{ label: 'Take the faults out again', command: reopen(below.name) }] : [];
  }
  const unused = [...model.items.values()].find(
    (item) =>
      item.kind === 'node' &&
      item.driver === 'blkdebug' &&
      childOf(model, item.key, 'image')?.key === file.key,
  );
  if (unused) return [{ label: `Put ${unused.name} below it`, command: reopen(unused.name) }];
  return [
    { label: 'Prepare a fault: one write fails with EIO', command: blkdebug(model, file, 5) },
    { label: 'Prepare a fault: one write fails with ENOSPC', command: blkdebug(model, file, 28) },
  ];
}

/** Adds a blkdebug node above another one. If writes went on to fail, the image could not be flushed and taken off it. */
function blkdebug(model: GraphModel, image: GraphNode, errno: number): string {
  const rules = `[{"event": "write_aio", "errno": ${errno}, "once": true}]`;
  return `blockdev-add driver=blkdebug node-name=${fresh(model, 'faults')} image=${word(image.name)} inject-error=${rules}`;
}

/** The uppermost node of a chain of backing files (and filters) that has this one. */
export function topOf(model: GraphModel, node: GraphNode): GraphNode {
  let top = node;
  const seen = new Set([node.key]);
  for (;;) {
    const above = linksTo(model, top.key).find(
      ({ name, from }) => (name === 'backing' || name === 'file') && from.startsWith('node:'),
    );
    const item = above && model.items.get(above.from);
    if (item?.kind !== 'node' || seen.has(item.key)) return top;
    seen.add(item.key);
    top = item;
  }
}

/** Lines that open a file of the sandbox; the format is guessed by the name, as the user can see. */
export function openProposals(model: GraphModel, files: readonly string[]): Proposal[] {
  const open = new Set(
    [...model.items.values()].flatMap((item) => (item.kind === 'node' ? [item.file] : [])),
  );
  return files
    .filter((file) => !open.has(file) && /\.(qcow2|img|raw|iso)$/i.test(file))
    .map((file) => ({
      label: `Open ${file}`,
      command: `blockdev-add driver=${/\.qcow2$/i.test(file) ? 'qcow2' : 'raw'} node-name=${fresh(model, plain(file.replace(/\.\w+$/, '')))} file.driver=file file.filename=${word(file)}`,
    }));
}

/** Lines that open the nodes of a model again after everything was lost, lowest first. */
export function reopenAll(model: GraphModel): Proposal[] {
  const list: Proposal[] = [];
  for (const item of model.items.values()) {
    if (item.kind !== 'node' || !REOPENED.has(item.driver)) continue;
    const file = imageFile(model, item);
    if (!file || linksTo(model, item.key).some(({ from }) => from.startsWith('node:'))) continue;
    const readOnly = item.readOnly ? ' read-only=true' : '';
    list.push(
      { label: `Check ${file.file}`, command: `qemu-img check ${word(file.file)}` },
      {
        label: `Open ${item.name} again`,
        command: `blockdev-add driver=${item.driver} node-name=${word(item.name)} file.driver=file file.filename=${word(file.file)}${readOnly}`,
      },
    );
  }
  return list;
}

/** The file of an image, below what was put between them. */
function imageFile(model: GraphModel, node: GraphNode): GraphNode | null {
  let below = childOf(model, node.key, 'file');
  for (let depth = 0; below && below.driver !== 'file' && depth < 10; depth++)
    below = childOf(model, below.key, 'image') ?? childOf(model, below.key, 'file');
  return below?.driver === 'file' ? below : null;
}

/** A name that nothing has yet. */
function fresh(model: GraphModel, base: string): string {
  const taken = new Set([...model.items.values()].map(({ name }) => name));
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base}${number}`;
  return name;
}

function freshBitmap({ bitmaps }: GraphNode): string {
  const taken = new Set(bitmaps.map(({ name }) => name));
  let name = 'bitmap0';
  for (let number = 1; taken.has(name); number++) name = `bitmap${number}`;
  return name;
}

/** What can stand in a new node name or file name: a generated name has a `#`. */
function plain(name: string): string {
  const cleaned = name.replace(/[^\w.-]/g, '').replace(/^[^A-Za-z]+/, '');
  return cleaned === '' ? 'node' : cleaned.slice(0, 20);
}

/** A value as a word of the console. */
function word(value: string): string {
  return /^[\w./+#:-]+$/.test(value) &&
    !/^[+-]?\d+$|^(true|false|null)$/i.test(value) &&
    !value.startsWith('-')
    ? value
    : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

function json(value: object): string {
  return JSON.stringify(value).replace(/":/g, '": ').replace(/,"/g, ', "');
}
