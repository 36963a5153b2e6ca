/** Files dropped anywhere on the page: an overlay with targets: to copy them, to read them in place, to look into one. */

/** What happens with the files. */
export interface DropActions {
  import: (files: File[]) => void;
  open: (files: File[]) => void;
  /** Only looks at them. */
  inspect: (files: File[]) => void;
  /** Folders were dropped, which are left out. */
  refuse: (folders: string[]) => void;
}

/** Watches the whole page. */
export function watchDrops(actions: DropActions): void {
  const overlay = document.createElement('div');
  overlay.className = 'drop';
  overlay.hidden = true;
  const copy = target('Copy into the sandbox', 'To read and write it. The file on your disk stays as it is.');
  const open = target(
    'Open in place',
    'To look inside, at once, however large. Nothing is copied, nothing is written.',
  );
  const look = target(
    'Inspect',
    'To see what an image consists of, at once, however large. It is only read.',
  );
  const targets = [copy, open, look];
  overlay.append(...targets);
  document.body.append(overlay);

  const hide = (): void => {
    overlay.hidden = true;
    for (const one of targets) one.classList.remove('over');
  };
  /** Beside the targets a drop is a copy. */
  const aimed = (event: Event): Element => targets.find((one) => one === event.target) ?? copy;
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;

  document.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    overlay.hidden = false;
  });
  document.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = aimed(event) === copy ? 'copy' : 'link';
    for (const one of targets) one.classList.toggle('over', one === aimed(event));
  });
  document.addEventListener('dragleave', (event) => {
    // Only when the pointer leaves the window: moves between elements have a related one.
    if (event.relatedTarget === null) hide();
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    hide();
    const files: File[] = [];
    const folders: string[] = [];
    for (const item of event.dataTransfer?.items ?? []) {
      const entry = item.webkitGetAsEntry();
      const file = item.getAsFile();
      if (entry?.isDirectory) folders.push(entry.name);
      else if (file) files.push(file);
    }
    const to = aimed(event);
    if (folders.length > 0) actions.refuse(folders);
    if (files.length > 0)
      (to === open ? actions.open : to === look ? actions.inspect : actions.import)(files);
  });
}

function target(title: string, text: string): HTMLDivElement {
  const element = document.createElement('div');
  const strong = document.createElement('strong');
  strong.textContent = title;
  const span = document.createElement('span');
  span.textContent = text;
  element.append(strong, span);
  return element;
}
