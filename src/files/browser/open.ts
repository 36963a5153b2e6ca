/** The files of a worker, with the locks that go with them. */
import { MemoryStore } from '../memory';
import { MountStore } from '../mount';
import type { ImageLocks } from '../locks';
import { BlobStore } from './blob-store';
import { browserLocks, hasWebLocks } from './locks';
import { OpfsStore } from './opfs-store';

/** What {@link openBrowserFiles} gives. */
export interface BrowserFiles {
  /** The tree that the user sees: the origin's files, and local files that are mounted in it. */
  files: MountStore;
  /** Local files opened in place; mount them in `files`. */
  local: BlobStore;
  /** Image locks that go with `files`: they reach as far as its files do. */
  locks: ImageLocks;
  /** False: this browser keeps no files for the page (a sandboxed frame, some private windows), they are in memory. */
  storage: boolean;
}

/** Opens the files of the origin in a dedicated worker; where there are none, files in memory take their place. */
export async function openBrowserFiles(): Promise<BrowserFiles> {
  const local = new BlobStore();
  const locks = browserLocks();
  try {
    // Without locks that reach across tabs, a file is one tab's alone.
    const files = new MountStore(await OpfsStore.create({ shared: hasWebLocks() }));
    return { files, local, locks, storage: true };
  } catch {
    return { files: new MountStore(new MemoryStore()), local, locks, storage: false };
  }
}
