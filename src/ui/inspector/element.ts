/** `<qsd-inspector>`: what is in an image, from its header to its bytes. */
import type { Client, FileRange, ImageView, InspectTarget, Inspection, Overview } from '../../client';
import { button, h, setText } from '../dom';
import { pickFiles } from '../page-io';
import { sharedClient } from '../shared-client';
import { CheckPanel } from './check';
import { showDisk } from './disk';
import { follow } from './follow';
import { HexPanel } from './hex';
import styles from './inspector.css?inline';
import { MapPanel } from './map';
import { overviewOf } from './overview';
import { unlockForm } from './unlock';

const TABS = ['overview', 'map', 'hex', 'disk', 'check'] as const;
type TabName = (typeof TABS)[number];
const TITLES: Readonly<Record<TabName, string>> = {
  overview: 'Overview',
  map: 'Map',
  hex: 'Hex',
  disk: 'Disk',
  check: 'Check',
};

/**
 * Set `client` before it is put into a document to choose a daemon; else all elements of a page share one. {@link inspect} shows an image;
 * the user can choose one too. A line for the console is sent as a `qsd-command` event (`detail.command`). `data-settled` is there
 * when an image is shown.
 */
export class QsdInspector extends HTMLElement {
  /** The daemon. */
  client: Client | null = null;
  private own: { end(): void } | null = null;
  private inspection: Inspection | null = null;
  private overview: Overview | null = null;
  private target: InspectTarget | File | null = null;
  private tab: TabName = 'overview';
  /** What tabs show this look at the image already. */
  private readonly fresh = new Set<TabName>();
  private turn = 0;
  private endDisk: (() => void) | null = null;
  private endFollowing: (() => void) | null = null;
  private map: MapPanel | null = null;
  private hex: HexPanel | null = null;
  private check: CheckPanel | null = null;
  private readonly heading = h('h2', {}, 'Inspector');
  private readonly format = h('span', { class: 'format' });
  private readonly chooser = h('select', { 'aria-label': 'Image' });
  private readonly failure = h('p', { class: 'failure', role: 'alert', hidden: true });
  private readonly empty = h(
    'p',
    { class: 'empty' },
    'Choose a node or a file above, or drop an image on the page. It is only read, and however large it is, never as a whole.',
  );
  private readonly list = h('div', {
    class: 'tabs',
    role: 'tablist',
    'aria-label': 'Parts of the inspection',
    hidden: true,
  });
  private readonly panels = {} as Record<TabName, HTMLElement>;
  private readonly tabs = {} as Record<TabName, HTMLButtonElement>;
  private readonly again = button(
    { title: 'Look at it again', hidden: true },
    () => void this.refresh(),
    'Refresh',
  );

  constructor() {
    super();
    for (const name of TABS) {
      this.tabs[name] = h(
        'button',
        { type: 'button', role: 'tab', id: `tab-${name}`, 'aria-controls': `panel-${name}` },
        TITLES[name],
      );
      this.tabs[name].addEventListener('click', () => this.choose(name));
      this.panels[name] = h('div', {
        class: `panel panel-${name}`,
        id: `panel-${name}`,
        role: 'tabpanel',
        'aria-labelledby': `tab-${name}`,
        hidden: true,
      });
      this.list.append(this.tabs[name]);
    }
    this.panels.overview.tabIndex = 0;
    this.list.addEventListener('keydown', (event) => this.tabKey(event));
    this.chooser.addEventListener('focus', () => void this.fillChooser());
    this.chooser.addEventListener('pointerdown', () => void this.fillChooser());
    this.chooser.addEventListener('change', () => this.chosen());
  }

  connectedCallback(): void {
    if (!this.client) {
      const own = sharedClient();
      this.own = own;
      this.client = own.client;
    }
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    root.replaceChildren(
      h('style', {}, styles),
      h(
        'header',
        {},
        this.heading,
        this.format,
        this.chooser,
        button(
          { title: 'Look into a file of your computer, where it is' },
          () => void this.pick(),
          'Local file…',
        ),
        this.again,
      ),
      this.failure,
      this.empty,
      this.list,
      ...Object.values(this.panels),
    );
    void this.fillChooser();
  }

  disconnectedCallback(): void {
    this.closeImage();
    this.own?.end();
    if (this.own) this.client = null;
    this.own = null;
  }

  /** Shows an image. */
  async inspect(target: InspectTarget | File): Promise<void> {
    const { client } = this;
    if (!client) return;
    this.closeImage();
    this.target = target;
    const turn = ++this.turn;
    this.removeAttribute('data-settled');
    try {
      const inspection = await client.inspect(target);
      if (turn !== this.turn) return await inspection.close();
      this.inspection = inspection;
      await this.look(turn);
      await this.fillChooser();
    } catch (error) {
      if (turn === this.turn) this.fail(error);
    }
  }

  /** Looks at the image again; at one that is gone, from the start. */
  async refresh(): Promise<void> {
    if (!this.inspection) return this.target ? this.inspect(this.target) : undefined;
    const turn = ++this.turn;
    try {
      await this.look(turn);
    } catch (error) {
      if (turn !== this.turn) return;
      // The daemon may be another one by now.
      if (this.target) await this.inspect(this.target);
      else this.fail(error);
    }
  }

  private async look(turn: number): Promise<void> {
    const { inspection } = this;
    if (!inspection) return;
    const state = await inspection.state();
    const overview = await inspection.refresh();
    if (turn !== this.turn) return;
    this.overview = overview;
    this.follow(inspection, turn, state);
    this.failure.hidden = true;
    this.empty.hidden = true;
    this.list.hidden = false;
    this.again.hidden = false;
    setText(this.heading, overview.name);
    setText(this.format, overview.format);
    this.fresh.clear();
    this.choose(this.tab);
    this.setAttribute('data-settled', '');
  }

  /** The map follows an image that changes. What else is shown may be under the user's hands: it waits for a click. */
  private follow(inspection: Inspection, turn: number, state: string): void {
    this.endFollowing?.();
    this.endFollowing = follow(
      {
        state: () => inspection.state(),
        ready: () => this.tab === 'map' && this.map?.known === true && this.checkVisibility(),
        look: async () => {
          const overview = await inspection.refresh();
          if (turn !== this.turn) return;
          this.overview = overview;
          this.fresh.delete('overview');
          this.map?.show(inspection, overview);
        },
      },
      state,
    );
  }

  private fail(error: unknown): void {
    this.failure.hidden = false;
    setText(this.failure, error instanceof Error ? error.message : String(error));
    this.again.hidden = this.target === null;
    this.setAttribute('data-settled', '');
  }

  private closeImage(): void {
    this.turn++;
    this.endFollowing?.();
    this.endFollowing = null;
    this.endDisk?.();
    this.endDisk = null;
    this.map?.end();
    this.hex?.end();
    this.check?.end();
    this.map = this.hex = this.check = null;
    for (const name of TABS) {
      this.panels[name].replaceChildren();
      this.panels[name].hidden = true;
    }
    this.list.hidden = true;
    this.again.hidden = true;
    this.failure.hidden = true;
    this.empty.hidden = false;
    setText(this.heading, 'Inspector');
    setText(this.format, '');
    this.inspection?.close().catch(() => undefined);
    this.inspection = this.overview = null;
  }

  // ---- tabs

  private choose(name: TabName): void {
    this.tab = name;
    for (const one of TABS) {
      const selected = one === name;
      this.tabs[one].setAttribute('aria-selected', String(selected));
      this.tabs[one].tabIndex = selected ? 0 : -1;
      this.panels[one].hidden = !selected;
    }
    this.fill(name);
  }

  /** Makes what a tab shows when it is first seen. */
  private fill(name: TabName): void {
    const { inspection, overview } = this;
    if (!inspection || !overview || this.fresh.has(name)) return;
    this.fresh.add(name);
    const bytes = (view: ImageView, offset: number, length: number): void =>
      this.showBytes(view, { offset, length });
    if (name === 'overview') {
      this.panels.overview.replaceChildren(
        ...(overview.encryption === 'locked' ? [this.unlockForm(inspection)] : []),
        overviewOf(overview, (range) => this.showBytes('file', range)),
      );
    } else if (name === 'map') {
      this.map ??= this.put(name, new MapPanel({ bytes }));
      this.map.show(inspection, overview);
    } else if (name === 'hex') {
      this.hex ??= this.put(name, new HexPanel());
      this.hex.show(inspection);
    } else if (name === 'check') {
      this.check ??= this.put(
        name,
        new CheckPanel({
          bytes: (range) => this.showBytes('file', range),
          propose: (command) =>
            this.dispatchEvent(
              new CustomEvent('qsd-command', {
                detail: { command },
                bubbles: true,
                composed: true,
                cancelable: true,
              }),
            ),
        }),
      );
      this.check.show(inspection, overview);
    } else if (name === 'disk') {
      this.endDisk?.();
      if (overview.encryption === 'locked') {
        this.endDisk = null;
        this.panels.disk.replaceChildren(this.unlockForm(inspection));
      } else {
        this.endDisk = showDisk(this.panels.disk, inspection, { bytes });
      }
    }
  }

  private unlockForm(inspection: Inspection): HTMLElement {
    return unlockForm(inspection, () => void this.refresh());
  }

  private put<P extends { element: HTMLElement }>(name: TabName, panel: P): P {
    this.panels[name].replaceChildren(panel.element);
    return panel;
  }

  private showBytes(view: ImageView, { offset, length }: FileRange): void {
    this.choose('hex');
    void this.hex?.go(view, offset, length);
  }

  private tabKey(event: KeyboardEvent): void {
    const at = TABS.findIndex((name) => this.tabs[name] === event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: TABS.length - 1 }[event.key];
    const name = to === undefined ? undefined : TABS.at(to % TABS.length);
    if (at < 0 || !name) return;
    event.preventDefault();
    this.choose(name);
    this.tabs[name].focus();
  }

  // ---- choosing an image

  private async fillChooser(): Promise<void> {
    const { client } = this;
    if (!client) return;
    const [nodes, files] = await Promise.all([
      client.execute('query-named-block-nodes', { flat: true }).catch(() => null),
      client.list().catch(() => null),
    ]);
    const group = (label: string, kind: 'node' | 'path', names: readonly string[]): HTMLElement[] =>
      names.length === 0
        ? []
        : [h('optgroup', { label }, ...names.map((name) => h('option', { value: `${kind}:${name}` }, name)))];
    const named = (nodes?.return ?? [])
      .flatMap((node) => node['node-name'] ?? [])
      .filter((name) => !name.startsWith('#'));
    const listed =
      files && 'value' in files
        ? files.value.filter(({ kind }) => kind === 'file').map(({ name }) => name)
        : [];
    const options = [
      h('option', { value: '' }, this.target instanceof File ? this.target.name : 'Choose an image'),
      ...group('Nodes', 'node', named),
      ...group('Files', 'path', listed),
    ];
    const before = [...this.chooser.querySelectorAll('option')]
      .map(({ value, text }) => value + text)
      .join('\n');
    const after = options
      .flatMap((one) => (one instanceof HTMLOptionElement ? [one] : [...one.querySelectorAll('option')]))
      .map(({ value, text }) => value + text)
      .join('\n');
    // An open list is not changed under the user's hands unless there is something new.
    if (before !== after) this.chooser.replaceChildren(...options);
    const { target } = this;
    this.chooser.value =
      target === null || target instanceof File
        ? ''
        : 'node' in target
          ? `node:${target.node}`
          : `path:${target.path}`;
    if (this.chooser.selectedIndex < 0) this.chooser.value = '';
  }

  private chosen(): void {
    const [, kind, name = ''] = /^(node|path):([^]*)$/.exec(this.chooser.value) ?? [];
    if (kind === 'node') void this.inspect({ node: name });
    else if (kind === 'path') void this.inspect({ path: name });
  }

  private async pick(): Promise<void> {
    const [file] = await pickFiles();
    if (file) await this.inspect(file);
  }
}
