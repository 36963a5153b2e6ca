/** What the console needs of the daemon and of the page. Tests give it a small one of their own. */
import type { FormatInfo, ShellCommandInfo, ShellIo } from '../../client/protocol';
import type { DirectoryEntry } from './complete';

/** What a running command may do with the console. */
export interface TaskIo extends ShellIo {
  stdout(text: string): void;
  stderr(text: string): void;
  progress(done: number, total: number): void;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
}

/** A command of the page: it needs what only a page has (a file picker, a download). */
export interface PageCommand {
  info: ShellCommandInfo;
  /** Gets the words after the name; answers an exit code. */
  run(words: string[], io: TaskIo): Promise<number>;
}

/** The daemon behind the console. */
export interface ConsoleBackend {
  /** Commands of the shell, those of the page included. */
  shell: readonly ShellCommandInfo[];
  /** Image formats, for completion. */
  formats: readonly FormatInfo[];
  /** Commands of the page by name. */
  page: ReadonlyMap<string, PageCommand>;
  /** Replies to a text in QMP, as JSON texts. */
  qmp(text: string): Promise<string[]>;
  /** Runs a line of the shell; resolves to the exit code. */
  runShell(line: string, io: TaskIo): Promise<number>;
  nodeNames(): Promise<string[]>;
  jobIds(): Promise<string[]>;
  files(directory: string): Promise<DirectoryEntry[]>;
}
