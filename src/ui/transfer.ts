/** Files in and out of the sandbox, told to the console: the work behind `import`, `open`, `export`, drops and buttons. */
import type { Client } from '../client';
import type { TaskIo } from './console/backend';
import { chooseTarget, saveFile, writeFile } from './page-io';
import { formatBytes } from './units';

type Io = Pick<TaskIo, 'stdout' | 'stderr' | 'progress' | 'signal'>;

/** Copies local files into the sandbox; the progress is that of all together. */
export async function importFiles(client: Client, files: readonly File[], io: Io): Promise<number> {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  let code = 0;
  // Files that the user brought are worth keeping: the browser may say no, and then they are kept as long as it likes.
  void navigator.storage?.persist?.().catch(() => false);
  for (const file of files) {
    const result = await client.importFile(file, {
      signal: io.signal,
      progress: (done) => io.progress(before + done, total),
    });
    if (io.signal.aborted) return 130;
    // One that fails (an image in use, no space for it) does not keep the others out.
    if ('failure' in result) {
      io.stderr(`import: ${file.name}: ${result.failure}\n`);
      code = 1;
    } else io.stdout(`${result.value}: ${formatBytes(file.size)} copied into the sandbox\n`);
    before += file.size;
  }
  return code;
}

/** Copies files of the web into the sandbox, one after the other. */
export async function importUrls(client: Client, addresses: readonly string[], io: Io): Promise<number> {
  let code = 0;
  void navigator.storage?.persist?.().catch(() => false);
  for (const address of addresses) {
    const result = await client.importUrl(address, {
      signal: io.signal,
      progress: (done, total) => io.progress(done, total),
    });
    if (io.signal.aborted) return 130;
    if ('failure' in result) {
      io.stderr(`import: ${address}: ${result.failure}\n`);
      code = 1;
    } else io.stdout(`${result.value}: copied into the sandbox\n`);
  }
  return code;
}

/** Makes local files readable in place. */
export async function openFiles(client: Client, files: readonly File[], io: Io): Promise<number> {
  let code = 0;
  for (const file of files) {
    const result = await client.openLocal(file);
    if ('failure' in result) {
      io.stderr(`open: ${file.name}: ${result.failure}\n`);
      code = 1;
    } else io.stdout(`${result.value}: ${formatBytes(file.size)}, read-only, stays where it is\n`);
  }
  return code;
}

/** Files from this size on are written where the user says, with progress; smaller ones are there at once. Bytes. */
const LARGE = 32 * 1024 * 1024;

/** Saves files of the sandbox: as downloads, a large one in a place that the user chooses where the browser can. */
export async function exportFiles(client: Client, paths: readonly string[], io: Io): Promise<number> {
  let code = 0;
  for (const path of paths) {
    const result = await client.exportFile(path);
    if ('failure' in result) {
      io.stderr(`export: ${path}: ${result.failure}\n`);
      code = 1;
      continue;
    }
    const { content, inUse } = result.value;
    const name = path.slice(path.lastIndexOf('/') + 1);
    // The browser asks for one place after a click or a line, not for several.
    const target = content.size >= LARGE && paths.length === 1 ? await chooseTarget(name) : null;
    if (target === 'closed') {
      io.stderr(`export: ${path}: no place was chosen\n`);
      return 1;
    }
    if (target) return writeTo(target, path, content, io);
    saveFile(content, name);
    io.stdout(`${path}: ${formatBytes(content.size)} to your downloads\n`);
    if (inUse) {
      io.stdout(
        'It is open for writing: this is its state now. Do not write to it before the download is done.\n',
      );
    }
  }
  return code;
}

async function writeTo(target: FileSystemFileHandle, path: string, content: Blob, io: Io): Promise<number> {
  try {
    await writeFile(content, target, (done) => io.progress(done, content.size), io.signal);
  } catch (error) {
    if (io.signal.aborted) return 130;
    const changed = error instanceof DOMException && error.name === 'NotReadableError';
    const reason = changed ? 'it was written to meanwhile; nothing was saved' : (error as Error).message;
    io.stderr(`export: ${path}: ${reason}\n`);
    return 1;
  }
  io.stdout(`${path}: ${formatBytes(content.size)} saved as ${target.name}\n`);
  return 0;
}
