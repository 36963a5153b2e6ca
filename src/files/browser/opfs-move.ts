/** Renaming in the origin private file system, where browsers can move files at best and directories not at all. */
import './platform';

/** Bytes that are copied at once where files cannot be moved. */
const COPY_CHUNK = 4 * 1024 * 1024;

/** Moves a file of `from` to `parent`, replacing a file that is there. Rejects as the browser does. */
export async function moveFile(
  file: FileSystemFileHandle,
  from: FileSystemDirectoryHandle,
  parent: FileSystemDirectoryHandle,
  name: string,
): Promise<void> {
  const old = file.name;
  if (file.move) {
    await file.move(parent, name);
    return;
  }
  await copyFile(file, parent, name);
  await from.removeEntry(old);
}

/**
 * Moves a directory with all that is below it to a name that is free. If something below cannot be moved (another tab
 * has it open), what was moved goes back and the failure is passed on.
 */
export async function moveDirectory(
  directory: FileSystemDirectoryHandle,
  from: FileSystemDirectoryHandle,
  parent: FileSystemDirectoryHandle,
  name: string,
): Promise<void> {
  const target = await parent.getDirectoryHandle(name, { create: true });
  const moved: FileSystemHandle[] = [];
  try {
    // The list is taken first: it is not said what a listing does while its directory changes.
    const children: FileSystemHandle[] = [];
    for await (const child of directory.values()) children.push(child);
    for (const child of children) {
      await moveEntry(child, directory, target);
      moved.push(child);
    }
    await from.removeEntry(directory.name);
  } catch (error) {
    for (const { name: child, kind } of moved.reverse()) {
      const handle = kind === 'file' ? target.getFileHandle(child) : target.getDirectoryHandle(child);
      await moveEntry(await handle, target, directory);
    }
    await parent.removeEntry(name);
    throw error;
  }
}

async function moveEntry(
  entry: FileSystemHandle,
  from: FileSystemDirectoryHandle,
  parent: FileSystemDirectoryHandle,
): Promise<void> {
  if (entry.kind === 'file') await moveFile(entry as FileSystemFileHandle, from, parent, entry.name);
  else await moveDirectory(entry as FileSystemDirectoryHandle, from, parent, entry.name);
}

async function copyFile(
  file: FileSystemFileHandle,
  parent: FileSystemDirectoryHandle,
  name: string,
): Promise<void> {
  const copy = await parent.getFileHandle(name, { create: true });
  const source = await file.createSyncAccessHandle({});
  try {
    const target = await copy.createSyncAccessHandle({});
    try {
      target.truncate(0);
      const chunk = new Uint8Array(COPY_CHUNK);
      for (let at = 0; ;) {
        const count = source.read(chunk, { at });
        if (count === 0) break;
        target.write(chunk.subarray(0, count), { at });
        at += count;
      }
      target.flush();
    } catch (error) {
      target.close();
      await parent.removeEntry(name);
      throw error;
    }
    target.close();
  } finally {
    source.close();
  }
}
