/**
 * The panes of the page: the console at the left, the graph at the right, below it tabs with the rest. They are resized by
 * the bars between them and closed by the buttons of the page's head. On a small screen the console is at the bottom, and
 * the graph a tab like the others.
 */
import { button, h } from '../dom';
import { INITIAL, readLayout, type Area, type PaneLayout, type TabName } from './layout';
import { splitter } from './splitter';

const KEPT = 'qsd-web panes';
/** Narrower than this the panes are one above the other. As in page.css. */
const NARROW = '(max-width: 899px)';

const AREAS: readonly { area: Area; title: string }[] = [
  { area: 'console', title: 'Console' },
  { area: 'graph', title: 'Graph' },
  { area: 'tabs', title: 'Panels' },
];

/** The content of a tab. */
export interface Tab {
  name: TabName;
  title: string;
  content: HTMLElement;
}

export class Panes {
  private readonly layout: PaneLayout;
  private readonly narrow = matchMedia(NARROW);
  private readonly tabs = new Map<TabName, { tab: HTMLButtonElement; panel: HTMLElement }>();
  private readonly toggles = new Map<Area, HTMLButtonElement>();
  private readonly consolePane = h('section', {
    class: 'pane pane-console',
    id: 'pane-console',
    'aria-label': 'Console',
  });
  private readonly tabList = h('div', { class: 'tablist', role: 'tablist', 'aria-label': 'Panels' });
  private readonly side = h('div', { class: 'side', id: 'pane-side' });
  /** The user has chosen a tab: it is not changed for him any more. */
  private chosen = false;
  private readonly fixed: boolean;

  /**
   * @param main where the panes go
   * @param head where the buttons go that close and open panes
   */
  constructor(
    private readonly main: HTMLElement,
    head: HTMLElement,
    terminal: HTMLElement,
    contents: readonly Tab[],
  ) {
    const wanted = new URLSearchParams(location.search).get('panes');
    this.fixed = wanted !== null;
    this.layout = readLayout(read(), wanted);
    this.consolePane.append(terminal);
    for (const { name, title, content } of contents) this.addTab(name, title, content);
    const graph = this.tabs.get('graph');
    const bar = splitter(
      {
        label: 'Height of the graph',
        orientation: 'horizontal',
        controls: 'pane-graph',
        initial: INITIAL.graphPart,
        min: 20,
        max: 80,
        changed: (part) => this.change({ graphPart: part }),
      },
      this.layout.graphPart,
    );
    const panels = [...this.tabs.values()]
      .map(({ panel }) => panel)
      .filter((panel) => panel !== graph?.panel);
    this.side.append(...(graph ? [graph.panel] : []), bar, this.tabList, ...panels);
    this.tabList.addEventListener('keydown', (event) => this.tabKey(event));
    main.replaceChildren(
      this.consolePane,
      splitter(
        {
          label: 'Width of the console',
          orientation: 'vertical',
          controls: 'pane-console',
          initial: INITIAL.consolePart,
          min: 20,
          max: 80,
          changed: (part) => this.change({ consolePart: part }),
        },
        this.layout.consolePart,
      ),
      this.side,
    );
    for (const { area, title } of AREAS) {
      const toggle = button(
        { class: 'toggle', title: `Show or hide: ${title}` },
        () => this.toggle(area),
        title,
      );
      this.toggles.set(area, toggle);
      head.append(toggle);
    }
    this.narrow.addEventListener('change', () => this.apply());
    document.addEventListener('keydown', (event) => this.cycle(event), true);
    this.apply();
  }

  /** Shows a tab if the user has not chosen one himself. */
  suggest(name: TabName): void {
    if (!this.chosen && !this.fixed && !(this.narrow.matches && this.layout.tab === 'graph'))
      this.change({ tab: name });
  }

  /** Shows a tab that the user has asked for in another way. */
  show(name: TabName): void {
    this.chosen = true;
    this.change({ tab: name, shown: { ...this.layout.shown, tabs: true } });
  }

  /** A number beside the title of a tab; empty: none. */
  badge(name: TabName, text: string): void {
    const badge = this.tabs.get(name)?.tab.querySelector('.badge');
    if (badge && badge.textContent !== text) badge.textContent = text;
  }

  /** The console is needed: it is opened if it was closed. */
  showConsole(): void {
    if (!this.layout.shown.console) this.toggle('console');
  }

  private addTab(name: TabName, title: string, content: HTMLElement): void {
    const tab = h(
      'button',
      {
        type: 'button',
        role: 'tab',
        id: `tab-${name}`,
        'aria-controls': `pane-${name}`,
        class: `tab tab-${name}`,
      },
      title,
      h('span', { class: 'badge' }),
    );
    tab.addEventListener('click', () => this.choose(name));
    const panel = h('section', { class: `pane pane-${name}`, id: `pane-${name}` }, content);
    this.tabs.set(name, { tab, panel });
    this.tabList.append(tab);
  }

  private choose(name: TabName): void {
    this.chosen = true;
    this.change({ tab: name });
  }

  private toggle(area: Area): void {
    const shown = { ...this.layout.shown, [area]: !this.layout.shown[area] };
    // Something has to be seen.
    if (!Object.values(shown).includes(true)) shown.console = true;
    this.change({ shown });
  }

  private change(change: Partial<PaneLayout>): void {
    Object.assign(this.layout, change);
    this.apply();
    if (!this.fixed) write(JSON.stringify(this.layout));
  }

  private apply(): void {
    const { consolePart, graphPart, shown } = this.layout;
    const narrow = this.narrow.matches;
    const { style } = this.main;
    style.setProperty('--console-part', `${consolePart}fr`);
    style.setProperty('--side-part', `${100 - consolePart}fr`);
    style.setProperty('--graph-part', `${graphPart}fr`);
    style.setProperty('--tabs-part', `${100 - graphPart}fr`);
    this.main.classList.toggle('no-console', !shown.console && !narrow);
    this.main.classList.toggle('no-side', !shown.graph && !shown.tabs && !(narrow && this.fixed));
    this.side.classList.toggle('no-graph', !shown.graph && !narrow);
    this.side.classList.toggle('no-tabs', !shown.tabs && !narrow);
    for (const [area, toggle] of this.toggles) toggle.setAttribute('aria-pressed', String(shown[area]));
    const tab = !narrow && this.layout.tab === 'graph' ? 'jobs' : this.layout.tab;
    for (const [name, { tab: button, panel }] of this.tabs) {
      const selected = name === tab;
      const alone = name === 'graph' && !narrow;
      button.setAttribute('aria-selected', String(selected));
      button.tabIndex = selected ? 0 : -1;
      button.hidden = alone;
      panel.hidden = !alone && !selected;
      // Beside the tabs the graph is an area of its own.
      panel.setAttribute('role', alone ? 'region' : 'tabpanel');
      if (alone) panel.setAttribute('aria-label', 'Graph');
      else panel.setAttribute('aria-labelledby', button.id);
    }
  }

  private tabKey(event: KeyboardEvent): void {
    const names = [...this.tabs.keys()].filter((name) => !this.tabs.get(name)?.tab.hidden);
    const at = names.findIndex((name) => this.tabs.get(name)?.tab === event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: names.length - 1 }[event.key];
    const name = to === undefined ? undefined : names.at(to % names.length);
    if (at < 0 || name === undefined) return;
    event.preventDefault();
    this.choose(name);
    this.tabs.get(name)?.tab.focus();
  }

  /** F6 goes from pane to pane, Shift-F6 back. */
  private cycle(event: KeyboardEvent): void {
    if (event.key !== 'F6' || event.ctrlKey || event.altKey) return;
    const panes = [...this.main.querySelectorAll<HTMLElement>('.pane')].filter(
      (pane) => pane.offsetParent !== null,
    );
    const at = panes.findIndex((pane) => pane.contains(document.activeElement));
    const next = panes.at((event.shiftKey ? Math.max(at, 0) - 1 : at + 1) % panes.length);
    event.preventDefault();
    event.stopPropagation();
    if (next) focusInside(next);
  }
}

/** The first thing in a pane that takes the keyboard. */
function focusInside(pane: HTMLElement): void {
  const content = pane.firstElementChild as HTMLElement | null;
  if (!content) return;
  if (content.tagName === 'QSD-CONSOLE') return content.focus();
  const inner = content.shadowRoot?.querySelector<HTMLElement>(
    '.card[tabindex="0"], button, input, select, [tabindex="0"]',
  );
  (inner ?? content).focus();
}

function read(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function write(text: string): void {
  try {
    localStorage.setItem(KEPT, text);
  } catch {
    // Without storage the panes are as at first in the next visit.
  }
}
