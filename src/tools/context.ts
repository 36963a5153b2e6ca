/** What a command line tool runs in: the same for the console of the page and for Node's command line. */
import type { Argon2Thread, DerivationHost } from '../crypto/derivation';
import type { TlsSupport } from '../daemon/objects/tls';
import type { Engine } from '../engine/contract';
import type { FileStore } from '../files/contract';
import type { ImageLocks } from '../files/locks';
import type { OpenNbd } from '../graph';

export interface ToolContext {
  engine: Engine;
  files: FileStore;
  locks: ImageLocks;
  /** Where temporary files are made. Absent: in memory, of 1 GiB at most. */
  temporary?(this: void): TemporaryFiles;
  /** Opens exports of NBD servers. Absent: nothing can be connected to from here. */
  openNbd?: OpenNbd;
  /** What the platform knows of certificates. Absent: it has no TLS. */
  tls?: TlsSupport;
  /** Text as the tool prints it, with its line feeds; carriage returns redraw a progress line. */
  stdout(text: string): void;
  stderr(text: string): void;
  /** One line of input without its line feed; null at the end of input. */
  readLine?(): Promise<string | null>;
  /**
   * Sends a signal to the process of the tool, and resolves if that goes on afterwards. Absent: the tool is no process,
   * and ends as if it were one.
   */
  raise?(signal: number): Promise<void>;
  /** Ends the tool at once, as a blkverify node does that found a difference. */
  onMismatch?(): void;
  /** Aborted on Ctrl-C: long work stops at its next turn and leaves no broken file behind. */
  signal: AbortSignal;
  /** Lets the page, events and other work run; called after about 10 ms of work at the latest. */
  turn(): Promise<void>;
  /**
   * How far long work is, for a console that shows it: `done` of `total`, in bytes or any other unit; `total` 0: not
   * known. Besides what the tool itself prints.
   */
  progress?(this: void, done: number, total: number): void;
  /** The same of the derivation of a key alone, `total` 0: trials show how fast it is here. Absent: {@link progress} is told. */
  keyProgress?(this: void, done: number, total: number): void;
  /** A derivation was given up that cannot be stopped. */
  onAbandoned?(this: void): void;
  /** Argon2 in a thread of its own, if the platform has such. */
  argon2?: Argon2Thread;
}

/** Files that only one process sees, and that are gone with it. Their names are their maker's. */
export interface TemporaryFiles extends Pick<FileStore, 'open' | 'info' | 'remove' | 'identity'> {
  /** Makes an empty one. Rejects with what is told to the user. */
  make(name: string): Promise<void>;
}

/** How a tool derives keys: Ctrl-C stops it, and a console shows how far it is. */
export function toolDerivation(context: ToolContext): DerivationHost {
  const { argon2, signal, onAbandoned } = context;
  const progress = context.keyProgress ?? context.progress;
  return {
    signal,
    ...(argon2 && { argon2 }),
    ...(progress && { progress }),
    ...(onAbandoned && { onAbandoned }),
  };
}

/** A tool: takes the words after its name, answers the exit code of the real one. */
export type Tool = (words: string[], context: ToolContext) => Promise<number>;
