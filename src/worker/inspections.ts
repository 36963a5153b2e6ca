/** Images under inspection: each is served on a port of its own, until that is closed. */
import { expose, transfer } from 'comlink';
import type { FileResult, InspectTarget } from '../client/protocol';
import type { Engine } from '../engine/contract';
import { BlobStore } from '../files/browser/blob-store';
import { FileError, type FileStore } from '../files/contract';
import { LockError } from '../files/locks';
import { MountStore } from '../files/mount';
import { inspect, InspectError, type InspectEnvironment, type Inspection } from '../inspect';
import { workerArgon2 } from './argon2';
import { freeName } from './names';
import { turn } from './turn';

/** What the worker has for an inspection. */
export interface InspectionHost {
  files: FileStore;
  newEngine(): Engine;
  daemon: InspectEnvironment['daemon'];
}

/** Opens an image and serves its inspection on a port. A local file is read where it is, and seen by nobody else. */
export async function serveInspection(
  host: InspectionHost,
  target: InspectTarget | File,
  port: MessagePort,
): Promise<FileResult<null>> {
  try {
    const { files, path } =
      target instanceof File ? await beside(host.files, target) : { files: host.files, path: null };
    const inspection = await inspect(
      {
        files,
        hidden: path !== null,
        newEngine: () => host.newEngine(),
        turn,
        daemon: host.daemon,
        derivation: { argon2: workerArgon2 },
      },
      path !== null ? { path } : (target as InspectTarget),
    );
    expose(served(inspection), port);
    return { value: null };
  } catch (error) {
    if (error instanceof InspectError || error instanceof FileError || error instanceof LockError)
      return { failure: error.message };
    throw error;
  }
}

/** The files of the sandbox with a local one beside them, where its backing file may be. */
async function beside(base: FileStore, file: File): Promise<{ files: FileStore; path: string }> {
  const path = await freeName(base, file.name);
  const local = new BlobStore();
  local.add(file, path);
  const files = new MountStore(base);
  await files.mount(path, local, path);
  return { files, path };
}

/** The methods that cross the port; bytes are handed over, not copied. */
function served(inspection: Inspection): object {
  return {
    refresh: inspection.refresh.bind(inspection),
    state: inspection.state.bind(inspection),
    describe: inspection.describe.bind(inspection),
    fields: inspection.fields.bind(inspection),
    size: inspection.size.bind(inspection),
    unlock: inspection.unlock.bind(inspection),
    cancelUnlock: inspection.cancelUnlock.bind(inspection),
    beginCheck: inspection.beginCheck.bind(inspection),
    check: inspection.check.bind(inspection),
    close: inspection.close.bind(inspection),
    map: async (...args: Parameters<Inspection['map']>) => {
      const page = await inspection.map(...args);
      return transfer(page, [page.uses.buffer, page.fill.buffer, page.flags.buffer]);
    },
    read: async (...args: Parameters<Inspection['read']>) => {
      const bytes = await inspection.read(...args);
      return transfer(bytes, [bytes.buffer]);
    },
  };
}
