/** Which panes are seen and how large they are: kept from visit to visit, or said by the address of the page. */

/** The areas of the page that can be closed; `tabs` shows one of the rest at a time. */
export type Area = 'console' | 'graph' | 'tabs';
export type TabName = 'graph' | 'jobs' | 'files' | 'guest' | 'inspector' | 'lessons';

export interface PaneLayout {
  /** Percent of the width that the console has. */
  consolePart: number;
  /** Percent of the height that the graph has. */
  graphPart: number;
  shown: Record<Area, boolean>;
  tab: TabName;
}

export const INITIAL: PaneLayout = {
  consolePart: 46,
  graphPart: 58,
  shown: { console: true, graph: true, tabs: true },
  tab: 'files',
};

const TABS: readonly TabName[] = ['graph', 'jobs', 'files', 'guest', 'inspector', 'lessons'];

/**
 * Reads what was kept, as far as it makes sense. `?panes=console,files` in the address wins, and is not kept.
 *
 * @param kept JSON, or null
 * @param wanted the value of `panes`, or null
 */
export function readLayout(kept: string | null, wanted: string | null): PaneLayout {
  const layout = structuredClone(INITIAL);
  const old = parse(kept);
  const part = (value: unknown, otherwise: number): number =>
    typeof value === 'number' && value >= 15 && value <= 85 ? value : otherwise;
  layout.consolePart = part(old.consolePart, layout.consolePart);
  layout.graphPart = part(old.graphPart, layout.graphPart);
  const tab = TABS.find((name) => name === old.tab);
  if (tab) layout.tab = tab;
  const shown = typeof old.shown === 'object' && old.shown !== null ? old.shown : {};
  for (const area of ['console', 'graph', 'tabs'] as const)
    if ((shown as Record<string, unknown>)[area] === false) layout.shown[area] = false;
  if (wanted !== null) applyWanted(layout, wanted.split(','));
  if (!Object.values(layout.shown).includes(true)) layout.shown.console = true;
  return layout;
}

function applyWanted(layout: PaneLayout, names: readonly string[]): void {
  const tab = TABS.find((name) => name !== 'graph' && names.includes(name));
  if (tab) layout.tab = tab;
  layout.shown = {
    console: names.includes('console'),
    graph: names.includes('graph'),
    tabs: tab !== undefined,
  };
  // Lists need less room than a graph.
  if (!layout.shown.graph) layout.consolePart = 76;
}

function parse(text: string | null): Partial<Record<keyof PaneLayout, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
