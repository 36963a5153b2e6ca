/** The files of a volume: directories one by one, a look into a file, and a copy of it to the computer. */
import type { FileNode, VolumeRange, Volumes } from '../../../client';
import { button, h, setText } from '../../dom';
import { saveFile } from '../../page-io';
import { formatBytes } from '../../units';
import { preview } from './preview';

/** Entries that are put into the page at once. */
const PAGE = 300;
const PIECE = 2 ** 20;

/** Shows the root of a volume in a place; what was there is replaced. */
export function showFiles(place: HTMLElement, volumes: Volumes, title: string, volume: VolumeRange): void {
  const way = h('nav', { 'aria-label': 'Directory' });
  const list = h('ul', { class: 'entries', 'aria-label': 'Entries' });
  const status = h('p', { class: 'meaning', role: 'status' });
  const look = h('div', { class: 'look' });
  place.replaceChildren(h('h3', {}, `Files of ${title}`), way, status, list, look);
  let turn = 0;

  const enter = async (path: string): Promise<void> => {
    const mine = ++turn;
    look.replaceChildren();
    setText(status, 'Reading…');
    try {
      const { entries, incomplete } = await volumes.list(volume, path);
      if (mine !== turn || !place.isConnected) return;
      const names = path === '' ? [] : path.split('/');
      way.replaceChildren(
        button({}, () => void enter(''), '/'),
        ...names.map((name, index) =>
          button({}, () => void enter(names.slice(0, index + 1).join('/')), name),
        ),
      );
      way.lastElementChild?.setAttribute('aria-current', 'true');
      const count = `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}`;
      setText(status, incomplete === '' ? count : `${count}. ${incomplete}`);
      const sorted = [...entries].sort(
        (a, b) =>
          Number(b.kind === 'directory') - Number(a.kind === 'directory') || a.name.localeCompare(b.name),
      );
      list.replaceChildren();
      more(sorted, path, 0);
      list.querySelector('button')?.focus();
    } catch (error) {
      if (mine === turn) setText(status, error instanceof Error ? error.message : String(error));
    }
  };

  /** Adds a page of entries, and a button for the next one. */
  const more = (entries: readonly FileNode[], path: string, from: number): void => {
    for (const node of entries.slice(from, from + PAGE)) list.append(entry(node, path));
    if (from + PAGE >= entries.length) return;
    const item = h('li', {});
    item.append(
      button(
        {},
        () => {
          item.remove();
          const before = list.childElementCount;
          more(entries, path, from + PAGE);
          list.children[before]?.querySelector('button')?.focus();
        },
        `Show more of ${entries.length}`,
      ),
    );
    list.append(item);
  };

  const entry = (node: FileNode, path: string): HTMLElement => {
    const inner = path === '' ? node.name : `${path}/${node.name}`;
    const shown =
      node.kind === 'directory'
        ? `${node.name}/`
        : node.kind === 'symlink'
          ? `${node.name} → ${node.target ?? ''}`
          : node.name;
    const details = [
      node.mode,
      node.modified === null ? '' : new Date(node.modified).toISOString().slice(0, 16).replace('T', ' '),
      node.kind === 'file' ? formatBytes(node.size) : '',
    ];
    const content = [
      h('span', { class: 'entry-name' }, shown),
      ...details.map((detail) => h('span', { class: 'entry-detail' }, detail)),
    ];
    if (node.kind !== 'file' && node.kind !== 'directory')
      return h('li', {}, h('span', { class: 'entry' }, ...content));
    const run = (): void => {
      if (node.kind === 'directory') void enter(inner);
      else
        void preview(
          look,
          node,
          (offset, length) => volumes.read(volume, inner, offset, length),
          save(node, inner),
        );
    };
    return h('li', {}, button({ class: 'entry' }, run, ...content));
  };

  /** A copy for the computer, fetched in pieces that the browser may keep on its disk. */
  const save =
    (node: FileNode, path: string) =>
    async (progress: (done: number) => void, signal: AbortSignal): Promise<void> => {
      const pieces: Blob[] = [];
      for (let at = 0; at < node.size;) {
        const bytes = await volumes.read(volume, path, at, PIECE);
        if (signal.aborted) return;
        if (bytes.length === 0) throw new Error('The file ends before its size says');
        pieces.push(new Blob([bytes as Uint8Array<ArrayBuffer>]));
        at += bytes.length;
        progress(at);
      }
      saveFile(new Blob(pieces), node.name);
    };

  list.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const item = (event.target as HTMLElement).closest('li');
    if (step === undefined || !item) return;
    event.preventDefault();
    for (let at: Element | null = item; at;) {
      at = step > 0 ? at.nextElementSibling : at.previousElementSibling;
      const next = at?.querySelector('button');
      if (next) return next.focus();
    }
  });
  void enter('');
}
