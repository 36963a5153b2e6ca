/** Files in memory, with a list of everything that is done to them, and what a kill or a power cut leaves of them. */
import type { BlockFile, FileStore, OpenMode } from '../../../src/files/contract';
import { MemoryStore } from '../../../src/files/memory';
import { recorded, Replica, type Step } from '../../engine/powercuts/recording';

/** A step that was done to a file. */
interface Entry {
  file: string;
  step: Step;
}

export class Journal {
  readonly entries: Entry[] = [];
  private readonly starts = new Map<string, Uint8Array>();

  /** Adds a file that was there before. */
  start(name: string, content: Uint8Array): void {
    this.starts.set(name, content);
  }

  /** How much has been done so far. */
  get length(): number {
    return this.entries.length;
  }

  /**
   * The files as they are when the power is cut before an entry: all that was flushed, and of the rest what `keep` says.
   * When only the process is killed everything is kept.
   */
  filesAt(cut: number, keep: () => boolean): Map<string, Uint8Array> {
    const names = new Set([...this.starts.keys(), ...this.entries.slice(0, cut).map(({ file }) => file)]);
    return new Map([...names].map((name) => [name, this.fileAt(name, cut, keep)]));
  }

  private fileAt(name: string, cut: number, keep: () => boolean): Uint8Array {
    const steps = this.entries
      .slice(0, cut)
      .filter(({ file }) => file === name)
      .map(({ step }) => step);
    const flushed = steps.findLastIndex(({ kind }) => kind === 'flush');
    const replica = new Replica(this.starts.get(name) ?? new Uint8Array(0));
    for (const [at, step] of steps.entries()) {
      if (at <= flushed || step.kind === 'size' || keep()) replica.apply(step);
    }
    return replica.bytes.slice(0, replica.size);
  }
}

/** A store of files in memory that writes a journal. */
export async function journaled(
  journal: Journal,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<FileStore> {
  const store = new MemoryStore();
  for (const [name, content] of files) {
    const file = await store.open(name, { write: true, create: 'truncate' });
    file.write(content, 0);
    file.close();
    journal.start(name, content);
  }
  const open = async (path: string, mode: OpenMode): Promise<BlockFile> => {
    const steps: Step[] = [];
    steps.push = (...added) => journal.entries.push(...added.map((step) => ({ file: path, step })));
    const file = await store.open(path, mode);
    if (mode.create === 'truncate') steps.push({ kind: 'size', size: 0 });
    return mode.write ? recorded(file, steps) : file;
  };
  return {
    open,
    info: (path) => store.info(path),
    list: (path) => store.list(path),
    remove: (path, options) => store.remove(path, options),
    rename: (from, to) => store.rename(from, to),
    makeDirectory: (path) => store.makeDirectory(path),
    identity: (path) => store.identity(path),
  };
}
