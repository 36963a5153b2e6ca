/** The cluster map: a canvas of cells, zoomed and moved with keys and wheel. */
import { Use, type ImageView, type Inspection, type Overview, type Place } from '../../client';
import { button, h, setText } from '../dom';
import { formatBytes } from '../units';
import { MapPages } from './pages';
import { FLAG_TITLES, Palette, USE_STYLES } from './uses';

const CELL = 11;
const GAP = 1;
const STEP = CELL + GAP;
/** A wheel turn of so many pixels zooms by one step. */
const WHEEL = 60;

/** What the map asks for. */
export interface MapActions {
  /** Shows bytes. */
  bytes(view: ImageView, offset: number, length: number): void;
}

/** Offsets are told in hexadecimal, as tools do. */
function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

export class MapPanel {
  readonly element: HTMLElement;
  private readonly canvas = h('canvas', {
    tabindex: 0,
    role: 'slider',
    'aria-label': 'Cluster map',
    'aria-orientation': 'horizontal',
    'aria-valuemin': 0,
  });
  private readonly context = this.canvas.getContext('2d');
  private readonly bar = h('div', { class: 'thumb' });
  private readonly stage = h(
    'div',
    { class: 'stage' },
    this.canvas,
    h('div', { class: 'track', 'aria-hidden': 'true' }, this.bar),
  );
  private readonly scale = h('span', { class: 'scale' });
  private readonly legend = h('ul', { class: 'legend', 'aria-label': 'Legend' });
  private readonly place = h('div', { class: 'place', role: 'status' });
  private readonly failure = h('p', { class: 'failure', role: 'alert', hidden: true });
  private readonly views: Record<ImageView, HTMLButtonElement>;
  private readonly resizing = new ResizeObserver(() => this.resized());
  private readonly dark = matchMedia('(prefers-color-scheme: dark)');
  private inspection: Inspection | null = null;
  private overview: Overview | null = null;
  private view: ImageView = 'guest';
  private pages: MapPages | null = null;
  private palette: Palette | null = null;
  /** Steps of two from the cluster size to what a cell stands for. */
  private zoom = 0;
  /** The zoom was chosen to show all. */
  private fitted = true;
  /** The first row that is seen, and the cell under the keyboard. */
  private row = 0;
  private current = 0;
  private hover: number | null = null;
  private frame = 0;
  private wheel = 0;
  private shownAt = -1;
  private describing = 0;
  private shownLegend = '';

  constructor(private readonly actions: MapActions) {
    const choice = (view: ImageView, title: string): HTMLButtonElement =>
      button({ 'aria-pressed': 'false' }, () => this.choose(view), title);
    this.views = { guest: choice('guest', 'Disk'), file: choice('file', 'File') };
    this.element = h(
      'div',
      { class: 'map' },
      h(
        'div',
        { class: 'bar' },
        h(
          'div',
          { class: 'choice', role: 'group', 'aria-label': 'Offsets of' },
          this.views.guest,
          this.views.file,
        ),
        button({ 'aria-label': 'Zoom out', title: 'Zoom out (-)' }, () => this.zoomBy(1), '−'),
        button({ 'aria-label': 'Zoom in', title: 'Zoom in (+)' }, () => this.zoomBy(-1), '+'),
        button({ title: 'All of it (0)' }, () => this.fit(), 'Fit'),
        this.scale,
      ),
      this.failure,
      h('div', { class: 'middle' }, this.stage, this.place),
      this.legend,
    );
    this.resizing.observe(this.stage);
    this.dark.addEventListener('change', this.themed);
    this.canvas.addEventListener('keydown', (event) => this.key(event));
    this.canvas.addEventListener('pointermove', (event) => this.point(event));
    this.canvas.addEventListener('pointerleave', () => this.setHover(null));
    this.canvas.addEventListener('click', (event) => this.pick(event));
    this.canvas.addEventListener('dblclick', () => this.openBytes());
    this.canvas.addEventListener('focus', () => this.draw());
    this.canvas.addEventListener('blur', () => this.draw());
    this.stage.addEventListener('wheel', (event) => this.turnWheel(event), { passive: false });
    this.bar.parentElement?.addEventListener('pointerdown', (event) => this.drag(event));
  }

  /** Shows an image, or the same one anew: then what is seen stays where it is. */
  show(inspection: Inspection, overview: Overview): void {
    const same = this.inspection === inspection && this.overview?.clusterSize === overview.clusterSize;
    this.inspection = inspection;
    this.overview = overview;
    this.failure.hidden = true;
    const noDisk = overview.diskSize === null;
    this.views.guest.disabled = noDisk;
    if (noDisk) this.view = 'file';
    if (same) this.load(this.pages);
    else {
      this.row = this.current = 0;
      this.choose(this.view);
    }
  }

  end(): void {
    this.pages?.end();
    this.resizing.disconnect();
    this.dark.removeEventListener('change', this.themed);
    cancelAnimationFrame(this.frame);
  }

  private get size(): number {
    const { overview } = this;
    return this.view === 'file' ? (overview?.fileSize ?? 0) : (overview?.diskSize ?? 0);
  }

  private get cellBytes(): number {
    return (this.overview?.clusterSize ?? 65536) * 2 ** this.zoom;
  }

  private get cells(): number {
    return Math.max(1, Math.ceil(this.size / this.cellBytes));
  }

  private get columns(): number {
    return Math.max(1, Math.floor((this.canvas.clientWidth + GAP) / STEP));
  }

  private get visibleRows(): number {
    return Math.max(1, Math.floor((this.canvas.clientHeight + GAP) / STEP));
  }

  private get rows(): number {
    return Math.ceil(this.cells / this.columns);
  }

  private choose(view: ImageView): void {
    this.view = view;
    for (const [name, element] of Object.entries(this.views))
      element.setAttribute('aria-pressed', String(name === view));
    this.current = 0;
    this.fit();
  }

  /** So far away that all can be seen at once. */
  private fit(): void {
    this.row = 0;
    const offset = this.current * this.cellBytes;
    this.zoom = this.fitting();
    this.fitted = true;
    this.current = Math.floor(offset / this.cellBytes);
    this.load();
  }

  /** The smallest zoom at which that is so. */
  private fitting(): number {
    const clusters = Math.ceil(this.size / (this.overview?.clusterSize ?? 65536));
    const room = this.columns * this.visibleRows;
    return Math.max(0, Math.min(40, Math.ceil(Math.log2(Math.max(1, clusters) / room))));
  }

  /** Steps out or in; the current cell stays where it is. */
  private zoomBy(steps: number): void {
    const zoom = Math.max(0, Math.min(40, this.zoom + steps));
    if (zoom > this.zoom && this.cells <= this.columns) return;
    if (zoom === this.zoom) return;
    const offset = this.current * this.cellBytes;
    const above = Math.floor(this.current / this.columns) - this.row;
    this.zoom = zoom;
    this.fitted = false;
    this.current = Math.min(this.cells - 1, Math.floor(offset / this.cellBytes));
    this.row = Math.floor(this.current / this.columns) - above;
    this.load();
  }

  /** Whether all that is seen is known. */
  get known(): boolean {
    return this.pages?.known === 1;
  }

  /** @param before the same cells, as they were when they were looked at before */
  private load(before: MapPages | null = null): void {
    this.pages?.end();
    this.pages = this.inspection
      ? new MapPages(
          this.inspection,
          this.view,
          this.cellBytes,
          (failure) => {
            this.failure.hidden = failure === undefined;
            setText(this.failure, failure ?? '');
            this.draw();
            if (this.shownAt >= 0) void this.describe(this.shownAt, true);
          },
          before,
        )
      : null;
    this.element.removeAttribute('data-known');
    this.canvas.setAttribute('aria-valuemax', String(this.cells - 1));
    this.canvas.setAttribute('aria-valuenow', String(this.current));
    this.moved();
  }

  private moved(): void {
    this.row = Math.max(0, Math.min(this.row, this.rows - this.visibleRows));
    this.current = Math.max(0, Math.min(this.current, this.cells - 1));
    this.draw();
  }

  private resized(): void {
    const { clientWidth, clientHeight } = this.canvas;
    if (clientWidth === 0) return;
    const ratio = devicePixelRatio;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    this.context?.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.palette ??= new Palette(this.element);
    // What was seen as a whole still is; the legend grows with what is known, so this must come to rest.
    if (this.fitted && this.zoom !== this.fitting()) this.fit();
    else this.moved();
  }

  private readonly themed = (): void => {
    this.palette = new Palette(this.element);
    this.draw();
  };

  // ---- drawing

  /** Draws once, in the next frame. */
  private draw(): void {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.drawNow();
    });
  }

  private drawNow(): void {
    const { context, pages, palette } = this;
    const { clientWidth, clientHeight } = this.canvas;
    if (!context || clientWidth === 0) return;
    context.clearRect(0, 0, clientWidth, clientHeight);
    if (!pages || !palette) return;
    const { columns, cells } = this;
    const first = this.row * columns;
    const last = Math.min(cells, first + columns * (this.visibleRows + 1));
    for (let index = first; index < last; index++) {
      const { use, fill, flags } = pages.cell(index);
      palette.cell(
        context,
        ((index - first) % columns) * STEP,
        Math.floor((index - first) / columns) * STEP,
        CELL,
        use,
        fill,
        flags,
      );
    }
    const style = getComputedStyle(this.canvas);
    if (this.hover !== null) this.outline(this.hover - first, style.getPropertyValue('--use-mark'));
    if (this.canvas.matches(':focus-visible') || this.shownAt >= 0)
      this.outline(
        (this.shownAt >= 0 ? this.shownAt : this.current) - first,
        style.getPropertyValue('--qsd-accent'),
      );
    const part = Math.min(1, this.visibleRows / this.rows);
    this.bar.style.height = `${Math.max(6, part * 100)}%`;
    const top = this.rows <= this.visibleRows ? 0 : this.row / (this.rows - this.visibleRows);
    this.bar.style.top = `${top * (100 - Math.max(6, part * 100))}%`;
    this.stage.classList.toggle('whole', part >= 1);
    this.fillLegend();
    const known = pages.known < 1 ? ` · ${Math.floor(pages.known * 100)} % looked at` : '';
    setText(this.scale, `${formatBytes(this.cellBytes)} a cell${known}`);
    this.element.toggleAttribute('data-known', pages.known === 1);
  }

  private outline(cell: number, colour: string): void {
    if (!this.context || cell < 0) return;
    this.context.strokeStyle = colour;
    this.context.lineWidth = 2;
    this.context.strokeRect(
      (cell % this.columns) * STEP - 0.5,
      Math.floor(cell / this.columns) * STEP - 0.5,
      CELL + 1,
      CELL + 1,
    );
  }

  private fillLegend(): void {
    const { palette, pages } = this;
    if (!palette || !pages) return;
    const { uses, flags } = pages.seen;
    // Until something is known the legend stays as it is.
    if (uses.size === 0) return;
    const shown = `${this.view} ${[...uses].join()} ${flags} ${this.dark.matches} ${pages.known < 1}`;
    if (shown === this.shownLegend) return;
    this.shownLegend = shown;
    const sample = (use: number, flags: number): HTMLCanvasElement => {
      const canvas = h('canvas', { width: 24, height: 24, 'aria-hidden': 'true' });
      const context = canvas.getContext('2d');
      context?.scale(2, 2);
      if (context) palette.cell(context, 0.5, 0.5, CELL, use, 255, flags);
      return canvas;
    };
    const data = USE_STYLES[this.view].find(({ title }) => title === 'Data')?.use ?? 0;
    this.legend.replaceChildren(
      ...USE_STYLES[this.view]
        .filter(({ use }) => uses.has(use) && (use !== Use.UNKNOWN || pages.known < 1))
        .map(({ use, title }) => h('li', {}, sample(use, 0), title)),
      ...FLAG_TITLES.filter(({ flag }) => flags & flag).map(({ flag, title }) =>
        h('li', {}, sample(data, flag), title),
      ),
    );
  }

  // ---- keys and pointer

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const page = this.columns * this.visibleRows;
    const moves: Record<string, number> = {
      ArrowLeft: this.current - 1,
      ArrowRight: this.current + 1,
      ArrowUp: this.current - this.columns,
      ArrowDown: this.current + this.columns,
      PageUp: this.current - page,
      PageDown: this.current + page,
      Home: 0,
      End: this.cells - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) {
      if (to >= 0 && to < this.cells) this.current = to;
      else if (event.key.startsWith('Page')) this.current = to < 0 ? 0 : this.cells - 1;
      this.reveal();
      void this.describe(this.current, false);
    } else if (event.key === '+' || event.key === '=') this.zoomBy(-1);
    else if (event.key === '-') this.zoomBy(1);
    else if (event.key === '0') this.fit();
    else if (event.key === 'Enter') this.openBytes();
    else return;
    event.preventDefault();
  }

  private reveal(): void {
    const row = Math.floor(this.current / this.columns);
    if (row < this.row) this.row = row;
    else if (row >= this.row + this.visibleRows) this.row = row - this.visibleRows + 1;
    this.moved();
  }

  private cellAt(event: MouseEvent): number | null {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / STEP);
    const index = (this.row + Math.floor((event.clientY - box.top) / STEP)) * this.columns + column;
    return column >= 0 && column < this.columns && index >= 0 && index < this.cells ? index : null;
  }

  private point(event: PointerEvent): void {
    this.setHover(this.cellAt(event));
  }

  private setHover(cell: number | null): void {
    if (cell === this.hover) return;
    this.hover = cell;
    if (cell !== null) {
      const style = USE_STYLES[this.view].find(({ use }) => use === this.pages?.cell(cell).use);
      this.canvas.title = `${style?.title ?? ''} · ${hex(cell * this.cellBytes)}`;
    }
    this.draw();
  }

  private pick(event: MouseEvent): void {
    const cell = this.cellAt(event);
    if (cell === null) return;
    this.current = cell;
    void this.describe(cell, false);
  }

  private turnWheel(event: WheelEvent): void {
    event.preventDefault();
    if (event.ctrlKey) {
      const cell = this.cellAt(event);
      if (cell !== null) this.current = cell;
      this.wheel += event.deltaY;
      if (Math.abs(this.wheel) < WHEEL) return;
      this.zoomBy(Math.sign(this.wheel));
      this.wheel = 0;
      return;
    }
    this.wheel += event.deltaMode === 1 ? event.deltaY * STEP : event.deltaY;
    const rows = Math.trunc(this.wheel / STEP);
    if (rows === 0) return;
    this.wheel -= rows * STEP;
    this.row += rows;
    this.moved();
  }

  private drag(event: PointerEvent): void {
    const track = event.currentTarget as HTMLElement;
    track.setPointerCapture(event.pointerId);
    const move = ({ clientY }: PointerEvent): void => {
      const box = track.getBoundingClientRect();
      this.row = Math.round(((clientY - box.top) / box.height) * (this.rows - this.visibleRows));
      this.moved();
    };
    move(event);
    track.addEventListener('pointermove', move);
    track.addEventListener('lostpointercapture', () => track.removeEventListener('pointermove', move), {
      once: true,
    });
  }

  // ---- what a cell is

  private async describe(cell: number, again: boolean): Promise<void> {
    const { inspection } = this;
    if (!inspection) return;
    this.shownAt = cell;
    const turn = ++this.describing;
    this.draw();
    try {
      const place = await inspection.describe(this.view, cell * this.cellBytes);
      if (
        turn === this.describing &&
        (!again || !this.place.contains((this.place.getRootNode() as ShadowRoot).activeElement))
      )
        this.showPlace(cell, place);
    } catch (error) {
      if (turn === this.describing)
        this.place.replaceChildren(error instanceof Error ? error.message : String(error));
    }
  }

  private showPlace(cell: number, place: Place): void {
    const what = `${place.title} at ${hex(place.offset)} (${formatBytes(place.offset)}), ${formatBytes(place.length)}`;
    this.canvas.setAttribute('aria-valuenow', String(cell));
    this.canvas.setAttribute('aria-valuetext', what);
    const many =
      this.cellBytes > place.length
        ? `; the first of ${Math.round(this.cellBytes / place.length)} in this cell`
        : '';
    const facts = h('dl');
    for (const [name, value] of place.facts) facts.append(h('dt', {}, name), h('dd', {}, value));
    this.place.replaceChildren(
      h('strong', {}, what + many),
      facts,
      h(
        'div',
        { class: 'links' },
        button({ title: 'Show the bytes (Enter)' }, () => this.openBytes(), 'Bytes'),
        ...place.links.map(({ label, view, offset, length }) =>
          button({ title: `At ${hex(offset)}` }, () => this.actions.bytes(view, offset, length), label),
        ),
      ),
    );
  }

  private openBytes(): void {
    const offset = this.current * this.cellBytes;
    this.actions.bytes(this.view, offset, Math.min(this.overview?.clusterSize ?? 512, this.size - offset));
  }
}
