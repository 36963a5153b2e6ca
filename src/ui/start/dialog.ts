/** The dialog of the start script: what it is, where it comes from, links to it. */
import { button, h } from '../dom';
import { encodeScript } from './link';
import { keepScript, keptScript } from './store';
import { mentioned, scriptLines } from './script';
import styles from './start.css?inline';

/** What the dialog needs of the page. */
export interface StartHost {
  /** The lines of this visit. */
  lines(): readonly string[];
  /** Names of the files in the sandbox. */
  files(): Promise<string[]>;
  /** Enters the lines. */
  run(lines: readonly string[]): void;
}

/** From here on some programs cut a link off, characters. */
const LONG_LINK = 8000;

/**
 * Opens the dialog.
 * @param foreign a script that a link brought: it is shown, and what it would overwrite is said; absent: the user's own
 */
export async function openStartDialog(host: StartHost, foreign?: string): Promise<void> {
  const kept = keptScript();
  const own = host.lines().join('\n');
  const script = h('textarea', {
    class: 'script',
    rows: 9,
    spellcheck: 'false',
    'aria-label': 'Start script',
    placeholder:
      'qemu-img create -f qcow2 disk.qcow2 1G\nqemu-storage-daemon --blockdev qcow2,node-name=disk,file.driver=file,file.filename=disk.qcow2',
  });
  script.value = foreign ?? (own === '' ? (kept?.script ?? '') : own);
  const always = h('input', { type: 'checkbox' });
  always.checked = kept?.always ?? false;
  const link = h('input', { type: 'text', readonly: true, class: 'link', 'aria-label': 'Link' });
  const embed = h('input', { type: 'text', readonly: true, class: 'link', 'aria-label': 'Code to embed it' });
  const note = h('p', { class: 'note', role: 'status' });
  const warning = h('p', { class: 'warning', role: 'status' });
  const dialog = h('dialog', { class: 'qsd-start', 'aria-labelledby': 'start-title' });
  const close = (): void => dialog.close();

  const refresh = async (): Promise<void> => {
    const text = script.value;
    const url = `${location.href.replace(/#.*$/s, '')}#${await encodeScript(text)}`;
    // Another change came meanwhile.
    if (text !== script.value) return;
    link.value = url;
    embed.value = `<iframe src="${url.replace(/&/g, '&amp;').replace(/"/g, '&quot;')}" title="qsd-web" width="100%" height="600"></iframe>`;
    note.textContent =
      url.length > LONG_LINK ? `The link has ${url.length} characters: some programs cut it off.` : '';
    const present = mentioned(text, await host.files());
    warning.textContent =
      present.length > 0
        ? `Here already, and may be changed or overwritten: ${present.slice(0, 8).join(', ')}${present.length > 8 ? ', …' : ''}`
        : '';
    warning.hidden = present.length === 0;
  };
  const save = (): void => {
    if (foreign === undefined) keepScript({ script: script.value, always: always.checked });
  };
  script.addEventListener('input', () => {
    save();
    void refresh();
  });
  always.addEventListener('change', save);
  const run = (): void => {
    close();
    host.run(scriptLines(script.value));
  };

  dialog.append(
    h('style', {}, styles),
    h(
      'header',
      {},
      h('h2', { id: 'start-title' }, foreign === undefined ? 'Start script' : 'A link with a start script'),
      button({ class: 'close', 'aria-label': 'Close' }, close, '✕'),
    ),
    h(
      'p',
      {},
      foreign === undefined
        ? 'Lines of the console that are entered one after the other: they make files, and start the daemon with a command line. A link carries the lines, not the content of files, and no secrets.'
        : 'The link that you followed brings these lines for the console. Nothing of them was entered yet.',
    ),
    script,
    warning,
    h(
      'div',
      { class: 'row' },
      button({ class: 'primary' }, run, foreign === undefined ? 'Run now' : 'Run them'),
      ...(foreign === undefined
        ? [
            button(
              { disabled: own === '' },
              () => {
                script.value = own;
                save();
                void refresh();
              },
              'Take the lines of this visit',
            ),
            h('label', {}, always, ' Run it whenever this page is opened here'),
          ]
        : [button({}, close, 'Not now')]),
    ),
    h('div', { class: 'field' }, h('span', {}, 'Link'), link, copyButton(link)),
    h('div', { class: 'field' }, h('span', {}, 'Embed'), embed, copyButton(embed)),
    note,
  );
  dialog.addEventListener('close', () => dialog.remove());
  // A click beside the dialog.
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) close();
  });
  document.body.append(dialog);
  dialog.showModal();
  script.setSelectionRange(0, 0);
  script.focus();
  await refresh();
}

function copyButton(field: HTMLInputElement): HTMLButtonElement {
  const label = `Copy ${field.getAttribute('aria-label')?.toLowerCase() ?? ''}`;
  const copy = button({ 'aria-label': label }, () => void run(), 'Copy');
  const run = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(field.value);
      copy.textContent = 'Copied';
    } catch {
      // A frame without the permission, a page without TLS: the user copies it.
      field.focus();
      field.select();
      copy.textContent = 'Press Ctrl-C';
    }
    setTimeout(() => (copy.textContent = 'Copy'), 2500);
  };
  return copy;
}
