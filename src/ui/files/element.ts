/** `<qsd-files>`: the files of the sandbox with what can be done with them. */
import type { Client, FileEntry } from '../../client';
import { formatBytes } from '../units';
import styles from './files.css?inline';

/** What the panel asks for; the page does it. */
export interface FilesActions {
  import: () => void;
  open: () => void;
  export(path: string): void;
  remove(path: string, kind: FileEntry['kind']): void;
  /** Null: nobody can. */
  inspect: ((path: string) => void) | null;
  /** Puts the beginning of a line into the console, for the user to go on with. */
  propose(line: string): void;
  /** The user chose a file to type its name. */
  choose(path: string): void;
}

const ICONS = {
  inspect: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9m3.3 7.8 3.2 3.2',
  download: 'M8 2.5v8m-3.5-3L8 11l3.5-3.5M3 13.5h10',
  remove: 'M3 4.5h10M6.5 4.5v-2h3v2m-5 0 .5 9h6l.5-9',
};

/** How long the second click that confirms a removal may take, milliseconds. */
const CONFIRM = 4000;
/** Changes in quick succession are shown at once, after so many milliseconds. */
const SETTLE = 120;

/** Set `client` and `actions`, then call {@link refresh} whenever files may have changed. */
export class QsdFiles extends HTMLElement {
  client: Client | null = null;
  actions: FilesActions | null = null;
  private directory = '';
  /** The browser was asked to keep the files, and did not agree. */
  private refused = false;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private readonly list = document.createElement('ul');
  private readonly empty = document.createElement('p');
  private readonly heading = document.createElement('h2');
  private readonly usage = document.createElement('footer');

  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    const style = document.createElement('style');
    style.textContent = styles;
    const header = document.createElement('header');
    header.append(
      this.heading,
      button('Import', 'Copy files from your disk into the sandbox', () => this.actions?.import(), 'primary'),
      button('Open', 'Read files in place: nothing is copied, nothing can be written', () =>
        this.actions?.open(),
      ),
      button('URL', 'Copy a file of the web into the sandbox', () =>
        this.actions?.propose('import https://'),
      ),
      button('Sample', 'Make an image to look at', () => this.actions?.propose('sample ')),
    );
    this.heading.textContent = 'Files';
    this.empty.className = 'empty';
    this.empty.textContent = 'No files yet. Drop disk images anywhere on the page.';
    this.usage.hidden = true;
    root.replaceChildren(style, header, this.list, this.empty, this.usage);
    this.refresh();
  }

  /** Shows the files as they are now, soon. */
  refresh(): void {
    if (this.timer !== null) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      // A daemon that has just ended does not answer; what comes after it is shown then.
      this.update().catch(() => undefined);
    }, SETTLE);
  }

  private async update(): Promise<void> {
    const { client } = this;
    if (!client) return;
    const result = await client.list(this.directory);
    if ('failure' in result) {
      // The directory was removed.
      if (this.directory === '') return;
      this.directory = '';
      return this.update();
    }
    this.show(result.value);
    const { used, quota, persistent } = await client.usage();
    this.usage.hidden = quota === 0;
    const meter = document.createElement('meter');
    meter.max = quota;
    meter.high = quota * 0.9;
    meter.value = used;
    meter.setAttribute('aria-label', 'Storage in use');
    const text = span('text', `${formatBytes(used)} of ${formatBytes(quota)}`);
    this.usage.replaceChildren(meter, text);
    if (persistent) return;
    text.append('; the browser may clear it when space runs short');
    if (this.refused) text.append(' (it was asked, and does not promise more)');
    else
      this.usage.append(
        button('Keep', 'Ask the browser to keep the files of this page', () => void this.askToKeep()),
      );
  }

  /** Browsers decide by how much the page is used, or ask the user. */
  private async askToKeep(): Promise<void> {
    this.refused = !(await navigator.storage.persist().catch(() => false));
    await this.update();
  }

  private show(entries: FileEntry[]): void {
    this.heading.textContent = this.directory === '' ? 'Files' : this.directory.replace(/\/$/, '');
    const focused = this.shadowRoot?.activeElement?.getAttribute('data-key');
    const rows = entries.map((entry) => this.row(entry));
    if (this.directory !== '') rows.unshift(this.up());
    this.list.replaceChildren(...rows);
    this.list.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
    if (focused) this.list.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  private up(): HTMLLIElement {
    const item = document.createElement('li');
    const name = button('..', 'To the directory above', () => {
      this.directory = this.directory.replace(/[^/]*\/$/, '');
      void this.update();
    });
    name.className = 'name';
    item.append(name);
    return item;
  }

  private row({ name, kind, size, local }: FileEntry): HTMLLIElement {
    const path = this.directory + name;
    const item = document.createElement('li');
    const title = document.createElement('button');
    title.type = 'button';
    title.className = 'name';
    title.dataset.key = `name ${path}`;
    title.append(span('text', kind === 'directory' ? `${name}/` : name));
    if (local) title.append(span('badge', 'in place'));
    if (kind === 'file') title.append(span('size', formatBytes(size)));
    title.title = kind === 'directory' ? 'Show what is in it' : `Put ${name} into the console's line`;
    title.addEventListener('click', () => {
      if (kind === 'file') return this.actions?.choose(path);
      this.directory = `${path}/`;
      void this.update();
    });
    item.append(title);
    const inspect = this.actions?.inspect;
    if (kind === 'file' && inspect)
      item.append(this.act('inspect', `Inspect ${name}`, path, () => inspect(path)));
    if (kind === 'file' && !local)
      item.append(this.act('download', `Save ${name} to your disk`, path, () => this.actions?.export(path)));
    item.append(this.removal({ name, kind, size, local }, path));
    return item;
  }

  private act(icon: keyof typeof ICONS, label: string, path: string, run: () => void): HTMLButtonElement {
    const element = button('', label, run, 'act');
    element.dataset.key = `${icon} ${path}`;
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 16 16');
    svg.setAttribute('aria-hidden', 'true');
    const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    drawing.setAttribute('d', ICONS[icon]);
    svg.append(drawing);
    element.append(svg);
    return element;
  }

  /** A removal takes two clicks: there is no undo. */
  private removal({ name, kind, local }: FileEntry, path: string): HTMLButtonElement {
    const label = local ? `Let go of ${name}; your file stays` : `Delete ${name}`;
    const element = this.act('remove', label, path, () => {
      if (local || element.classList.contains('sure')) return this.actions?.remove(path, kind);
      const icon = [...element.childNodes];
      element.classList.add('sure');
      element.textContent = 'Delete?';
      setTimeout(() => {
        element.classList.remove('sure');
        element.replaceChildren(...icon);
      }, CONFIRM);
    });
    return element;
  }
}

function span(className: string, text: string): HTMLSpanElement {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  return element;
}

function button(text: string, title: string, run: () => void, className = ''): HTMLButtonElement {
  const element = document.createElement('button');
  element.type = 'button';
  element.textContent = text;
  element.title = title;
  if (className !== '') element.className = className;
  if (text === '') element.setAttribute('aria-label', title);
  element.addEventListener('click', run);
  return element;
}
