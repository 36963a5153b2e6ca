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

/** What Chromium has beyond the types of the DOM library. */
interface SavePicker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

/**
 * Lets the user choose where a file is written. null where the browser has no such dialog, or not here (frames of other sites),
 * or without a key press or click just before; 'closed' if the user chose nothing.
 */
export async function chooseTarget(suggestedName: string): Promise<FileSystemFileHandle | null | 'closed'> {
  try {
    return (await (window as SavePicker).showSaveFilePicker?.({ suggestedName })) ?? null;
  } catch (error) {
    return error instanceof DOMException && error.name === 'AbortError' ? 'closed' : null;
  }
}

/**
 * Writes content into a file that the user chose, piece by piece. What was in the file stays until all is written: it stays for
 * good if the signal is aborted or the content cannot be read any more, and then this rejects.
 */
export async function writeFile(
  content: Blob,
  target: FileSystemFileHandle,
  progress: (done: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let done = 0;
  // Each slice is read anew, which the browser refuses when the file behind it has changed; a stream of the whole goes on.
  const pieces = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: async (controller) => {
      const piece = new Uint8Array(await content.slice(done, done + PIECE).arrayBuffer());
      if (piece.length > 0) controller.enqueue(piece);
      else controller.close();
      progress((done += piece.length));
    },
  });
  await pieces.pipeTo(await target.createWritable(), { signal });
}

/** Bytes that are copied at a time. */
const PIECE = 4 * 1024 * 1024;
