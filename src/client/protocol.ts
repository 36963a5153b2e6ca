/**
 * What the worker answers to: plain data and functions that cross a message port by comlink.
 *
 * `src/worker` implements {@link WorkerApi}; programs use `Client`, which types and wraps it.
 */

import type { InspectTarget } from '../inspect/contract';

export type { InspectTarget };

/** An error of QMP. It is a value: no call of this interface throws because a command failed. */
export interface QmpError {
  class: 'GenericError' | 'CommandNotFound' | 'DeviceNotActive' | 'DeviceNotFound' | 'KVMMissingCap';
  desc: string;
}

/** What a command answers. */
export type QmpReply<T> = { return: T; error?: never } | { error: QmpError; return?: never };

/** An event as it crosses the port. */
export interface RawEvent {
  event: string;
  data?: unknown;
  timestamp: { seconds: number; microseconds: number };
}

/** A command of the shell: what help and completion need. */
export interface ShellCommandInfo {
  name: string;
  /** One line on what it does. */
  summary: string;
  /** The words behind the name, e.g. `[-l] [FILE]...`. */
  usage: string;
  /** What its words are: file names, nothing, or a command to be helped with. */
  arguments: 'files' | 'none' | 'command';
  /** First words that it knows (`create`, `info`, ...), in the order of their names. */
  subcommands?: readonly SubcommandInfo[];
  /** Its options, where it has no subcommands. */
  options?: readonly OptionInfo[];
}

/** A first word of a command (`qemu-img create`). */
export interface SubcommandInfo {
  name: string;
  /** One line on what it does. */
  summary?: string;
  options?: readonly OptionInfo[];
}

/** An option of a command of the shell. */
export interface OptionInfo {
  /** As they are typed: `-f`, `--format`. */
  names: readonly string[];
  /** What its value is, as help shows it: `FMT`, `leaks|all`; absent: it takes none. */
  value?: string;
  help?: string;
}

/** An image format. */
export interface FormatInfo {
  name: string;
  /** What `qemu-img create -o` takes; absent: images of it cannot be made. */
  create?: readonly FormatOptionInfo[];
  /** What `qemu-img amend -o` takes; absent: images of it cannot be amended. */
  amend?: readonly FormatOptionInfo[];
}

/** An option of an image format. */
export interface FormatOptionInfo {
  name: string;
  type: 'str' | 'size' | 'num' | 'bool';
  help: string;
}

/** A file or directory of the sandbox. */
export interface FileEntry {
  name: string;
  kind: 'file' | 'directory';
  /** Bytes. */
  size: number;
  /** Milliseconds since the epoch, where it is known. */
  modified?: number;
  /** A local file opened in place: it can only be read, and is gone when the page closes. */
  local: boolean;
}

/** Storage of the origin, in bytes, as the browser estimates it. */
export interface StorageUsage {
  used: number;
  quota: number;
  /** Whether the browser keeps it when space runs short. */
  persistent: boolean;
}

/** What is known once the daemon runs. */
export interface StartInfo {
  /** Version of this program. */
  version: string;
  /** The version of QEMU whose interface it has. */
  qemu: string;
  shell: ShellCommandInfo[];
  /** Formats of images that can be opened. */
  formats: FormatInfo[];
  /** False: this browser (a private window, a sandboxed frame) keeps no files; they live in memory until the page closes. */
  storage: boolean;
}

/**
 * Where the output of a command of the shell goes. Over the port each call answers when the text has arrived: ports
 * keep no order among each other, so the worker waits for that before it says that a command has ended.
 */
export interface ShellIo {
  stdout(text: string): void | Promise<void>;
  stderr(text: string): void | Promise<void>;
  /** How far long work is, in units of its own; `total` 0: not known. */
  progress(done: number, total: number): void | Promise<void>;
  /** A line of input for a tool that asks; null at the end of input. */
  readLine(): Promise<string | null>;
}

/** What a pretended guest does. */
export interface Workload {
  /**
   * `sequential`: one request behind the other. `random`: anywhere. `database`: few pages are used most, and what is
   * written goes to a log at the end of the disk first.
   */
  pattern: 'sequential' | 'random' | 'database';
  /** Bytes of a request: a multiple of 512, at most 1 MiB. */
  blockSize: number;
  /** Requests a second; 0: as many as can be done. */
  rate: number;
  /** How often each kind comes in relation to the others; 0: never. */
  mix: { read: number; write: number; flush: number; discard: number };
}

/** What a pretended guest did: requests that went well, bytes, and requests that failed with the text of the last one. */
export interface GuestStats {
  reads: number;
  writes: number;
  flushes: number;
  discards: number;
  bytesRead: number;
  bytesWritten: number;
  errors: number;
  lastError: string;
}

/** A failure of an operation on files, as a value. */
export type FileResult<T> = { value: T } | { failure: string };

/** A file on its way out. */
export interface Exported {
  content: Blob;
  /** Somebody has it open for writing: once that one writes, `content` cannot be read any more. */
  inUse: boolean;
}

/** A subscription or a running command, to be named in a later call. */
export type Ticket = number;

/** The interface of the worker. */
export interface WorkerApi {
  /** Resolves when commands can be given; rejects if the worker cannot work at all. */
  start(): Promise<StartInfo>;
  /** One QMP command with its arguments as data. */
  execute(command: string, args: object | undefined): Promise<QmpReply<unknown>>;
  /**
   * Text as a QMP client would send it, on a monitor of its own: the replies as text, in order, one for each request
   * (also for text that is no request).
   */
  qmp(text: string): Promise<string[]>;
  /** Calls `listener` with each event as JSON text, from now on. */
  subscribe(listener: (event: string) => void | Promise<void>): Promise<Ticket>;
  unsubscribe(ticket: Ticket): Promise<void>;
  /**
   * Runs a line of the shell; resolves to its exit code.
   *
   * @param ticket chosen by the caller, for {@link interrupt}.
   */
  runShell(ticket: Ticket, line: string, io: ShellIo): Promise<number>;
  /** Ctrl-C for a running command of the shell or of files; does nothing if it has ended. */
  interrupt(ticket: Ticket): Promise<void>;
  /** Entries of a directory; empty path: the root. */
  list(directory: string): Promise<FileResult<FileEntry[]>>;
  /** Copies a local file into the sandbox. The progress is in bytes. Answers the name it got. */
  importFile(
    ticket: Ticket,
    file: File,
    progress: (done: number, total: number) => void,
  ): Promise<FileResult<string>>;
  /** Copies a file of the web into the sandbox. The progress is in bytes, its total 0 if the host does not tell it. */
  importUrl(
    ticket: Ticket,
    address: string,
    progress: (done: number, total: number) => void,
  ): Promise<FileResult<string>>;
  /** Makes a local file readable in place, without copying it. Answers the name it got. */
  openLocal(file: File): Promise<FileResult<string>>;
  /** The content of a file as it is now, to be saved by the page. It is not read into memory. */
  exportFile(path: string): Promise<FileResult<Exported>>;
  /** Removes a file or an empty directory, or lets go of a local file. */
  remove(path: string): Promise<FileResult<null>>;
  usage(): Promise<StorageUsage>;
  /** Connects a port (see `PageSocket`) to a socket that the daemon listens on. */
  connectSocket(path: string, port: MessagePort): Promise<FileResult<null>>;
  /** Looks at the structure of an image, and serves an `ImageInspection` on a port. A local file is read in place. */
  openInspection(target: InspectTarget | File, port: MessagePort): Promise<FileResult<null>>;
  /** A pretended guest works on a node until it is interrupted; answers what it did. */
  runGuest(
    ticket: Ticket,
    node: string,
    workload: Workload,
    progress: (stats: GuestStats) => void | Promise<void>,
  ): Promise<FileResult<GuestStats>>;
  /** Writes to the files what the daemon's writable nodes still keep in memory, as before the page may go away. */
  flush(): Promise<void>;
}
