/** Bytes of the file or of the disk, with the structure laid over them. Only what is seen is fetched and drawn. */
import type { Field, ImageView, Inspection } from '../../client';
import { button, h, setText } from '../dom';

/** Pixels of a line; as in the style sheet. */
const LINE = 20;
/** Height of the scrolled box, pixels: beyond it a pixel stands for several lines. Browsers stop near 30 million. */
const MOST_HEIGHT = 4_000_000;
/** Lines that are fetched above and below what is seen. */
const MARGIN = 16;

/** Reads `0x1f000`, `4096`, `64k`, `1.5G`; NaN: it is none. */
export function readOffset(text: string): number {
  const [, digits = '', unit = ''] =
    /^\s*(0x[0-9a-f]+|[0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?\s*$/i.exec(text) ?? [];
  if (digits === '') return NaN;
  const factor = 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' ');
  return Math.floor(Number(digits) * factor);
}

interface Window {
  offset: number;
  bytes: Uint8Array;
  fields: readonly Field[];
}

export class HexPanel {
  readonly element: HTMLElement;
  private readonly lines = h('div', { class: 'lines' });
  private readonly sizer = h('div', { class: 'sizer' });
  private readonly scroller = h(
    'div',
    {
      class: 'scroller',
      tabindex: 0,
      role: 'application',
      'aria-roledescription': 'hex view',
      'aria-label': 'Bytes; move with the arrow keys',
      'aria-describedby': 'hex-status',
    },
    this.sizer,
    this.lines,
  );
  private readonly status = h('div', { class: 'status', id: 'hex-status', role: 'status' });
  private readonly failure = h('p', { class: 'failure', role: 'alert', hidden: true });
  private readonly input = h('input', {
    type: 'text',
    'aria-label': 'Offset',
    placeholder: '0x10000, 64k',
    size: 12,
    spellcheck: 'false',
  });
  private readonly views: Record<ImageView, HTMLButtonElement>;
  private readonly resizing = new ResizeObserver(() => this.resized());
  private inspection: Inspection | null = null;
  private view: ImageView = 'file';
  private size = 0;
  private top = 0;
  private perLine = 16;
  private current = 0;
  private range: { offset: number; length: number } | null = null;
  private window: Window | null = null;
  private fetching = false;
  private again = false;
  /** Scrolling by this program, not by the user. */
  private moving = false;
  private turn = 0;
  private going: Promise<void> = Promise.resolve();

  constructor() {
    const choice = (view: ImageView, title: string): HTMLButtonElement =>
      button({ 'aria-pressed': 'false' }, () => void this.go(view, 0, 0), title);
    this.views = { file: choice('file', 'File'), guest: choice('guest', 'Disk') };
    const form = h('form', { class: 'jump-to' }, this.input, h('button', { type: 'submit' }, 'Go'));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.jump();
    });
    this.element = h(
      'div',
      { class: 'hex' },
      h(
        'div',
        { class: 'bar' },
        h(
          'div',
          { class: 'choice', role: 'group', 'aria-label': 'Bytes of' },
          this.views.file,
          this.views.guest,
        ),
        form,
      ),
      this.failure,
      this.scroller,
      this.status,
    );
    this.scroller.addEventListener('scroll', () => this.scrolled());
    this.scroller.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    this.scroller.addEventListener('keydown', (event) => this.key(event));
    this.lines.addEventListener('pointermove', (event) => {
      const offset = offsetOf(event.target);
      if (offset !== null) this.tell(offset);
    });
    this.lines.addEventListener('pointerleave', () => this.tell(this.current));
    this.lines.addEventListener('click', (event) => {
      const offset = offsetOf(event.target);
      if (offset === null) return;
      this.current = offset;
      this.range = null;
      this.draw();
    });
    this.resizing.observe(this.scroller);
  }

  show(inspection: Inspection): void {
    const same = this.inspection === inspection;
    this.inspection = inspection;
    if (same) {
      this.window = null;
      void this.fetch();
    } else void this.go('file', 0, 0);
  }

  end(): void {
    this.resizing.disconnect();
    this.turn++;
    this.inspection = null;
  }

  /** Shows a range; `length` 0: nothing is marked. */
  go(view: ImageView, offset: number, length: number): Promise<void> {
    return (this.going = this.move(view, offset, length));
  }

  private async move(view: ImageView, offset: number, length: number): Promise<void> {
    const { inspection } = this;
    if (!inspection) return;
    const turn = ++this.turn;
    this.failure.hidden = true;
    let size: number;
    try {
      size = await inspection.size(view);
    } catch (error) {
      if (turn === this.turn) this.fail(error instanceof Error ? error.message : String(error));
      return;
    }
    if (turn !== this.turn) return;
    if (view !== this.view) this.window = null;
    this.view = view;
    this.size = size;
    for (const [name, element] of Object.entries(this.views))
      element.setAttribute('aria-pressed', String(name === view));
    this.range = length > 0 ? { offset, length } : null;
    this.current = Math.max(0, Math.min(offset, size - 1));
    this.top = Math.max(0, Math.floor(this.current / this.perLine) - 3);
    this.layout();
    await this.fetch();
    this.tell(this.current);
  }

  /** To the offset that was typed. */
  private async jump(): Promise<void> {
    const text = this.input.value.trim();
    // Another view may be coming.
    await this.going;
    const offset = readOffset(text);
    if (Number.isNaN(offset) || offset >= this.size)
      return this.fail(`There is no byte at ${text || 'this offset'}`);
    await this.go(this.view, offset, 1);
    this.scroller.focus();
  }

  private fail(text: string): void {
    this.failure.hidden = false;
    setText(this.failure, text);
  }

  private get rows(): number {
    return Math.ceil(this.size / this.perLine);
  }

  private get visible(): number {
    return Math.max(1, Math.floor(this.scroller.clientHeight / LINE));
  }

  /** Lines for each pixel of the scrolled box. */
  private get ratio(): number {
    return Math.max(1, (this.rows * LINE) / MOST_HEIGHT) / LINE;
  }

  private layout(): void {
    this.sizer.style.height = `${Math.max(1, Math.min(MOST_HEIGHT, this.rows * LINE))}px`;
    this.top = Math.max(0, Math.min(this.top, this.rows - this.visible));
    this.moving = true;
    this.scroller.scrollTop = this.top / this.ratio;
    this.lines.style.top = `${this.scroller.scrollTop}px`;
    requestAnimationFrame(() => (this.moving = false));
  }

  private resized(): void {
    const width = this.scroller.clientWidth;
    if (width === 0) return;
    const perLine = width < 560 ? 8 : 16;
    if (perLine !== this.perLine) {
      this.top = Math.floor((this.top * this.perLine) / perLine);
      this.perLine = perLine;
    }
    this.layout();
    void this.fetch();
  }

  private scrolled(): void {
    if (this.moving) return;
    this.top = Math.max(
      0,
      Math.min(this.rows - this.visible, Math.round(this.scroller.scrollTop * this.ratio)),
    );
    this.lines.style.top = `${this.scroller.scrollTop}px`;
    void this.fetch();
  }

  private wheel(event: WheelEvent): void {
    if (event.ctrlKey) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? event.deltaY : event.deltaY / LINE;
    this.scrollBy(Math.sign(lines) * Math.max(1, Math.round(Math.abs(lines))));
  }

  private scrollBy(lines: number): void {
    this.top += lines;
    this.layout();
    void this.fetch();
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const page = this.visible * this.perLine;
    const moves: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.perLine,
      ArrowDown: this.perLine,
      PageUp: -page,
      PageDown: page,
      Home: -this.current,
      End: this.size - 1 - this.current,
    };
    const by = moves[event.key];
    if (event.key === 'Enter') {
      const target = this.fieldAt(this.current)?.target;
      if (!target) return;
      event.preventDefault();
      void this.go('file', target.offset, target.length);
      return;
    }
    if (by === undefined) return;
    event.preventDefault();
    const to = this.current + by;
    this.current =
      to < 0
        ? event.key === 'PageUp'
          ? 0
          : this.current
        : to >= this.size
          ? event.key === 'PageDown'
            ? this.size - 1
            : this.current
          : to;
    this.range = null;
    const line = Math.floor(this.current / this.perLine);
    if (line < this.top) this.top = line;
    else if (line >= this.top + this.visible) this.top = line - this.visible + 1;
    this.layout();
    void this.fetch().then(() => this.tell(this.current));
  }

  /** Fetches what is seen unless it is there already; one after the other, the last one wins. */
  private async fetch(): Promise<void> {
    const from = Math.max(0, this.top - MARGIN) * this.perLine;
    const to = Math.min(this.size, (this.top + this.visible + 1 + MARGIN) * this.perLine);
    const seenFrom = this.top * this.perLine;
    const seenTo = Math.min(this.size, (this.top + this.visible + 1) * this.perLine);
    const { window, inspection, view } = this;
    if (window && window.offset <= seenFrom && window.offset + window.bytes.length >= seenTo)
      return this.draw();
    if (this.fetching) {
      this.again = true;
      return;
    }
    if (!inspection) return;
    this.fetching = true;
    try {
      const [bytes, fields] = await Promise.all([
        inspection.read(view, from, to - from),
        view === 'file' ? inspection.fields(from, to - from) : [],
      ]);
      if (this.inspection === inspection && this.view === view) {
        this.window = { offset: from, bytes, fields };
        this.draw();
        this.tell(this.current);
      }
    } catch (error) {
      if (this.inspection === inspection) this.fail(error instanceof Error ? error.message : String(error));
      this.again = false;
    } finally {
      this.fetching = false;
    }
    if (this.again) {
      this.again = false;
      await this.fetch();
    }
  }

  private fieldAt(offset: number): Field | null {
    let best: Field | null = null;
    for (const field of this.window?.fields ?? [])
      if (
        this.view === 'file' &&
        field.offset <= offset &&
        offset < field.offset + field.length &&
        (!best || field.length < best.length)
      )
        best = field;
    return best;
  }

  private draw(): void {
    const { window, perLine } = this;
    if (!window) return this.lines.replaceChildren();
    const lines: HTMLElement[] = [];
    const digits = Math.max(8, this.size.toString(16).length);
    let last: Field | null = null;
    let odd = false;
    for (let line = this.top; line < Math.min(this.rows, this.top + this.visible + 1); line++) {
      const start = line * perLine;
      const row = h(
        'div',
        { class: 'row' },
        h('span', { class: 'at' }, start.toString(16).padStart(digits, '0')),
      );
      const cells = h('span', { class: 'bytes' });
      let text = '';
      for (let at = start; at < Math.min(start + perLine, this.size); at++) {
        const value = window.bytes[at - window.offset];
        if (value === undefined) break;
        const field = this.fieldAt(at);
        if (field !== last) odd = !odd;
        last = field;
        const classes = [
          ...(value === 0 ? ['zero'] : []),
          ...(field ? [odd ? 'field' : 'field other', ...(field.problem === undefined ? [] : ['bad'])] : []),
          ...(this.range && at >= this.range.offset && at < this.range.offset + this.range.length
            ? ['marked']
            : []),
          ...(at === this.current ? ['current'] : []),
        ];
        cells.append(
          h('span', { class: classes.join(' '), 'data-at': at }, value.toString(16).padStart(2, '0')),
        );
        text += value >= 0x20 && value < 0x7f ? String.fromCharCode(value) : '·';
      }
      row.append(cells, h('span', { class: 'text' }, text));
      lines.push(row);
    }
    this.lines.replaceChildren(...lines);
  }

  /** Tells of a byte in the line below. */
  private tell(offset: number): void {
    const value = this.window?.bytes[offset - (this.window?.offset ?? 0)];
    if (value === undefined) return;
    const field = this.fieldAt(offset);
    const where = `0x${offset.toString(16)} (${offset})`;
    if (!field)
      return this.status.replaceChildren(
        h('span', { class: 'where' }, where),
        ` 0x${value.toString(16).padStart(2, '0')}`,
      );
    const { target } = field;
    this.status.replaceChildren(
      h('span', { class: 'where' }, where),
      ' ',
      h('strong', {}, field.name),
      ` ${field.value}. `,
      h('span', { class: 'meaning' }, field.problem ?? field.meaning),
      ...(target
        ? [
            ' ',
            button(
              { class: 'jump', title: 'Enter' },
              () => void this.go('file', target.offset, target.length),
              'Go there',
            ),
          ]
        : []),
    );
  }
}

function offsetOf(target: EventTarget | null): number | null {
  const at = target instanceof HTMLElement ? target.dataset.at : undefined;
  return at === undefined ? null : Number(at);
}
