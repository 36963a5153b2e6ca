/** Files dropped anywhere on the page: an overlay with two targets, to copy them or to read them in place. */

/** What happens with the files. */
export interface DropActions {
  import: (files: File[]) => void;
  open: (files: File[]) => void;
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
  overlay.append(copy, open);
  document.body.append(overlay);

  const hide = (): void => {
    overlay.hidden = true;
    copy.classList.remove('over');
    open.classList.remove('over');
  };
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;

  document.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    overlay.hidden = false;
  });
  document.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = event.target === open ? 'link' : 'copy';
    copy.classList.toggle('over', event.target !== open);
    open.classList.toggle('over', event.target === open);
  });
  document.addEventListener('dragleave', (event) => {
    // Only when the pointer leaves the window: moves between elements have a related one.
    if (event.relatedTarget === null) hide();
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    hide();
    const files = [...(event.dataTransfer?.items ?? [])]
      .filter((item) => item.kind === 'file' && !item.webkitGetAsEntry()?.isDirectory)
      .flatMap((item) => item.getAsFile() ?? []);
    if (files.length > 0) (event.target === open ? actions.open : actions.import)(files);
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
