/** What is on a disk: its partitions as a bar and a list, and the files of one of them. */
import {
  startScript,
  Volumes,
  type DiskLayout,
  type DiskSource,
  type Partition,
  type VolumeContent,
  type VolumeRange,
} from '../../../client';
import workerAddress from '../../../worker/volumes.ts?worker&url';
import { button, h } from '../../dom';
import { formatBytes } from '../../units';
import { showFiles } from './files';
import styles from './volumes.css?inline';

/** What the panel asks for. */
export interface VolumesActions {
  /** Show bytes of the disk. */
  bytes(offset: number, length: number): void;
}

/** Shows a disk; answers a function that ends it. */
export function showVolumes(place: HTMLElement, disk: DiskSource, actions: VolumesActions): () => void {
  const worker = startScript(new URL(workerAddress, import.meta.url), 'qsd-web volumes');
  const volumes = new Volumes(worker, disk);
  let ended = false;
  place.replaceChildren(h('p', { class: 'meaning' }, 'Looking for partitions and file systems…'));
  volumes.layout().then(
    (layout) => {
      if (!ended) place.replaceChildren(h('style', {}, styles), ...contents(volumes, layout, actions));
    },
    (error: unknown) => {
      if (!ended)
        place.replaceChildren(
          h('p', { class: 'problem', role: 'alert' }, error instanceof Error ? error.message : String(error)),
        );
    },
  );
  return () => {
    ended = true;
    volumes.end();
  };
}

function contents(volumes: Volumes, layout: DiskLayout, actions: VolumesActions): HTMLElement[] {
  const files = h('section', { class: 'volume-files', 'aria-label': 'Files', hidden: true });
  const open = (title: string, range: VolumeRange): void => {
    files.hidden = false;
    showFiles(files, volumes, title, range);
  };
  const parts: HTMLElement[] = [h('p', { class: 'volume-summary' }, summary(layout))];
  for (const { kind, text: remark } of layout.remarks)
    parts.push(h('p', { class: kind === 'info' ? 'meaning' : 'problem' }, remark));
  if (layout.partitions.length > 0) parts.push(bar(layout));
  const list = h('ul', { class: 'volumes', 'aria-label': 'Volumes' });
  if (layout.content)
    list.append(row('The whole disk', 0, layout.size, layout.content, [], [], open, actions));
  for (const partition of layout.partitions)
    list.append(
      row(
        `${partition.number}${partition.name === '' ? '' : ` · ${partition.name}`}`,
        partition.offset,
        partition.length,
        partition.content,
        [
          partition.typeName || partition.type,
          ...(partition.kind === 'logical' ? ['logical'] : []),
          ...partition.flags,
        ],
        partition.problems,
        open,
        actions,
      ),
    );
  if (list.childElementCount > 0) parts.push(list);
  else
    parts.push(
      h(
        'p',
        { class: 'meaning' },
        'No partition table and no file system that is known: the disk may be empty, or encrypted as a whole.',
      ),
    );
  parts.push(files);
  return parts;
}

function summary({ size, table, tableId, sectorSize, partitions }: DiskLayout): string {
  const tables = { mbr: 'MBR partition table', gpt: 'GPT partition table', hybrid: 'GPT with a hybrid MBR' };
  const said = [`Disk of ${formatBytes(size)}`];
  if (table) {
    const count = partitions.length;
    said.push(tables[table], `${count} partition${count === 1 ? '' : 's'}`, `sectors of ${sectorSize} bytes`);
    if (tableId !== '') said.push(tableId);
  } else said.push('no partition table');
  return said.join(' · ');
}

/** The disk to scale. What it shows is in the list too, which is for those who cannot see it. */
function bar({ size, partitions }: DiskLayout): HTMLElement {
  const pieces: HTMLElement[] = [];
  let at = 0;
  for (const { offset, length, kind, number, content, typeName } of partitions) {
    if (kind === 'extended' || offset < at || offset >= size) continue;
    if (offset > at) pieces.push(piece(offset - at, 'free', '', `${formatBytes(offset - at)} not used`));
    const end = Math.min(size, offset + length);
    const title = `${number}: ${content?.title ?? typeName}, ${formatBytes(length)}`;
    const element = piece(end - offset, kindClass(content), String(number), title);
    if (content?.size && content.used !== null) {
      const used = h('i', {});
      used.style.width = `${Math.min(100, (100 * content.used) / content.size)}%`;
      element.prepend(used);
    }
    pieces.push(element);
    at = end;
  }
  if (at < size) pieces.push(piece(size - at, 'free', '', `${formatBytes(size - at)} not used`));
  return h('div', { class: 'volume-bar', 'aria-hidden': 'true' }, ...pieces);
}

function piece(bytes: number, className: string, label: string, title: string): HTMLElement {
  const element = h('div', { class: className, title }, h('span', {}, label));
  element.style.flexGrow = String(bytes);
  return element;
}

function kindClass(content: Partition['content']): string {
  return content ? content.kind.replace(' ', '-') : 'unknown';
}

function row(
  title: string,
  offset: number,
  length: number,
  content: VolumeContent | null,
  tags: readonly string[],
  problems: readonly string[],
  open: (title: string, range: VolumeRange) => void,
  actions: VolumesActions,
): HTMLElement {
  const facts: string[] = [`at ${formatBytes(offset)}`, formatBytes(length)];
  if (content?.size && content.used !== null)
    facts.push(`${formatBytes(content.used)} of ${formatBytes(content.size)} used`);
  if (content?.uuid) facts.push(content.uuid);
  for (const [label, value] of content?.facts ?? []) facts.push(`${label}: ${value}`);
  const name = content?.label ? `${title} · ${content.label}` : title;
  return h(
    'li',
    {},
    h(
      'div',
      { class: 'volume-head' },
      h('strong', {}, title),
      h('span', { class: `volume-kind ${kindClass(content)}` }, content?.title ?? 'not recognised'),
      ...(content?.label ? [h('span', { class: 'volume-label' }, `“${content.label}”`)] : []),
      ...tags.map((tag) => h('span', { class: 'volume-tag' }, tag)),
    ),
    h('p', { class: 'meaning' }, facts.join(' · ')),
    ...[...problems, ...(content?.problems ?? [])].map((problem) => h('p', { class: 'problem' }, problem)),
    h(
      'div',
      { class: 'volume-acts' },
      ...(content?.readable
        ? [
            button(
              { 'aria-label': `Files of ${name}` },
              () => open(name, { offset, length, type: content.type }),
              'Files',
            ),
          ]
        : []),
      button(
        { 'aria-label': `Bytes of ${name}` },
        () => actions.bytes(offset, Math.min(512, length)),
        'Bytes',
      ),
    ),
  );
}
