/** The worker that reads partition tables and file systems: it has nothing but a way to read one disk. */
import { expose, transfer } from 'comlink';
import type { VolumeRange, VolumesApi } from '../client/volumes';
import type { DiskSource } from '../inspect/contract';
import { openFiles, readLayout } from '../inspect/volumes';
import type { FileTree } from '../inspect/volumes/contract';

let disk: DiskSource = { size: 0, read: async () => new Uint8Array(0) };
const trees = new Map<number, Promise<FileTree>>();

function tree({ offset, length, type }: VolumeRange): Promise<FileTree> {
  const known = trees.get(offset);
  if (known) return known;
  const opened = openFiles(disk, offset, length, type);
  trees.set(offset, opened);
  opened.catch(() => trees.delete(offset));
  return opened;
}

const api: VolumesApi = {
  layout: (size, read) => {
    disk = { size, read };
    trees.clear();
    return readLayout(disk);
  },
  list: async (volume, path) => (await tree(volume)).list(path),
  read: async (volume, path, offset, length) => {
    const bytes = await (await tree(volume)).read(path, offset, length);
    return transfer(bytes, [bytes.buffer]);
  },
};

expose(api);
