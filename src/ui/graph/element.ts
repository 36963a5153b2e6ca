/** `<qsd-graph>`: the block graph of a daemon, live, with details and commands. */
import type { Client } from '../../client';
import { button, h } from '../dom';
import { sharedClient } from '../shared-client';
import type { GraphState, JobsState } from '../watch/snapshot';
import { DaemonWatch } from '../watch/watch';
import { openProposals, reopenAll, type Proposal } from './commands';
import { detailsOf, proposalList } from './details';
import styles from './graph.css?inline';
import { placeItems, sizeOf, type Direction, type Layout } from './layout';
import { buildModel, compareModels, EMPTY, type GraphModel } from './model';
import { Picture } from './picture';

/** Zoom of one click. */
const ZOOM_STEP = 1.25;
/** Smaller than this the picture is scrolled instead; texts could not be read any more. */
const MIN_FIT = 0.7;
/** The picture is turned if it gets larger by this. */
const TURN = 1.15;

/**
 * Set `client` before it is put into a document to share a daemon; else it starts one of its own. A click on a command
 * sends a `qsd-command` event, whose `detail.command` is a line for the console. `data-settled` is there when the picture
 * shows what is known.
 */
export class QsdGraph extends HTMLElement {
  /** The daemon. */
  client: Client | null = null;
  /** Nodes can be inspected: `qsd-inspect` events name them (`detail.node`). */
  inspects = false;
  /** Where to go when nothing is open: texts and addresses. */
  links: readonly { readonly text: string; readonly href: string }[] = [];
  private readonly picture = new Picture();
  private readonly sizer = h('div', { class: 'sizer' }, this.picture.world);
  private readonly viewport = h(
    'div',
    { class: 'viewport', role: 'group', 'aria-label': 'Block graph' },
    this.sizer,
  );
  private readonly start = h('div', { class: 'start' });
  private readonly details = h('aside', { class: 'details', 'aria-label': 'Details' });
  private readonly body = h('div', { class: 'body' }, this.viewport, this.details);
  private readonly status = h('p', { class: 'count', role: 'status' });
  private readonly cleanups: (() => void)[] = [];
  private state: GraphState | null = null;
  private jobs: JobsState | null = null;
  private model: GraphModel = EMPTY;
  private layout: Layout | null = null;
  private direction: Direction = 'right';
  /** The size that the layout was chosen for. */
  private room = '';
  /** The user's zoom, 1: all of it is seen. */
  private zoom = 1;
  private selected: string | null = null;
  /** The item that the keyboard is at. */
  private current: string | null = null;
  private drawing = false;
  private again = false;
  /** What was open when the plug was pulled. */
  private lost: Proposal[] = [];
  private lostSeen = false;
  /** What the start page offers now, as text. */
  private offered = '';

  connectedCallback(): void {
    if (!this.client) {
      const own = sharedClient();
      this.client = own.client;
      this.cleanups.push(() => {
        own.end();
        this.client = null;
      });
    }
    this.build();
    const watch = DaemonWatch.of(this.client);
    this.cleanups.push(
      watch.listen({
        graph: (state) => {
          this.state = state;
          void this.draw();
        },
        jobs: (state) => {
          this.jobs = state;
          void this.draw();
        },
      }),
    );
    const resized = new ResizeObserver(() => this.resized());
    resized.observe(this.viewport);
    this.cleanups.push(() => resized.disconnect());
  }

  disconnectedCallback(): void {
    for (const cleanup of this.cleanups.splice(0)) cleanup();
    this.picture.stop();
  }

  /** What was open is lost: offers to open it again. */
  plugPulled(): void {
    this.lost = reopenAll(this.model);
    this.lostSeen = false;
    this.offered = '';
  }

  /** Shows the files that could be opened, as long as nothing is. */
  offerFiles(): void {
    if (this.model.items.size === 0) void this.showStart();
  }

  private build(): void {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: 'open' });
    const zoom = (factor: number) => () => {
      this.zoom = factor === 0 ? 1 : Math.min(4, Math.max(0.4, this.zoom * factor));
      this.fit();
    };
    const header = h(
      'header',
      {},
      h('h2', {}, 'Graph'),
      this.status,
      button({ title: 'Smaller', 'aria-label': 'Smaller' }, zoom(1 / ZOOM_STEP), '−'),
      button({ title: 'All of it', 'aria-label': 'Fit' }, zoom(0), 'Fit'),
      button({ title: 'Larger', 'aria-label': 'Larger' }, zoom(ZOOM_STEP), '+'),
    );
    this.viewport.append(this.start);
    this.viewport.addEventListener('click', (event) => {
      const card = (event.target as Element).closest<HTMLElement>('[data-key]');
      this.select(card?.dataset.key ?? null);
    });
    this.viewport.addEventListener('focusin', (event) => {
      this.current =
        (event.target as Element).closest<HTMLElement>('[data-key]')?.dataset.key ?? this.current;
      this.rove();
    });
    this.viewport.addEventListener('keydown', (event) => this.key(event));
    this.details.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close();
    });
    this.details.hidden = true;
    const style = h('style', {}, styles);
    root.replaceChildren(style, header, this.body);
  }

  // ---- drawing

  /** Draws what is known; while places are being found, what comes is drawn once afterwards. */
  private async draw(): Promise<void> {
    if (this.drawing) {
      this.again = true;
      return;
    }
    this.drawing = true;
    try {
      do {
        this.again = false;
        await this.drawOnce();
      } while (this.again);
    } finally {
      this.drawing = false;
    }
  }

  private async drawOnce(): Promise<void> {
    if (!this.state) return;
    const model = buildModel(this.state, this.jobs);
    const change = compareModels(this.model, model);
    this.model = model;
    const grown = change.changed.some((key) => this.isResized(key));
    const { clientWidth, clientHeight } = this.body;
    const room = `${clientWidth} ${clientHeight}`;
    if (change.shape || grown || !this.layout || room !== this.room) {
      this.room = room;
      this.layout = await this.largestLayout(model);
      if (!this.isConnected) return;
      this.picture.show(model, this.layout);
      this.fit();
    } else {
      this.picture.update(model);
    }
    this.afterDrawing(change.shape || change.changed.length > 0);
  }

  /** Whether the card of a changed item needs another size (bitmaps came or went). */
  private isResized(key: string): boolean {
    const item = this.model.items.get(key);
    const box = this.layout?.boxes.get(key);
    return item !== undefined && box !== undefined && box.height !== sizeOf(item).height;
  }

  private afterDrawing(changed: boolean): void {
    const { items } = this.model;
    if (this.selected !== null && !items.has(this.selected)) this.select(null);
    else if (this.selected !== null && changed) this.showDetails();
    this.picture.highlight(this.selected, this.model);
    if (this.current === null || !items.has(this.current)) this.current = [...items.keys()][0] ?? null;
    this.rove();
    const nodes = [...items.values()].filter(({ kind }) => kind === 'node').length;
    const text = nodes === 0 ? '' : nodes === 1 ? '1 node' : `${nodes} nodes`;
    if (this.status.textContent !== text) this.status.textContent = text;
    // An answer of the daemon that has ended may still come.
    if (items.size > 0 && this.lostSeen) this.lost = [];
    this.start.hidden = items.size > 0;
    this.sizer.hidden = items.size === 0;
    if (items.size === 0) void this.showStart();
    this.setAttribute('data-settled', '');
  }

  /** The direction in which more can be read; the one that there is, if it is nearly as good. */
  private async largestLayout(model: GraphModel): Promise<Layout> {
    const other: Direction = this.direction === 'right' ? 'down' : 'right';
    const layout = await placeItems(model, this.direction);
    if (this.scaleOf(layout) > 0.95) return layout;
    const turned = await placeItems(model, other);
    if (this.scaleOf(turned) < this.scaleOf(layout) * TURN) return layout;
    this.direction = other;
    return turned;
  }

  /** How large a layout can be shown as a whole when the details are closed: opening them turns nothing round. */
  private scaleOf({ width, height }: Layout): number {
    return Math.min(1, this.body.clientWidth / width, this.body.clientHeight / height);
  }

  private resized(): void {
    if (this.viewport.clientWidth === 0) return;
    const { clientWidth, clientHeight } = this.body;
    if (this.layout && this.room !== `${clientWidth} ${clientHeight}`) void this.draw();
    else this.fit();
  }

  /** Makes the picture as large as the user wants it. */
  private fit(): void {
    if (!this.layout || this.model.items.size === 0) return;
    const { width, height } = this.layout;
    const { clientWidth, clientHeight } = this.viewport;
    const whole = Math.min(1, clientWidth / width, clientHeight / height);
    const scale = Math.max(MIN_FIT, whole) * this.zoom;
    this.sizer.style.width = `${Math.floor(width * scale)}px`;
    this.sizer.style.height = `${Math.floor(height * scale)}px`;
    this.picture.world.style.transform = `scale(${scale.toFixed(3)})`;
    this.reveal();
  }

  /** Scrolls to the chosen card where not all is seen. */
  private reveal(): void {
    const box = this.selected === null ? undefined : this.layout?.boxes.get(this.selected);
    const { scrollWidth, scrollHeight, clientWidth, clientHeight } = this.viewport;
    if (!box || (scrollWidth <= clientWidth && scrollHeight <= clientHeight)) return;
    const scale = this.sizer.clientWidth / (this.layout?.width ?? 1);
    this.viewport.scrollTo({
      left: (box.x + box.width / 2) * scale - clientWidth / 2,
      top: (box.y + box.height / 2) * scale - clientHeight / 2,
    });
  }

  // ---- the start, when nothing is open

  private async showStart(): Promise<void> {
    const listed = await this.client?.list().catch(() => null);
    const files = listed && 'value' in listed ? listed.value.filter(({ kind }) => kind === 'file') : [];
    const open = openProposals(
      this.model,
      files.map(({ name }) => name),
    );
    const make: Proposal = { label: 'Make an image', command: 'qemu-img create -f qcow2 disk.qcow2 256M' };
    this.lostSeen = true;
    const offers = [
      ...this.lost,
      ...(this.lost.length > 0 ? [] : open),
      ...(files.length === 0 ? [make] : []),
    ];
    const offered = JSON.stringify(offers);
    if (offered === this.offered) return;
    this.offered = offered;
    const title = this.lost.length > 0 ? 'The plug was pulled' : 'Nothing is open';
    const text =
      this.lost.length > 0
        ? 'What the daemon had in memory is gone. Look what became of the images, and open them again.'
        : files.length === 0
          ? 'Make an image, or drop one on the page. A click puts a command into the console; Enter runs it.'
          : 'Open an image to see it here. A click puts a command into the console; Enter runs it.';
    this.start.replaceChildren(
      h('h3', {}, title),
      h('p', {}, text),
      proposalList(offers, (command) => this.propose(command)),
      ...(this.links.length > 0 && this.lost.length === 0 ? [this.ways()] : []),
    );
  }

  private ways(): HTMLElement {
    const list = h('ul', { class: 'ways' });
    for (const { text, href } of this.links) list.append(h('li', {}, h('a', { href }, text)));
    return h('div', {}, h('p', {}, 'New here? A lesson sets everything up, and goes step by step:'), list);
  }

  // ---- choosing

  private propose(command: string): void {
    this.dispatchEvent(
      new CustomEvent('qsd-command', { detail: { command }, bubbles: true, composed: true }),
    );
  }

  private select(key: string | null): void {
    this.selected = key;
    if (key !== null) this.current = key;
    this.details.hidden = key === null;
    if (key === null) this.details.replaceChildren();
    else this.showDetails();
    this.picture.highlight(key, this.model);
    this.rove();
    this.reveal();
  }

  /** Closes the details; the keyboard goes back to the card. */
  private close(): void {
    const key = this.selected;
    this.select(null);
    if (key !== null) this.picture.card(key)?.focus();
  }

  private showDetails(): void {
    const item = this.selected === null ? undefined : this.model.items.get(this.selected);
    if (!item) return;
    const focused = this.shadowRoot?.activeElement;
    const inside =
      focused && this.details.contains(focused)
        ? [...this.details.querySelectorAll('button')].indexOf(focused as HTMLButtonElement)
        : -1;
    const scrolled = this.details.scrollTop;
    this.details.replaceChildren(
      ...detailsOf(this.model, item, {
        inspect: this.inspects
          ? (node) => this.dispatchEvent(new CustomEvent('qsd-inspect', { detail: { node } }))
          : null,
        propose: (command) => this.propose(command),
        select: (key) => {
          this.select(key);
          this.picture.card(key)?.focus();
        },
        close: () => this.close(),
      }),
    );
    this.details.scrollTop = scrolled;
    if (inside >= 0) this.details.querySelectorAll('button')[inside]?.focus();
  }

  /** One card at a time is in the order of Tab. */
  private rove(): void {
    for (const key of this.model.items.keys()) {
      const card = this.picture.card(key);
      if (card) card.tabIndex = key === this.current ? 0 : -1;
    }
  }

  private key(event: KeyboardEvent): void {
    if (event.key === 'Escape') return this.select(null);
    const step = STEPS[event.key];
    const at = this.current === null ? undefined : this.layout?.boxes.get(this.current);
    if (!step || !at || !this.layout) return;
    if (!(event.target as Element).closest('.card')) return;
    event.preventDefault();
    const [dx, dy] = step;
    let best: string | null = null;
    let nearest = Infinity;
    for (const [key, box] of this.layout.boxes) {
      const x = box.x + box.width / 2 - at.x - at.width / 2;
      const y = box.y + box.height / 2 - at.y - at.height / 2;
      const along = x * dx + y * dy;
      // What is ahead; sideways counts more than far.
      const distance = along + 2.5 * Math.abs(x * dy + y * dx);
      if (key === this.current || along <= 1 || distance >= nearest || !this.model.items.has(key)) continue;
      best = key;
      nearest = distance;
    }
    if (best === null) return;
    this.current = best;
    this.rove();
    this.picture.card(best)?.focus();
  }
}

const STEPS: Partial<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
