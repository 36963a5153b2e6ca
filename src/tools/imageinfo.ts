/** Information on images for people, as `qemu-img info` and `qemu-io -c info` print it. */
import type { BlockGraphInfo, BlockNodeInfo, QDict, QValue } from '../graph';
import { dictOrder } from '../qapi/dict-order';
import type { SnapshotInfo } from '../qapi/types.generated';
import { isObject } from '../qapi/value';
import { humanSize } from './human';
import { decimal } from './sizes';

const INDENT = '    ';

/** What `qemu-img info` prints of one image and the nodes below it. */
export function describeImage(info: BlockGraphInfo): string {
  return describeNode(info, '', 'image') + describeChildren(info, '', '');
}

/** `kind`: the whole image, or a node at the bottom, which is a file. */
function describeNode(info: BlockNodeInfo, indent: string, kind: 'image' | 'file'): string {
  const names =
    kind === 'image'
      ? { filename: 'image', format: 'file format', size: 'virtual size' }
      : { filename: 'filename', format: 'protocol type', size: 'file length' };
  const actual = info['actual-size'];
  const lines = [
    `${names.filename}: ${info.filename}`,
    `${names.format}: ${info.format}`,
    `${names.size}: ${humanSize(info['virtual-size'])} (${decimal(info['virtual-size'])} bytes)`,
    `disk size: ${actual === undefined ? 'unavailable' : humanSize(actual)}`,
  ];
  if (info.encrypted) lines.push('encrypted: yes');
  if (info['cluster-size'] !== undefined) lines.push(`cluster_size: ${info['cluster-size']}`);
  if (info['dirty-flag']) lines.push('cleanly shut down: no');
  if (info['backing-filename'] !== undefined) lines.push(`backing file: ${backingText(info)}`);
  if (info['backing-filename-format'] !== undefined)
    lines.push(`backing file format: ${info['backing-filename-format']}`);
  if (info.snapshots && info.snapshots.length > 0)
    lines.push('Snapshot list:', ...snapshotTable(info.snapshots));
  const text = lines.map((line) => `${indent}${line}\n`).join('');
  return text + describeSpecific(info, indent);
}

function backingText(info: BlockNodeInfo): string {
  const stored = info['backing-filename'] ?? '';
  const full = info['full-backing-filename'];
  if (full === undefined) return `${stored} (cannot determine actual path)`;
  return full === stored ? stored : `${stored} (actual path: ${full})`;
}

/** The block `Format specific information:`; empty if there is nothing to say. */
export function describeSpecific(info: BlockNodeInfo, indent = ''): string {
  const data: QValue | undefined = info['format-specific']?.data;
  if (!isObject(data) || Object.keys(data).length === 0) return '';
  return `${indent}Format specific information:\n${describeMembers(data, indent + INDENT)}`;
}

function describeMembers(data: QDict, indent: string): string {
  return dictOrder(Object.keys(data))
    .map((key) => describeValue(key.replaceAll('-', ' '), data[key] ?? null, indent))
    .join('');
}

function describeValue(name: string, value: QValue, indent: string): string {
  if (Array.isArray(value)) {
    const items = value.map((item, index) => describeValue(`[${index}]`, item, indent + INDENT)).join('');
    return `${indent}${name}:\n${items}`;
  }
  if (isObject(value)) return `${indent}${name}:\n${describeMembers(value, indent + INDENT)}`;
  return `${indent}${name}: ${scalarText(value)}\n`;
}

function scalarText(value: QValue): string {
  if (typeof value === 'number' || typeof value === 'bigint') return decimal(value);
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : '';
}

function describeChildren(info: BlockGraphInfo, path: string, indent: string): string {
  return info.children
    .map(({ name, info: child }) => {
      const childPath = `${path}/${name}`;
      const kind = child.children.length > 0 ? 'image' : 'file';
      const own = describeNode(child, indent + INDENT, kind);
      return `${indent}Child node '${childPath}':\n${own}${describeChildren(child, childPath, indent + INDENT)}`;
    })
    .join('');
}

/** The lines of a list of snapshots, the header first. Times are local. */
export function snapshotTable(snapshots: readonly SnapshotInfo[]): string[] {
  const row = (id: string, tag: string, size: string, date: string, clock: string, count: string): string =>
    `${id.padEnd(7)} ${tag.padEnd(16)} ${size.padStart(8)} ${date.padStart(19)} ${clock.padStart(15)} ${count.padStart(10)}`;
  return [
    row('ID', 'TAG', 'VM_SIZE', 'DATE', 'VM_CLOCK', 'ICOUNT'),
    ...snapshots.map((snapshot) =>
      row(
        snapshot.id,
        snapshot.name,
        humanSize(snapshot['vm-state-size']),
        localTime(snapshot['date-sec']),
        vmClock(snapshot['vm-clock-sec'], snapshot['vm-clock-nsec']),
        snapshot.icount === undefined ? '--' : decimal(snapshot.icount),
      ),
    ),
  ];
}

const digits = (value: number, count: number): string => String(value).padStart(count, '0');

function localTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  const day = [digits(date.getFullYear(), 4), digits(date.getMonth() + 1, 2), digits(date.getDate(), 2)].join(
    '-',
  );
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => digits(part, 2)).join(':')}`;
}

function vmClock(seconds: number, nanoseconds: number): string {
  const hours = digits(Math.floor(seconds / 3600), 4);
  const minutes = digits(Math.floor(seconds / 60) % 60, 2);
  return `${hours}:${minutes}:${digits(seconds % 60, 2)}.${digits(Math.floor(nanoseconds / 1e6), 3)}`;
}
