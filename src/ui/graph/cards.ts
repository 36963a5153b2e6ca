/** How items of the graph look: one card each, made once and kept as long as the item is there. */
import { h, setText } from '../dom';
import { formatBytes } from '../units';
import {
  cardBitmaps,
  linksFrom,
  shortFile,
  type GraphBitmap,
  type GraphItem,
  type GraphModel,
  type GraphNode,
  type GraphUser,
} from './model';

export class Card {
  readonly element: HTMLButtonElement;
  private readonly driver = h('span', { class: 'driver' });
  private readonly name = h('span', { class: 'name' });
  private readonly mark = h('span', { class: 'mark' });
  private readonly file = h('span', { class: 'file' });
  private readonly size = h('span', { class: 'size' });
  private readonly fill = h('span', { class: 'fill' });
  private readonly bar = h('span', { class: 'bar' }, this.fill);
  /** What a screen reader reads. */
  private readonly words = h('span', { class: 'words' });
  private readonly bitmaps = h('span', { class: 'bitmaps' });

  constructor(item: GraphItem) {
    this.element = h('button', {
      type: 'button',
      class: `card ${item.kind}`,
      tabindex: -1,
      'data-key': item.key,
    });
    const head = h('span', { class: 'head' }, this.driver, this.name, this.mark);
    const face = h('span', { class: 'face', 'aria-hidden': 'true' }, head);
    if (item.kind === 'node')
      face.append(h('span', { class: 'row' }, this.file, this.size), this.bar, this.bitmaps);
    else face.append(this.bar);
    this.element.append(face, this.words);
  }

  /** Shows what is so now. */
  update(item: GraphItem, model: GraphModel): void {
    setText(this.name, item.name);
    if (item.kind === 'node') this.updateNode(item);
    else this.updateUser(item);
    setText(this.words, describe(item, model));
  }

  private updateNode(node: GraphNode): void {
    setText(this.driver, node.driver);
    setText(this.mark, node.readOnly ? 'ro' : '');
    setText(this.file, shortFile(node.file));
    setText(this.size, node.size === null ? '' : formatBytes(node.size));
    this.element.classList.toggle('readonly', node.readOnly);
    const part = node.size && node.allocated !== null ? Math.min(1, node.allocated / node.size) : 0;
    this.setFill(part);
    const shown = cardBitmaps(node);
    while (this.bitmaps.children.length > shown.length) this.bitmaps.lastChild?.remove();
    shown.forEach((bitmap, index) => {
      let row = this.bitmaps.children[index];
      if (!row) this.bitmaps.append((row = h('span', { class: 'bitmap' })));
      row.classList.toggle('off', !bitmap.recording);
      setText(row, bitmapText(bitmap));
    });
  }

  private updateUser(user: GraphUser): void {
    setText(this.driver, user.kind === 'user' ? 'guest' : user.type);
    const percent = user.progress === null ? '' : `${Math.floor(user.progress * 100)} %`;
    setText(this.mark, percent);
    this.element.dataset.status = user.status;
    this.bar.hidden = user.progress === null;
    this.setFill(user.progress ?? 0);
  }

  private setFill(part: number): void {
    const transform = `scaleX(${part.toFixed(4)})`;
    if (this.fill.style.transform !== transform) this.fill.style.transform = transform;
  }
}

/** A bitmap in a line. */
export function bitmapText(bitmap: GraphBitmap): string {
  const state = bitmap.inconsistent
    ? ', inconsistent'
    : bitmap.busy
      ? ', in use'
      : bitmap.recording
        ? ''
        : ', off';
  return `${bitmap.name ?? '(internal)'}: ${formatBytes(bitmap.dirty)} dirty${state}`;
}

/** An item in words, for those who do not see it. */
function describe(item: GraphItem, model: GraphModel): string {
  const parts: string[] = [];
  if (item.kind === 'node') {
    parts.push(`Node ${item.name}, ${item.driver}`);
    if (item.file !== '') parts.push(shortFile(item.file));
    if (item.size !== null) parts.push(formatBytes(item.size));
    if (item.allocated !== null) parts.push(`${formatBytes(item.allocated)} allocated`);
    if (item.readOnly) parts.push('read-only');
    for (const bitmap of item.bitmaps) parts.push(`bitmap ${bitmapText(bitmap)}`);
  } else if (item.kind === 'job') {
    parts.push(`Job ${item.name}, ${item.type}, ${item.status}`);
    if (item.progress !== null) parts.push(`${Math.floor(item.progress * 100)} %`);
  } else if (item.kind === 'export') parts.push(`Export ${item.name}, ${item.type}`);
  else parts.push(`User ${item.name}`);
  const links = linksFrom(model, item.key).map(
    ({ name, to }) => `${name}: ${model.items.get(to)?.name ?? ''}`,
  );
  if (links.length > 0) parts.push(`uses ${links.join(', ')}`);
  return parts.join(', ');
}
