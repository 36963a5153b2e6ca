/** The panel beside the graph: all that is known of one item, and the commands that make sense on it. */
import { button, h } from '../dom';
import { formatBytes } from '../units';
import { bitmapText } from './cards';
import { proposals, type Proposal } from './commands';
import { linksFrom, linksTo, type GraphEdge, type GraphItem, type GraphModel } from './model';
import { permissionWords } from './picture';

/** What the panel asks for. */
export interface DetailsActions {
  propose: (command: string) => void;
  select: (key: string) => void;
  close: () => void;
  /** Null: nobody can. */
  inspect: ((node: string) => void) | null;
}

/** The content of the panel. */
export function detailsOf(model: GraphModel, item: GraphItem, actions: DetailsActions): HTMLElement[] {
  const header = h(
    'header',
    {},
    h('h3', {}, item.name),
    button({ class: 'close', 'aria-label': 'Close the details', title: 'Close (Esc)' }, actions.close, '✕'),
  );
  const facts = h('dl');
  for (const [name, value] of factsOf(item)) facts.append(h('dt', {}, name), h('dd', {}, value));
  const sections: HTMLElement[] = [header, facts];
  const { inspect } = actions;
  if (item.kind === 'node' && inspect)
    sections.push(
      button({ class: 'inspect', title: 'Look into its image' }, () => inspect(item.name), 'Inspect'),
    );
  const commands = proposals(model, item);
  if (commands.length > 0)
    sections.push(
      h('h4', {}, 'Commands'),
      proposalList(commands, (command) => actions.propose(command)),
    );
  const down = linksFrom(model, item.key);
  const up = linksTo(model, item.key);
  if (down.length > 0) sections.push(linkList('Uses', down, 'to', model, actions));
  if (up.length > 0) sections.push(linkList('Used by', up, 'from', model, actions));
  return sections;
}

/** Proposals as buttons that show what they put into the console. */
export function proposalList(commands: readonly Proposal[], propose: (command: string) => void): HTMLElement {
  const list = h('ul', { class: 'commands' });
  for (const { label, command } of commands) {
    list.append(
      h(
        'li',
        {},
        button(
          { class: 'command', title: 'Put it into the console, to be read, changed and entered' },
          () => propose(command),
          h('span', { class: 'what' }, label),
          h('code', {}, command),
        ),
      ),
    );
  }
  return list;
}

function factsOf(item: GraphItem): [string, string][] {
  if (item.kind !== 'node') {
    const facts: [string, string][] = [];
    if (item.type !== '') facts.push(['Type', item.type]);
    if (item.status !== '') facts.push(['Status', item.status]);
    if (item.progress !== null) facts.push(['Progress', `${Math.floor(item.progress * 100)} %`]);
    return facts;
  }
  const facts: [string, string][] = [['Driver', item.driver]];
  if (item.file !== '') facts.push(['File', item.file]);
  if (item.size !== null) facts.push(['Size', `${formatBytes(item.size)} (${item.size} bytes)`]);
  if (item.allocated !== null) facts.push(['Allocated', formatBytes(item.allocated)]);
  facts.push(['Access', item.readOnly ? 'read-only' : 'read and write']);
  if (item.encrypted) facts.push(['Encrypted', 'yes']);
  if (item.snapshots > 0) facts.push(['Snapshots', String(item.snapshots)]);
  for (const bitmap of item.bitmaps)
    facts.push([
      'Bitmap',
      `${bitmapText(bitmap)}; ${formatBytes(bitmap.granularity)} a bit${bitmap.persistent ? '; persistent' : ''}`,
    ]);
  return facts;
}

function linkList(
  title: string,
  links: readonly GraphEdge[],
  end: 'from' | 'to',
  model: GraphModel,
  actions: DetailsActions,
): HTMLElement {
  const list = h('ul', { class: 'uses' });
  for (const link of links) {
    const other = model.items.get(link[end]);
    if (!other) continue;
    list.append(
      h(
        'li',
        {},
        button(
          { class: 'other' },
          () => actions.select(other.key),
          other.name === '' ? other.kind : other.name,
        ),
        h('span', { class: 'as' }, ` as ${link.name}`),
        h('p', {}, `takes ${permissionWords(link.perm)}`),
        h('p', {}, `shares ${permissionWords(link.shared)}`),
      ),
    );
  }
  return h('section', {}, h('h4', {}, title), list);
}
