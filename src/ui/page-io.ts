/** What only a page can do with files: let the user choose some, and save one. */

/** Opens the file picker; answers what was chosen, nothing if it was closed. Needs a key press or click just before. */
export function pickFiles(signal?: AbortSignal): Promise<File[]> {
  return new Promise((resolve) => {
    const input = document.createElement('input');
    input.type = 'file';
    input.multiple = true;
    // In the document, so that tests and assistive tools can find it.
    input.hidden = true;
    document.body.append(input);
    const done = (files: File[]): void => {
      input.remove();
      resolve(files);
    };
    input.addEventListener('change', () => done([...(input.files ?? [])]));
    input.addEventListener('cancel', () => done([]));
    signal?.addEventListener('abort', () => done([]), { once: true });
    input.click();
  });
}

/** How long a download may take to start reading, milliseconds. */
const KEEP = 60_000;

/** Saves content under a name, as a download. */
export function saveFile(content: Blob, name: string): void {
  const link = document.createElement('a');
  const url = URL.createObjectURL(content);
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEEP);
}
